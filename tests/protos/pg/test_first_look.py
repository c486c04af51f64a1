"""A first look at a text: what may be a fact, what may be a read."""

import pytest

from protos.pg.first_look import MAX_FACT_BYTES, MAX_READ_BYTES, may_be_fact, may_be_read


@pytest.mark.parametrize(
    "sql", [b"SET x = 1", b"select pg_catalog.version()", b"SHOW all", b"SELECT current_schema()", b"reset all"]
)
def test_what_drivers_ask_may_be_a_fact(sql: bytes) -> None:
    assert may_be_fact(sql)


@pytest.mark.parametrize("sql", [b"SELECT 1", b"INSERT INTO offset_t VALUES (1)", b"", b"show " * MAX_FACT_BYTES])
def test_other_texts_are_no_facts(sql: bytes) -> None:
    assert not may_be_fact(sql)


@pytest.mark.parametrize(
    "sql",
    [
        b"SELECT 1",
        b"\n\t select\n1",
        b"-- why\nSELECT 1",
        b"/* a */ /* b\n */ select 1",
        b"((SELECT 1) UNION (SELECT 2))",
        b"WITH a AS (SELECT 1) TABLE a",
        b"values (1)",
        b"table t",
        b"select*from t",
    ],
)
def test_what_begins_like_a_query_may_be_a_read(sql: bytes) -> None:
    assert may_be_read(sql)


@pytest.mark.parametrize(
    "sql",
    [
        b"",
        b"insert into t select 1",
        b"selected",
        b"-- SELECT 1",
        b"/* SELECT 1",
        b"update t set a = (select 1)",
        b"SELECT " + b"1" * MAX_READ_BYTES,
    ],
)
def test_what_begins_otherwise_is_no_read(sql: bytes) -> None:
    assert not may_be_read(sql)
