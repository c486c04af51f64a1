"""An established session: what crosses, what is counted, and what it means to have nothing owed."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.cache.unsent import MAX_OF_CLIENT
from edge.early import NOTHING, Early
from edge.looked_at import WHOLE
from edge.meaning import statement_of
from edge.memos import Settings
from edge.session import Session
from protos.errors import RemoteProtocolError
from protos.link.settings import FACT, SETTLING
from protos.pg import messages
from protos.pg.framer import FRONTEND_LIMITS, MAX_WHOLE_BYTES, Framer
from protos.pg.messages import (
    bind,
    close_portal,
    close_statement,
    command_complete,
    copy_data,
    copy_done,
    copy_fail,
    describe_portal,
    describe_statement,
    execute,
    flush,
    parse,
    query,
    ready_for_query,
    sync,
    terminate,
)
from protos.pg.names import PREFIX
from protos.pg.tags import TransactionStatus
from tests.support.stage import chunked

SCOPE: Final = b"scope"
SETTINGS: Final = Settings((), SCOPE, b"")
IDLE: Final = TransactionStatus.IDLE
INTRANS: Final = TransactionStatus.INTRANS
INERROR: Final = TransactionStatus.INERROR
READY: Final = ready_for_query(IDLE)
REFUSAL: Final = messages.error_response({"S": "ERROR", "C": "57P03", "M": "no"})
FUNCTION_CALL: Final = b"F" + (14).to_bytes(4, "big") + bytes(10)
GROUP: Final = parse(b"", b"select $1") + bind(b"", b"", [b"1"]) + execute() + sync()
OVERSIZED: Final = query(b"select '" + b"x" * (2 * MAX_WHOLE_BYTES) + b"'")

SIZES: Final = st.integers(0, 40) | st.sampled_from([300, 5000])
NAMES: Final = st.sampled_from([b"", b"s", b"t", PREFIX + b"mine"])


@attrs.frozen
class Said:
    """A message, and what it adds to what is owed."""

    data: bytes
    syncs: int = 0
    unsynced: bool | None = None
    """Whether extended-query messages lie behind the last sync point then; None leaves it as it is."""


@st.composite
def messages_said(draw: st.DrawFn) -> Said:
    """Any message of a session but Terminate."""
    name, filling = draw(NAMES), b"x" * draw(SIZES)
    choices: list[Callable[[], Said]] = [
        lambda: Said(query(filling), 1, unsynced=False),
        lambda: Said(sync(), 1, unsynced=False),
        lambda: Said(FUNCTION_CALL, 1, unsynced=False),
        lambda: Said(parse(name, filling), unsynced=True),
        lambda: Said(bind(b"", name, [filling]), unsynced=True),
        lambda: Said(describe_statement(name), unsynced=True),
        lambda: Said(close_statement(name), unsynced=True),
        lambda: Said(execute(), unsynced=True),
        lambda: Said(copy_data(filling)),
        lambda: Said(copy_done()),
        lambda: Said(copy_fail("no")),
        lambda: Said(flush()),
    ]
    return draw(st.sampled_from(choices))()


CONVERSATIONS: Final = st.lists(messages_said(), max_size=12)
CUTS: Final = st.lists(st.integers(0, 20_000), max_size=12)


def fed(session: Session, chunks: list[bytes]) -> tuple[bytes, list[bytes]]:
    """What crosses for these chunks, and the statements that it needs, as the shell takes them."""
    sent, needed = b"", []
    for chunk in chunks:
        sent += session.feed(chunk)
        needed += [one.name for one in session.statements.asides.take_needed()]
    return sent, [name for index, name in enumerate(needed) if not index or needed[index - 1] != name]


# --- any chunking ---


@given(CONVERSATIONS, CUTS)
def test_any_chunking_gives_the_same_requests_and_counts(said: list[Said], cuts: list[int]) -> None:
    stream = b"".join(one.data for one in said)
    whole, cut = Session(SETTINGS), Session(SETTINGS)
    assert fed(whole, [stream]) == fed(cut, chunked(stream, cuts))
    for session in (whole, cut):
        assert session.owed == sum(one.syncs for one in said)
        last = [one.unsynced for one in said if one.unsynced is not None]
        assert session.has_unsynced == (bool(last) and last[-1])
        assert session.is_quiet == (not session.owed and not session.has_unsynced)
        assert session.here.to_client == b""


@given(CONVERSATIONS, CUTS)
def test_what_needs_no_other_name_crosses_unchanged(said: list[Said], cuts: list[int]) -> None:
    kept = [one for one in said if one.data[:1] not in b"PBDC"]
    stream = query(b"") + b"".join(one.data for one in kept)
    assert fed(Session(SETTINGS), chunked(stream, cuts)) == (stream, [])


@given(st.lists(st.integers(0, len(OVERSIZED) + len(GROUP)), max_size=8))
def test_an_oversized_query_crosses_as_it_comes_and_counts_once(cuts: list[int]) -> None:
    session = Session(SETTINGS)
    chunks = chunked(OVERSIZED + GROUP, cuts)
    assert fed(session, chunks)[0] == OVERSIZED + GROUP
    assert session.owed == 2


def test_an_oversized_message_is_not_kept_back() -> None:
    session = Session(SETTINGS)
    assert session.feed(OVERSIZED[:5000]) == OVERSIZED[:5000]
    assert session.feed(OVERSIZED[5000:5001]) == OVERSIZED[5000:5001]


def test_an_oversized_bind_of_a_named_statement_goes_by_the_shared_name() -> None:
    session = Session(SETTINGS)
    statement = statement_of(parse(b"s", b"select $1"), SCOPE)
    session.feed(parse(b"s", b"select $1"))
    value = b"v" * (2 * MAX_WHOLE_BYTES)
    message = bind(b"", b"s", [value]) + execute() + sync()
    sent, needed = fed(session, chunked(message, range(0, len(message), 60_000)))
    assert sent == bind(b"", statement.name, [value]) + execute() + sync()
    assert needed == [statement.name]


# --- what is owed ---


def test_a_session_is_quiet_when_nothing_is_owed_unsynced_or_open() -> None:
    session = Session(SETTINGS)
    assert session.is_quiet
    session.feed(query(b"begin"))
    assert not session.is_quiet
    session.answered(1, INTRANS)
    assert not session.is_quiet
    session.feed(GROUP)
    session.answered(1, INERROR)
    assert not session.is_quiet
    session.feed(query(b"rollback"))
    session.answered(1, IDLE)
    assert session.is_quiet
    session.feed(parse(b"", b"select 1") + flush())
    assert not session.is_quiet, "an Execute without its Sync may have done something"
    session.feed(sync())
    session.answered(1, IDLE)
    assert session.is_quiet


def test_a_simple_query_ends_the_group_before_it_as_a_sync_does() -> None:
    session = Session(SETTINGS)
    session.feed(parse(b"", b"select 1") + bind(b"", b"") + execute())
    session.feed(query(b"select 2"))
    session.answered(1, IDLE)
    assert session.is_quiet


def test_a_function_call_leaves_the_unnamed_statement_and_ends_its_group() -> None:
    session = Session(SETTINGS)
    session.feed(parse(b"", b"select 1"))
    session.feed(FUNCTION_CALL)
    session.answered(1, IDLE)
    sent = session.feed(bind(b"", b""))
    assert messages.bind_names_of(sent)[1] == statement_of(parse(b"", b"select 1"), SCOPE).name


def test_a_request_is_at_its_end_when_nothing_more_can_belong_to_it() -> None:
    session = Session(SETTINGS)
    for data, is_at_end in [
        (query(b"select 1"), True),
        (parse(b"", b"select 1") + flush(), False),
        (sync(), True),
        (FUNCTION_CALL, True),
        (query(b"copy t from stdin"), True),
        (copy_data(b"1\n") * 3, False),
        (copy_done(), True),
        (copy_data(b"1\n"), False),
        (copy_fail("no"), True),
        (OVERSIZED[:5000], False),
        (OVERSIZED[5000:], False),
        (sync() + OVERSIZED[:5000], False),
        (OVERSIZED[5000:] + sync(), True),
        (query(b"select 1") + parse(b"", b"select 1"), False),
    ]:
        session.feed(data)
        assert session.is_at_end == is_at_end, data[:20]


# --- what means nothing between two requests ---


@pytest.mark.parametrize("void", [copy_data(b"1\t2\n"), copy_done(), copy_fail("no"), flush()])
@pytest.mark.parametrize("status", [IDLE, INTRANS, INERROR])
def test_what_a_failed_copy_leaves_over_does_not_cross(void: bytes, status: int) -> None:
    # It would borrow an origin connection, and nothing would ever give that back.
    session = Session(SETTINGS)
    session.feed(query(b"copy t from stdin"))
    assert session.feed(void) == void
    session.answered(1, status)
    assert session.feed(void * 3) == b""
    assert session.owed == 0
    assert session.feed(void + query(b"select 1") + void) == query(b"select 1") + void


def test_a_message_that_has_crossed_in_part_crosses_whole() -> None:
    # The origin waits for the rest of it, whatever has become of the COPY.
    session = Session(SETTINGS)
    session.feed(query(b"copy t from stdin"))
    long = copy_data(b"x" * 5000)
    assert session.feed(long[:3000]) == long[:3000]
    session.answered(1, IDLE)
    assert session.feed(long[3000:] + copy_data(b"more") + copy_done()) == long[3000:]
    assert session.feed(query(b"select 1")) == query(b"select 1")


def test_an_oversized_leftover_does_not_cross_in_any_part() -> None:
    session = Session(SETTINGS)
    long = copy_data(b"x" * (2 * MAX_WHOLE_BYTES))
    assert fed(session, chunked(long + query(b"select 1"), range(0, len(long), 50_000)))[0] == query(b"select 1")


# --- refusals ---


def test_a_refused_query_gets_the_error_and_its_ready_for_query() -> None:
    session = Session(SETTINGS)
    session.feed(query(b"select 1"))
    assert session.refuse(REFUSAL) == REFUSAL + READY
    assert session.is_quiet
    assert session.feed(query(b"select 2")) == query(b"select 2")


def test_a_copy_after_a_refusal_takes_its_data() -> None:
    session = Session(SETTINGS)
    session.feed(query(b"select 1"))
    session.refuse(REFUSAL)
    session.feed(query(b"copy t from stdin"))
    data = copy_data(b"x" * 5000)
    assert session.feed(data[:3000]) + session.feed(data[3000:]) == data


def test_each_refused_request_of_a_pipeline_is_answered() -> None:
    session = Session(SETTINGS)
    session.feed(GROUP + query(b"select 1") + GROUP)
    assert session.refuse(REFUSAL) == (REFUSAL + READY) * 3


def test_a_refused_group_is_skipped_up_to_its_sync() -> None:
    session = Session(SETTINGS)
    session.feed(parse(b"", b"select $1") + flush())
    assert session.refuse(REFUSAL) == REFUSAL
    assert session.is_quiet
    assert session.feed(bind(b"", b"") + execute() + query(b"select 1") + copy_data(b"x")) == b""
    assert session.here.to_client == b""
    assert session.feed(sync() + GROUP) == GROUP
    assert session.here.to_client == READY


def test_a_statement_parsed_in_a_skipped_group_is_not_known() -> None:
    session = Session(SETTINGS)
    session.feed(bind(b"", b"s"))
    session.refuse(REFUSAL)
    session.feed(parse(b"s", b"select 1") + sync())
    assert session.feed(bind(b"", b"s")) == bind(b"", b"s")


def test_terminate_ends_a_session_that_is_skipping() -> None:
    session = Session(SETTINGS)
    session.feed(parse(b"", b"select 1"))
    session.refuse(REFUSAL)
    assert session.feed(execute() + terminate()) == b""
    assert session.terminated


@pytest.mark.parametrize("cut", [1100, MAX_WHOLE_BYTES, len(OVERSIZED) - 1])
def test_the_rest_of_a_refused_message_is_not_taken_for_another(cut: int) -> None:
    session = Session(SETTINGS)
    assert session.feed(OVERSIZED[:cut]) == OVERSIZED[:cut]
    assert session.refuse(REFUSAL) == REFUSAL + READY
    chunks = chunked(OVERSIZED[cut:] + query(b"select 1"), range(0, len(OVERSIZED), 70_000))
    assert fed(session, chunks)[0] == query(b"select 1")


def test_the_rest_of_a_refused_bind_is_skipped_with_its_group() -> None:
    session = Session(SETTINGS)
    message = bind(b"", b"", [b"x" * (2 * MAX_WHOLE_BYTES)])
    session.feed(parse(b"", b"select $1") + message[:5000])
    assert session.refuse(REFUSAL) == REFUSAL
    assert session.feed(message[5000:] + execute() + sync() + query(b"select 1")) == query(b"select 1")
    assert session.here.to_client == READY


def test_the_rest_of_a_message_does_not_go_to_another_channel() -> None:
    session = Session(SETTINGS)
    session.feed(query(b"copy t from stdin"))
    long = copy_data(b"x" * 5000)
    session.feed(long[:3000])
    session.answered(1, IDLE)
    session.channel_lost()
    assert session.feed(long[3000:] + query(b"select 1")) == query(b"select 1")


class Answers(RuleBasedStateMachine):
    """Whatever is sent, answered and refused: each sync point gets one ReadyForQuery, and nothing else does."""

    def __init__(self) -> None:
        super().__init__()
        self.session = Session(SETTINGS)
        self.is_skipping = False
        self.asked = 0
        self.readied = 0

    @rule(said=messages_said(), cut=st.integers(0, 300))
    def say(self, said: Said, cut: int) -> None:
        if said.data == sync():
            self.is_skipping = False
        if not self.is_skipping:  # while a refused group is skipped, a Query in it gets no answer
            self.asked += said.syncs
        for chunk in chunked(said.data, [cut]):
            self.session.feed(chunk)
        self.session.statements.asides.take_needed()
        self.session.statements.asides.take_frames()
        self.readied += self.session.here.to_client.count(READY)
        self.session.here.to_client = b""

    @precondition(lambda self: self.session.owed)
    @rule(data=st.data(), status=st.sampled_from([IDLE, INTRANS, INERROR]))
    def answer(self, data: st.DataObject, status: int) -> None:
        settled = data.draw(st.integers(1, self.session.owed))
        self.session.answered(settled, status)
        self.readied += settled

    @rule()
    def refuse(self) -> None:
        answer_ends_in_the_middle = self.session.has_unsynced
        self.is_skipping = self.is_skipping or answer_ends_in_the_middle
        answer = self.session.refuse(REFUSAL)
        self.readied += answer.count(READY)
        assert answer.endswith(REFUSAL) == answer_ends_in_the_middle
        assert answer.replace(REFUSAL, b"").replace(READY, b"") == b""
        assert self.session.is_quiet

    @rule()
    def lose_the_channel(self) -> None:
        self.session.channel_lost()

    @invariant()
    def every_sync_point_is_owed_or_answered(self) -> None:
        assert self.session.owed >= 0
        assert self.readied + self.session.owed == self.asked

    def teardown(self) -> None:
        session = self.session
        before = session.owed
        crossed = session.feed(sync() + query(b"the last"))
        assert crossed.endswith(query(b"the last"))
        assert session.owed + session.here.to_client.count(READY) == before + 2


TestAnswers = Answers.TestCase


# --- the end ---


def test_what_comes_before_terminate_crosses_and_what_comes_after_does_not() -> None:
    session = Session(SETTINGS)
    assert session.feed(query(b"insert") + terminate() + query(b"never")) == query(b"insert")
    assert session.terminated
    assert session.owed == 1


@pytest.mark.parametrize("behind", [sync(), query(b"begin"), b"\xff" * 9, terminate()])
def test_what_comes_behind_terminate_is_not_answered_here_either(behind: bytes) -> None:
    session = Session(SETTINGS, Early(begin=True, prepare=True))
    for data in (sync() + terminate() + behind, behind):
        assert session.feed(data) == b""
        assert session.here.to_client == ready_for_query(IDLE)
        assert session.violation is None


# --- bad input ---


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"Q\x7f\xff\xff\xff", "invalid message length"),
        (b"Q\xff\xff\xff\xff", "invalid message length"),
        (b"Q\x00\x00\x00\x03", "invalid message length"),
        (b"S\x00\x01\x00\x00", "invalid message length"),
        (b"!\x00\x00\x00\x04", "invalid frontend message type 33"),
        (b"\x00\x00\x00\x00\x08", "invalid frontend message type 0"),
        (messages.password_message(b"pencil"), "invalid frontend message type 112"),
    ],
)
def test_garbage_ends_the_session_in_postgresql_s_words(data: bytes, message: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        Session(SETTINGS).feed(data)
    assert caught.value.public_message == message
    session = Session(SETTINGS)
    gives_up = copy_fail("the client has broken the protocol")
    assert session.feed(query(b"select 1") + data) == query(b"select 1") + gives_up, "what came before is done first"
    assert session.feed(data) == b""
    assert session.violation is not None
    assert session.violation.public_message == message


CUT_OFF: Final = [
    b"Q\0\0\0\4", b"Q\0\0\0\x0abegin2", b"P\0\0\0\4", b"P\0\0\0\6a\0", b"P\0\0\0\5\0", b"P\0\0\0\x0fa\0execute q",
    b"B\0\0\0\4", b"B\0\0\0\5\0", b"D\0\0\0\5S", b"C\0\0\0\6Sa", b"E\0\0\0\4",
]  # fmt: skip


@pytest.mark.parametrize("message", CUT_OFF)
def test_a_message_that_ends_in_a_string_is_refused_in_its_place_and_the_session_goes_on(message: bytes) -> None:
    session = Session(SETTINGS, Early(begin=True, prepare=True))
    sent = session.feed(query(b"select 1") + message + sync() + query(b"select 2"))
    refused = b"Q\0\0\0\5-" if message[:1] == b"Q" else b"C\0\0\0\5P"
    assert sent == query(b"select 1") + refused + sync() + query(b"select 2")
    assert session.violation is None
    assert not session.statements
    assert Session(SETTINGS, Early(begin=True, prepare=True)).feed(message) in (refused, b"")


GOES_ON: Final = b"Q\0\0\0\x19prepare q as select\0\0"


def test_a_query_that_goes_on_behind_its_text_is_refused_likewise() -> None:
    session = Session(SETTINGS)
    assert session.feed(GOES_ON + query(b"select 2")) == b"Q\0\0\0\6\0\0" + query(b"select 2")


@pytest.mark.parametrize("tag", [b"C", b"D"])
@pytest.mark.parametrize("name", [b"", b"s"])
def test_a_close_that_goes_on_behind_its_name_is_refused_and_takes_nothing_away(tag: bytes, name: bytes) -> None:
    session = Session(SETTINGS)
    session.feed(parse(name, b"select 1") + sync())
    session.answered(1, ord("I"))
    goes_on = tag + (7 + len(name)).to_bytes(4, "big") + b"S" + name + b"\0\0"
    assert session.feed(goes_on) == b"C\0\0\0\7P\0\0"
    assert session.statements.registry.present(name) is not None


def test_a_flush_with_something_in_it_is_refused_in_its_place() -> None:
    session = Session(SETTINGS)
    assert session.feed(b"H\0\0\0\5x") == b"C\0\0\0\7P\0\0"
    assert session.feed(sync()) == sync(), "it is not ignored as a Flush between requests is"


@pytest.mark.parametrize("before", [b"", parse(b"", b"begin") + bind(b"", b"") + execute()])
def test_a_sync_with_something_in_it_crosses(before: bytes) -> None:
    session = Session(SETTINGS, Early(begin=True, prepare=True))
    assert session.feed(before + b"S\0\0\0\5x") == before + b"S\0\0\0\5x"
    assert session.owed == 1
    assert session.here.to_client == b""


NOT_UTF8: Final = b"\xe4"


@pytest.mark.parametrize(
    "message",
    [
        parse(NOT_UTF8, b"select 1"),
        describe_statement(NOT_UTF8),
        close_statement(NOT_UTF8),
        close_portal(NOT_UTF8),
        describe_portal(NOT_UTF8),
        bind(b"", NOT_UTF8),
        bind(NOT_UTF8, b"\xff"),
        parse("ä".encode(), NOT_UTF8),
    ],
)
def test_a_name_or_text_that_is_no_utf8_is_left_for_postgresql_to_read(message: bytes) -> None:
    session = Session(SETTINGS, Early(begin=True, prepare=True))
    assert session.feed(message + sync()) == describe_portal(NOT_UTF8) + sync()
    assert not session.statements


@pytest.mark.parametrize("message", [execute(NOT_UTF8), query(NOT_UTF8), query(b"begin --" + NOT_UTF8)])
def test_other_words_that_are_no_utf8_reach_postgresql_anyhow(message: bytes) -> None:
    assert NOT_UTF8 + b"\0" in Session(SETTINGS, Early(begin=True, prepare=True)).feed(message)


@pytest.mark.parametrize("message", [query(b"select 1 --" + NOT_UTF8), parse(b"", NOT_UTF8) + sync()])
def test_what_postgresql_cannot_read_leaves_the_unnamed_statement(message: bytes) -> None:
    statement = parse(b"", b"select 1")
    session = Session(SETTINGS)
    session.feed(statement + sync() + message)
    session.answered(2, IDLE)
    assert statement_of(statement, SCOPE).name in session.feed(bind(b"", b""))


def test_a_client_that_speaks_another_encoding_has_names_in_that() -> None:
    session = Session(attrs.evolve(SETTINGS, is_utf8=False))
    assert session.feed(parse(NOT_UTF8, b"select 1") + sync()).endswith(b"\0select 1\0\0\0" + sync())
    assert len(session.statements) == 1
    session.state_known(SETTINGS, is_pinned=False)
    assert session.feed(parse(NOT_UTF8, b"select 1")) == describe_portal(NOT_UTF8)


@given(st.binary(min_size=1, max_size=200))
def test_garbage_raises_only_the_protocol_error(data: bytes) -> None:
    session = Session(SETTINGS)
    with suppress(RemoteProtocolError):
        session.feed(data)
        session.feed(data)


def test_a_statement_bound_often_in_a_row_is_named_once() -> None:
    session = Session(SETTINGS)
    session.feed(parse(b"s", b"select $1") + (bind(b"", b"s", [b"1"]) + execute()) * 50 + sync())
    assert len(session.statements.asides.take_needed()) == 1


@pytest.mark.parametrize(
    "begin", [query(b"BEGIN"), parse(b"", b"start transaction") + bind(b"", b"") + execute() + sync()]
)
def test_a_begin_that_was_pipelined_and_refused_has_failed(begin: bytes) -> None:
    session = Session(SETTINGS, Early(begin=True))
    session.feed(query(b"select 1") + begin)
    assert session.refuse(REFUSAL).endswith(ready_for_query(INERROR))
    assert session.feed(query(b"insert into t values (1)")), "it crosses with what makes it fail"
    assert session.opening is not None
    assert session.opening.has_failed


def test_a_begin_is_held_while_it_is_not_known_what_the_session_has_set() -> None:
    session = Session(SETTINGS, Early(begin=True))
    session.feed(query(b"set a.b = 1"))
    session.answered(1, IDLE | SETTLING)
    assert session.feed(query(b"begin")) == b""
    assert session.here.to_client == command_complete("BEGIN") + ready_for_query(INTRANS)
    assert not session.is_quiet
    session.state_known(SETTINGS, is_pinned=False)
    assert session.is_quiet
    assert session.feed(query(b"select 1"))
    assert session.opening is not None
    assert session.opening.opening == (b"BEGIN",)


def settling(early: Early) -> Session:
    """A session of which it is not known yet what it has set."""
    session = Session(SETTINGS, early)
    session.feed(query(b"select set_config('a.b', 'c', false)"))
    session.answered(1, IDLE | SETTLING)
    return session


def tags(request: bytes) -> list[int]:
    return [piece.tag for piece in Framer(FRONTEND_LIMITS, WHOLE).feed(request)]


def extended(sql: bytes, name: bytes = b"") -> bytes:
    return parse(name, sql) + bind(b"", name) + execute()


def test_so_is_one_of_the_extended_protocol() -> None:
    session = settling(Early(begin=True, prepare=True))
    groups = (
        parse(b"s", b"begin") + describe_statement(b"s") + sync(), bind(b"", b"s") + execute() + sync(),
        extended(b"savepoint s1") + sync(), close_statement(b"s") + sync(), extended(b"rollback") + sync(),
        extended(b"begin isolation level serializable")[:-1],
    )  # fmt: skip
    for group in groups:
        assert session.feed(group) == b""
    assert session.status == IDLE
    session.state_known(Settings((), b"another", b"another"), is_pinned=False)
    assert session.feed(execute()[-1:] + sync()) == b"", "it may come while a group is gathered"
    assert session.status == INTRANS
    assert session.feed(query(b"select 1"))
    assert session.opening is not None
    assert session.opening.opening == (b"BEGIN", b"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")


@pytest.mark.parametrize(
    "request_",
    [
        extended(b"select version()") + sync(),
        extended(b"show onetrip.cache") + sync(),
        parse(b"s", b"select version()") + describe_statement(b"s") + sync(),
        extended(b"begin") + extended(b"select version()") + sync(),
        parse(b"", b"begin", [23]) + bind(b"", b"", [b"1"]) + execute() + sync(),
        extended(b"commit") + sync(),
    ],
    ids=["fact", "switch", "description", "more than begin", "types", "nothing to end"],
)
def test_groups_that_may_hang_on_what_the_session_has_set_cross_meanwhile(request_: bytes) -> None:
    early = Early(begin=True, prepare=True, remember=True)
    known = Session(SETTINGS, early).statements.meaning_of(parse(b"s", b"select version()"))
    early.learn(known.name, NOTHING)
    session = settling(early)
    sent = session.feed(request_)
    assert tags(sent) == tags(request_)
    assert session.here.held is None
    assert not session.here.to_client


def test_nothing_begins_here_meanwhile_where_that_is_switched_off() -> None:
    for request_ in (query(b"begin"), extended(b"begin") + sync()):
        assert settling(Early(prepare=True)).feed(request_)


def test_nor_for_a_client_that_takes_nothing() -> None:
    for request_ in (query(b"begin"), extended(b"begin") + sync()):
        session = settling(Early(begin=True))
        session.here.reader.unsent.gathered_bytes = MAX_OF_CLIENT + 1
        assert session.feed(request_)


@pytest.mark.parametrize("sql", [b"set a.b = 1", b"select version()", b"deallocate all", b"set onetrip.cache = off"])
def test_what_may_hang_on_what_the_session_has_set_crosses_meanwhile(sql: bytes) -> None:
    early = Early(begin=True, prepare=True, remember=True)
    early.memos.keep((SETTINGS.state, (), sql), command_complete("X"), None, ages=False)
    session = Session(SETTINGS, early)
    session.feed(query(b"select set_config('a.b', 'c', false)"))
    session.answered(1, IDLE | SETTLING)
    assert session.feed(query(sql)) == query(sql)


def test_a_setting_is_remembered_though_a_transaction_begins_at_once() -> None:
    early = Early(begin=True, remember=True)
    for is_known in (False, True):
        session = Session(SETTINGS, early)
        assert bool(session.feed(query(b"set a.b = 1"))) == (not is_known)
        if not is_known:
            session.heard(command_complete("SET") + READY)
            session.answered(1, IDLE | FACT | SETTLING)
            session.feed(query(b"begin") + query(b"select 1"))
            session.state_known(SETTINGS, is_pinned=False)
