"""Which statements begin, shape or end a transaction at the edge, and what is held then."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.control import Control, Held, Outcome, Verb, control_of, outcome_of

BEGIN = Control(Verb.BEGIN, "BEGIN")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (b"begin", BEGIN),
        (b" \tBEGIN;;\n", BEGIN),
        (b"Begin Work", BEGIN),
        (b"begin transaction ;", BEGIN),
        (b"BEGIN READ ONLY", Control(Verb.BEGIN, "BEGIN", b"READ ONLY")),
        (
            b"begin isolation level repeatable read,read write not deferrable",
            Control(Verb.BEGIN, "BEGIN", b"ISOLATION LEVEL REPEATABLE READ, READ WRITE, NOT DEFERRABLE"),
        ),
        (b"START TRANSACTION", Control(Verb.BEGIN, "START TRANSACTION")),
        (
            b"start transaction isolation level read committed",
            Control(Verb.BEGIN, "START TRANSACTION", b"ISOLATION LEVEL READ COMMITTED"),
        ),
        (
            b"set transaction isolation level serializable, deferrable",
            Control(Verb.SHAPE, "SET", b"ISOLATION LEVEL SERIALIZABLE, DEFERRABLE"),
        ),
        (b"commit", Control(Verb.COMMIT, "COMMIT")),
        (b"END TRANSACTION AND NO CHAIN", Control(Verb.COMMIT, "COMMIT")),
        (b"commit work and chain", Control(Verb.COMMIT, "COMMIT", chains=True)),
        (b"rollback", Control(Verb.ROLLBACK, "ROLLBACK")),
        (b'savepoint "_pg3_1"', Control(Verb.SAVEPOINT, "SAVEPOINT", savepoint=b'SAVEPOINT "_pg3_1"')),
        (b"SAVEPOINT SA_1;", Control(Verb.SAVEPOINT, "SAVEPOINT", savepoint=b'SAVEPOINT "sa_1"')),
        (b"release savepoint sa_1", Control(Verb.RELEASE, "RELEASE", savepoint=b'SAVEPOINT "sa_1"')),
        (b'RELEASE "A b"', Control(Verb.RELEASE, "RELEASE", savepoint=b'SAVEPOINT "A b"')),
        (b"abort and chain", Control(Verb.ROLLBACK, "ROLLBACK", chains=True)),
    ],
)
def test_what_is_recognised(sql: bytes, expected: Control) -> None:
    assert control_of(sql) == expected


@pytest.mark.parametrize(
    "sql",
    [
        b"", b";", b"begin; select 1", b"beginread only", b"begin read", b"begin , read only", b"begin read only,",
        b"begin read only,, deferrable", b"begin isolation level snapshot", b"begin isolation serializable",
        b"begin isolation level repeatable committed", b"begin isolation level read read", b"begin -- x",
        b"/**/begin", b"begin work transaction", b"start", b"start transaction work", b"set transaction",
        b"set local x = 1", b"set transaction snapshot '1'",
        b"set session characteristics as transaction read only", b"commit prepared 'x'", b"commit and",
        b"rollback to a", b"rollback prepared 'x'", b"prepare transaction 'x'", b"savepoint a", b"savepoint 1a",
        b"release a", b"release", b'savepoint "a', b'savepoint ""', b'savepoint "a""b"', b"savepoint a1 b",
        b"savepoint select", b"begin\x0b", b"begin\xa0", "bégin".encode(), b"begin1", b"end if",
        b"begin" + b" " * 300,
    ],
)  # fmt: skip
def test_what_is_left_to_the_origin(sql: bytes) -> None:
    assert control_of(sql) is None


@given(st.binary(max_size=40) | st.text(alphabet="beginstartcommitrollback ;,\t", max_size=40).map(str.encode))
def test_no_text_breaks_it(sql: bytes) -> None:
    assert control_of(sql) is None or control_of(sql.upper()) == control_of(sql)


# --- what is held ---


def outcome(sql: bytes, held: Held | None, *, is_idle: bool = False) -> Outcome | None:
    control = control_of(sql)
    assert control is not None
    return outcome_of(control, held, is_idle=is_idle)


def test_a_transaction_begins_outside_of_one_only() -> None:
    assert outcome(b"begin", None, is_idle=True) == Outcome("BEGIN", Held((b"BEGIN",)))
    assert outcome(b"begin", None) is None, "a warning, and it is the origin's"
    assert outcome(b"begin", Held((b"BEGIN",))) is None
    assert outcome(b"commit", None, is_idle=True) is None, "likewise"
    assert outcome(b"set transaction read only", None, is_idle=True) is None


def test_begin_travels_alone_and_what_may_fail_behind_it() -> None:
    begun = outcome(b"begin read only", None, is_idle=True)
    assert begun is not None
    assert begun.held == Held((b"BEGIN", b"SET TRANSACTION READ ONLY"))
    shaped = outcome(b"set transaction deferrable", begun.held)
    assert shaped == Outcome("SET", Held((b"BEGIN", b"SET TRANSACTION READ ONLY", b"SET TRANSACTION DEFERRABLE")))


def test_a_chain_of_transactions_without_modes_is_held() -> None:
    held = Held((b"BEGIN", b"SET LOCAL lock_timeout = 1"))
    assert outcome(b"commit and chain", held) == Outcome("COMMIT", Held((b"BEGIN",)))
    assert outcome(b"rollback and chain", held) == Outcome("ROLLBACK", Held((b"BEGIN",)))
    assert outcome(b"commit", held) == Outcome("COMMIT", None)
    shaped = Held((b"BEGIN", b"SET TRANSACTION READ ONLY"))
    assert outcome(b"commit and chain", shaped) is None
    assert outcome(b"commit", shaped) == Outcome("COMMIT", None)


def test_a_failed_transaction_can_only_be_rolled_back() -> None:
    held = Held((b"BEGIN",), has_failed=True)
    assert outcome(b"commit", held) == Outcome("ROLLBACK", None)
    assert outcome(b"commit and chain", held) == Outcome("ROLLBACK", Held((b"BEGIN",)))
    assert outcome(b"set transaction read only", held) is None


def test_a_savepoint_is_opened_with_its_transaction_or_released_before() -> None:
    held = Held((b"BEGIN",))
    made = outcome(b"savepoint s1", held)
    assert made == Outcome("SAVEPOINT", Held((b"BEGIN", b'SAVEPOINT "s1"')))
    assert made is not None
    assert outcome(b"release s1", made.held) == Outcome("RELEASE", held)
    assert outcome(b"release s2", made.held) is None
    assert outcome(b"release s1", held) is None
    assert outcome(b"set transaction read only", made.held) is None
    assert outcome(b"savepoint s1", None, is_idle=True) is None
    assert outcome(b"savepoint s1", Held((b"BEGIN",), has_failed=True)) is None


def test_what_opens_a_transaction_is_bounded() -> None:
    held = Held((b"BEGIN",))
    for number in range(19):
        made = outcome(b"savepoint s%d" % number, held)
        assert made is not None
        assert made.held is not None
        held = made.held
    assert outcome(b"savepoint s20", held) is None
