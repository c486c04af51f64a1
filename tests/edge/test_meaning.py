"""Shared names: one for one meaning, and none for what means another thing at each Parse."""

import pytest

from edge.meaning import script_of, sql_statement_of, statement_of
from protos.pg.messages import parse
from protos.pg.sql_statements import Command, Kind

ONE, OTHER = b"1" * 16, b"2" * 16


def name(sql: bytes, salt: bytes) -> bytes:
    return statement_of(parse(b"s", sql), b"scope", salt).name


@pytest.mark.parametrize(
    "sql",
    [
        b"select 'now'", b"select date 'Today'", b"select ' tomorrow'::date", b"values ($$yesterday$$)",
        b"select $x$ NOW $x$", b"select E'\\x6eow'", b"select U&'\\006eow'::date", b"select 'it''s now'",
    ],
)  # fmt: skip
def test_a_statement_with_a_date_word_in_a_constant_is_never_shared(sql: bytes) -> None:
    assert name(sql, ONE) != name(sql, OTHER)
    assert name(sql, ONE) == name(sql, ONE)


@pytest.mark.parametrize("sql", [b"select now()", b"select today from tomorrow", b"select 'epoch'", b"select 'x'"])
def test_any_other_is_shared(sql: bytes) -> None:
    assert name(sql, ONE) == name(sql, OTHER)


def test_an_execute_is_never_shared_for_it_names_something_of_its_session() -> None:
    assert name(b"execute s", ONE) != name(b"execute s", OTHER)
    assert statement_of(parse(b"", b"execute s"), b"", ONE).script == (Command(Kind.EXECUTE, b"s"), b"execute s")


def test_what_a_prepare_makes_is_another_statement_than_the_prepare() -> None:
    sql = b"prepare s as select 1"
    made = sql_statement_of(sql, b"scope", ONE)
    assert made.is_sql
    assert made.script is None
    assert made.name != name(sql, ONE)


def test_garbage_is_no_script() -> None:
    assert script_of(b"P\0\0\0\5\0", 6) is None
    assert script_of(b"P\0\0\0\x0b\0execut", 6) is None
