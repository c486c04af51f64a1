"""An origin that says what a test tells it to: for what no PostgreSQL would do, or not at the wanted moment."""

import asyncio
from collections.abc import Callable

from protos.pg.framer import FRONTEND_LIMITS, Framer, Piece
from protos.pg.messages import (
    authentication_ok,
    backend_key_data,
    command_complete,
    data_row,
    parameter_status,
    ready_for_query,
    row_description,
)
from protos.pg.startup import CancelRequest, StartupMessage, StartupReader
from protos.pg.tags import Frontend, TransactionStatus
from protos.runtime.guest import call_host

Script = Callable[[Piece], bytes | None]
"""What to answer to a message; None for what a PostgreSQL without tables would say."""

LOGIN = authentication_ok() + parameter_status("server_version", "17.0") + parameter_status("client_encoding", "UTF8")


class Scripted:
    """A server on a port of its own, on the host's loop; it believes everybody."""

    def __init__(self) -> None:
        self.port = 0
        self.script: Script = lambda piece: None
        self.login = LOGIN
        self.after_login = b""
        """What comes in one piece with the ReadyForQuery of the login."""
        self.greeting: bytes | None = None
        """What to say instead of a login."""
        self.seen: list[Piece] = []
        """Messages of all sessions, in the order in which they came."""
        self.cancelled: list[int] = []
        """Process ids of the cancel requests that came."""
        self.connections: list[asyncio.StreamWriter] = []
        """Of the sessions."""
        self.settles_cancels = True
        """Whether a cancel request's connection is closed."""
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        self._server = await call_host(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        startup, framer = StartupReader(), Framer(FRONTEND_LIMITS, frozenset(FRONTEND_LIMITS))
        try:
            events = startup.feed(await reader.read(1 << 16))
            for event in events:
                if isinstance(event, CancelRequest):
                    self.cancelled.append(event.process_id)
                    while not self.settles_cancels and await reader.read(1):
                        pass
                    return
                assert isinstance(event, StartupMessage)
            self.connections.append(writer)
            number = len(self.connections)
            welcome = self.login + backend_key_data(number, b"key!") + ready_for_query(TransactionStatus.IDLE)
            writer.write(welcome + self.after_login if self.greeting is None else self.greeting)
            status: int = TransactionStatus.IDLE
            while data := await reader.read(1 << 16):
                for piece in framer.feed(data):
                    self.seen.append(piece)
                    if piece.tag == Frontend.TERMINATE:
                        return
                    text = piece.data[5:].lower()
                    if text.startswith((b"begin", b"commit", b"rollback")):
                        status = TransactionStatus.INTRANS if text.startswith(b"begin") else TransactionStatus.IDLE
                    answer = self.script(piece)
                    writer.write(_usual(piece, ready_for_query(status)) if answer is None else answer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


def _usual(piece: Piece, ready: bytes) -> bytes:
    if b"pg_proc" in piece.data:
        return command_complete("SELECT 0") + ready
    if piece.tag == Frontend.QUERY:
        return row_description(["a"]) + data_row([b"1"]) + command_complete("SELECT 1") + ready
    return ready if piece.tag == Frontend.SYNC else b""
