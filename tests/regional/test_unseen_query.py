"""What is asked about the catalogue, beside a real PostgreSQL."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from regional.unseen_query import NUMBER_QUERY, STATE_QUERY
from tests.support.cluster import Origin

pytestmark = pytest.mark.postgres

Connection = psycopg.Connection[tuple[Any, ...]]

_SCHEMA = """
drop schema if exists unseen cascade; create schema unseen; set search_path = unseen;
create table t (id int primary key, a text default 'x', b int check (b > 0)); create index on t (a);
create table parent (id int) partition by range (id); create table part (id int); create table heir (id int);
create table pg_trigger ();
create function concat_ws(text, text, text) returns text language sql as $$ select 'same' $$;
create view v as select * from t; create materialized view kept as select 1;
create function f() returns int language sql as 'select 1';
create function compares(int, text) returns int language sql as 'select 1';
create function fires() returns trigger language plpgsql as 'begin return new; end';
create trigger old before insert on t for each row execute function fires();
create type mood as enum ('sad', 'ok');
create domain positive as int;
"""


@pytest.fixture(scope="module")
def connection(origin: Origin) -> Iterator[Connection]:
    with origin.connect() as connection:
        connection.execute(_SCHEMA.encode())
        try:
            yield connection
        finally:
            connection.execute("drop schema if exists unseen cascade")


def ask(connection: Connection, query: str) -> Any:
    """As the pool node does: one simple query."""
    cursor = connection.execute(query.encode())
    while cursor.description is None:
        assert cursor.nextset()
    return cursor.fetchall()[0][0]


@pytest.mark.parametrize(
    "sql",
    [
        "create table another (id int)",
        "drop table part",
        "alter table t rename to u",
        "alter table t rename b to c",
        "alter table t add column c int",
        "alter table t alter a drop default",
        "alter table t alter a set default 'y'",
        "alter table part alter id type bigint",
        "alter table t drop constraint t_b_check",
        "alter table t enable row level security",
        "alter table t set schema public",
        "alter table heir inherit part",
        "alter table parent attach partition part for values from (0) to (9)",
        "create policy p on t using (true)",
        "create rule r as on insert to t do nothing",
        "create or replace view v as select id, a, b from t where id = 1",
        "create trigger new before insert on t for each row execute function fires()",
        "drop trigger old on t",
        "alter table t disable trigger old",
        "create index on t (b)",
        "drop index t_a_idx",
        "create or replace function f() returns int language sql as 'select 2'",
        "alter function f() immutable",
        "drop function f()",
        "create operator === (leftarg = int, rightarg = text, function = compares)",
        "create cast (mood as int) with inout as implicit",
        "alter type mood add value 'fine'",
        "alter type mood rename value 'sad' to 'bad'",
        "alter domain positive add check (value > 0)",
        "alter schema unseen rename to seen",
        "grant select on t to public",
        "grant select (a) on t to public",
        "create materialized view m as select 1",
        "create statistics s on a, b from t",
        "create aggregate s (int) (sfunc = int4pl, stype = int)",
    ],
)
def test_ddl_of_every_kind_changes_the_state_and_counts_at_once(connection: Connection, sql: str) -> None:
    before, number = ask(connection, STATE_QUERY), ask(connection, NUMBER_QUERY)
    with connection.transaction(force_rollback=True):
        connection.execute(sql.encode())
        assert ask(connection, STATE_QUERY) != before
        assert number is None or ask(connection, NUMBER_QUERY) > number
    assert ask(connection, STATE_QUERY) == before
    assert number is None or ask(connection, NUMBER_QUERY) > number, "it was written to, if for nothing"


def test_what_is_no_ddl_changes_nothing(connection: Connection) -> None:
    before = ask(connection, STATE_QUERY)
    for sql in (
        "create temp table tt (id int primary key default 3, a text check (a <> '')); create index on tt (a)",
        "create temp view tv as select * from tt; create temp table tu (a mood) partition by list (a)",
        "create function pg_temp.g() returns int language sql as 'select 1'; drop function pg_temp.g()",
        "insert into t values (1, 'a', 1); update t set b = 2; delete from t",
        "analyze t",
        "truncate t, part",
        "refresh materialized view kept",
        "drop view tv; drop table tt, tu",
    ):
        connection.execute(sql.encode())
        assert ask(connection, STATE_QUERY) == before, sql


def test_the_number_stands_still_where_nothing_is_written(connection: Connection, origin: Origin) -> None:
    number = ask(connection, NUMBER_QUERY)
    assert (number is None) == (origin.major < 15)
    connection.execute("select count(*) from pg_class, pg_namespace")
    assert ask(connection, NUMBER_QUERY) == number
    connection.execute("set track_counts = off")
    assert ask(connection, NUMBER_QUERY) is None, "whoever counts nothing knows nothing"
    connection.execute("reset track_counts")


def test_what_was_counted_is_counted_once_when_it_is_told(connection: Connection, origin: Origin) -> None:
    if origin.major < 15:
        pytest.skip("nothing is counted")
    connection.execute("create table told (id int); drop table told")
    number = ask(connection, NUMBER_QUERY)
    connection.execute("select pg_stat_force_next_flush()")
    connection.execute("select 1")
    assert ask(connection, NUMBER_QUERY) == number


def test_whatever_a_session_has_set_does_not_matter(connection: Connection, origin: Origin) -> None:
    state, number = ask(connection, STATE_QUERY), ask(connection, NUMBER_QUERY)
    connection.execute("set search_path = unseen, pg_catalog; set statement_timeout = 1; set datestyle = 'German'")
    try:
        assert ask(connection, STATE_QUERY) == state
        assert ask(connection, NUMBER_QUERY) == number
        assert connection.execute("show statement_timeout").fetchone() == ("1ms",)
    finally:
        connection.execute("set statement_timeout = 0; reset datestyle; set search_path = unseen")


def test_anybody_may_ask(connection: Connection, origin: Origin) -> None:
    connection.execute("create role unseen_nobody login password 'nobody'")
    state = ask(connection, STATE_QUERY)
    try:
        connection.execute("set role unseen_nobody")
        assert ask(connection, STATE_QUERY) == state
        ask(connection, NUMBER_QUERY)
    finally:
        connection.execute("reset role; drop role unseen_nobody")
