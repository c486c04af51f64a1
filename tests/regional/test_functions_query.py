"""What a function's body speaks of, against real catalogues: harm comes from what it calls, however far away."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from regional.catalog import Catalog
from regional.cleanness import CLEAN, DISCARD, judge
from regional.functions_query import MANY_TABLES, MAX_PURE, MAX_PURE_SUM
from regional.residue import Residue
from tests.regional.conftest import Connection, read_catalog
from tests.support.cluster import Origin

pytestmark = pytest.mark.postgres

HIDES = DISCARD | Residue.HIDES
CLOSES = DISCARD | Residue.CLOSES

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
"""


_PURE: Final = [
    ("immutable language sql", "select $1 + 1"),
    ("immutable language sql", "select case when $1 > 2 then length(upper('a')) else sign(abs($1))::int end"),
    ("immutable language sql", "select length(concat('a', to_char(date_trunc('day', date '2020-01-01'), 'YYYY')))"),
    ("immutable language plpgsql", "begin if $1 <> 1 then return $1 % 2; end if; return length(substr('a', 1)); end"),
    (
        "immutable language plpgsql set search_path = pg_catalog",
        "declare b int := public.pure_0(a); begin return b; end",
    ),
]
_IMPURE: Final = [
    ("immutable language sql", "select count(*)::int from/**/plain"),
    ("immutable language sql", "select count(distinct id)::int as n_distinct from plain"),
    ("immutable language sql", "select count(*)::int as distinct\nfrom plain"),
    ("immutable language sql", "select count(*)::int + length('trim(') from plain where ')' = ')'"),
    ("immutable language sql", "select count(*)::int+1from plain"),
    ("immutable language sql", "table plain"),
    ("immutable language sql", "with w as (insert into plain values (1)) select 1"),
    ("immutable language plpgsql", "declare c refcursor := 'c'; b int; begin fetch c into b; return b; end"),
    ("immutable language plpgsql", "begin perform pg_advisory_lock(1); return 1; end"),
    ("immutable language plpgsql", 'begin return "seeds"(); end'),
    ("immutable language plpgsql", 'begin return "Odd (2)"(); end'),
    ("immutable language plpgsql", f"begin return {'x' * 90}(); end"),
    ("immutable language plpgsql", "begin execute 'select 1'; return 1; end"),
    ("immutable language plpgsql", "begin return U&\"l\\0065ngth\"('a'); end"),
    ("immutable language plpgsql", "begin return length('\u00e9'); end"),
    ("immutable language sql", "select 1 --" + "x" * MAX_PURE),
    ("immutable language sql", "select pg_relation_size('plain')::int"),
    ("immutable language sql", "select impure_0(1)"),
    ("immutable language sql", "select voluntary()"),
    ("immutable language sql", "select extract(year from now())::int"),
    ("immutable language sql", "select length(now()::text)"),
    ("immutable language sql", "select length(current_timestamp::text)"),
    ("immutable language sql", "select length(current_user)"),
    ("immutable language plpgsql", "declare d timestamp := 'now'; begin return length(d::text); end"),
    ("immutable language sql", "select length(age(date '2020-01-01')::text)"),
    ("immutable language sql", "select pg_backend_pid()"),
    ("immutable language sql", "select txid_current()::int"),
    ("immutable language sql", "select length(current_setting('application_name'))"),
    ("immutable language plpgsql", "begin return 1; exception when query_canceled then return 2; end"),
    ("immutable language plpgsql", "begin raise notice 'told'; return 1; end"),
    ("language sql", "select 1"),
    ("stable language sql", "select 1"),
    ("immutable language sql set seed = 0.5", "select 1"),
]
_LEAKS: Final = f"""
create function seeds() {_BODY} perform setseed(0.5); return 1; end $$;
create function "Odd (2)"() {_BODY} return seeds(); end $$;
create function {"x" * 90}() {_BODY} return seeds(); end $$;
create table plain (id int);
create function voluntary() returns int language sql as 'select 1';
"""
_OVER_M: Final = (
    "create type m as enum ('a'); create function o({0}) returns boolean language sql as 'select seeds() > 0';"
)
# With one of these about, a body may meet it and not say so.
_MET: Final = {
    "a domain": "create domain d as int check (seeds() > 0)",
    "a domain of a domain": "create domain d as int check (seeds() > 0); create domain e as d",
    "a column's domain": "create domain d as int check (seeds() > 0); create table t (a d)",
    "an operator": _OVER_M.format("int, int") + "create operator === (leftarg = int, rightarg = int, procedure = o)",
    "an operator of types": _OVER_M.format("m, m") + "create operator === (leftarg = m, rightarg = m, procedure = o)",
    "what LIKE uses": _OVER_M.format("int, m") + "create operator ~~ (leftarg = int, rightarg = m, procedure = o)",
    "an operator class": _OVER_M.format("int, int")
    + "create operator === (leftarg = int, rightarg = int, procedure = int4eq, hashes);"
    "create function h(int) returns int language sql as 'select seeds()';"
    "create operator class c for type int using hash as operator 1 ===, function 1 h(int)",
    "a cast over a function of PostgreSQL's": "create cast (bigint as boolean)"
    " with function pg_try_advisory_lock(bigint)",
    "a function of PostgreSQL's": "create operator ?! (rightarg = bigint, procedure = pg_try_advisory_lock)",
    "an operator that is not immutable": "create operator ?! (rightarg = text, procedure = current_setting)",
    "an operator that tells somebody": "create operator ?! (leftarg = text, rightarg = text, procedure = pg_notify)",
    "a cast that reads a text": "create type w as (a int); create cast (text as w) with inout",
    "a domain that asks the time": "create domain d as timestamptz check (value < now())",
    "a domain that asks who it is": "create domain d as text check (value <> current_user)",
    "a domain that asks a setting": "create domain d as text check (value <> current_setting('app.x'))",
    "a cast": _OVER_M.format("m") + "create cast (m as boolean) with function o(m) as implicit",
}


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


@pytest.fixture(scope="module")
def calm(origin: Origin) -> Iterator[Connection]:
    """A database without harmful types and operators, where there are pure functions and others."""
    with database(origin, "calm") as connection:
        connection.execute("set check_function_bodies = off")
        connection.execute(_LEAKS.encode())
        for kind, bodies in (("pure", _PURE), ("impure", _IMPURE)):
            for number, (head, body) in enumerate(bodies):
                connection.execute(f"create function {kind}_{number}(a int) returns int {head} as $${body}$$".encode())
        yield connection


@pytest.fixture(scope="module")
def calm_catalog(calm: Connection) -> Catalog:
    return read_catalog(calm)


@pytest.mark.parametrize("number", range(len(_PURE)))
def test_an_immutable_function_is_pure_that_reads_nothing_and_calls_nothing_harmful(
    calm_catalog: Catalog, number: int
) -> None:
    assert judge(b"select pure_%d(2)" % number, calm_catalog) is CLEAN


@pytest.mark.parametrize("number", range(len(_IMPURE)))
def test_no_other_is(calm_catalog: Catalog, number: int) -> None:
    assert judge(b"select impure_%d(2)" % number, calm_catalog) is not CLEAN, _IMPURE[number]


@pytest.mark.parametrize("about", _MET)
def test_nor_is_any_where_something_harmful_may_be_met_without_a_name(calm: Connection, about: str) -> None:
    with calm.transaction(force_rollback=True):
        calm.execute(_MET[about].encode())
        assert judge(b"select pure_0(2)", read_catalog(calm)) is not CLEAN


@pytest.mark.parametrize(
    "made",
    [
        "create type fr as range (subtype = float8)",
        "create domain d as int check (value > 0 and value <> length('a'))",
        "create function o(int, text) returns boolean immutable language sql as 'select $1 > length($2)';"
        "create operator === (leftarg = int, rightarg = text, procedure = o)",
        "create domain pg_temp.d as int check (seeds() > 0)",
    ],
    ids=["range", "domain", "operator", "temporary"],
)
def test_what_computes_only_may_be_met(calm: Connection, made: str) -> None:
    with calm.transaction(force_rollback=True):
        calm.execute(made.encode())
        assert judge(b"select pure_0(2)", read_catalog(calm)) is CLEAN


def test_bodies_that_are_long_together_are_not_cut_into_words(calm: Connection) -> None:
    with calm.transaction(force_rollback=True):
        calm.execute(
            f"set local check_function_bodies = off; do $do$ begin for i in 1..{MAX_PURE_SUM // 8000 + 1} loop "
            "execute format('create function long_%s() returns int immutable language sql as %L', "
            "i, repeat('1 + ', 2000)); "
            "end loop; end $do$".encode()
        )
        assert judge(b"select pure_0(2)", read_catalog(calm)) is not CLEAN


@pytest.mark.parametrize(
    ("made", "sql", "residue"),
    [
        ("create aggregate f(float8) (sfunc = float8pl, stype = float8, finalfunc = setseed)", "select f(1)", CLOSES),
        (
            "create aggregate f(text) (sfunc = ts_rewrite, stype = tsquery, initcond = 'a')",
            "select f('select 1')",
            HIDES | Residue.CLOSES,
        ),
    ],
    ids=["seeds", "runs a text"],
)
def test_an_aggregate_is_as_harmful_as_what_it_is_made_of(
    calm: Connection, made: str, sql: str, residue: Residue
) -> None:
    with calm.transaction(force_rollback=True):
        calm.execute(made.encode())
        assert judge(sql.encode(), read_catalog(calm)) in {residue, residue & ~Residue.CLOSES}


@pytest.mark.parametrize("sql", ["select f()", "select sets('x', true) from plain", "select locks(1) from plain"])
def test_what_an_owner_adds_to_an_extension_is_the_owner_s(calm: Connection, origin: Origin, sql: str) -> None:
    by_sql = (  # functions of citext that PostgreSQL 18 has with BEGIN ATOMIC, where they are not read
        "select replace('a'::citext, 'A', 'b')",
        "select split_part('a.b'::citext, '.', 1), regexp_match('a'::citext, 'A'), strpos('a'::citext, 'A')",
    )
    with calm.transaction(force_rollback=True):
        calm.execute(
            b"create extension citext; create extension hstore;"
            b"create function f() returns text language sql as $$ select set_config('a.b', 'c', false) $$;"
            b"create aggregate sets(text, bool) (sfunc = set_config, stype = text, initcond = 'a.b');"
            b"create aggregate locks(bigint) (sfunc = int8pl, stype = bigint, finalfunc = pg_advisory_lock);"
            b"alter extension citext add function f();"
            b"alter extension hstore add aggregate sets(text, bool);"
            b"alter extension hstore add aggregate locks(bigint);"
        )
        catalog = read_catalog(calm)
        assert judge(sql.encode(), catalog) is not CLEAN
        for harmless in (
            "select max(x::citext), lower('A'::citext) from unnest(array['a']) x",
            "select 'a=>1'::hstore -> 'a', pure_0(1)",
            *(by_sql if origin.major < 18 else ()),
        ):
            assert judge(harmless.encode(), catalog) is CLEAN


def test_bodies_are_read_alike_where_a_backslash_in_a_text_escapes(calm: Connection) -> None:
    with calm.transaction(force_rollback=True):
        calm.execute(
            b"create function seeds_once() returns int language plpgsql as 'begin set  seed = 0.5; return 1; end';"
            b"create function makes() returns int language sql as 'select 1 as a into made; select 1';"
            b"set local standard_conforming_strings = off; set local escape_string_warning = off"
        )
        catalog = read_catalog(calm)
        assert judge(b"select seeds_once()", catalog) == CLOSES
        assert judge(b"select makes()", catalog) == HIDES
        assert judge(b"select pure_0(2), pure_1(2)", catalog) is CLEAN


@pytest.mark.parametrize(
    ("since", "rest"),
    [
        (12, ", b text default set_config('a.b', 'c', false)) returns int immutable language sql as 'select 1'"),
        (12, ", b date default current_date) returns date immutable language sql as 'select b'"),
        (14, ") returns bigint immutable begin atomic select count(*) from pg_largeobject; end"),
    ],
)
def test_nor_is_one_that_says_more_beside_its_body(calm: Connection, origin: Origin, since: int, rest: str) -> None:
    if origin.major < since:
        pytest.skip("there are none")
    with calm.transaction(force_rollback=True):
        calm.execute(f"create function f(a int{rest}".encode())
        assert judge(b"select f(1)", read_catalog(calm)) is not CLEAN


@pytest.mark.parametrize(
    ("made", "sql"),
    [
        (_MET["a function of PostgreSQL's"], "select ?! 77"),
        (_MET["a cast over a function of PostgreSQL's"], "select 77::bigint::boolean"),
        (_MET["an operator class"], "select a.id from plain a join plain b on a.id === b.id"),
        (
            _OVER_M.format("int, int") + "create operator !== (leftarg = int, rightarg = int, procedure = o);"
            "create operator === (leftarg = int, rightarg = int, procedure = int4eq, negator = !==)",
            "select not (id === 2) from plain",
        ),
        (
            "create function c(json, json) returns int language sql as 'select seeds()';"
            + "".join(
                f"create function o_{number}(json, json) returns boolean immutable language sql as 'select true';"
                f"create operator {sign} (leftarg = json, rightarg = json, procedure = o_{number});"
                for number, sign in enumerate(("<", "<=", "=", ">=", ">"))
            )
            + "create operator class j default for type json using btree as operator 1 <, operator 2 <=,"
            " operator 3 =, operator 4 >=, operator 5 >, function 1 c(json, json)",
            "select x from unnest(array['1'::json]) x order by x",
        ),
    ],
    ids=["function", "cast", "operator class", "negator", "default operator class"],
)
def test_what_postgresql_calls_without_its_name_is_as_harmful_as_that(calm: Connection, made: str, sql: str) -> None:
    with calm.transaction(force_rollback=True):
        calm.execute(made.encode())
        assert judge(sql.encode(), read_catalog(calm)) is not CLEAN
