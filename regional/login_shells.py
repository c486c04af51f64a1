"""The receivers of connections that belong to nobody yet: one that logs in, one that is asked a question, one that only
carries a cancel request. Each is a thin shell: bytes go to a core, what it decides is done, and a trio task waits.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from typing import Final

import trio

from protos.errors import OriginFullError, OriginRefusedError, OriginRejectedError, ServiceError
from protos.pg.framer import BACKEND_LIMITS, Framer
from protos.pg.login import DeriveKeys, Event, LoggedIn, Login, Refused, Send, StartTls
from protos.pg.messages import query
from protos.pg.parsers import data_row_of
from protos.pg.scram import Challenge, ScramKeys, derive_keys
from protos.pg.tags import Backend
from protos.runtime.connection import Connection
from regional.configuration import Address

FINAL_CLASSES: Final = ("28", "3D", "42")  # SQLSTATE classes of a refusal that the next host or try would repeat
TOO_MANY_CONNECTIONS: Final = "53300"


class Derivations:
    """PBKDF2 of many iterations takes long, so a thread does it: once for all who want the same keys meanwhile."""

    def __init__(self) -> None:
        self._running: dict[tuple[str | bytes, Challenge], asyncio.Future[ScramKeys]] = {}

    def start(self, password: str | bytes, challenge: Challenge, done: Callable[[ScramKeys], object]) -> None:
        """Let done have the keys, later."""
        wanted = (password, challenge)
        running = self._running.get(wanted)
        if running is None:
            running = asyncio.get_running_loop().run_in_executor(None, derive_keys, password, challenge)
            self._running[wanted] = running
            running.add_done_callback(lambda _: self._running.pop(wanted))
        running.add_done_callback(lambda future: done(future.result()))


class LoginShell:
    """The receiver of a connection that logs in."""

    def __init__(
        self, login: Login, host: Address, context: Callable[[], ssl.SSLContext], derivations: Derivations
    ) -> None:
        self.connection: Connection
        self._login = login
        self._host = host
        self._context = context
        self._derivations = derivations
        self._decided = trio.Event()
        self._logged_in: LoggedIn | None = None
        self._error: ServiceError | None = None

    async def run(self) -> LoggedIn:
        self.connection.write(self._login.start())
        await self._decided.wait()
        if self._error is not None:
            raise self._error
        assert self._logged_in is not None
        return self._logged_in

    def received(self, data: bytes) -> None:
        self._take(self._login.receive(data))

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case Send(message):
                    self.connection.write(message)
                case StartTls():
                    self._start_tls()
                case LoggedIn():
                    self._logged_in = event
                    self._decided.set()
                case Refused(error, fields):
                    code = fields.get("C", "")
                    if code == TOO_MANY_CONNECTIONS:
                        error = _as(OriginFullError, error)
                    elif code[:2] in FINAL_CLASSES:
                        error = _as(OriginRejectedError, error)
                    self._fail(error)
                case DeriveKeys(password, challenge):
                    self._derivations.start(password, challenge, self._derived)

    def _derived(self, keys: ScramKeys) -> None:
        self._take(self._login.derived(keys))

    def _start_tls(self) -> None:
        try:
            self.connection.start_tls(self._context(), server_side=False, server_hostname=self._host.host)
        except (ssl.SSLError, ValueError) as error:
            self._fail(refused(f"TLS cannot be set up: {error}", "Look at the configuration's certificates."))

    def secured(self) -> None:
        tls = self.connection.tls
        assert tls is not None
        self.connection.write(self._login.secured(tls.peer_certificate))

    def drained(self) -> None:
        pass

    def ended(self, why: str) -> None:
        hint = "Look whether sslmode and the origin's certificate agree." if why.startswith("TLS") else None
        self._fail(refused(f"{self._host}: {why}", hint))

    def _fail(self, error: ServiceError) -> None:
        if self._logged_in is None and self._error is None:
            self._error = error
            self._decided.set()


class CancelShell:
    """The receiver of a connection that only carries a CancelRequest; the origin answers by closing it."""

    def __init__(self, request: bytes) -> None:
        self.connection: Connection
        self.context: ssl.SSLContext | None = None
        self.hostname = ""
        self.ended_event = trio.Event()
        self._request = request

    def received(self, data: bytes) -> None:
        if self.context is not None and data == b"S" and self.connection.tls is None:
            self.connection.start_tls(self.context, server_side=False, server_hostname=self.hostname)
        else:
            self.ended_event.set()

    def secured(self) -> None:
        self.connection.write(self._request)

    def drained(self) -> None:
        pass

    def ended(self, why: str) -> None:
        self.ended_event.set()


class QuestionShell:
    """The receiver of a connection that is asked one question before it belongs to anybody."""

    def __init__(self) -> None:
        self.answered = trio.Event()
        self.row: list[bytes | None] = []
        self._framer = Framer(BACKEND_LIMITS, frozenset({Backend.DATA_ROW, Backend.READY_FOR_QUERY}))

    def received(self, data: bytes) -> None:
        for piece in self._framer.feed(data):
            if piece.tag == Backend.DATA_ROW:
                self.row = data_row_of(piece.data)
            elif piece.tag == Backend.READY_FOR_QUERY:
                self.answered.set()

    def secured(self) -> None:
        """TLS was up before."""

    def drained(self) -> None:
        """One query is never too much for a socket."""

    def ended(self, why: str) -> None:
        self.answered.set()


async def row_of(connection: Connection, question: bytes) -> list[bytes | None]:
    """The row that answers; empty if there is none. Cancellation: safe, the caller closes."""
    shell = QuestionShell()
    connection.receiver = shell
    connection.write(query(question))
    await shell.answered.wait()
    return shell.row


async def is_wanted(connection: Connection, wanted: str) -> bool:
    """Whether this server is what target_session_attrs asks for. Cancellation: safe, the caller closes."""
    if wanted == "any":
        return True
    row = await row_of(connection, b"SELECT pg_catalog.pg_is_in_recovery(), current_setting('transaction_read_only')")
    if not row:
        return False
    is_standby, is_read_only = row[0] == b"t", row[1] == b"on"
    return {
        "primary": not is_standby, "standby": is_standby, "read-only": is_read_only, "read-write": not is_read_only,
    }[wanted]  # fmt: skip


def _as(kind: type[OriginRefusedError], error: ServiceError) -> OriginRefusedError:
    return kind(str(error), detail=error.detail, hint=error.hint)


def refused(message: str, hint: str | None) -> OriginRefusedError:
    """The message may name the origin's host, so it is for us and for whoever administers the configuration."""
    return OriginRefusedError(message, detail="The database could not be reached or did not answer.", hint=hint)
