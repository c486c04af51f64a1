"""The receivers of a follower's two connections: one answers questions, the other streams what was written.

Both are plain lines to a PostgreSQL: simple queries, one after the other, each with its answer. A replication
connection takes replication commands in the same form; after START_REPLICATION all that comes is CopyData, which goes
to a core as it arrives, so that a transaction of any size costs no memory.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

import trio

from protos.errors import OriginRefusedError, RemoteProtocolError
from protos.pg.framer import BACKEND_LIMITS, Framer, Piece
from protos.pg.messages import query
from protos.pg.parsers import error_fields, status_of
from protos.pg.tags import Backend
from protos.runtime.connection import Connection
from regional.cache.pgoutput import MAX_WHOLE_BYTES
from regional.exchange import Exchange

_LIMITS: Final = {**BACKEND_LIMITS, Backend.COPY_BOTH_RESPONSE: 30_000}
_WHOLE: Final = frozenset(
    {
        Backend.COPY_BOTH_RESPONSE,
        Backend.COPY_DATA,
        Backend.COPY_DONE,
        Backend.DATA_ROW,
        Backend.ERROR_RESPONSE,
        Backend.READY_FOR_QUERY,
    }
)


class RefusedError(Exception):
    """The origin refuses a statement of ours; `code` is its SQLSTATE, '' if the connection was lost."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}" if code else message)
        self.code = code


class Line:
    """One connection of a follower's."""

    def __init__(self, connection: Connection, on_copy: Callable[[Piece], None] | None = None) -> None:
        self.connection = connection
        self.lost = ""
        """Why it is over, once it is."""
        self.on_lost: Callable[[str], None] = lambda why: None
        self._on_copy = on_copy
        self._framer = Framer(_LIMITS, _WHOLE, max_whole_bytes=MAX_WHOLE_BYTES)
        self._asked: deque[Exchange] = deque()
        connection.receiver = self

    @property
    def is_busy(self) -> bool:
        return bool(self._asked)

    def ask(self, sql: bytes, done: Callable[[Exchange], None]) -> None:
        """Run a simple query. done is called with what came of it, also when the connection is lost."""
        exchange = Exchange(done)
        if self.lost:
            done(exchange)
            return
        self._asked.append(exchange)
        self.connection.write(query(sql))

    async def rows(self, sql: bytes) -> list[list[bytes | None]]:
        """Run a simple query, and wait for its rows. Raises RefusedError. Cancellation: safe, if the line is closed."""
        answered = trio.Event()
        answers: list[Exchange] = []

        def done(exchange: Exchange) -> None:
            answers.append(exchange)
            answered.set()

        self.ask(sql, done)
        await answered.wait()
        (exchange,) = answers
        if exchange.error:
            fields = error_fields(exchange.error)
            raise RefusedError(fields.get("C", ""), fields.get("M", ""))
        if not exchange.status:
            raise RefusedError("", self.lost)
        return exchange.rows

    def close(self) -> None:
        """Hang up. Nothing more is called."""
        self.connection.close()
        self.lost = self.lost or "closed"

    # --- the connection's side ---

    def received(self, data: bytes) -> None:
        try:
            for piece in self._framer.feed(data):
                self._take(piece)
                if self.lost:
                    return
        except (OriginRefusedError, RemoteProtocolError) as error:
            self._end(str(error))

    def _take(self, piece: Piece) -> None:
        if piece.tag == Backend.COPY_DATA and self._on_copy is not None:
            self._on_copy(piece)
        elif not piece.tag:
            pass
        elif piece.tag == Backend.READY_FOR_QUERY and self._asked:
            self._answered(status_of(piece.data))
        elif piece.tag == Backend.COPY_BOTH_RESPONSE and self._asked:
            self._answered(Backend.COPY_BOTH_RESPONSE)
        elif self._asked:
            self._asked[0].take(piece)
        elif piece.tag == Backend.ERROR_RESPONSE:
            fields = error_fields(piece.data)
            raise OriginRefusedError(fields.get("M", "") or "the origin has ended the stream")
        else:
            raise RemoteProtocolError(f"the origin sends a message {piece.tag} that is not expected here")

    def _answered(self, status: int) -> None:
        exchange = self._asked.popleft()
        exchange.status = status
        exchange.done(exchange)

    def secured(self) -> None:
        """TLS was up before."""

    def drained(self) -> None:
        """What we send is short."""

    def ended(self, why: str) -> None:
        self._end(why)

    def _end(self, why: str) -> None:
        if self.lost:
            return
        self.lost = why
        self.connection.close()
        asked, self._asked = self._asked, deque()
        for exchange in asked:
            exchange.done(exchange)
        self.on_lost(why)
