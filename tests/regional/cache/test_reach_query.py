"""The query against real catalogues: what it leaves, what its digest hangs on, what it says of names."""

from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest

from regional.cache.classifier import Classifier
from regional.cache.reach import Reach
from regional.cache.reach_query import REACH_QUERY
from regional.cache.verdicts import NOTHING
from tests.regional.cache.conftest import Labels, read_reach
from tests.support.cluster import Origin

pytestmark = pytest.mark.postgres

Make = Callable[[str], Reach]

_TABLE = "create table t (id int primary key, name text, at timestamptz, made date);"


def _why(reach: Reach, sql: str) -> str:
    return Classifier(reach).reading(sql.encode()).why


def test_it_is_one_simple_query_that_leaves_nothing(labels: Labels) -> None:
    with labels.connect() as connection:
        connection.execute("set search_path = shadow; set client_encoding = 'LATIN1'")
        read_reach(connection)
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert connection.execute("show search_path").fetchone() == ("shadow",)
        assert connection.execute("show client_encoding").fetchone() == ("LATIN1",)
        assert connection.execute("show jit").fetchone() == ("on",)


def test_an_error_leaves_no_transaction(labels: Labels) -> None:
    with labels.connect() as connection:
        connection.execute("set statement_timeout = 1")
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute(REACH_QUERY)
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_it_waits_for_no_lock(labels: Labels) -> None:
    with labels.connect() as reader, closing(labels.origin.connect("labels")) as locker:
        locker.execute("begin; lock item, item_view, event in access exclusive mode")
        reader.execute("set lock_timeout = 1")
        assert read_reach(reader).named("item")


def test_a_hostile_search_path_does_not_matter(made: Make) -> None:
    reach = made(
        _TABLE + "create schema evil;"
        "create function evil.name_equal(name, name) returns boolean language sql immutable as 'select false';"
        "create operator evil.= (leftarg = name, rightarg = name, procedure = evil.name_equal);"
        "create function evil.max(int) returns int language sql as 'select 0'; create table evil.pg_proc (oid oid);"
        "set search_path = evil, pg_catalog"
    )
    assert reach.function("random", 0)
    assert _why(reach, "select name from public.t") == ""
    assert _why(reach, "select max(id) from public.t") == "volatile function: max"


_CHANGES = (
    "create table other (id int)",
    "alter table t add column b int",
    "alter table t alter column name type varchar(10)",
    "alter table t enable row level security",
    "alter table t set unlogged",
    "grant select on t to by_md5",
    "create function f() returns int language sql as 'select 1'",
    "create or replace view v as select id + 1 as id from t",
    "create policy p on t using (id = 1)",
    "create trigger g before update on t for each row execute function suppress_redundant_updates_trigger()",
    "create rule r as on insert to t do nothing",
    "create type e as enum ('a')",
    "alter type e add value 'b'",
    "create domain d as int check (value > 0)",
    "alter table t rename column name to title",
    "alter schema s rename to u",
    "drop table other",
)
_NO_CHANGES = (
    "insert into t values (1)",
    "analyze t",
    "vacuum t",
    "create temporary table t (id int, other text); create temporary view w as table t",
)


def test_the_digest_hangs_on_what_is_changed_and_on_nothing_else(origin: Origin, empty: str) -> None:
    with origin.connect(empty) as connection:
        connection.execute("create schema s")
        connection.execute((_TABLE + "create view v as select id from t; create table s.in_s (id int)").encode())
        try:
            before = read_reach(connection)
            for changes, is_changed in ((_CHANGES, True), (_NO_CHANGES, False)):
                for change in changes:
                    connection.execute(change.encode())
                    after = read_reach(connection)
                    assert (after.digest != before.digest) is is_changed, change
                    assert after.database == before.database
                    before = after
            assert _why(after, "table t") in {"temporary table: t", "row security: t"}, (
                "of tables of one name any counts"
            )
        finally:
            connection.execute("drop view if exists w; drop table if exists pg_temp.t")
            connection.execute("drop table t cascade; drop schema if exists s cascade; drop schema if exists u cascade")
            connection.execute("drop function f(); drop type e; drop domain d")


_RIGHTS = (
    "grant select on t to joe",
    "grant select (id) on t to joe",
    "revoke select (id) on t from joe",
    "revoke all on t from joe",
    "revoke execute on function lib.thrice(int) from public",
    "grant usage on schema lib to joe",
    "revoke usage on schema lib from joe",
    "alter schema lib owner to joe",
    "revoke execute on function pg_catalog.lower(text) from public",
    "grant execute on function pg_catalog.lower(text) to public",
    "grant team to joe",
    "revoke team from joe",
    "alter role joe noinherit",
    "alter role joe superuser",
    "alter role joe nosuperuser",
    "alter role joe rename to jack",
    "alter role jack set search_path = lib",
    "alter table t enable row level security",
    "create policy p on t using (id = 1)",
    "alter policy p on t using (id = 2)",
    "drop policy p on t",
    "alter table t disable row level security",
)


def test_the_digest_hangs_on_who_may_do_what(origin: Origin, empty: str) -> None:
    with origin.connect(empty) as connection:
        connection.execute("create role joe; create role team; create schema lib; create table t (id int)")
        connection.execute("create function lib.thrice(int) returns int language sql immutable as 'select $1 * 3'")
        try:
            before = read_reach(connection)
            for change in _RIGHTS:
                connection.execute(change.encode())
                after = read_reach(connection)
                assert after.digest != before.digest, change
                before = after
        finally:
            connection.execute("drop table t; drop schema lib cascade; drop role team; drop role if exists joe, jack")


def test_another_expression_of_a_generated_column_is_seen(origin: Origin, empty: str) -> None:
    """A virtual column stores nothing, so no row of the table is written."""
    kind = "virtual" if origin.major >= 18 else "stored"
    change = "alter column next set expression as (id + 2)"
    if origin.major < 17:
        change = "drop column next, add column next int generated always as (id + 2) stored"
    with origin.connect(empty) as connection:
        connection.execute(f"create table t (id int, next int generated always as (id + 1) {kind})".encode())
        try:
            before = read_reach(connection)
            connection.execute(f"alter table t {change}".encode())
            after = read_reach(connection)
        finally:
            connection.execute("drop table t")
    assert after.digest != before.digest
    assert _why(before, "select next from t") == ""


def test_a_type_of_an_extension_is_as_good_as_its_functions(made: Make, origin: Origin) -> None:
    with origin.connect("postgres") as connection:
        rows = connection.execute("select name from pg_available_extensions").fetchall()
    if not {"citext", "hstore", "pg_trgm", "dblink", "unaccent"} <= {row[0] for row in rows}:
        pytest.skip("PostgreSQL's contrib modules are not installed")
    reach = made(
        "create extension citext; create extension hstore; create extension pg_trgm; create extension dblink;"
        "create extension unaccent; create table t (a citext, b hstore, c text)"
    )
    assert not reach.is_replaced
    assert _why(reach, "select lower(a), b -> 'x' from t where a = 'y' and c % 'z' order by similarity(c, 'z')") == ""
    assert _why(reach, "select a::date from t") == "date word: in a text that is cast"
    assert _why(reach, "select unaccent(c) from t") == "stable function: unaccent"
    assert Classifier(reach).writing(b"select dblink_exec('x', 'y')").outlives_rollback
    assert Classifier(reach).writing(b"select set_limit(0.5), lower(a) from t") == NOTHING


def test_a_setting_of_pg_trgm_counts_and_is_the_same_where_it_is_not_loaded(empty: str, origin: Origin) -> None:
    """Else each connection would show a catalogue of its own. What a session has set for itself is no matter."""
    with origin.connect("postgres") as connection:
        if not connection.execute("select from pg_available_extensions where name = 'pg_trgm'").fetchall():
            pytest.skip("PostgreSQL's contrib modules are not installed")

    def digest(options: str, sql: bytes) -> str:
        url = origin.url(origin.superuser, database=empty)
        with psycopg.connect(url, options=options, autocommit=True) as connection:
            connection.execute(sql)
            return read_reach(connection).digest

    name = "pg_trgm.similarity_threshold"
    own, loaded = f"set {name} = 0.9".encode(), b"load 'pg_trgm'"
    default = digest("", b"")
    assert default == digest("", own) == digest("", loaded) == digest("", loaded + b";" + own)
    changed = digest(f"-c {name}=0.50", b"")
    assert changed == digest(f"-c {name}=0.50", loaded) != default
    assert digest(f"-c {name}=often", b"") not in (default, changed), "a value that it would not take does no harm"


@pytest.mark.parametrize(
    ("script", "is_replaced"),
    [
        ("create operator = (leftarg = int, rightarg = text, procedure = eq)", True),
        ("create operator === (leftarg = int, rightarg = text, procedure = eq)", False),
        ("create cast (text as date) with inout as implicit", True),
        ("create cast (int as point) with function to_point(int) as implicit", True),
        ("create cast (int as point) with function to_point_well(int) as implicit", False),
    ],
)
def test_what_is_used_without_being_named_may_be_replaced(made: Make, script: str, is_replaced: bool) -> None:  # noqa: FBT001
    reach = made(
        "create table t (id int);"
        "create function eq(int, text) returns boolean language sql stable as 'select true';"
        "create function to_point(int) returns point language sql stable as 'select point(1, 2)';"
        "create function to_point_well(int) returns point language sql immutable as 'select point(1, 2)';" + script
    )
    assert reach.is_replaced is is_replaced
    assert bool(_why(reach, "select id from t")) is is_replaced
    assert _why(reach, "select id === 'a' from t")


def test_logical_decoding_can_follow_what_has_an_identity(made: Make) -> None:
    reach = made(
        "create table keyed (id int primary key); create table bare (id int);"
        "create table complete (id int); alter table complete replica identity full;"
        "create table indexed (id int not null unique);"
        "alter table indexed replica identity using index indexed_id_key;"
        "create table nothing (id int primary key); alter table nothing replica identity nothing;"
        "create unlogged table fleeting (id int primary key); create view v as table keyed;"
        "create table whole (id int primary key) partition by range (id);"
        "create table part partition of whole for values from (0) to (9)"
    )
    assert {name for _, name in reach.followable_names.values()} == {"keyed", "complete", "indexed", "part"}
