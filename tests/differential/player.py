"""Play a conversation over a raw socket and keep every message that came back, within time limits.

The codec is our own (`protos.pg`), the login too; nothing else stands between the test and the server.
"""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import attrs

from protos.pg import messages as pg
from protos.pg.framer import BACKEND_LIMITS, Framer
from protos.pg.login import LoggedIn, Login, LoginTarget, Refused, Send
from protos.pg.messages import terminate
from protos.pg.parsers import data_row_of, parameter_status_of
from protos.pg.sasl import NONCE_BYTES
from protos.pg.scram import KeyCache
from tests.differential.script import (
    Chunk,
    Conversation,
    Ending,
    Neighbour,
    Until,
    When,
    bind,
    chunk,
    close_statement,
    execute,
    parse,
    query,
    sync,
)

# A healthy answer takes milliseconds. Two busy cores may take a second.
ANSWER_LIMIT_S: Final = 4.0
CONNECT_LIMIT_S: Final = 15.0
# What the end of each message that Flush brings is told by: the replies of Parse, Bind, Describe, Execute and Close.
_ENDS_REPLY: Final = frozenset(b"12TnCsI3EG")
_ANSWERED: Final = frozenset("PBDEC")
NOTHING_CAME: Final = b"?nothing came in time"
END_OF_FILE: Final = b"?end of file"

_keys: Final = KeyCache()


@attrs.frozen
class Address:
    """Where a server is, and who logs in."""

    port: int
    user: str
    password: str = attrs.field(repr=False)
    database: str
    host: str = "127.0.0.1"


@attrs.frozen
class Answer:
    """What came for one chunk; `is_said` is False where the chunk was left out."""

    chunk: Chunk
    messages: list[bytes]
    is_said: bool = True


@attrs.frozen
class Played:
    """What a conversation brought: the reports at login, or why it was refused, and the answers."""

    greeting: dict[str, str]
    refusal: dict[str, str]
    answers: list[Answer]


class Client:
    """One connection."""

    def __init__(self, address: Address, parameters: dict[str, str]) -> None:
        self.status = "I"
        self.is_copying = False
        self.has_ended = False
        self._is_failed = False  # an error came, and no ReadyForQuery since
        self._framer = Framer(BACKEND_LIMITS, frozenset(BACKEND_LIMITS), max_whole_bytes=1 << 30)
        self._came: list[bytes] = []
        self.socket = socket.create_connection((address.host, address.port), timeout=CONNECT_LIMIT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.greeting, self.refusal = self._log_in(address, parameters)

    def _log_in(self, address: Address, parameters: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        target = LoginTarget(
            user=address.user, password=address.password, database=address.database, parameters=parameters,
            sslmode="disable", may_send_plain=True,
        )  # fmt: skip
        login = Login(target, nonce=lambda: bytes(range(NONCE_BYTES)), keys=_keys)
        self.socket.sendall(login.start())
        while data := self.socket.recv(1 << 16):
            for event in login.receive(data):
                match event:
                    case Send(answer):
                        self.socket.sendall(answer)
                    case LoggedIn():
                        self._came += [piece.data for piece in self._framer.feed(event.rest)]
                        return event.parameters, {}
                    case Refused():
                        self.has_ended = True
                        return {}, event.fields or {"M": str(event.error)}
                    case _:
                        raise AssertionError(event)
        raise ConnectionError("the connection was closed during login")

    def is_time_for(self, asked: Chunk, *, after_said: bool) -> bool:
        """Whether a chunk that is only said at some times is said now."""
        if asked.when is When.IDLE:
            return self.status == "I" and not self._is_failed
        return asked.when is When.ALWAYS or after_said

    def say(self, asked: Chunk) -> list[bytes]:
        """Send a chunk and return what came for it."""
        was_copying, self.is_copying = self.is_copying, False
        try:
            self.socket.sendall(asked.data)
        except OSError:
            return self._read(lambda _: False)
        wanted = asked.sync_points
        if asked.until is Until.READY_IF_COPYING:
            wanted = 1 if was_copying else 0
        elif asked.until is Until.MARKED:
            return self._read(lambda came: [one[:1] for one in came[-2:]] == [b"I", b"Z"])
        elif asked.until is Until.COPY_OR_READY:
            return self._read(lambda came: came[-1][:1] in {b"G", b"Z"})
        elif asked.until is Until.FLUSHED:
            wanted = 0 if self._is_failed else sum(say.tag in _ANSWERED for say in asked.says)
            return self._read(lambda came: _is_flushed(came, wanted)) if wanted else []
        return self._read(lambda came: sum(one[:1] == b"Z" for one in came) >= wanted) if wanted else []

    def _read(self, is_enough: Callable[[list[bytes]], bool]) -> list[bytes]:
        deadline = time.monotonic() + ANSWER_LIMIT_S
        came: list[bytes] = []
        while True:
            while self._came:
                came.append(self._came.pop(0))
                self._note(came[-1])
                if is_enough(came):
                    return came
            if not self._receive(deadline):
                return [*came, END_OF_FILE if self.has_ended else NOTHING_CAME]

    def _note(self, message: bytes) -> None:
        kind = message[:1]
        if kind == b"Z":
            self.status = chr(message[5])
            self._is_failed = self.is_copying = False
        elif kind == b"E":
            self._is_failed = True
            self.is_copying = False
        elif kind == b"G":
            self.is_copying = True

    def _receive(self, deadline: float) -> bool:
        try:
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            data = self.socket.recv(1 << 18)
        except TimeoutError:
            return False
        except OSError:
            data = b""
        self.has_ended = not data
        self._came += [piece.data for piece in self._framer.feed(data)]
        return bool(data)

    def rows(self, sql: str) -> list[list[bytes | None]]:
        """Run one query that must go well."""
        self.socket.sendall(pg.query(sql.encode()))
        came = self._read(lambda came: came[-1][:1] == b"Z")
        errors = [message for message in came if message[:1] in {b"E", b"?"}]
        assert not errors, (sql, errors)
        return [data_row_of(message) for message in came if message[:1] == b"D"]

    def leave(self, ending: Ending = Ending.TERMINATE) -> None:
        if ending is Ending.TERMINATE and not self.has_ended:
            with suppress(OSError):
                self.socket.sendall(terminate())
        self.socket.close()


def _is_flushed(came: list[bytes], wanted: int) -> bool:
    """Whether so many messages have their last reply, or one failed. A CopyInResponse is the end, too."""
    if came[-1][:1] in {b"E", b"G"}:
        return True
    return sum(message[0] in _ENDS_REPLY for message in came) >= wanted


_FORGET: Final = (
    parse("onetrip_role", "reset role"), bind("onetrip_role", "onetrip_role"), execute("onetrip_role"),
    close_statement("onetrip_role"), parse("onetrip_all", "reset all"), bind("onetrip_all", "onetrip_all"),
    execute("onetrip_all"), close_statement("onetrip_all"), sync(),
)  # fmt: skip


def forgetting(client: Client, came: list[bytes]) -> list[bytes]:
    """An answer as it is where all that a session sets ends with its transaction.

    What is reported of that is put before its ReadyForQuery. No Query, for that drops the unnamed statement.
    """
    if client.status != "I" or not came or came[-1][:1] != b"Z":
        return reported_in_order(came)
    reset = client.say(chunk(*_FORGET))
    assert [one for one in reset if one[:1] in b"E?"] == [], reset
    return reported_in_order([*came[:-1], *(one for one in reset if one[:1] == b"S"), came[-1]])


def reported_in_order(came: list[bytes]) -> list[bytes]:
    """The same with the ParameterStatus before its last ReadyForQuery by their names; each name keeps its order."""
    if not came or came[-1][:1] != b"Z":
        return came
    start = len(came) - 1
    while start and came[start - 1][:1] == b"S":
        start -= 1
    return [*came[:start], *sorted(came[start:-1], key=lambda one: parameter_status_of(one)[0]), came[-1]]


def play(
    conversation: Conversation,
    address: Address,
    writer: Client,
    neighbour: Client | None = None,
    *,
    forgets: bool = False,
) -> Played:
    """Have the conversation; NEIGHBOUR says what neighbours say in it, WRITER what they change.

    forgets: a session that keeps nothing that it sets, or straight at PostgreSQL one that plays so.
    """
    client = Client(address, dict(conversation.parameters))
    answers: list[Answer] = []
    try:
        for step in conversation.steps:
            if isinstance(step, Neighbour):
                who = writer if step.writes else neighbour
                if who is not None:
                    who.say(chunk(query(step.sql)))  # whatever comes of it
            elif client.has_ended:
                break
            else:
                is_said = client.is_time_for(step, after_said=not answers or answers[-1].is_said)
                came = client.say(step) if is_said else []
                if forgets:
                    came = reported_in_order(came) if neighbour is not None else forgetting(client, came)
                answers.append(Answer(step, came, is_said))
    finally:
        client.leave(conversation.ending)
    return Played(client.greeting, client.refusal, answers)
