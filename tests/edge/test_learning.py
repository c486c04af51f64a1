"""What a session's own requests teach its edge of statements, and when they teach nothing."""

from typing import Final

import pytest

from edge.early import Description, Early
from edge.learning import Learning
from edge.statements import Statements
from protos.pg.messages import (
    bind,
    close_statement,
    describe_portal,
    describe_statement,
    parameter_description,
    parse,
    parse_complete,
    row_description,
)

SQL: Final = b"select $1::int"
PARAMETERS: Final = parameter_description([23])
ROWS: Final = row_description(["int4"])
ANSWER: Final = parse_complete() + PARAMETERS + ROWS
KNOWN: Final = Description(PARAMETERS, ROWS)


class Session:
    """The parts of one that learning has to do with."""

    def __init__(self, *, prepare: bool = True) -> None:
        self.early = Early(prepare=prepare)
        self.statements = Statements(b"scope")
        self.learning = Learning(self.statements, self.early)

    def send(self, *messages: bytes, is_at_rest: bool = True, whole: bool = True) -> None:
        """A group of extended messages."""
        self.learning.begin(is_at_rest=is_at_rest)
        for message in messages:
            self.learning.sent(message[0], message, whole=whole)
            if message[:1] == b"P":
                self.statements.parse(message, whole=whole)

    def answer(self, data: bytes = ANSWER, *, is_certain: bool = True) -> None:
        self.learning.heard(data, is_certain=is_certain)
        self.learning.settled(is_certain=is_certain)

    @property
    def name(self) -> bytes:
        """Of the statement, among all sessions."""
        return self.statements.meaning_of(parse(b"s", SQL)).name

    @property
    def learnt(self) -> Description | None:
        return self.early.description_of(self.name)


def test_a_description_is_learnt_and_the_session_was_told_it() -> None:
    session = Session()
    session.send(parse(b"s", SQL), describe_statement(b"s"))
    for byte in ANSWER:
        session.learning.heard(bytes([byte]), is_certain=True)
    assert session.learnt == KNOWN
    assert session.statements.told(b"s") == KNOWN.digest


@pytest.mark.parametrize(
    "messages",
    [
        (parse(b"s", SQL), bind(b"", b"s", [b"1"]), describe_statement(b"s")),
        (parse(b"s", SQL), describe_portal(b""), describe_statement(b"s")),
        (parse(b"s", SQL), describe_statement(b"nothing"), describe_statement(b"s")),
    ],
    ids=["behind a Bind", "behind that of a portal", "behind that of no statement"],
)
def test_only_the_first_replies_are_listened_to(messages: tuple[bytes, ...]) -> None:
    session = Session()
    session.send(*messages)
    session.answer()
    assert session.learnt is None


def test_a_close_in_front_does_no_harm() -> None:
    session = Session()
    session.send(close_statement(b"t"), parse(b"s", SQL), describe_statement(b"s"))
    session.answer()
    assert session.learnt == KNOWN


def test_behind_another_request_nothing_is_learnt() -> None:
    session = Session()
    session.send(parse(b"s", SQL), describe_statement(b"s"), is_at_rest=False)
    session.answer()
    assert session.learnt is None


def test_where_it_is_not_allowed_nothing_is_learnt() -> None:
    session = Session(prepare=False)
    session.send(parse(b"s", SQL), describe_statement(b"s"))
    session.answer()
    session.early.prepare = True
    assert session.learnt is None


def test_what_a_transaction_may_have_changed_is_not_learnt() -> None:
    session = Session()
    session.send(parse(b"s", SQL), describe_statement(b"s"))
    session.answer(is_certain=False)
    assert session.learnt is None
    assert not session.statements.told(b"s")


def test_a_name_that_is_anothers_by_now_was_not_told() -> None:
    session = Session()
    session.send(parse(b"s", SQL), describe_statement(b"s"))
    session.statements.close(close_statement(b"s"))
    session.statements.parse(parse(b"s", b"select 2"), whole=True)
    session.answer()
    assert session.learnt == KNOWN
    assert not session.statements.told(b"s")


def test_what_is_parsed_only_has_the_description_that_is_known_when_it_is_answered() -> None:
    session = Session()
    session.send(parse(b"s", SQL), parse(b"", SQL))
    session.early.learn(session.name, KNOWN)  # the pool node has told it beside the answer
    session.learning.settled(is_certain=True)
    assert session.statements.told(b"s") == KNOWN.digest
    assert not session.statements.told(b""), "the unnamed one is not asked about"


@pytest.mark.parametrize("end", ["uncertain", "stopped", "in pieces"])
def test_what_is_parsed_in_vain_is_not(end: str) -> None:
    session = Session()
    session.send(parse(b"s", SQL), whole=end != "in pieces")
    session.early.learn(session.name, KNOWN)
    if end == "stopped":
        session.learning.stop()
    session.learning.settled(is_certain=end != "uncertain")
    assert not session.statements.told(b"s")


def test_what_comes_after_a_stop_is_no_description() -> None:
    session = Session()
    session.send(parse(b"s", SQL), describe_statement(b"s"))
    session.learning.stop()
    session.answer()
    assert session.learnt is None
