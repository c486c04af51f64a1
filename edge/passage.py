"""A session's way to the pool node: the channel that it has, and how much may be under way on it in either direction.

Credit for the pool node follows what the client has taken: bytes that still wait in our own buffer are not consumed. A
client that sends faster than the link takes it is not read for a while.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from edge.meaning import Statement
from edge.owner import ChannelOwner
from protos.link.lane import Lane
from protos.link.link_pb2 import Frame, Open, Reason
from protos.runtime.connection import Connection

if TYPE_CHECKING:
    from edge.uplink import Uplink

# More than this queued towards the pool node, and the client is not read any more.
MAX_BACKLOG_BYTES: Final = 256 << 10


class Passage:
    """Of one session."""

    __slots__ = ("_connection", "_uplink", "lane")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._uplink: Uplink | None = None
        self.lane: Lane | None = None
        """None while there is no channel."""

    @property
    def is_leaving(self) -> bool:
        """Whether its pool node goes away."""
        return self._uplink is not None and self._uplink.is_leaving

    @property
    def is_lost(self) -> bool:
        """Whether its link is gone; perhaps its owner has not been told yet."""
        return self.lane is not None and self._uplink is not None and self._uplink.stream is None

    @property
    def unconsumed_bytes(self) -> int:
        """Of what has come on the channel, what the client has not taken."""
        return 0 if self.lane is None else self.lane.unconsumed_bytes

    def open(self, uplink: "Uplink", owner: ChannelOwner, opening: Open) -> None:
        self._uplink = uplink
        self.lane = uplink.open(owner, opening)

    def say(self, frame: Frame) -> None:
        """Tell the pool node something before what is sent next, if there is a channel."""
        if self.lane is not None and self._uplink is not None:
            frame.channel = self.lane.id
            self._uplink.say(self.lane, frame)

    def send(self, request: bytes, needed: Iterable[Statement], *, last: bool) -> None:
        lane = self.lane
        assert lane is not None
        assert self._uplink is not None
        self._uplink.send(lane, request, needed, last=last)
        if lane.backlog_bytes > MAX_BACKLOG_BYTES:
            self._connection.pause()
            lane.on_room = self._room

    def _room(self) -> None:
        if self.lane is not None and self.lane.backlog_bytes <= MAX_BACKLOG_BYTES // 2:
            self.lane.on_room = None
            self._connection.resume()

    def consume(self, size: int) -> None:
        """So many bytes more of its answers were written; what the client has taken gives the pool node credit."""
        lane = self.lane
        if lane is None or self._uplink is None:
            return
        owed = lane.unconsumed_bytes + size
        pending = self._connection.pending_bytes
        if owed > pending:
            self._uplink.consumed(lane, owed - pending)
            owed = pending
        lane.unconsumed_bytes = owed

    def forget(self) -> None:
        """The channel is gone."""
        if self.lane is not None:
            self.lane.on_room = None
            self._connection.resume()
        self.lane = self._uplink = None

    def close(self, reason: "Reason") -> None:
        """Give the channel back, if there is one."""
        lane, uplink = self.lane, self._uplink
        self.forget()
        if lane is not None and uplink is not None:
            uplink.close(lane, reason)
