"""A client of raw messages over asyncio: it sees every message, and it can vanish at any point without a word."""

import asyncio
import os
from contextlib import suppress
from typing import Final

import attrs

from protos.pg.framer import BACKEND_LIMITS, Framer
from protos.pg.login import LoggedIn, Login, LoginTarget, Refused, Send
from protos.pg.messages import query
from protos.pg.parsers import data_row_of, error_fields, parameter_status_of
from protos.pg.sasl import NONCE_BYTES
from protos.pg.scram import KeyCache
from protos.pg.tags import Backend
from tests.support.target import Target

# Longer than any limit of the nodes: what takes longer hangs.
ANSWER_TIMEOUT_S: Final = 60.0
_KEYS: Final = KeyCache()

Row = tuple[str | None, ...]


class LostError(Exception):
    """The connection has ended; the text holds the last error that came, if any."""

    def __init__(self, words: str, sqlstate: str = "") -> None:
        super().__init__(words)
        self.sqlstate = sqlstate


@attrs.define
class Answer:
    """What came up to one ReadyForQuery, or up to where the client was asked for COPY data."""

    rows: list[Row] = attrs.field(factory=list)
    sqlstate: str = ""
    """Of the first error; empty if there was none."""
    error: str = ""
    status: str = ""
    """Of the transaction: I, T or E; G if the server now takes COPY data."""

    @property
    def value(self) -> str | None:
        """The only value of the last row."""
        return self.rows[-1][0]


class Client:
    """One connection. Made by `connect`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.parameters: dict[str, str] = {}
        """What the server has reported, as it is now."""
        self.notified: list[str] = []
        """The channels of the notifications that came."""
        self._reader = reader
        self._writer = writer
        self._framer = Framer(BACKEND_LIMITS, frozenset(BACKEND_LIMITS), max_whole_bytes=1 << 30)
        self._messages: list[tuple[int, bytes]] = []

    def send(self, *messages: bytes) -> None:
        self._writer.write(b"".join(messages))

    async def ask(self, *messages: bytes) -> Answer:
        """Send, and read up to ReadyForQuery."""
        self.send(*messages)
        return await self.answer()

    async def query(self, sql: str) -> Answer:
        """Run SQL by the simple protocol."""
        return await self.ask(query(sql.encode()))

    async def answer(self) -> Answer:
        """Read up to ReadyForQuery, or to the server's wish for COPY data."""
        answer = Answer()
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            while not answer.status:
                if not self._messages:
                    await self._receive(answer)
                while self._messages and not answer.status:
                    self._take(answer, *self._messages.pop(0))
        return answer

    async def _receive(self, answer: Answer) -> None:
        try:
            data = await self._reader.read(1 << 16)
        except OSError as error:
            raise LostError(f"{error}; {answer.error}", answer.sqlstate) from error
        if not data:
            raise LostError(answer.error or "closed without a word", answer.sqlstate)
        self._messages += [(piece.tag, piece.data) for piece in self._framer.feed(data)]

    def _take(self, answer: Answer, tag: int, data: bytes) -> None:
        match tag:
            case Backend.DATA_ROW:
                values = data_row_of(data)
                answer.rows.append(tuple(value if value is None else value.decode() for value in values))
            case Backend.ERROR_RESPONSE:
                fields = error_fields(data)
                answer.sqlstate = answer.sqlstate or fields["C"]
                answer.error = answer.error or f"{fields['C']} {fields['M']} {fields.get('D', '')}".strip()
            case Backend.PARAMETER_STATUS:
                name, value = parameter_status_of(data)
                self.parameters[name] = value
            case Backend.NOTIFICATION_RESPONSE:
                self.notified.append(data[9 : data.index(0, 9)].decode())
            case Backend.COPY_IN_RESPONSE:
                answer.status = "G"
            case Backend.READY_FOR_QUERY:
                answer.status = chr(data[5])
            case _:
                pass

    def vanish(self) -> None:
        """Close the socket without a Terminate, whatever is going on."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Say goodbye."""
        self._writer.write(b"X\0\0\0\4")
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


async def connect(target: Target, parameters: dict[str, str] | None = None) -> Client:
    """Log in with these startup parameters. Raises LostError if it is refused."""
    try:
        reader, writer = await asyncio.open_connection(target.host, target.port)
    except OSError as error:
        raise LostError(str(error)) from error
    client = Client(reader, writer)
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await _log_in(client, reader, target, parameters or {})
    except BaseException:
        client.vanish()
        raise
    return client


async def _log_in(client: Client, reader: asyncio.StreamReader, target: Target, parameters: dict[str, str]) -> None:
    where = LoginTarget(
        user=target.user, password=target.password, database=target.database, parameters=parameters, sslmode="disable"
    )
    login = Login(where, nonce=lambda: os.urandom(NONCE_BYTES), keys=_KEYS)
    client.send(login.start())
    while True:
        try:
            data = await reader.read(1 << 16)
        except OSError as error:
            raise LostError(str(error)) from error
        if not data:
            raise LostError("closed during the login")
        for event in login.receive(data):
            match event:
                case Send(data):
                    client.send(data)
                case LoggedIn():
                    client.parameters = dict(event.parameters)
                    return
                case Refused():
                    raise LostError(f"login refused: {event.error} {event.fields}", event.fields.get("C", ""))
                case _:
                    raise AssertionError(event)
