"""The query against real catalogues: databases with one trap each, made and asked."""

from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest
from psycopg import sql

from regional.catalog import CATALOG_QUERY, Catalog
from regional.cleanness import CLEAN, DISCARD, Residue, judge
from tests.regional.conftest import Connection, Traps, read_catalog
from tests.support.cluster import Origin

pytestmark = pytest.mark.postgres

MakeCatalog = Callable[[str], Catalog]


@pytest.fixture
def made(origin: Origin) -> Iterator[MakeCatalog]:
    """Makes a database of some statements and reads its catalogue."""
    name = sql.Identifier("one_trap")

    def make(script: str) -> Catalog:
        with closing(origin.connect("one_trap")) as connection:
            connection.execute(script.encode())
            return read_catalog(connection)

    with origin.connect("postgres") as connection:
        connection.execute(sql.SQL("create database {} encoding 'UTF8' template template0").format(name))
        try:
            yield make
        finally:
            connection.execute(sql.SQL("drop database {}").format(name))


_LEAK = """
create function leak(a int, b text) returns boolean language plpgsql
  as $$ begin perform set_config('my.leak', 'x', false); return true; end $$;
create table plain (id int, name text);
"""


def test_an_empty_database_has_nothing_harmful_to_read(made: MakeCatalog) -> None:
    """System views in views of the user's are followed one step: none of them may stand on a harmful one."""
    catalog = made("")
    assert [name for name, relation in catalog.qualified.items() if relation.read] == []
    assert all(relation.write for relation in catalog.qualified.values())
    assert [name for name, residue in catalog.types.items() if residue] == []
    assert [name for name, residue in catalog.operators.items() if residue] == []
    assert catalog.every is CLEAN
    assert catalog.shadowed == frozenset()


def test_an_operator_that_replaces_a_built_in_one_taints_everything(made: MakeCatalog) -> None:
    catalog = made(_LEAK + "create operator = (leftarg = int, rightarg = text, procedure = leak)")
    assert catalog.every == DISCARD
    assert judge(b"select id from plain join plain b using (id)", catalog) == DISCARD


def test_an_operator_of_a_new_name_counts_where_it_is_used(made: MakeCatalog) -> None:
    catalog = made(_LEAK + "create operator === (leftarg = int, rightarg = text, procedure = leak)")
    assert judge(b"select id = 1 from plain", catalog) is CLEAN
    assert judge(b"select id === 'a' from plain", catalog) == DISCARD


_PAIR = """
create type pair as (a int, b int);
create function pair_equal(pair, pair) returns boolean language plpgsql
  as $$ begin perform set_config('my.leak', 'x', false); return true; end $$;
create operator = (leftarg = pair, rightarg = pair, procedure = pair_equal);
create table plain (id int, name text);
create table pairs (p pair);
create table more (p pair[]);
"""


def test_an_operator_of_a_type_of_its_own_counts_where_the_type_is(made: MakeCatalog) -> None:
    catalog = made(_PAIR)
    assert catalog.every is CLEAN
    assert judge(b"select * from plain where id = 1", catalog) is CLEAN
    assert judge(b"select p = p from pairs", catalog) == DISCARD
    assert judge(b"select p = p from more", catalog) == DISCARD
    assert judge(b"select row(1, 2)::pair = row(1, 2)::pair", catalog) == DISCARD
    assert judge(b"select row(1, 2) = row(1, 2)", catalog) is CLEAN


def test_not_if_something_harmless_may_become_that_type(made: MakeCatalog) -> None:
    catalog = made(_PAIR + "create cast (text as pair) with inout as implicit")
    assert catalog.every == DISCARD


def test_an_operator_for_rows_under_a_name_that_rows_have_not_is_open(made: MakeCatalog) -> None:
    catalog = made(_PAIR + "create operator + (leftarg = pair, rightarg = pair, procedure = pair_equal)")
    assert judge(b"select 1 + 2", catalog) == DISCARD


def test_a_cast_between_built_in_types_taints_everything(made: MakeCatalog) -> None:
    catalog = made(
        "create function leak(int) returns point language sql as $$ select point(1, 2) $$;"
        "create cast (int as point) with function leak(int) as implicit"
    )
    assert catalog.every == DISCARD


def test_a_trigger_may_close_the_connection(made: MakeCatalog) -> None:
    catalog = made(
        "create table t (id int); create view v as select * from t;"
        "create function f() returns trigger language plpgsql as 'begin perform setseed(0.5); return new; end';"
        "create trigger f before insert on t for each row execute function f()"
    )
    assert judge(b"insert into v values (1)", catalog).closes
    assert judge(b"select * from v", catalog) is CLEAN


def test_defaults_of_every_kind_are_seen(made: MakeCatalog) -> None:
    catalog = made(
        "create sequence s; create table a (id int default nextval('s'), b uuid default gen_random_uuid());"
        "create table b (id int generated by default as identity); create table c (id int) inherits (a);"
        "create table d (id int primary key); create table e (d int default 1 references d on delete set default);"
        "create domain f as int default nextval('s'); create table g (f f); create table h (id int default lastval())"
    )
    for sql_text in (b"insert into a values (1)", b"insert into b values (1)", b"insert into c values (1)"):
        assert judge(sql_text, catalog) == Residue.SEQUENCES
    for sql_text in (b"delete from d", b"insert into g values (1)", b"insert into h values (1)"):
        assert judge(sql_text, catalog) == DISCARD
    assert judge(b"insert into e values (1)", catalog) is CLEAN


def test_generated_columns_are_read_too(made: MakeCatalog) -> None:
    catalog = made(_LEAK + "create table t (id int, b int generated always as (id + 1) stored)")
    assert judge(b"insert into t values (1)", catalog) is CLEAN


def test_a_view_on_a_system_view_may_be_read(made: MakeCatalog) -> None:
    catalog = made("create view v as select * from pg_settings; create view w as select * from v")
    assert judge(b"select * from w", catalog) is CLEAN
    assert judge(b"update w set setting = 'x'", catalog) == DISCARD | Residue.CATALOG


def test_extensions_that_were_read_are_trusted(made: MakeCatalog, origin: Origin) -> None:
    with origin.connect("postgres") as connection:
        rows = connection.execute("select name from pg_available_extensions").fetchall()
    if not {"citext", "hstore", "isn", "pgcrypto", "pg_trgm"} <= {row[0] for row in rows}:
        pytest.skip("PostgreSQL's contrib modules are not installed")
    catalog = made(
        "create extension citext; create extension hstore; create extension isn; create extension pgcrypto;"
        "create extension pg_trgm; create table t (a citext, b hstore, c uuid default gen_random_uuid());"
        "create table u (a isbn)"
    )
    assert catalog.every is CLEAN
    assert judge(b"insert into t select a || 'x', b || 'a=>1' from t where a = 'y' and a::text % 'z'", catalog) is CLEAN
    assert judge(b"select gen_random_bytes(5), crypt('a', gen_salt('bf')) from t", catalog) is CLEAN
    # isn's input hangs on what its session has set, and what is written in SQL may meet it unsaid
    assert judge(b"select replace(a, 'b', 'c') from t", catalog) is not CLEAN
    assert judge(b"select set_limit(0.5)", catalog) == DISCARD
    assert judge(b"select isn_weak(true)", catalog) == DISCARD | Residue.HIDES
    assert judge(b"select * from u", catalog) == DISCARD | Residue.HIDES


def test_it_is_one_simple_query_that_leaves_nothing(traps: Traps) -> None:
    with traps.connect() as connection:
        connection.execute("set search_path = shadow; set client_encoding = 'LATIN1'")
        read_catalog(connection)
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert connection.execute("show search_path").fetchone() == ("shadow",)
        assert connection.execute("show client_encoding").fetchone() == ("LATIN1",)
        assert connection.execute("show jit").fetchone() == ("on",)


def test_an_error_leaves_no_transaction(traps: Traps) -> None:
    with traps.connect() as connection:
        connection.execute("set statement_timeout = 1")
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute(CATALOG_QUERY)
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_a_hostile_search_path_does_not_matter(made: MakeCatalog) -> None:
    honest = made(_LEAK + "create schema evil")
    hostile = made(
        "create function evil.name_equal(name, name) returns boolean language sql as 'select false';"
        "create operator evil.= (leftarg = name, rightarg = name, procedure = evil.name_equal);"
        "create function evil.bit_or(int) returns int language sql as 'select 0';"
        "create table evil.pg_proc (oid oid); set search_path = evil, pg_catalog"
    )
    assert hostile.every == DISCARD
    assert honest.functions["set_config"] == hostile.functions["set_config"]
    assert hostile.functions["bit_or"] == DISCARD


def _rows(connection: Connection, query: str) -> list[str]:
    return [str(row[0]) for row in connection.execute(query.encode())]


def test_no_built_in_operator_or_aggregate_stands_on_a_harmful_function(traps: Traps) -> None:
    """Of stored expressions only the calls of functions are looked at."""
    with traps.connect() as connection:
        called = _rows(
            connection,
            "select proname from pg_proc where oid in (select oprcode from pg_operator where oid < 16384)"
            " or oid in (select castfunc from pg_cast where oid < 16384)"
            " or oid < 16384 and prokind <> 'f'",
        )
    assert [name for name in called if traps.catalog.functions[name] and name not in traps.catalog.shadowed] == []


def test_functions_that_speak_of_temporary_objects_are_found(made: MakeCatalog) -> None:
    body = "language plpgsql as $$ begin execute 'create {} table t ()'; end $$"
    assert not made("create procedure attempt() " + body.format("unlogged")).makes_temporary
    assert made("create function f() returns void " + body.format("Temporary")).makes_temporary
