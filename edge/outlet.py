"""A session's way to its client: what the edge answers by itself is written, and counted until the client has taken it.

A client for which more than MAX_OF_CLIENT of that wait is not read either, as PostgreSQL does not read on while it has
to send. So what waits is bounded, whatever it is that the edge answers. What comes of a link is written past this: it
is bounded by credit, which `Passage` gives.
"""

from edge.answering import Answering
from edge.cache.unsent import MAX_OF_CLIENT, Share
from edge.passage import Passage
from protos.runtime.connection import Connection


class Outlet:
    """Of one session."""

    __slots__ = ("_connection", "_here", "_keeps_waiting", "_passage", "_unsent")

    def __init__(self, connection: Connection, passage: Passage, here: Answering) -> None:
        self._connection = connection
        self._passage = passage
        self._here = here
        self._keeps_waiting = False  # the client is not read
        unsent: Share = here.reader.unsent
        self._unsent = unsent
        unsent.transport = connection
        unsent.measure = self._measure

    def give(self, behind: bytes = b"") -> bool:
        """Write what was answered here, and this behind it; whether there was anything."""
        here, connection = self._here, self._connection
        long, data = here.long, here.to_client + behind
        if long is None and not data:
            return False
        here.long, here.to_client = None, b""
        if long is not None:
            connection.write_slices(long.slices)
            self._unsent.lend(long.kept)
        if data:
            connection.write(data)
        if connection.pending_bytes or long is not None:
            self._unsent.count()
            if self._waiting_bytes > MAX_OF_CLIENT:
                self._keeps_waiting = True
                connection.pause()
        else:
            self._unsent.gathered_bytes = 0
        return True

    def taken(self) -> None:
        """The client has taken something."""
        self._unsent.count()
        if self._keeps_waiting and self._waiting_bytes <= MAX_OF_CLIENT // 2:
            self._keeps_waiting = False
            self._connection.resume()

    def leave(self) -> None:
        """The session is over; its connection may still have something to send."""
        self._unsent.leave()

    @property
    def _waiting_bytes(self) -> int:
        """What waits in the connection and did not come of a link."""
        return self._connection.pending_bytes - self._passage.unconsumed_bytes

    def _measure(self) -> tuple[int, int]:
        """What waits in the connection and no credit bounds, but for what is behind; and that."""
        connection = self._connection
        behind = connection.behind_bytes
        copied = connection.pending_bytes - behind - self._passage.unconsumed_bytes
        return max(copied, 0), behind
