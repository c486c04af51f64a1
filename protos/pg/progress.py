"""How far a client's messages have come between two sync points, so that it can be said which have not happened.

Messages of the extended protocol are counted from the last sync point on. Where each reply is matched with its message
(see `pipeline`), the count is at hand. Where replies pass unseen, they are kept up to 64 KiB, and read if an error
comes. That holds the replies before the first big result; an error behind that is taken for that result's own.
"""

from struct import Struct
from typing import Final

from protos.pg.replies import ENDED_BY

MAX_KEPT_BYTES: Final = 64 << 10

_header_at = Struct(">BI").unpack_from


class Progress:
    """Of one connection's pipeline."""

    __slots__ = ("_failed", "_kept", "_room", "done", "ended_group", "failed_at")

    def __init__(self) -> None:
        self.done = 0
        """Messages done since the last sync point."""
        self.failed_at = -1
        """How many were done when an error ended the sync points that were settled last; -1 for no error."""
        self.ended_group = False
        """Whether that was an error in a message of the extended protocol, behind which all is skipped."""
        self._failed = -1
        self._kept: list[bytes] = []
        self._room = MAX_KEPT_BYTES

    @property
    def failed_now(self) -> int:
        """How many were done when an error came that is not settled yet; -1 for no error."""
        return self._failed

    def passed(self, run: bytes) -> None:
        """Replies that nobody looked at."""
        if self._room > 0:
            self._kept.append(run)
            self._room -= len(run)

    def fail(self, *, in_group: bool) -> None:
        """An error came; in_group: to a message of the extended protocol."""
        if self._failed < 0:
            self._failed = self.done + _ends_in(b"".join(self._kept))
            self.ended_group = in_group

    def settle(self, *, is_ours: bool) -> None:
        """ReadyForQuery came; is_ours: to a message of ours, behind which the client's go on."""
        if is_ours:
            self.failed_at = -1
            return
        self.failed_at, self._failed = self._failed, -1
        self.done = 0
        if self._kept:
            self._kept.clear()
            self._room = MAX_KEPT_BYTES


def _ends_in(replies: bytes) -> int:
    """How many messages these replies are the ends of."""
    at = number = 0
    while at + 5 <= len(replies):
        tag, length = _header_at(replies, at)
        number += tag in ENDED_BY
        at += 1 + length
    return number
