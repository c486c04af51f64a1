"""The model of `test_pipeline` against a real PostgreSQL: what it says an origin answers, an origin answers.

Each message of a conversation is given words that have its outcome; then the letters of all replies are compared, and
the pipeline between must come to rest exactly when the origin does. A last query shows that nothing is left over.
"""

import socket
from collections.abc import Iterator
from struct import pack
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protos.pg import messages
from protos.pg.framer import BACKEND_LIMITS, Framer
from protos.pg.login import LoggedIn, Login, LoginTarget, Send
from protos.pg.pipeline import Pipeline
from protos.pg.replies import WHOLE_WHEN_PLAIN
from protos.pg.scram import KeyCache
from tests.protos.pg.test_pipeline import (
    COPY_DATA,
    COPY_DONE,
    COPY_FAIL,
    FLUSH,
    B,
    C,
    D,
    E,
    F,
    Message,
    Model,
    P,
    Q,
    S,
)
from tests.support.cluster import Origin

pytestmark = pytest.mark.postgres

# Prepared statements, and the outcome of their Execute. Nothing can be planned away of the one that fails.
STATEMENTS: Final = {
    "ok": b"select 1",
    "suspended": b"select generate_series(1, 2)",
    "empty": b"",
    "fails": b"select 1 / (n - n) from generate_series(1, 1) as n",
    "copies": b"copy rows from stdin",
}
EXECUTED: Final = {"fails": "error", "copies": "copy"}
QUERIES: Final = {
    "ok": b"select 1",
    "empty": b"",
    "error": b"select 1 / 0",
    "copy": b"copy rows from stdin",
    "copies": b"copy rows from stdin; copy rows from stdin",
}
INT4_PLUS, INT4_DIVIDE = 177, 154


def function_call(message: Message) -> bytes:
    oid = INT4_DIVIDE if message.outcome == "error" else INT4_PLUS
    body = pack(">IHH", oid, 0, 2) + pack(">I", 1) + b"1" + pack(">I", 1) + b"0" + pack(">H", 0)
    return pack(">BI", F, len(body) + 4) + body


def words(message: Message) -> bytes:
    """A message that has this outcome on this origin, whatever came before it."""
    is_error = message.outcome == "error"
    return {
        Q: messages.query(QUERIES.get(message.outcome, b"")),
        F: function_call(message),
        P: messages.parse(b"", b"selec" if is_error else b"select 1"),
        B: messages.bind(b"", b"missing" if is_error else message.outcome.encode()),
        D: messages.describe_statement(b"missing" if is_error else b"ok"),
        E: messages.execute(b"", 1 if message.outcome == "suspended" else 0),
        C: messages.close_portal(b"nothing"),
        S: messages.sync(),
        FLUSH: messages.flush(),
        COPY_DATA: messages.copy_data(b"1\n"),
        COPY_DONE: messages.copy_done(),
        COPY_FAIL: messages.copy_fail("no more"),
    }[message.tag]


class Line:
    """A connection to the origin, with a pipeline between it and the test."""

    def __init__(self, origin: Origin) -> None:
        self.socket = socket.create_connection((origin.host, origin.port), timeout=10)
        target = LoginTarget(user="by_scram", password=origin.password, database=origin.database, sslmode="disable")
        login = Login(target, nonce=lambda: b"a nonce of the test", keys=KeyCache())
        self.socket.sendall(login.start())
        is_in = False
        while not is_in:
            for event in login.receive(self.socket.recv(65_536)):
                if isinstance(event, Send):
                    self.socket.sendall(event.data)
                is_in = is_in or isinstance(event, LoggedIn)
        self.pipeline = Pipeline()
        self.framer = Framer(BACKEND_LIMITS, self.pipeline.whole)
        self.read = b""

    def send(self, sent: list[Message]) -> None:
        wire = b""
        for message in sent:
            if message.owner == "answer":
                self.pipeline.answer(messages.close_complete())
                continue
            wire += words(message)
            note = self.pipeline.sent if message.owner == "client" else self.pipeline.inject
            note(message.tag)
        self.read += self.pipeline.due()
        self.socket.sendall(wire)

    def receive(self, size: int = 65_536) -> None:
        chunk = self.socket.recv(size)
        assert chunk, "the origin closed the connection"
        self.framer.whole = self.pipeline.whole
        for piece in self.framer.feed(chunk):
            self.read += self.pipeline.received(piece)

    def wait(self, size: int = 65_536) -> int:
        """Until nothing is owed; return how many fences that took."""
        fences = 0
        while not self.pipeline.is_idle:
            self.receive(size)
            if self.pipeline.wants_fence:
                self.pipeline.inject(Q)
                self.socket.sendall(messages.query(b""))
                fences += 1
        return fences

    def tags(self) -> str:
        """The letters of what was read since the last call."""
        pieces = Framer(BACKEND_LIMITS, frozenset(BACKEND_LIMITS)).feed(self.read)
        self.read = b""
        return "".join(chr(piece.tag) for piece in pieces)

    def expect_silence(self) -> None:
        """Nothing is left over: a query gets its own answer, and the origin says nothing more."""
        self.send([Message(Q)])
        self.wait()
        assert self.tags() == "TDCZ"
        self.socket.settimeout(0.005)
        with pytest.raises(TimeoutError):
            self.socket.recv(1)
        self.socket.settimeout(10)


@pytest.fixture(scope="module")
def line(origin: Origin) -> Iterator[Line]:
    with origin.connect() as connection:
        connection.execute("create table if not exists rows (n int4)")
        connection.execute("grant all on rows to by_scram")
    line = Line(origin)
    for name, sql in STATEMENTS.items():
        line.socket.sendall(messages.parse(name.encode(), sql) + messages.sync())
        for tag in (P, S):
            line.pipeline.sent(tag)
    line.wait()
    line.read = b""
    yield line
    line.socket.close()


def modelled(sent: list[Message]) -> str:
    model = Model()
    said = [one for message in sent for one in model.process(message) if one.is_for_client]
    # How many rows there are is the statement's matter; the model has two where there may be one.
    tags = "".join(chr(one.data[0]) for one in said)
    return tags.replace("DD", "D")


def outcomes(*names: str) -> st.SearchStrategy[str]:
    return st.sampled_from(names)


@st.composite
def executions(draw: st.DrawFn) -> list[Message]:
    name = draw(st.sampled_from(sorted(STATEMENTS)))
    execution = [Message(B, name), Message(E, EXECUTED.get(name, name))]
    if name != "copies":
        return execution
    inside = draw(st.lists(st.sampled_from([COPY_DATA, FLUSH, S]), max_size=3))
    return [*execution, *[Message(tag) for tag in inside], Message(COPY_DONE)]


parts = st.one_of(
    executions(),
    st.builds(lambda outcome: [Message(P, outcome)], outcomes("ok", "ok", "error")),
    st.builds(lambda outcome: [Message(P, outcome, "ours")], outcomes("ok", "ok", "error")),
    st.builds(lambda outcome: [Message(Q, outcome)], outcomes("ok", "error", "empty")),
    st.builds(lambda tag: [Message(tag)], st.sampled_from([C, FLUSH, COPY_DATA])),
    st.just([Message(C, "ok", "answer")]),
    st.builds(lambda outcome: [Message(D, outcome)], outcomes("statement", "statement", "error")),
    st.just([Message(B, "error")]),
)


@st.composite
def segments(draw: st.DrawFn) -> list[Message]:
    match draw(st.sampled_from(["query", "call", "copy", "ours", "extended", "extended", "extended"])):
        case "query":
            return [Message(Q, draw(outcomes("ok", "error", "empty")))]
        case "ours":
            return [Message(Q, draw(outcomes("ok", "error", "empty")), "ours")]
        case "call":
            return [Message(F, draw(outcomes("ok", "error")))]
        case "copy":
            inside = draw(st.lists(st.sampled_from([COPY_DATA, FLUSH, S]), max_size=3))
            return [Message(Q, "copy"), *[Message(tag) for tag in inside], Message(COPY_DONE)]
    return [message for part in draw(st.lists(parts, max_size=4)) for message in part] + [Message(S)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(segments(), min_size=1, max_size=4), st.sampled_from([1, 7, 65_536]))
def test_the_origin_answers_as_the_model_says(line: Line, said: list[list[Message]], size: int) -> None:
    sent = [message for segment in said for message in segment]
    line.send(sent)
    line.wait(size)
    assert line.tags().replace("DD", "D") == modelled(sent)
    assert line.pipeline.whole == WHOLE_WHEN_PLAIN
    assert not line.pipeline.is_ambiguous
    line.expect_silence()


def test_two_copies_of_one_query_are_fed_blindly(line: Line) -> None:
    copy = [Message(COPY_DATA), Message(COPY_DONE)]
    line.send([Message(Q, "copies"), *copy, *copy])
    line.wait()
    assert line.tags() == "GCGCZ"
    line.expect_silence()


@pytest.mark.parametrize("ends", [(COPY_DONE, S), (COPY_FAIL, S)])
def test_a_failed_copy_of_a_driver_that_syncs_at_once(line: Line, ends: tuple[int, ...]) -> None:
    line.send([Message(B, "copies"), Message(E, "copy"), Message(S)])
    while not line.pipeline.in_copy_in:
        line.receive()
    line.socket.sendall(messages.copy_data(b"not a number\n"))
    line.pipeline.sent(COPY_DATA)
    line.send([Message(tag) for tag in ends])
    assert line.wait() == 1
    assert line.tags() == "2GEZ"
    line.expect_silence()


BAD, GOOD = b"not a number\n", b"1\n"


@pytest.mark.parametrize("tag", [Q, E])
@pytest.mark.parametrize(
    ("data", "late"),
    [((BAD, S, S), 2), ((S, BAD, S), 1), ((S, S, BAD), 0), ((GOOD, S, BAD, S, GOOD, S), 2), ((S, GOOD, S), 0)],
)
def test_a_copy_that_fails_between_syncs(line: Line, tag: int, data: tuple[bytes | int, ...], late: int) -> None:
    """PostgreSQL answers those behind the row that is wrong."""
    line.send([Message(Q, "copy")] if tag == Q else [Message(B, "copies"), Message(E, "copy"), Message(FLUSH)])
    while not line.pipeline.in_copy_in:
        line.receive()
    for part in data:
        line.socket.sendall(messages.sync() if isinstance(part, int) else messages.copy_data(part))
        line.pipeline.sent(S if isinstance(part, int) else COPY_DATA)
    line.send([Message(COPY_DONE if BAD in data else COPY_FAIL), *[Message(S)] * (tag == E)])
    line.wait()
    assert line.tags() == ("GE" if tag == Q else "2GE") + "Z" * (late + 1)
    assert (line.pipeline.owed, line.pipeline.is_idle) == (0, True)
    line.expect_silence()


def test_a_copy_that_the_client_ends_without_a_sync_inside_is_not_ambiguous(line: Line) -> None:
    line.send([Message(B, "copies"), Message(E, "copy"), Message(COPY_FAIL), Message(S)])
    line.wait()
    assert line.tags() == "2GEZ"
    assert not line.pipeline.is_ambiguous
    line.expect_silence()


def test_an_error_at_commit_belongs_to_the_sync(line: Line) -> None:
    deferred = b"create temp table late (n int primary key deferrable initially deferred)"
    line.socket.sendall(messages.query(deferred))
    line.pipeline.sent(Q)
    line.wait()
    line.tags()
    sql = messages.parse(b"", b"insert into late values (1), (1)") + messages.bind(b"", b"") + messages.execute()
    line.socket.sendall(sql + messages.sync() + messages.query(b"select 1"))
    for tag in (P, B, E, S, Q):
        line.pipeline.sent(tag)
    line.wait()
    assert line.tags() == "12CEZTDCZ"
    line.expect_silence()
