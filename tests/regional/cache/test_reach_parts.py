"""The parts of the query: views to their tables, types to what is made of them, functions to what they call."""

from collections.abc import Callable

import pytest

from regional.cache.classifier import Classifier
from regional.cache.reach import Reach

pytestmark = pytest.mark.postgres

Make = Callable[[str], Reach]

_TABLE = "create table t (id int primary key, name text, at timestamptz, clock time);"


def _why(reach: Reach, sql: str) -> str:
    return Classifier(reach).reading(sql.encode()).why


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("select id, lower(name), at::date from t", ""),
        ("select at + interval '1 day', to_char(at, 'YYYY') from t", ""),
        ("select count(*) over (order by id) from t", ""),
        ("select id from t where at > now()", "stable function: now"),
        ("select id from t where age(at) > '1 day'", "stable function: age"),
        ("select id from t where at < current_timestamp", "volatile function"),
        ("select current_user, id from t", "volatile function"),
        ("select id from t tablesample system (10)", "sampled"),
        ("select name::date from t", "not understood"),
        ("select array[name]::date[] from t", "not understood"),
        ("select name::regclass from t", "type"),
        ("select clock at time zone 'utc' from t", "type"),
        # Volatile up to PostgreSQL 14.
        ("select timezone('utc', clock)::text from t", ("stable function: timezone", "volatile function: timezone")),
        ("select id from t for update", "not understood"),
        ("select xmlelement(name a, id) from t", "not understood"),
        ("select relname from pg_class, t", "system table: pg_class"),
        ("select tables.table_name::text from information_schema.tables, t", "system table: tables"),
        ("select nextval('s') from t", "volatile function: nextval"),
        ("select f(id) from t", "volatile function: f"),
        ("select i(id) from t", ""),
    ],
)
def test_a_view_is_what_it_reads(made: Make, query: str, why: str | tuple[str, ...]) -> None:
    reach = made(
        _TABLE + "create sequence s; create function f(int) returns int language sql as 'select 1';"
        "create function i(int) returns int language sql immutable as 'select 1';"
        f"create view v as {query}; create view w as select 1 as one from v;"
        f"create materialized view m as {query.partition(' for ')[0]}"
    )
    found = _why(reach, "select one from w")
    assert found.startswith(why)
    assert bool(found) is bool(why)
    if not why:
        assert Classifier(reach).reading(b"select one from w").tables == reach.named("t")
    # What a materialized view holds was computed when it was refreshed.
    assert not _why(reach, "select 1 from m") or why == "type"
    assert Classifier(reach).reading(b"select 1 from m").tables <= reach.named("m")


@pytest.mark.parametrize(
    ("script", "statement", "why"),
    [
        ("create domain d as timetz", "select $1::d from t", "type: d"),
        ("create type c as (a int, b timetz)", "select $1::c[] from t", "type: _c"),
        ("create domain d as int check (value < extract(year from now()))", "select id::d from t", "type: d"),
        ("create domain d as int check (value > 0)", "select id::d from t", ""),
        ("create table r (x regclass)", "select 1 from r", "type: r"),
        ("create type c as (a regtype[]); create table r (x c)", "select 1 from r", "type: r"),
        ("create table q (a timetz); create table r (x q)", "select 1 from r", "type: r"),
        ("create table q (a int); create table r (x q)", "select 1 from r", ""),
        ("create type r as range (subtype = timetz)", "select $1::r from t", "type: r"),
        ("create type r as range (subtype = text)", "select name::r from t", ""),
        ("create domain d as date", "select name::d from t", "date word: in a text that is cast"),
        ("create type c as (a int, b date)", "select name::c from t", "date word: in a text that is cast"),
        ("create type c as (a int, b date)", "select row(1, name)::c from t", "date word: in a text that is cast"),
        ("create type c as (a int, b int)", "select row(1, name)::c from t", ""),
        ("create type e as enum ('now')", "select name::e from t", ""),
    ],
)
def test_what_is_known_of_a_type_spreads_to_what_is_made_of_it(
    made: Make, script: str, statement: str, why: str
) -> None:
    found = _why(made(_TABLE + script), statement)
    assert found == why or (why.startswith("type: _") and found.startswith("type: "))


@pytest.mark.parametrize(
    ("default", "why"),
    [("1", ""), ("random()", "volatile function: f"), ("current_date - date '2020-01-01'", "stable function: f")],
)
def test_what_is_left_out_of_a_call_is_computed_by_defaults(made: Make, default: str, why: str) -> None:
    script = (
        f"create function f(a int, b double precision default {default}) returns int"
        " language sql immutable as 'select 1'"
    )
    assert _why(made(_TABLE + script), "select f(id) from t") == why


@pytest.mark.parametrize(("function", "why"), [("int4pl", ""), ("adds", "volatile function: total")])
def test_an_aggregate_is_what_it_is_made_of(made: Make, function: str, why: str) -> None:
    script = (
        "create function adds(int, int) returns int language sql as 'select $1 + $2';"
        f"create aggregate total(int) (sfunc = {function}, stype = int)"
    )
    assert _why(made(_TABLE + script), "select total(id) from t") == why


def test_a_child_elsewhere_or_guarded_makes_its_parent_so(made: Make) -> None:
    reach = made(
        "create table parent (id int); create table child () inherits (parent);"
        "create table grandchild () inherits (child);"
        "alter table grandchild enable row level security; create table other (id int)"
    )
    assert _why(reach, "select 1 from parent") == "row security: grandchild"
    assert reach.named("parent") > reach.named("child") > reach.named("grandchild")
    assert _why(reach, "select 1 from other") == ""
