"""What a function's body speaks of, against real catalogues: harm comes from what it calls, however far away."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from regional.catalog import Catalog
from regional.cleanness import CLEAN, DISCARD, judge
from regional.functions_query import MANY_TABLES, MAX_PURE
from regional.residue import Residue
from tests.regional.conftest import Connection, read_catalog
from tests.support.cluster import Origin

pytestmark = pytest.mark.postgres

HIDES = DISCARD | Residue.HIDES

_BODY = "returns int language plpgsql as $$ begin"
_FUNCTIONS = f"""
create function swap() {_BODY} alter table nowhere rename to somewhere; return 1; end $$;
create function first() {_BODY} perform swap(); return 1; end $$;
create function second() {_BODY} return(select Public.FIRST()) ; end $$;
create function third() returns int language sql as 'select 1 + second()';
create function round_a() {_BODY} perform round_b(); return 1; end $$;
create function round_b() {_BODY} perform round_a(); return swap(); end $$;
create function "Odd name (1)"() {_BODY} create table new(); return 1; end $$;
create function calls_odd() {_BODY} return "Odd name (1)"(); end $$;
create function seeds() {_BODY} perform setseed(0.5); return 1; end $$;
create function calls_seeds() {_BODY} return seeds(); end $$;
create function alone() {_BODY} return swapped + first_ + "xswap"; end $$;
create function step(int, int) {_BODY} return third(); end $$;
create aggregate total(int) (sfunc = step, stype = int);
create function compares(int, text) returns boolean language plpgsql as $$ begin return first() > 0; end $$;
create operator === (leftarg = int, rightarg = text, function = compares);
create table defaulting (id int default third());
create view viewed as select third();
create function fires() returns trigger language plpgsql as $$ begin perform third(); return new; end $$;
create table fired (id int);
create trigger t before insert on fired for each row execute function fires();
create function writes_fired() {_BODY} insert into fired values (1); return 1; end $$;
create table plain (id int);
create table checked (id int check (id > third()));
create table ruled (id int);
create rule r as on insert to ruled do also select third();
create domain dom as int check (value > third());
create table divided (id int) partition by range (id);
create table division partition of divided for values from (0) to (9);
create trigger t before insert on division for each row execute function fires();
create view over_fired as select * from fired;
create function by_default() {_BODY} insert into defaulting default values; return 1; end $$;
create function by_view() {_BODY} return (select third from viewed); end $$;
create function by_check() {_BODY} insert into checked values (1); return 1; end $$;
create function by_rule() {_BODY} insert into ruled values (1); return 1; end $$;
create function by_domain() {_BODY} return 1::dom; end $$;
create function by_operator() {_BODY} return (1 === 'a')::int; end $$;
create function by_trigger_of_view() {_BODY} insert into over_fired values (1); return 1; end $$;
create function by_trigger_of_partition() {_BODY} insert into divided values (1); return 1; end $$;
create function into_sql() returns int language sql as 'select 1 as a into made; select 1';
create function inserts_sql() returns int language sql as 'insert into plain values (1) returning id';
create type comp as (a int);
create function casts(comp) {_BODY} return third(); end $$;
create cast (comp as int) with function casts(comp) as assignment;
create function by_cast() {_BODY} return row(1)::comp; end $$;
create function "q""x"() {_BODY} return third(); end $$;
create function by_quotes() {_BODY} return "q""x"(); end $$;
create function escapes() {_BODY} do e'begin \\x65xecute ''select 1''; end'; return 1; end $$;
create function runs(q text) {_BODY} execute q; return 1; end $$;
create function finds(q text) returns setof int language plpgsql as $$ begin return query execute q; end $$;
create function xml() returns xml language sql as $$ select query_to_xml('select 1', true, true, '') $$;
create function drops() {_BODY} drop table plain; return 1; end $$;
create function grants() {_BODY} grant select on plain to public; return 1; end $$;
create function writes_plain() {_BODY} insert into plain values (1) on conflict do nothing; return 1; end $$;
create function reads_plain() {_BODY} return (select max(id) from plain); end $$;
create function sets_date() returns trigger language plpgsql as $$ begin new.id = 1; return new; end $$;
create table dated (id int);
create trigger t before insert on dated for each row execute function sets_date();
"""
_ATOMIC = """
create function atomic() returns int begin atomic select third(); end;
create function atomic_write() returns int begin atomic insert into fired values (1) returning id; end;
create function atomic_xml() returns xml begin atomic select query_to_xml('select 1', true, true, ''); end;
create function atomic_adds(a int) returns int immutable begin atomic select a + 1; end;
create function atomic_sets(a int) returns text immutable begin atomic select set_config('a.b', 'c', false); end;
create function atomic_reads(a int) returns bigint immutable begin atomic select count(*) from plain; end;
"""


_PURE: Final = [
    ("immutable language sql", "select $1 + 1"),
    (
        "immutable language sql",
        "select case when $1 > 2 then upper('a') else 'b' end, extract(day from date '2024-01-01')",
    ),
    (
        "immutable language plpgsql",
        "begin if $1 is distinct from 1 then return $1 % 2; end if; return length(substring('a' from 1)); end",
    ),
    ("immutable language plpgsql", "declare type int := 1; begin return type; end"),
]
_IMPURE: Final = [
    ("immutable language sql", "select count(*)::int from/**/plain"),
    ("immutable language sql", "table plain"),
    ("immutable language sql", "select length(extract(day from date '2024-01-01')::text) from plain"),
    ("immutable language plpgsql", "begin perform pg_advisory_lock(1); return 1; end"),
    ("immutable language plpgsql", "begin return calls_seeds(); end"),
    ("immutable language plpgsql", "begin execute 'select 1'; return 1; end"),
    ("immutable language plpgsql", "declare v plain.id%type; begin return v; end"),
    ("immutable language plpgsql", "begin return U&\"l\\0065ngth\"('a'); end"),
    ("immutable language sql", "select 1 --" + "x" * MAX_PURE),
    ("language sql", "select 1"),
    ("stable language sql", "select 1"),
    ("immutable language sql set seed = 0.5", "select 1"),
    ("immutable language sql", "select a::dom"),
]


@contextmanager
def database(origin: Origin, name: str) -> Iterator[Connection]:
    """One of its own, for the names in it mean something to everybody."""
    with origin.connect("postgres") as connection:
        connection.execute(f"drop database if exists {name}".encode())
        connection.execute(f"create database {name} encoding 'UTF8' template template0".encode())
    with origin.connect(name) as connection:
        yield connection


@pytest.fixture(scope="module")
def catalog(origin: Origin) -> Iterator[Catalog]:
    with database(origin, "spoken") as connection:
        connection.execute("set check_function_bodies = off")
        connection.execute(_FUNCTIONS.encode())
        for kind, bodies in (("pure", _PURE), ("impure", _IMPURE)):
            for number, (head, body) in enumerate(bodies):
                made = f"create function {kind}_{number}(a int) returns int {head} as $${body}$$"
                connection.execute(made.encode())
        if origin.major >= 14:
            connection.execute(_ATOMIC)
        yield read_catalog(connection)


@pytest.mark.parametrize(
    "sql",
    [
        "select swap()",
        "select first()",
        "select second()",
        "select third()",
        "select round_a()",
        "select round_b()",
        "select calls_odd()",
        "select total(id) from plain",
        "select id === 'a' from plain",
        "insert into defaulting default values",
        "select * from viewed",
        "insert into fired values (1)",
        "select writes_fired()",
        "select by_default()",
        "select by_view()",
        "select by_check()",
        "select by_rule()",
        "select by_domain()",
        "select by_operator()",
        "select by_trigger_of_view()",
        "select by_trigger_of_partition()",
        "select into_sql()",
        "select by_cast()",
        "select by_quotes()",
        "select escapes()",
        "select runs('select 1')",
        "select * from finds('select 1')",
        "select xml()",
        "select drops()",
        "select grants()",
        "insert into ruled values (1)",
        "insert into checked values (1)",
        "insert into divided values (1)",
        "insert into over_fired values (1)",
        "select 1::dom",
    ],
)
def test_what_may_come_to_ddl_hides_it(catalog: Catalog, sql: str) -> None:
    assert judge(sql.encode(), catalog) == HIDES


def test_a_name_that_is_only_part_of_a_word_is_not_called(catalog: Catalog) -> None:
    assert judge(b"select alone()", catalog) == DISCARD
    assert judge(b"select * from fired, defaulting, plain", catalog) is CLEAN


def test_what_closes_the_connection_does_so_from_afar(catalog: Catalog) -> None:
    assert judge(b"select calls_seeds()", catalog) == DISCARD | Residue.CLOSES


@pytest.mark.parametrize("sql", ["select atomic()", "select atomic_write()", "select atomic_xml()"])
def test_a_body_of_the_grammar_s_own_is_followed_too(catalog: Catalog, origin: Origin, sql: str) -> None:
    if origin.major < 14:
        pytest.skip("there are none")
    assert judge(sql.encode(), catalog) == HIDES


@pytest.mark.parametrize(
    "sql",
    [
        "select writes_plain()",
        "select reads_plain()",
        "select inserts_sql()",
        "insert into dated values (1)",
        "select alone()",
    ],
)
def test_a_body_that_comes_to_none_hides_none(catalog: Catalog, sql: str) -> None:
    assert judge(sql.encode(), catalog) == DISCARD


def test_where_triggers_that_hide_it_are_everywhere_all_bodies_do(origin: Origin) -> None:
    with database(origin, "audited") as connection:
        connection.execute(
            f"create function audits() returns trigger language plpgsql as $$ begin execute ''; return new; end $$;"
            f"create function innocent() {_BODY} return 1; end $$;"
        )
        for number in range(MANY_TABLES + 1):
            if number == MANY_TABLES:
                assert judge(b"select innocent()", read_catalog(connection)) == DISCARD
            connection.execute(
                f"create table audited_{number} (id int);"
                f"create trigger t before insert on audited_{number} for each row execute function audits()"
            )
        assert judge(b"select innocent()", read_catalog(connection)) == HIDES


# --- what is pure ---


@pytest.mark.parametrize("name", [f"pure_{number}" for number in range(len(_PURE))])
def test_an_immutable_function_is_pure_that_reads_nothing_and_speaks_of_nothing_harmful(
    catalog: Catalog, name: str
) -> None:
    assert judge(f"select {name}(2)".encode(), catalog) is CLEAN


@pytest.mark.parametrize("name", [f"impure_{number}" for number in range(len(_IMPURE))])
def test_no_other_is(catalog: Catalog, name: str) -> None:
    assert judge(f"select {name}(2)".encode(), catalog) is not CLEAN


def test_a_body_of_the_grammar_s_own_may_be_pure(catalog: Catalog, origin: Origin) -> None:
    if origin.major < 14:
        pytest.skip("there are none")
    found = [judge(f"select atomic_{name}(1)".encode(), catalog) is CLEAN for name in ("adds", "sets", "reads")]
    assert found == [True, False, False]
