"""A session's statements: one shared name for one meaning, and no way for a client's own name to hit another's."""

from contextlib import suppress
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.asides import MAX_NESTED
from edge.conditions import MAX_CASES
from edge.meaning import Statement, statement_of
from edge.registry import MAX_ALTERNATIVES, MAX_STEPS
from edge.statements import Statements
from protos.errors import RemoteProtocolError, StatementMemoryError
from protos.link.link_pb2 import Failed, Worded
from protos.pg import messages
from protos.pg.messages import (
    bind,
    close_portal,
    close_statement,
    describe_portal,
    describe_statement,
    error_response,
    execute,
    parse,
    query,
)
from protos.pg.names import FULL, GONE, MISSING, PREFIX, USED

SCOPE: Final = b"scope"
SQL: Final = b"select $1::int"
NAMES: Final = st.sampled_from(
    [b"", b"s", b"t", PREFIX, MISSING, b"x" * 63, b"x" * 64, b"x" * 70, PREFIX + b"y" * 60, PREFIX + b"y" * 70]
)


def needed(statements: Statements) -> Statement | None:
    """The statement that what was said last refers to."""
    one = statements.asides.take_needed()
    return one[-1] if one else None


def parsed(statements: Statements, name: bytes, sql: bytes = SQL, types: tuple[int, ...] = ()) -> Statement:
    sent = statements.parse(parse(name, sql, types), whole=True)
    statement = needed(statements)
    assert statement is not None
    assert sent == statement.parse
    return statement


def bound(statements: Statements, name: bytes) -> tuple[bytes, Statement | None]:
    """Under which statement's name a Bind goes out, and what it needs."""
    sent = statements.bind(bind(b"portal", name, [b"1", None], [1, 0], [1]))
    portal, used = messages.bind_names_of(sent)
    assert portal == b"portal"
    assert sent == bind(b"portal", used, [b"1", None], [1, 0], [1]), "only the name may change"
    return used, needed(statements)


def settled(statements: Statements) -> None:
    """A Sync, and its answer."""
    statements.synced()
    statements.answered(1)


# --- one name for one meaning ---


def test_two_sessions_share_the_name_of_a_meaning_and_its_text() -> None:
    one, other = parsed(Statements(SCOPE), b"s"), parsed(Statements(SCOPE), b"another")
    assert one is other
    assert one.name.startswith(PREFIX)
    assert len(one.name) <= 63
    assert messages.parse_of(one.parse) == messages.parse_of(parse(one.name, SQL))


@pytest.mark.parametrize(
    ("sql", "types", "scope"), [(b"select $1::int ", (), SCOPE), (SQL, (23,), SCOPE), (SQL, (), b"DateStyle=DMY")]
)
def test_what_differs_in_text_types_or_settings_has_another_name(
    sql: bytes, types: tuple[int, ...], scope: bytes
) -> None:
    assert parsed(Statements(SCOPE), b"s").name != parsed(Statements(scope), b"s", sql, types).name


def test_text_and_types_cannot_be_confused() -> None:
    # The SQL `a\0...` cannot be sent, so the zero byte between text and types divides all meanings.
    names = {statement_of(parse(b"", sql, types), SCOPE).name for sql in (b"", b"a") for types in ((), (0,), (97,))}
    assert len(names) == 6


def test_bind_describe_and_close_go_by_the_shared_name() -> None:
    statements = Statements(SCOPE)
    statement = parsed(statements, b"s")
    assert bound(statements, b"s") == (statement.name, statement)
    assert statements.describe(describe_statement(b"s")) == describe_statement(statement.name)
    assert needed(statements) is statement
    # Others may be using the shared one: it stays, and closing what is not there is answered the same.
    assert statements.close(close_statement(b"s")) == close_statement(MISSING)
    assert bound(statements, b"s") == (b"s", None)


def test_portals_keep_their_names() -> None:
    statements = Statements(SCOPE)
    parsed(statements, b"s")
    assert statements.describe(describe_portal(b"s")) == describe_portal(b"s")
    assert statements.close(close_portal(b"s")) == close_portal(b"s")
    assert bound(statements, b"s")[1] is not None


# --- the unnamed statement ---


def test_the_unnamed_statement_goes_as_it_is_within_its_group() -> None:
    statements = Statements(SCOPE)
    assert statements.parse(parse(b"", SQL), whole=True) == parse(b"", SQL)
    assert bound(statements, b"") == (b"", None)
    assert statements.describe(describe_statement(b"")) == describe_statement(b"")


def test_the_unnamed_statement_of_an_earlier_group_goes_by_its_shared_name() -> None:
    statements = Statements(SCOPE)
    statements.parse(parse(b"", SQL), whole=True)
    settled(statements)
    name, statement = bound(statements, b"")
    assert statement is parsed(Statements(SCOPE), b"s")
    assert name == statement.name
    assert statements.describe(describe_statement(b"")) == describe_statement(name)


def test_a_new_unnamed_statement_takes_the_place_of_the_old_one() -> None:
    statements = Statements(SCOPE)
    statements.parse(parse(b"", b"select 1"), whole=True)
    settled(statements)
    statements.parse(parse(b"", SQL), whole=True)
    assert bound(statements, b"") == (b"", None)
    settled(statements)
    assert bound(statements, b"")[1] is parsed(Statements(SCOPE), b"s")


def test_a_simple_query_drops_the_unnamed_statement() -> None:
    statements = Statements(SCOPE)
    statements.parse(parse(b"", SQL), whole=True)
    settled(statements)
    statements.queried(query(b"select 1"))
    assert bound(statements, b"") == (MISSING, None)


def test_closing_the_unnamed_statement_drops_it_here_and_there() -> None:
    statements = Statements(SCOPE)
    statements.parse(parse(b"", SQL), whole=True)
    assert statements.close(close_statement(b"")) == close_statement(b"")
    assert bound(statements, b"") == (MISSING, None)


def test_nobody_elses_unnamed_statement_is_bound() -> None:
    # On a shared connection the unnamed statement may be another session's.
    assert bound(Statements(SCOPE), b"") == (MISSING, None)


# --- names ---


def test_names_are_one_where_their_first_63_bytes_are() -> None:
    statements = Statements(SCOPE)
    long = b"n" * 63
    statement = parsed(statements, long + b"first")
    assert bound(statements, long) == (statement.name, statement)
    assert bound(statements, long + b"second") == (statement.name, statement)
    assert bound(statements, long[:-1] + b"N")[1] is None
    statements.close(close_statement(long + b"third"))
    assert len(statements) == 0


def test_a_shared_name_that_a_client_has_guessed_hits_nothing() -> None:
    victim = parsed(Statements(SCOPE), b"s")
    attacker = Statements(SCOPE)
    assert bound(attacker, victim.name) == (GONE, None)
    assert messages.target_of(attacker.describe(describe_statement(victim.name)))[1] == GONE
    assert attacker.close(close_statement(victim.name)) == close_statement(MISSING)


def test_a_shared_name_cannot_be_taken_for_an_oversized_statement() -> None:
    victim = parsed(Statements(SCOPE), b"s")
    beginning = parse(victim.name, b"x" * 2000)[:1500]
    attacker = Statements(SCOPE)
    used = b"?" + victim.name[1:]
    assert attacker.parse(beginning, whole=False) == beginning.replace(victim.name, used)
    assert bound(attacker, victim.name) == (used, None), "and can be used by its client"


@given(st.lists(st.tuples(st.sampled_from("PBDCSQ"), NAMES, st.sampled_from([b"select 1", b"select 2"]))))
def test_a_name_means_what_its_client_parsed_last(steps: list[tuple[str, bytes, bytes]]) -> None:
    statements = Statements(SCOPE)
    model: dict[bytes, bytes] = {}  # the first 63 bytes of a name to its SQL
    fresh = False
    for kind, name, sql in steps:
        key = name[:63]
        if kind == "P":
            sent = statements.parse(parse(name, sql), whole=True)
            assert messages.parse_of(sent).sql == sql
            is_used = bool(key) and key in model
            assert (messages.parse_of(sent).name == USED) == is_used
            assert (needed(statements) is None) == (not name or is_used)
            model[key] = model[key] if is_used else sql
            fresh = fresh or not name
        elif kind in "BD":
            made = bind(b"", name) if kind == "B" else describe_statement(name)
            sent = statements.bind(made) if kind == "B" else statements.describe(made)
            used = messages.bind_names_of(sent)[1] if kind == "B" else messages.target_of(sent)[1]
            statement = needed(statements)
            if not name and fresh and key in model:
                assert used == b""
            elif key in model:
                assert statement is not None
                assert used == statement.name
                assert messages.parse_of(statement.parse).sql == model[key]
            else:
                assert (statement, used) == (None, GONE if name.startswith(PREFIX) else name or MISSING)
        elif kind == "C":
            model.pop(key, None)
            fresh = fresh and bool(name)
            statements.close(close_statement(name))
        else:
            fresh = False
            if kind == "Q":
                model.pop(b"", None)
                statements.queried(query(sql))
            else:
                statements.synced()
            statements.answered(1)
    assert len(statements) == len([name for name in model if name])


# --- what has not happened ---


def test_a_parse_that_failed_is_taken_back_and_the_pool_node_hears_that_we_know() -> None:
    statements = Statements(SCOPE)
    parsed(statements, b"s")
    statements.synced()
    statements.failed(Failed(sync_point=0, end=1, place=0))
    statements.answered(1)
    assert bound(statements, b"s") == (b"s", None)
    (frame,) = statements.asides.take_frames()
    assert frame.failed == Failed()


def test_what_hangs_on_an_earlier_group_goes_out_with_what_it_may_stand_for() -> None:
    statements = Statements(SCOPE)
    old = parsed(statements, b"s", b"select 1")
    settled(statements)
    statements.close(close_statement(b"s"))
    statements.registry.place += 1
    new = parsed(statements, b"s", b"select 2")
    statements.synced()
    used, _ = bound(statements, b"s")
    (frame,) = statements.asides.take_frames()
    assert used == PREFIX + b"?%d" % frame.choice.id
    assert frame.choice.name == b"s"
    assert [([(at.sync_point, at.place) for at in one.outcomes], one.statement) for one in frame.choice.options] == [
        ([(1, 1)], new.name), ([(1, 0)], b""), ([], old.name)
    ]  # fmt: skip


def test_a_refused_request_takes_back_all_that_was_in_flight() -> None:
    statements = Statements(SCOPE)
    old = parsed(statements, b"s", b"select 1")
    settled(statements)
    statements.close(close_statement(b"s"))
    statements.synced()
    parsed(statements, b"t")
    statements.synced()
    statements.refused()
    assert bound(statements, b"s") == (old.name, old)
    assert bound(statements, b"t") == (b"t", None)


def test_a_name_in_use_is_parsed_under_one_that_is_in_use_everywhere() -> None:
    statements = Statements(SCOPE)
    first = parsed(statements, b"s")
    assert statements.parse(parse(b"s", b"select 2"), whole=True) == parse(USED, b"select 2")
    settled(statements)
    assert bound(statements, b"s") == (first.name, first)


def test_an_error_has_the_clients_name_for_the_statement_in_it() -> None:
    statements = Statements(SCOPE)
    statement = parsed(statements, b"s")
    settled(statements)
    long = b"x" * 100
    for name, shared in ((b"s", statement.name), (PREFIX + long, GONE)):
        bound(statements, name)
        error = error_response({"M": f'prepared statement "{shared.decode()}" is wrong'})
        worded = statements.asides.worded(Worded(error=error, sync_point=1, place=statements.registry.place))
        assert worded == error_response({"M": f'prepared statement "{name.decode()}" is wrong'})
        statements.registry.place += 1


# --- statements by SQL ---


@pytest.mark.parametrize("by_query", [True, False], ids=["simple", "extended"])
def test_a_prepare_is_kept_and_a_bind_of_it_goes_out_with_it(*, by_query: bool) -> None:
    statements = Statements(SCOPE)
    sql = b"PREPARE s AS select 1"
    if by_query:
        statements.queried(query(sql))
    else:
        statements.parse(parse(b"", sql), whole=True)
        statements.bind(bind(b"", b""))
        statements.execute(execute())
        statements.synced()
    statements.answered(1)
    statements.asides.take_frames()
    bound(statements, b"s")
    (frame,) = statements.asides.take_frames()
    (option,) = frame.choice.options
    assert option.sql
    assert len(statements) == 1


@pytest.mark.parametrize("sql", [b"deallocate s", b"DEALLOCATE PREPARE S", b"deallocate all", b"discard all"])
def test_a_deallocate_forgets_until_it_is_known_to_have_failed(sql: bytes) -> None:
    statements = Statements(SCOPE)
    statement = parsed(statements, b"s")
    settled(statements)
    statements.queried(query(sql))
    assert len(statements) == 0
    statements.failed(Failed(sync_point=1, end=2, place=0))
    statements.answered(1)
    assert bound(statements, b"s") == (statement.name, statement)


def test_an_execute_has_its_statement_made_and_changes_nothing() -> None:
    statements = Statements(SCOPE)
    statement = parsed(statements, b"s")
    settled(statements)
    statements.queried(query(b"execute s(1)"))
    (frame,) = statements.asides.take_frames()
    assert (frame.choice.id, frame.choice.name) == (0, b"s")
    assert [one.statement for one in frame.choice.options] == [statement.name]
    assert len(statements) == 1


def plain(statements: Statements) -> list[tuple[int, bytes, bytes]]:
    """What is said beside what went out: numbers, names, and what they stand for if all goes well."""
    frames = statements.asides.take_frames()
    return [(frame.choice.id, frame.choice.name, frame.choice.options[0].statement) for frame in frames]


def test_what_an_execute_runs_has_what_it_names_made_in_front() -> None:
    statements = Statements(SCOPE)
    inner = parsed(statements, b"inner")
    for name, sql in ((b"outer", b"execute inner"), (b"outermost", b"execute outer")):
        statements.parse(parse(name, sql), whole=True)
    settled(statements)
    plain(statements)
    statements.queried(query(b"execute outermost"))
    made = plain(statements)
    assert [(number, name) for number, name, _ in made] == [(0, b"inner"), (0, b"outer"), (0, b"outermost")]
    assert made[0][2] == inner.name
    assert len({statement for _, _, statement in made}) == 3


@pytest.mark.parametrize(
    ("sql", "left"), [(b"deallocate inner", {b"outer"}), (b"deallocate outer", {b"inner"}), (b"deallocate all", set())]
)
def test_what_an_execute_runs_is_done_to_the_names(sql: bytes, left: set[bytes]) -> None:
    statements = Statements(SCOPE)
    parsed(statements, b"inner")
    statements.parse(parse(b"outer", sql), whole=True)
    settled(statements)
    statements.queried(query(b"execute outer"))
    assert {name for name in (b"inner", b"outer") if statements.get(name) is not None} == left
    statements.failed(Failed(sync_point=1, end=2, place=0))
    assert len(statements) == 2


def test_commands_that_execute_one_another_come_to_an_end() -> None:
    statements = Statements(SCOPE)
    for name, sql in ((b"one", b"execute other"), (b"other", b"execute one")):
        statements.parse(parse(name, sql), whole=True)
    settled(statements)
    plain(statements)
    statements.queried(query(b"execute one"))
    assert [name for _, name, _ in plain(statements)] == [b"other", b"one"]
    for number in range(3 * MAX_NESTED):
        statements.parse(parse(b"s%d" % number, b"execute s%d" % (number + 1)), whole=True)
    settled(statements)
    plain(statements)
    statements.queried(query(b"execute s0"))
    assert len(plain(statements)) == MAX_NESTED + 1


def test_changes_of_one_name_that_wait_at_once_are_bounded() -> None:
    statements = Statements(SCOPE)

    def change() -> None:
        statements.parse(parse(b"s", b"select 1"), whole=True)
        statements.synced()
        statements.queried(query(b"deallocate s"))

    for _ in range(MAX_ALTERNATIVES // 2):
        change()
    choices = [frame.choice for frame in statements.asides.take_frames()]
    assert max(len(choice.options) for choice in choices) == MAX_ALTERNATIVES
    with pytest.raises(StatementMemoryError):
        change()


def test_a_command_whose_parse_is_under_way_is_run_with_what_it_names() -> None:
    statements = Statements(SCOPE)
    parsed(statements, b"inner")
    settled(statements)
    statements.parse(parse(b"drops", b"deallocate inner"), whole=True)
    statements.synced()
    plain(statements)
    statements.bind(bind(b"", b"drops"))
    assert [(number > 0, name) for number, name, _ in plain(statements)] == [(False, b"inner"), (True, b"drops")]
    assert statements.get(b"inner") is not None
    statements.execute(execute())
    assert statements.get(b"inner") is None


def test_a_portal_of_an_earlier_group_still_runs_its_command() -> None:
    statements = Statements(SCOPE)
    parsed(statements, b"s")
    settled(statements)
    statements.parse(parse(b"", b"deallocate s"), whole=True)
    statements.bind(bind(b"p", b""))
    statements.synced()
    statements.answered(1, is_over=False)
    statements.execute(execute(b"p"))
    assert statements.get(b"s") is None
    parsed(statements, b"s")
    statements.synced()
    statements.answered(1)
    statements.execute(execute(b"p"))
    assert statements.get(b"s") is not None, "it has ended with its transaction"


def stands_for(statements: Statements) -> list[tuple[bytes, bool, list[bytes]]]:
    """What is said beside what went out: names, whether behind it, and what they stand for."""
    said = [frame.choice for frame in statements.asides.take_frames()]
    return [(one.name, one.behind, [option.statement for option in one.options]) for one in said]


def test_a_describe_of_an_execute_goes_out_with_what_its_name_stood_for_and_stands_for() -> None:
    statements = Statements(SCOPE)
    statements.parse(parse(b"x", b"execute s"), whole=True)
    settled(statements)
    now = parsed(statements, b"s")
    settled(statements)
    stands_for(statements)
    statements.describe(describe_statement(b"x"))
    *made, (name, _, (described,)) = stands_for(statements)
    assert made == [(b"s", False, [b""]), (b"s", True, [now.name])]
    bound(statements, b"x")
    (frame,) = statements.asides.take_frames()
    assert (name, frame.choice.name) == (b"x", b"s")
    assert frame.choice.use != described


def test_a_describe_of_an_execute_of_an_execute_goes_out_with_what_both_have_found() -> None:
    statements = Statements(SCOPE)
    old = parsed(statements, b"e", b"select 1")
    statements.parse(parse(b"s", b"execute e"), whole=True)
    statements.parse(parse(b"x", b"execute s"), whole=True)
    statements.close(close_statement(b"e"))
    new = parsed(statements, b"e", b"select 2")
    settled(statements)
    stands_for(statements)
    statements.describe(describe_statement(b"x"))
    made = [(name, behind, found[0]) for name, behind, found in stands_for(statements)]
    inner = made[1][2]
    assert made[:2] == [(b"e", False, old.name), (b"s", False, inner)]
    assert made[2:-1] == [(b"e", True, new.name), (b"e", True, new.name), (b"s", True, inner)]


def test_a_describe_of_an_execute_on_its_way_goes_out_with_what_it_found_in_each_case() -> None:
    statements = Statements(SCOPE)
    first = parsed(statements, b"s", b"select 1")
    statements.parse(parse(b"x", b"execute s"), whole=True)
    settled(statements)
    for message in (close_statement(b"s"), close_statement(b"x")):
        statements.close(message)
        statements.registry.place += 1
    second = parsed(statements, b"s", b"select 2")
    statements.parse(parse(b"x", b"execute s"), whole=True)
    statements.synced()
    stands_for(statements)
    statements.describe(describe_statement(b"x"))
    *made, (name, _, described) = stands_for(statements)
    assert made[0] == (b"s", False, [first.name])
    assert made[1] == (b"s", False, [second.name, b""]), "the last stays"
    assert (name, len(set(described)), described[1]) == (b"x", 3, b"")


def test_an_execute_without_room_for_what_it_has_found_has_no_description() -> None:
    statements = Statements(SCOPE)
    for number in range(MAX_STEPS + 1):
        statements.parse(parse(b"s%d" % (number + 1), b"execute s%d" % number), whole=True)
    settled(statements)
    stands_for(statements)
    for number in (MAX_STEPS, MAX_STEPS + 1):
        statements.describe(describe_statement(b"s%d" % number))
        is_described = stands_for(statements)[-1][2] != [FULL]
        assert is_described is (number == MAX_STEPS)


# --- commands that are one or another ---


def remade(statements: Statements) -> None:
    """The name d is a command, and in a group that is on its way it is made another one."""
    parsed(statements, b"a")
    statements.parse(parse(b"d", b"deallocate a"), whole=True)
    settled(statements)
    statements.close(close_statement(b"d"))
    statements.registry.place += 1
    statements.parse(parse(b"d", b"prepare b as select 1"), whole=True)
    statements.synced()


def run(statements: Statements, how: str) -> None:
    if how == "simple":
        statements.queried(query(b"execute d"))
        return
    statements.bind(bind(b"", b"d"))
    statements.registry.place += 1
    statements.execute(execute())
    statements.registry.place += 1
    if how == "extended":
        statements.synced()


@pytest.mark.parametrize("how", ["simple", "extended", "unsynced"])
@pytest.mark.parametrize(
    ("fails", "left"), [(None, {b"a", b"d", b"b"}), ((1, 2, 0), {b"d"}), ((1, 2, 1), {b"a"}), ((2, 3, 0), {b"a", b"d"})]
)
def test_what_a_command_on_its_way_does_is_known_when_it_is_known_which_it_is(
    how: str, fails: tuple[int, int, int] | None, left: set[bytes]
) -> None:
    statements = Statements(SCOPE)
    remade(statements)
    run(statements, how)
    if fails is not None:
        statements.failed(Failed(sync_point=fails[0], end=fails[1], place=fails[2]))
        if fails == (1, 2, 1):  # there is no d then
            statements.failed(Failed(sync_point=2, end=3, place=0))
    if how == "unsynced":
        statements.synced()
    statements.answered(2)
    assert {name for name in (b"a", b"b", b"d") if statements.get(name) is not None} == left
    assert not statements.registry.in_flight.changes


def test_what_a_command_on_its_way_may_have_done_is_said_with_its_conditions() -> None:
    statements = Statements(SCOPE)
    remade(statements)
    run(statements, "extended")
    statements.asides.take_frames()
    for name in (b"a", b"b"):
        bound(statements, name)
    deallocated, prepared = (frame.choice.options for frame in statements.asides.take_frames())
    at = [[(one.sync_point, one.place, one.failed) for one in option.outcomes] for option in deallocated]
    assert at == [[(2, 1, False), (1, 1, True)], []]
    at = [[(one.sync_point, one.place, one.failed) for one in option.outcomes] for option in prepared]
    assert at == [[(2, 1, False), (1, 1, False)], []]


def test_commands_that_hang_on_too_much_end_the_session() -> None:
    statements = Statements(SCOPE)
    for number in range(MAX_CASES + 1):
        statements.parse(parse(b"d", b"deallocate a%d" % number), whole=True)
        statements.registry.place += 1
        statements.synced()
        statements.close(close_statement(b"d"))
        statements.registry.place += 1
    statements.synced()
    statements.queried(query(b"deallocate d"))
    statements.parse(parse(b"d", b"deallocate a"), whole=True)
    statements.synced()
    with pytest.raises(StatementMemoryError):
        statements.bind(bind(b"", b"d"))


# --- bounds ---


def test_a_parse_beyond_the_bound_fails_and_is_not_kept() -> None:
    statements = Statements(SCOPE)
    for number in range(StatementMemoryError.BOUND // (1 << 19) - 1):
        parsed(statements, b"s%d" % number, b"%d" % number + b"x" * (1 << 19))
    assert statements.parse(parse(b"one more", b"x" * (1 << 19)), whole=True) == bind(b"", FULL)
    assert statements.get(b"one more") is None
    parsed(statements, b"small", b"x")
    assert statements.get(b"small") is not None


def test_what_is_closed_makes_room() -> None:
    statements = Statements(SCOPE)
    for number in range(100):
        name = b"s%d" % number
        parsed(statements, name, b"%d" % number + b"x" * (1 << 19))
        statements.close(close_statement(name))
        settled(statements)
    assert len(statements) == 0


# --- oversized messages, of which only the beginning is here ---


def test_an_oversized_bind_of_a_named_statement_is_renamed_in_its_beginning() -> None:
    statements = Statements(SCOPE)
    statement = parsed(statements, b"s")
    whole = bind(b"p", b"s", [b"v" * (2 << 20)])
    beginning, rest = whole[:1024], whole[1024:]
    sent = statements.bind(beginning)
    assert needed(statements) is statement
    assert sent + rest == bind(b"p", statement.name, [b"v" * (2 << 20)])


BEGINNING: Final = parse(b"s", b"x" * 2000)[:1024]


def test_an_oversized_parse_is_sent_under_its_own_name() -> None:
    statements = Statements(SCOPE)
    assert statements.parse(BEGINNING, whole=False) == BEGINNING
    assert bound(statements, b"s") == (b"s", None)


def test_an_oversized_parse_of_a_name_in_use_goes_by_one_that_is_in_use_everywhere() -> None:
    statements = Statements(SCOPE)
    statement = parsed(statements, b"s")
    sent = statements.parse(BEGINNING, whole=False)
    assert sent == parse(USED, b"x" * 2000)[: 1024 + len(USED) - 1]
    assert bound(statements, b"s") == (statement.name, statement)


def test_an_oversized_parse_of_a_name_in_doubt_is_decided_beside_the_database() -> None:
    statements = Statements(SCOPE)
    statement = parsed(statements, b"s")
    statements.synced()
    sent = statements.parse(BEGINNING, whole=False)
    (frame,) = statements.asides.take_frames()
    assert sent.startswith(PREFIX + b"?%d\0" % frame.choice.id, 5)
    assert (frame.choice.name, frame.choice.use) == (b"s", b"s")
    statements.failed(Failed(sync_point=1, end=2, place=0))
    statements.answered(1)
    assert bound(statements, b"s") == (statement.name, statement)


def test_an_oversized_unnamed_parse_is_not_kept_for_a_later_group() -> None:
    statements = Statements(SCOPE)
    beginning = parse(b"", b"x" * 2000)[:1024]
    assert statements.parse(beginning, whole=False) == beginning
    assert bound(statements, b"") == (b"", None)
    settled(statements)
    assert bound(statements, b"") == (MISSING, None)


# --- garbage ---


def look_at(statements: Statements, message: bytes) -> None:
    match chr(message[0]):
        case "P":
            statements.parse(message, whole=True)
        case "B":
            statements.bind(message)
        case "D":
            statements.describe(message)
        case "C":
            statements.close(message)


@pytest.mark.parametrize("kind", ["P", "B", "D", "C"])
def test_a_name_without_an_end_breaks_the_protocol(kind: str) -> None:
    statements = Statements(SCOPE)
    body = b"S" * (kind in "DC") + b"portal\0" * (kind == "B") + b"unending"
    message = kind.encode() + (len(body) + 4).to_bytes(4, "big") + body
    with pytest.raises(RemoteProtocolError, match="behind the beginning"):
        look_at(statements, message)


@given(st.binary(max_size=40), st.sampled_from(b"PBDC"))
def test_garbage_raises_only_the_protocol_error(body: bytes, tag: int) -> None:
    statements = Statements(SCOPE)
    message = bytes([tag]) + (len(body) + 4).to_bytes(4, "big") + body
    with suppress(RemoteProtocolError):
        look_at(statements, message)
