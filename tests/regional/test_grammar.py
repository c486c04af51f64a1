"""The binding of the parser: what comes out, what does not, and that nothing breaks it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regional import grammar
from regional.grammar import COMMENTS, parse, scan


def _kinds(sql: bytes, *, escapes: bool = False) -> list[str] | None:
    statements = parse(sql, escapes=escapes)
    return None if statements is None else [kind for statement in statements for kind in statement]


def test_statements_come_out_in_order() -> None:
    assert _kinds(b"begin; ;select 1;; update a set b = 1 -- end") == ["TransactionStmt", "SelectStmt", "UpdateStmt"]


@pytest.mark.parametrize("sql", [b"", b" ;; ", b"-- nothing", b"/* /* */ */"])
def test_nothing_is_no_statement(sql: bytes) -> None:
    assert parse(sql) == []


@pytest.mark.parametrize(
    "sql", [b"selec 1", b"select 'open", b"select 1 from", b"select '\xff'", b"\xef\xbb\xbfselect 1"]
)
def test_what_is_no_sql_or_no_utf_8_is_none(sql: bytes) -> None:
    assert parse(sql) is None


def test_a_backslash_has_two_readings_and_neither_stays() -> None:
    one, other = rb"select 'a\'' || 'b'", rb"select 'a\' || 'b'"
    for _ in range(2):
        assert parse(one) is None
        assert parse(other) is not None
        assert parse(one, escapes=True) is not None
        assert parse(other, escapes=True) is None


@pytest.mark.parametrize("sql", [b"(" * 100_000, b"select " + b"+".join([b"1"] * 20_000), b"select " + b"(" * 50_000])
def test_any_depth_is_survived(sql: bytes) -> None:
    assert parse(sql) is None


def test_the_last_tree_is_kept_with_its_reading() -> None:
    sql = rb"select 'a\\' from t"
    assert parse(sql) is parse(sql)
    assert parse(sql) is not parse(sql, escapes=True)
    assert parse(b"select 1") is not parse(b"select 2")


def test_tokens_stand_where_they_stand() -> None:
    sql = b'/* a */ select "B", $$c$$ -- d'
    found = scan(sql)
    assert found is not None
    assert [sql[token.start : token.end] for token in found] == [
        b"/* a */", b"select", b'"B"', b",", b"$$c$$", b"-- d",
    ]  # fmt: skip
    assert [token.kind in COMMENTS for token in found] == [True, False, False, False, False, True]
    assert scan(b"select 'open") is None
    assert scan(b"a\0b") is None
    assert scan(b"") == []
    assert len(scan(b"a " * 5000) or ()) == 5000


@given(st.binary(max_size=200))
def test_any_bytes_may_be_scanned(data: bytes) -> None:
    scan(data)


def test_without_the_library_nothing_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammar, "_library", None)
    assert parse(b"select 1") is None
    assert scan(b"select 1") is None


@given(st.binary(max_size=200).filter(lambda data: b"\0" not in data))
def test_any_bytes_are_survived(data: bytes) -> None:
    parse(data)
    parse(data, escapes=True)
