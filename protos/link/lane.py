"""A lane: what one end of a link knows of one channel. Credit and backlog towards the peer, a window for what comes.

The mux moves its bytes; whoever owns the channel watches `backlog_bytes`, and stops reading its source while it is
high.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from protos.link.credit import Budget, ReceiveWindow, SendCredit
from protos.link.link_pb2 import Frame

INITIAL_CREDIT_BYTES: Final = 256 << 10

Chunk = tuple[bytes, int, int]  # data, settled, status


class Lane:
    """One channel's ends in this mux: credit and backlog to the peer, window for what comes from it."""

    __slots__ = (
        "backlog",
        "backlog_bytes",
        "burst_bytes",
        "burst_ends",
        "credit",
        "id",
        "is_queued",
        "on_room",
        "unconsumed_bytes",
        "window",
    )

    def __init__(self, channel: int, budget: Budget) -> None:
        self.id = channel
        self.credit = SendCredit(INITIAL_CREDIT_BYTES)
        self.window = ReceiveWindow(INITIAL_CREDIT_BYTES, budget=budget)
        self.backlog: deque[Chunk | Frame] = deque()
        self.backlog_bytes = 0
        self.burst_bytes = 0
        self.burst_ends = False  # with what is last in the backlog
        self.is_queued = False  # in the mux's bulk queue: it has a backlog and credit
        self.unconsumed_bytes = 0  # the owner's note: received, but not handed on yet
        self.on_room: Callable[[], None] | None = None
        """Called whenever some of the backlog has gone out."""
