"""A session's statements: one shared name for one meaning, and no way for a client's own name to hit another's."""

from contextlib import suppress
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.statements import MAX_SESSION_BYTES, MISSING, PREFIX, Statement, Statements, statement_of
from protos.errors import RemoteProtocolError, StatementMemoryError
from protos.pg import messages
from protos.pg.messages import bind, close_portal, close_statement, describe_portal, describe_statement, parse

SCOPE: Final = b"scope"
SQL: Final = b"select $1::int"
NAMES: Final = st.sampled_from(
    [b"", b"s", b"t", PREFIX, MISSING, b"x" * 63, b"x" * 64, b"x" * 70, PREFIX + b"y" * 60, PREFIX + b"y" * 70]
)


def parsed(statements: Statements, name: bytes, sql: bytes = SQL, types: tuple[int, ...] = ()) -> Statement:
    sent, statement = statements.parse(parse(name, sql, types), whole=True)
    assert statement is not None
    assert sent == statement.parse
    return statement


def bound(statements: Statements, name: bytes) -> tuple[bytes, Statement | None]:
    """Under which statement's name a Bind goes out, and what it needs."""
    sent, statement = statements.bind(bind(b"portal", name, [b"1", None], [1, 0], [1]))
    portal, used = messages.bind_names_of(sent)
    assert portal == b"portal"
    assert sent == bind(b"portal", used, [b"1", None], [1, 0], [1]), "only the name may change"
    return used, statement


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
    assert statements.describe(describe_statement(b"s")) == (describe_statement(statement.name), statement)
    # Others may be using the shared one: it stays, and closing what is not there is answered the same.
    assert statements.close(close_statement(b"s")) == close_statement(MISSING)
    assert bound(statements, b"s") == (b"s", None)


def test_portals_keep_their_names() -> None:
    statements = Statements(SCOPE)
    parsed(statements, b"s")
    assert statements.describe(describe_portal(b"s")) == (describe_portal(b"s"), None)
    assert statements.close(close_portal(b"s")) == close_portal(b"s")
    assert bound(statements, b"s")[1] is not None


# --- the unnamed statement ---


def test_the_unnamed_statement_goes_as_it_is_within_its_group() -> None:
    statements = Statements(SCOPE)
    assert statements.parse(parse(b"", SQL), whole=True) == (parse(b"", SQL), None)
    assert bound(statements, b"") == (b"", None)
    assert statements.describe(describe_statement(b"")) == (describe_statement(b""), None)


def test_the_unnamed_statement_of_an_earlier_group_goes_by_its_shared_name() -> None:
    statements = Statements(SCOPE)
    statements.parse(parse(b"", SQL), whole=True)
    statements.synced()
    name, statement = bound(statements, b"")
    assert statement is parsed(Statements(SCOPE), b"s")
    assert name == statement.name
    assert statements.describe(describe_statement(b"")) == (describe_statement(name), statement)


def test_a_new_unnamed_statement_takes_the_place_of_the_old_one() -> None:
    statements = Statements(SCOPE)
    statements.parse(parse(b"", b"select 1"), whole=True)
    statements.synced()
    statements.parse(parse(b"", SQL), whole=True)
    assert bound(statements, b"") == (b"", None)
    statements.synced()
    assert bound(statements, b"")[1] is parsed(Statements(SCOPE), b"s")


def test_a_simple_query_drops_the_unnamed_statement() -> None:
    statements = Statements(SCOPE)
    statements.parse(parse(b"", SQL), whole=True)
    statements.queried()
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
    used, statement = bound(attacker, victim.name)
    assert used == b"?" + victim.name[1:]
    assert statement is None
    sent, _ = attacker.describe(describe_statement(victim.name))
    assert messages.target_of(sent)[1] == used
    assert attacker.close(close_statement(victim.name)) == close_statement(MISSING)


def test_a_shared_name_cannot_be_taken_for_an_oversized_statement() -> None:
    victim = parsed(Statements(SCOPE), b"s")
    beginning = parse(victim.name, b"x" * 2000)[:1500]
    attacker = Statements(SCOPE)
    sent, statement = attacker.parse(beginning, whole=False)
    assert sent == beginning.replace(victim.name, b"?" + victim.name[1:])
    assert statement is None
    assert bound(attacker, victim.name)[0] == b"?" + victim.name[1:], "and can be used by its client"


@given(st.lists(st.tuples(st.sampled_from("PBDCSQ"), NAMES, st.sampled_from([b"select 1", b"select 2"]))))
def test_a_name_means_what_its_client_parsed_last(steps: list[tuple[str, bytes, bytes]]) -> None:
    statements = Statements(SCOPE)
    model: dict[bytes, bytes] = {}  # the first 63 bytes of a name to its SQL
    fresh = False
    for kind, name, sql in steps:
        key = name[:63]
        if kind == "P":
            model[key] = sql
            fresh = fresh or not name
            sent, statement = statements.parse(parse(name, sql), whole=True)
            assert messages.parse_of(sent).sql == sql
            assert (statement is None) == (not name)
        elif kind in "BD":
            make = bind(b"", name) if kind == "B" else describe_statement(name)
            sent, statement = statements.bind(make) if kind == "B" else statements.describe(make)
            used = messages.bind_names_of(sent)[1] if kind == "B" else messages.target_of(sent)[1]
            if not name and fresh and key in model:
                assert used == b""
            elif key in model:
                assert statement is not None
                assert used == statement.name
                assert messages.parse_of(statement.parse).sql == model[key]
            else:
                assert statement is None
                assert used == MISSING or not used.startswith(PREFIX)
                assert (used == name) or key.startswith(PREFIX) or not name
        elif kind == "C":
            model.pop(key, None)
            fresh = fresh and bool(name)
            statements.close(close_statement(name))
        else:
            fresh = False
            if kind == "Q":
                model.pop(b"", None)
                statements.queried()
            else:
                statements.synced()
    assert len(statements) == len([name for name in model if name])


# --- bounds ---


def test_a_session_over_its_bound_is_told_so_and_how_to_mend_it() -> None:
    statements = Statements(SCOPE)
    for number in range(MAX_SESSION_BYTES // (1 << 19) - 1):
        parsed(statements, b"s%d" % number, b"%d" % number + b"x" * (1 << 19))
    with pytest.raises(StatementMemoryError) as caught:
        parsed(statements, b"one more", b"x" * (1 << 19))
    assert caught.value.hint is not None
    assert str(MAX_SESSION_BYTES) in str(caught.value.detail)


def test_what_is_closed_or_parsed_again_makes_room() -> None:
    statements = Statements(SCOPE)
    for number in range(100):
        parsed(statements, b"again", b"%d" % number + b"x" * (1 << 19))
    for number in range(100):
        name = b"s%d" % number
        parsed(statements, name, b"%d" % number + b"x" * (1 << 19))
        statements.close(close_statement(name))
    assert len(statements) == 1


# --- oversized messages, of which only the beginning is here ---


def test_an_oversized_bind_of_a_named_statement_is_renamed_in_its_beginning() -> None:
    statements = Statements(SCOPE)
    statement = parsed(statements, b"s")
    whole = bind(b"p", b"s", [b"v" * (2 << 20)])
    beginning, rest = whole[:1024], whole[1024:]
    sent, needed = statements.bind(beginning)
    assert needed is statement
    assert sent + rest == bind(b"p", statement.name, [b"v" * (2 << 20)])


def test_an_oversized_parse_is_sent_under_its_own_name_and_forgotten() -> None:
    statements = Statements(SCOPE)
    parsed(statements, b"s")
    beginning = parse(b"s", b"x" * 2000)[:1024]
    assert statements.parse(beginning, whole=False) == (beginning, None)
    assert bound(statements, b"s") == (b"s", None)


def test_an_oversized_unnamed_parse_is_not_kept_for_a_later_group() -> None:
    statements = Statements(SCOPE)
    beginning = parse(b"", b"x" * 2000)[:1024]
    assert statements.parse(beginning, whole=False) == (beginning, None)
    assert bound(statements, b"") == (b"", None)
    statements.synced()
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
    with pytest.raises(RemoteProtocolError, match="without an end"):
        look_at(statements, message)


@given(st.binary(max_size=40), st.sampled_from(b"PBDC"))
def test_garbage_raises_only_the_protocol_error(body: bytes, tag: int) -> None:
    statements = Statements(SCOPE)
    message = bytes([tag]) + (len(body) + 4).to_bytes(4, "big") + body
    with suppress(RemoteProtocolError):
        look_at(statements, message)
