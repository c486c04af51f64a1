"""The binding of the parser: what comes out, what does not, and that nothing breaks it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regional import grammar
from regional.grammar import IS_AVAILABLE, parse


def _kinds(sql: bytes, *, escapes: bool = False) -> list[str] | None:
    statements = parse(sql, escapes=escapes)
    return None if statements is None else [kind for statement in statements for kind in statement]


def test_the_library_is_there() -> None:
    assert IS_AVAILABLE


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


def test_without_the_library_nothing_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammar, "_library", None)
    assert parse(b"select 1") is None


@given(st.binary(max_size=200).filter(lambda data: b"\0" not in data))
def test_any_bytes_are_survived(data: bytes) -> None:
    parse(data)
    parse(data, escapes=True)
