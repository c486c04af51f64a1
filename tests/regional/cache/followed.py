"""A database whose writes are followed, and what was published of them.

As a program (PORT DATABASE) it follows until it is killed, and says so. The origin is to notice quickly if it stalls.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import attrs
import msgspec
import psycopg
import trio
from psycopg import sql

from regional.cache import streams
from regional.cache.following import Following
from regional.cache.publication import publication_name
from regional.configuration import Configuration, OriginSecret
from tests.support.beside import PoolSide, beside, configuration_for, until
from tests.support.cluster import Origin

USER: Final = "follower"
DROP_S: Final = 5.0
_numbers = count(1)

SCHEMA: Final = """
create table item (id int primary key, name text);
create table other (id int primary key, name text);
create table keyless (name text);
create table whole (name text);
alter table whole replica identity full;
create unlogged table scratch (id int primary key);
create table late (id int primary key deferrable initially deferred, name text);
create table measure (id int, day int, primary key (id, day)) partition by range (day);
create table measure_1 partition of measure for values from (1) to (10);
create table measure_2 partition of measure for values from (10) to (20);
create view item_view as select * from item;
create materialized view item_copy as select * from item;
insert into item values (1, 'one');
insert into other values (1, 'one');
insert into keyless values ('one');
"""

Connection = psycopg.Connection[tuple[Any, ...]]


@attrs.define
class Database:
    """A database of the follower's own."""

    origin: Origin
    name: str

    def connect(self, user: str = USER, *, autocommit: bool = True) -> Connection:
        origin = self.origin
        return psycopg.connect(
            host=origin.host, port=origin.port, user=user, password=origin.password, dbname=self.name,
            autocommit=autocommit,
        )  # fmt: skip

    def run(self, *statements: str) -> None:
        """As the application that writes past Onetrip, each statement a transaction."""
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def ask(self, query: str) -> Any:
        with self.connect(self.origin.superuser) as connection:
            return [row[0] if len(row) == 1 else row for row in connection.execute(query.encode())]

    def oids(self, *names: str) -> frozenset[int]:
        return frozenset(self.ask(f"select '{name}'::regclass::oid::int")[0] for name in names)

    def slots(self) -> list[str]:
        return list(self.ask(f"select slot_name from pg_replication_slots where database = '{self.name}'"))

    def published(self) -> list[str]:
        return sorted(
            self.ask(f"select tablename from pg_publication_tables where pubname = '{publication_name(USER)}'")
        )

    def configuration(self, *, port: int = 0, user: str = USER) -> Configuration:
        made = configuration_for(self.origin, port=port, user=user)
        return msgspec.structs.replace(made, origin=msgspec.structs.replace(made.origin, database=self.name))


@contextmanager
def open_database(origin: Origin) -> Iterator[Database]:
    database = Database(origin, f"followed_{next(_numbers)}")
    words = {"name": sql.Identifier(database.name), "user": sql.Identifier(USER), "word": sql.Literal(origin.password)}
    with origin.connect("postgres") as connection:
        if connection.execute("select from pg_roles where rolname = %s", [USER]).fetchone() is None:
            connection.execute(sql.SQL("create role {user} login replication password {word}").format(**words))
        connection.execute(sql.SQL("create database {name} owner {user} template template0").format(**words))
        database.run("grant all on schema public to public", SCHEMA)
        yield database
        deadline = time.monotonic() + DROP_S
        while database.slots() and time.monotonic() < deadline:  # PostgreSQL needs a moment to see that we are gone
            time.sleep(0.01)
        origin.drop(database.name)


class Follower:
    """A `Following` that runs, and what it has published."""

    def __init__(self, side: PoolSide, database: Database, *, port: int = 0, user: str = USER) -> None:
        self.database = database
        self.published: list[frozenset[int] | None] = []
        access = database.configuration(port=port, user=user), OriginSecret(password=database.origin.password)
        self.following = Following(side.tenants.dialer, lambda: access, self.published.append)
        self._scope = trio.CancelScope()
        self._nursery = side.nursery
        self._nursery.start_soon(self._run)

    async def _run(self) -> None:
        with self._scope:
            await self.following.run()

    def end(self) -> None:
        self._scope.cancel()

    def follows(self, *names: str) -> bool:
        return self.following.follows(self.database.oids(*names))

    async def ready(self, *names: str) -> None:
        """Wait until it follows these tables; what was published until then is forgotten."""
        oids = self.database.oids(*names)
        await until(lambda: self.following.follows(oids))
        self.published.clear()

    async def told(self, *names: str) -> None:
        """Wait until these tables, and nothing else, have been published."""
        oids = self.database.oids(*names)
        await until(lambda: self.published)
        assert self.published == [oids]
        self.published.clear()


@beside
async def _follow(side: PoolSide, database: Database) -> None:
    # A tenth of what it is, so that a test need not wait so long.
    streams.PARAMETERS["wal_sender_timeout"] = streams.PARAMETERS["wal_sender_timeout"].replace("10s", "1s")
    follower = Follower(side, database)
    await follower.ready("item")
    print("following", flush=True)
    await trio.sleep_forever()


if __name__ == "__main__":
    _follow(Database(Origin(int(sys.argv[1]), Path(), Path(), 0), sys.argv[2]))
