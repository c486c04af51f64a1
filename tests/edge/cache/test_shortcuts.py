"""Shortcuts: a group is answered by its bytes, by what its statement's name stands for, and as long as that is good."""

import attrs
import pytest

from edge.cache.answers import Answers
from edge.cache.shortcuts import is_one_query
from edge.cache.store import Store
from edge.cache.switch import Switch
from edge.early import Early
from edge.memos import Settings
from edge.session import Session
from protos.link.link_pb2 import Caching, Invalidate, Verdict
from protos.link.settings import KEEP, SETTLING
from protos.pg.messages import (
    bind,
    bind_complete,
    command_complete,
    data_row,
    describe_portal,
    execute,
    parse,
    parse_complete,
    query,
    ready_for_query,
    row_description,
    sync,
)

SQL = b"select name from users where id = $1"
READY = ready_for_query(ord("I"))
ROWS = row_description(["name"])
BODY = data_row([b"ann"]) + command_complete("SELECT 1")
USE = bind(b"", b"s", [b"1"]) + describe_portal(b"") + execute() + sync()
UNNAMED = parse(b"", SQL) + bind(b"", b"", [b"1"]) + describe_portal(b"") + execute() + sync()


@attrs.define
class House:
    """Sessions of one configuration."""

    answers: Answers = attrs.field(factory=lambda: Answers(Store(1 << 20), lambda: 10.0))

    def __attrs_post_init__(self) -> None:
        self.answers.allow(Caching(enabled=True))
        self.answers.vouched_until = 100.0

    def session(self, sql: bytes = SQL, view: bytes = b"view") -> Session:
        """One that has the statement s."""
        session = Session(Settings((), b"scope", b"state", view), Early(), self.answers)
        assert session.feed(parse(b"s", sql) + sync())
        session.answered(1, ord("I"))
        return session

    def teach(self, session: Session, request: bytes, answer: bytes) -> None:
        assert session.feed(request)
        session.here.reader.judged(Verdict(tables=[1], max_age_s=60))
        session.heard(answer + READY)
        session.answered(1, ord("I") | KEEP)


QUERY = query(b"select name from users")
TWO = query(b"select name from users where id = 2")


def served(session: Session, request: bytes) -> bytes:
    """Empty if it crosses."""
    assert not session.here.to_client
    if answer := session.answer_whole(request):
        return answer
    crossed = session.feed(request)
    answer, session.here.to_client = session.here.to_client, b""
    assert bool(crossed) != bool(answer)
    return answer


@pytest.fixture
def house() -> House:
    house = House()
    house.teach(house.session(), USE, bind_complete() + ROWS + BODY)
    return house


def test_the_short_way_gives_what_the_long_one_gives(house: House) -> None:
    session = house.session()
    long = served(session, USE)
    assert len(house.answers.shortcuts) == 1
    assert served(session, USE) == served(house.session(), USE) == long == bind_complete() + ROWS + BODY + READY
    assert house.answers.hits == 3


def test_a_name_that_stands_for_something_else_leads_nowhere(house: House) -> None:
    served(house.session(), USE)
    assert not served(house.session(b"select name from accounts where id = $1"), USE)
    assert not served(house.session(view=b"other"), USE)


def test_a_parse_on_the_way_takes_effect(house: House) -> None:
    session = house.session()
    assert served(session, UNNAMED)
    other = house.session()
    assert served(other, UNNAMED) == parse_complete() + bind_complete() + ROWS + BODY + READY
    statement = other.statements.get(b"")
    assert statement is not None
    assert statement.name == session.statements.meaning_of(parse(b"", SQL)).name


def test_what_a_name_of_the_sessions_stands_for_is_no_part_of_a_parse(house: House) -> None:
    mixed = parse(b"", SQL) + bind(b"", b"s", [b"1"]) + execute() + sync()
    session = house.session()
    for _ in range(3):
        assert not served(session, mixed)
        session.answered(1, ord("I") | KEEP)
    assert len(house.answers.shortcuts) == 0


def test_an_invalidation_closes_the_short_way_too(house: House) -> None:
    session = house.session()
    served(session, USE)
    house.answers.invalidate(Invalidate(tables=[1]))
    assert not served(session, USE)
    assert len(house.answers.shortcuts) == 0


def test_nobody_takes_the_short_way_past_what_is_owed(house: House) -> None:
    session = house.session()
    served(session, USE)
    assert session.feed(query(b"update users set name = 'x'"))
    assert not served(session, USE)


def test_bytes_that_come_in_pieces_take_the_long_way(house: House) -> None:
    session = house.session()
    served(session, USE)
    assert not session.feed(USE[:20])
    assert served(session, USE[20:])


@pytest.fixture
def asked(house: House) -> House:
    """Simple queries, too."""
    for request in (QUERY, TWO):
        house.teach(house.session(), request, ROWS + BODY)
    return house


def test_a_simple_query_is_answered_at_once(asked: House) -> None:
    session = asked.session()
    assert session.answer_whole(QUERY) == ROWS + BODY + READY
    assert (asked.answers.hits, len(asked.answers.shortcuts)) == (1, 0), "it is its own key"


def test_a_simple_query_drops_the_unnamed_statement_either_way(asked: House) -> None:
    for cuts in ((QUERY,), (QUERY[:9], QUERY[9:])):
        session = asked.session()
        session.feed(parse(b"", SQL) + sync())
        session.answered(1, ord("I"))
        assert session.statements.get(b"") is not None
        for data in cuts:
            assert session.answer_whole(data) or not session.feed(data)
        assert session.statements.get(b"") is None


@pytest.mark.parametrize(
    ("request_", "is_whole"),
    [
        (QUERY, True),
        (QUERY[:-1], False),
        (QUERY + TWO, False),
        (QUERY + sync(), False),
        (QUERY[:-1] + b"s", False),
        (QUERY[:1] + (len(QUERY)).to_bytes(4, "big") + QUERY[5:], False),
        (QUERY[:1] + (len(QUERY) - 2).to_bytes(4, "big") + QUERY[5:], False),
        (b"Q", False),
        (b"Q\0\0\0\4", False),
        (query(b""), True),
    ],
)
def test_only_a_whole_query_is_looked_up(asked: House, request_: bytes, *, is_whole: bool) -> None:
    assert is_one_query(request_) is is_whole
    assert bool(asked.session().answer_whole(request_)) is (request_ == QUERY)


def test_two_queries_at_once_are_answered_in_their_order(asked: House) -> None:
    session = asked.session()
    assert served(session, QUERY + TWO) == (ROWS + BODY + READY) * 2
    assert asked.answers.hits == 2


def test_what_reads_otherwise_is_not_given_the_answer_to_a_query(asked: House) -> None:
    assert not served(asked.session(view=b"other"), QUERY)
    session = asked.session()
    session.here.reader.switches.is_off = True
    assert not served(session, QUERY)


def test_nobody_takes_it_before_what_the_session_has_set_is_known(asked: House) -> None:
    session = asked.session()
    assert session.feed(query(b"set search_path = other"))
    session.answered(1, ord("I") | SETTLING)
    assert not session.answer_whole(QUERY)
    session.state_known(Settings((), b"other", b"other", b"other"), is_pinned=False)
    assert not session.answer_whole(QUERY)


def test_what_is_in_the_middle_of_a_message_is_no_request(asked: House) -> None:
    session = asked.session()
    message = bind(b"", b"s", [b"some bytes" + QUERY])
    at = message.index(QUERY)
    assert not session.feed(message[:at])
    assert not session.answer_whole(message[at : at + len(QUERY)])


def test_a_query_behind_a_group_waits_for_it(asked: House) -> None:
    session = asked.session()
    assert not session.feed(UNNAMED[: -len(sync())])
    assert session.here.is_gathering
    assert not session.answer_whole(QUERY)
    assert session.feed(QUERY) == UNNAMED[: -len(sync())] + QUERY


def test_a_query_behind_one_that_waits_waits_too(asked: House) -> None:
    first, second = asked.session(), asked.session()
    other = query(b"select other from users")
    assert first.feed(other)
    assert not second.feed(other)
    assert second.here.is_waiting
    assert not second.answer_whole(QUERY)


def test_an_old_answer_to_a_query_is_served_and_renewed_behind_it(asked: House) -> None:
    stale = asked.session()
    asked.teach(stale, query(b"select 1 from users"), ROWS + BODY)
    answer = asked.answers.find((b"view", b"select 1 from users"))
    assert answer is not None
    answer.fresh_until, answer.stale_until = 9.0, 20.0
    session = asked.session()
    assert served(session, query(b"select 1 from users")) == ROWS + BODY + READY
    assert session.here.reader.renews is answer
    assert asked.answers.stale == 1


def test_what_was_said_of_a_query_comes_in_front_of_its_answer(asked: House) -> None:
    session = asked.session()
    session.here.reader.switches.turn(Switch("onetrip.cache_status", value=True))
    words, rows, rest = served(session, QUERY).partition(ROWS)
    assert (words[:1], rows + rest) == (b"N", ROWS + BODY + READY)
    assert not session.here.reader.tally.to_client


def test_what_they_take_is_counted(house: House) -> None:
    before = house.answers.store.bytes
    served(house.session(), USE)
    assert house.answers.store.bytes == house.answers.bytes > before
    house.answers.flush()
    house.answers.store.tick()
    assert house.answers.store.bytes == house.answers.bytes == 0
