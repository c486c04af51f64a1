"""Databases: that of the labelled statements, a shop that pool nodes work on, one whose writes may be followed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import attrs
import psycopg
import pytest
from psycopg import pq, sql

from regional.cache.reach import Reach
from regional.cache.reach_query import REACH_SNAPSHOT
from regional.snapshot import answer_of
from tests.regional.cache.followed import Database, open_database
from tests.regional.cache.labelled import Read, Write
from tests.regional.cache.labelled_later import LATER
from tests.regional.conftest import Connection
from tests.support.cluster import Origin

SCHEMA: Final = Path(__file__).with_name("schema.sql")
NAME: Final = "labels"
USER: Final = "by_scram"
# Each session has its own; those of the session that holds the database open are what a snapshot sees.
TEMPORARY: Final = "create temporary table scratch (id int)"
_OUTSIDE: Final = """
create extension file_fdw;
create server files foreign data wrapper file_fdw;
create foreign table outside (id int) server files options (program 'echo 1');
create view outside_view as select id from outside;
create table halves (id int) partition by range (id);
create table halves_low partition of halves for values from (0) to (100);
create foreign table halves_high partition of halves for values from (100) to (200)
  server files options (program 'echo 100');
grant all on outside, outside_view, halves to public;
grant pg_execute_server_program to by_scram;
"""
_KINDS: Final = """
select c.oid, n.nspname || '.' || c.relname, c.relkind::text
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'm', 'v', 'f') and n.nspname !~ '^(pg_|information_schema)'
"""

Rows = list[list[bytes | None]]
Oids = dict[str, int]

SHOP: Final = """
create schema shop;
create table shop.orders (id int primary key, note text);
create table shop.lines (id int primary key, order_id int references shop.orders on delete cascade);
create table shop.prices (id int primary key, price int);
create table shop.audited (id int primary key);
create table shop.log (id int);
create function shop.write_log() returns trigger language plpgsql as
  'begin insert into shop.log values (new.id); return new; end';
create trigger audit after insert on shop.audited for each row execute function shop.write_log();
create function shop.save(n int) returns int language sql as 'insert into shop.log values (n) returning id';
create procedure shop.save_twice(n int) language plpgsql as
  'begin insert into shop.log values (n); commit; insert into shop.log values (n); end';
insert into shop.orders values (1, 'one'), (2, 'two');
insert into shop.prices values (1, 100), (2, 200);
grant all on schema shop to by_scram;
grant all on all tables in schema shop to by_scram;
"""


class RefusedError(Exception):
    """PostgreSQL says no to a labelled statement."""


@attrs.frozen
class Labels:
    """The database of `schema.sql`."""

    origin: Origin
    extensions: frozenset[str]
    names: dict[int, tuple[str, str]]
    """Each table and view of the user's by its oid: name with schema, and kind."""

    def connect(self, *, user: str = USER) -> Connection:
        origin = self.origin
        connection = psycopg.connect(
            host=origin.host, port=origin.port, user=user, password=origin.password, dbname=NAME, autocommit=True,
            prepare_threshold=None,
        )  # fmt: skip
        connection.execute(TEMPORARY)
        return connection

    def has(self, case: Read | Write) -> bool:
        """Whether this server is new enough for a statement."""
        return self.origin.major >= case.since

    def of_kinds(self, oids: frozenset[int], kinds: str) -> frozenset[str]:
        """The names of those tables that are of such a kind."""
        return frozenset(name for name, kind in (self.names[oid] for oid in oids) if kind in kinds)


def run(connection: Connection, statement: str, values: Sequence[str] = ()) -> Rows:
    """Run it as its client would: the rows of its last answer, in text format."""
    pgconn = connection.pgconn
    if values:
        result = pgconn.exec_params(statement.encode(), [value.encode() for value in values])
    else:
        result = pgconn.exec_(statement.encode())
    if result.status == pq.ExecStatus.COPY_IN:
        pgconn.put_copy_end()
        result = pgconn.get_result() or result
        assert pgconn.get_result() is None
    if result.status not in {pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK, pq.ExecStatus.EMPTY_QUERY}:
        raise RefusedError(result.get_error_message())
    return [[result.get_value(row, column) for column in range(result.nfields)] for row in range(result.ntuples)]


@pytest.fixture(scope="session")
def labels(origin: Origin) -> Iterator[Labels]:
    with origin.connect("postgres") as connection:
        connection.execute(
            sql.SQL("create database {} encoding 'UTF8' template template0").format(sql.Identifier(NAME))
        )
    with origin.connect(NAME) as connection:
        if origin.major < 13:  # for gen_random_uuid
            connection.execute("create extension pgcrypto")
        connection.execute(SCHEMA.read_bytes())
        for version, script in LATER.items():
            if origin.major >= version:
                connection.execute(script.encode())
        connection.execute("grant all on all tables in schema public to public")
        available = connection.execute("select name from pg_available_extensions where name = 'file_fdw'").fetchall()
        if available:
            connection.execute(_OUTSIDE)
        names = {oid: (name, kind) for oid, name, kind in connection.execute(_KINDS)}
    labels = Labels(origin, frozenset(name for (name,) in available), names)
    with labels.connect():
        yield labels


@pytest.fixture
def shop(origin: Origin) -> Iterator[Oids]:
    """The oids of the tables, by name."""
    with origin.connect() as connection:
        # What a test before has left running is what a node that comes waits for.
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()"
            " and backend_type = 'client backend'"
        )
        connection.execute(SHOP.encode())
        rows = connection.execute("select relname, oid::int from pg_class where relnamespace = 'shop'::regnamespace")
        yield dict(rows.fetchall())
        connection.execute("drop schema if exists shop cascade")


def read_reach(connection: Connection) -> Reach:
    """Ask as the pool node does: one simple query, rows in text format."""
    digest, rows = answer_of(run(connection, REACH_SNAPSHOT))
    return Reach.from_rows(rows, digest)


@pytest.fixture(scope="session")
def reach(labels: Labels) -> Reach:
    """The snapshot of the labelled statements' database."""
    with labels.connect() as connection:
        return read_reach(connection)


@pytest.fixture(scope="session")
def names(labels: Labels) -> Callable[[frozenset[int]], set[str]]:
    """The names of tables, without their schema."""
    return lambda tables: {labels.names[oid][0].partition(".")[2] for oid in tables}


@pytest.fixture(scope="session")
def empty(origin: Origin) -> Iterator[str]:
    """A database with nothing in it."""
    name = sql.Identifier("one_reach")
    with origin.connect("postgres") as connection:
        connection.execute(sql.SQL("create database {} encoding 'UTF8' template template0").format(name))
        yield "one_reach"
        connection.execute(sql.SQL("drop database {}").format(name))


@pytest.fixture
def made(origin: Origin, empty: str) -> Iterator[Callable[[str], Reach]]:
    """Reads the catalogue after some statements, and after some more; none of them stays."""
    with closing(origin.connect(empty)) as connection:
        connection.execute("begin")

        def make(script: str) -> Reach:
            connection.execute(script.encode())
            return read_reach(connection)

        yield make


@pytest.fixture
def database(origin: Origin) -> Iterator[Database]:
    with open_database(origin) as opened:
        yield opened
