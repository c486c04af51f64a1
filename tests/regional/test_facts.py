"""Whose answers an edge may remember."""

import pytest

from protos.link.settings import CATALOG, FACT
from protos.pg.tags import TransactionStatus
from regional.facts import Facts, Kind, kind_of

IDLE, INTRANS, INERROR = TransactionStatus.IDLE, TransactionStatus.INTRANS, TransactionStatus.INERROR

POSTGRES_JS = b"""
      select b.oid, b.typarray
      from pg_catalog.pg_type a
      left join pg_catalog.pg_type b on b.oid = a.typelem
      where a.typcategory = 'A'
      group by b.oid, b.typarray
      order by b.oid
    """
PSYCOPG = (
    b"SELECT\n    typname AS name, oid, typarray AS array_oid,\n"
    b"    oid::regtype::text AS regtype, typdelim AS delimiter\n"
    b"FROM pg_type t\nWHERE t.oid = to_regtype($1)\nORDER BY t.oid\n"
)


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        (b"SET extra_float_digits = 3", Kind.SETTINGS),
        (b"set session app.tenant to 'a'; set time zone 'UTC'", Kind.SETTINGS),
        (b"set search_path to a, 'b'", Kind.SETTINGS),
        (b"reset all", Kind.SETTINGS),
        (b"set work_mem to default", Kind.SETTINGS),
        (b"SELECT set_config('TimeZone', 'UTC', false)", Kind.SETTINGS),
        (b"select pg_catalog.set_config('a.b', '', false)", Kind.SETTINGS),
        (b"SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;", Kind.SETTINGS),
        (b"select pg_catalog.version()", Kind.LASTING),
        (b"show standard_conforming_strings", Kind.LASTING),
        (b"show transaction isolation level", Kind.CATALOGUE),
        (b"select current_schema()", Kind.CATALOGUE),
        (b"select current_schema, current_user", Kind.CATALOGUE),
        (POSTGRES_JS, Kind.CATALOGUE),
        (PSYCOPG, Kind.CATALOGUE),
        (b"with t as (select oid from pg_class) select count(*) from t", Kind.CATALOGUE),
    ],
)
def test_what_is_a_fact(sql: bytes, kind: Kind) -> None:
    assert kind_of(sql) == kind


@pytest.mark.parametrize(
    "sql",
    [
        b"", b"select 1", b"select now() -- pg_", b"set local work_mem = '1MB'", b"set role helper", b"reset role",
        b"set session authorization x", b"set transaction read only", b"set seed = 0.5",
        b"set session characteristics as transaction read only", b"select set_config('role', 'x', false)",
        b"select set_config('a.b', 'c', true)", b"select set_config('a.b', $1, false)",
        b"select set_config('a.b', lower('C'), false)", b"select set_config('a.b', 'c', false), random()",
        b"select set_config('a.b', 'c', false) from pg_class", b"show in_hot_standby", b"show transaction_read_only",
        b"show all", b"select random() from pg_class", b"select pg_sleep(1) from pg_class",
        b"select * from pg_stat_activity", b"select * from pg_locks", b"select * from pg_type, items",
        b"select * from public.pg_type", b"select other.version() from pg_type", b"select now() from pg_type",
        b"select current_timestamp from pg_type", b"select oid from pg_type for update", b"table pg_settings",
        b"select oid into x from pg_type", b"with d as (delete from items returning 1) select * from d, pg_type",
        b"select * from pg_type tablesample system (10)", b"close c", b"unlisten c", b"set a.b = 'x'; select 1",
        b"set a.b = 'x'; create table pg_x ()", b"set a.b = E'\\\\x'", b"set", b"select pg_", b"select version(), $1",
        "set a.b = 'ä'".encode(), b"set a.b = '" + b"x" * 9000 + b"'", b"delete from pg_class",
    ],
)  # fmt: skip
def test_what_is_none(sql: bytes) -> None:
    if sql == b"select version(), $1":
        assert kind_of(sql) == Kind.CATALOGUE, "a function of what it is given"
    else:
        assert kind_of(sql) == Kind.NONE


def flags(*asked: bytes, status: int = IDLE, settings: bool = True, catalog: bool = True) -> int:
    facts = Facts()
    facts.begin()
    for sql in asked:
        facts.asked(sql)
    return facts.flags(status, settings=settings, catalog=catalog)


def test_a_fact_is_alone_in_its_lease() -> None:
    assert flags(b"set a.b = 'x'") == FACT
    assert flags(b"show datestyle", b"show datestyle") == FACT, "its Parse and its Bind"
    assert flags(b"show datestyle", b"select 1") == 0
    assert flags(b"select 1", b"show datestyle") == 0
    assert flags() == 0
    facts = Facts()
    facts.asked(b"show datestyle")
    facts.spoil()
    assert facts.flags(IDLE, settings=True, catalog=True) == 0
    facts.asked(b"show datestyle")
    assert facts.flags(IDLE, settings=True, catalog=True) == 0, "up to the end of the lease"
    facts.begin()
    facts.asked(b"show datestyle")
    assert facts.flags(IDLE, settings=True, catalog=True) == FACT


def test_settings_are_facts_outside_of_transactions_only() -> None:
    assert flags(b"reset all", status=INTRANS) == 0
    assert flags(b"show datestyle", status=INTRANS) == FACT
    assert flags(b"select current_schema()", status=INTRANS) == FACT | CATALOG
    assert flags(b"select current_schema()", status=INERROR) == 0


def test_each_can_be_switched_off() -> None:
    assert flags(b"reset all", settings=False) == 0
    assert flags(b"show datestyle", settings=False) == FACT
    assert flags(b"show datestyle", catalog=False) == flags(b"select current_schema()", catalog=False) == 0
    assert flags(b"reset all", catalog=False) == FACT
