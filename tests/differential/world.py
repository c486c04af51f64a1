"""The database in which conversations are had, made the same again before each of them.

Both ways lead to one database, one after the other: to Onetrip, then straight. What a conversation leaves in the tables
is compared as its answers are.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import attrs

from tests.differential.player import Address, Client
from tests.support.cluster import Origin

DATABASE: Final = "conversations"
HELPER: Final = "helper"  # a role that the user may take

SETUP: Final = """
create table items (id int primary key, word text, n int not null check (n >= 0));
create table parts (id int primary key, item int references items deferrable initially deferred);
create table watched (id int, style text default current_setting('datestyle'));
create sequence numbers;
create type mood as enum ('calm', 'merry');
create function say(what text) returns text language plpgsql as $$
  begin raise notice 'it says: %', what; return what; end $$;
create function fail(what text) returns int language plpgsql as $$
  begin raise exception 'it fails: %', what using detail = 'a detail', hint = 'a hint', errcode = 'P0042'; end $$;
create function pick(name text, value text, is_local bool) returns text language plpgsql as $$
  begin return set_config(name, value, is_local); end $$;
create function tally() returns bigint language plpgsql as $$ begin return (select count(*) from items); end $$;
create function styled() returns trigger language plpgsql as $$
  begin perform set_config('datestyle', 'German', true); return new; end $$;
create trigger styled before insert on watched for each row execute function styled();
create procedure spell() language plpgsql as $$
  begin insert into items values (50, 'spelled', 0) on conflict do nothing; commit; raise notice 'spelled'; end $$;
grant all on all tables in schema public to public;
grant all on all sequences in schema public to public;
"""

FRESH: Final = """
delete from parts; delete from watched; delete from items;
insert into items values (1, 'one', 1), (2, 'two', 2), (3, 'three', 3);
select setval('numbers', 1, false);
drop table if exists made; drop table if exists made_too;
"""

LOOK: Final = """
select json_build_object(
  'items', (select json_agg(i order by id) from items i),
  'parts', (select json_agg(p order by id) from parts p),
  'watched', (select json_agg(w order by id, style) from watched w),
  'numbers', (select json_build_array(last_value, is_called) from numbers),
  'made', (select json_agg(relname order by relname) from pg_class
           where relname in ('made', 'made_too') and relpersistence = 'p'))::text
"""

PREPARED: Final = "select gid from pg_prepared_xacts where database = current_database() order by gid"

Contents = dict[str, object]


@attrs.define
class World:
    """The database, and a superuser's connection that looks at it and makes it fresh."""

    origin: Origin
    straight: Address
    keeper: Client
    writer: Client
    fresh: Contents

    def look(self) -> Contents:
        """What there is. Prepared transactions are named and rolled back: they lock what has to be looked at."""
        prepared = [gid.decode() for (gid,) in self.keeper.rows(PREPARED) if gid]
        for gid in prepared:
            self.keeper.rows(f"rollback prepared '{gid}'")
        (row,) = self.keeper.rows(LOOK)
        return {**json.loads(row[0] or b"{}"), "prepared": prepared}

    def renew(self, contents: Contents) -> bool:
        """Make it fresh, given what is in it; whether there was need."""
        if contents == self.fresh:
            return False
        self.keeper.rows(FRESH)
        return True


@contextmanager
def open_world(origin: Origin) -> Iterator[World]:
    """Make the database in this cluster."""
    origin.drop(DATABASE)
    with origin.connect("postgres") as connection:
        connection.execute(f"create database {DATABASE} owner by_scram template template0")
        # What a session has prepared may lock out the session itself.
        connection.execute(f"alter database {DATABASE} set lock_timeout = '100ms'")
        connection.execute(f"drop role if exists {HELPER}")
        readers = "pg_read_all_data" if origin.major >= 14 else "pg_read_all_stats"
        connection.execute(f"create role {HELPER} in role {readers}".encode())
        connection.execute(f"grant {HELPER} to by_scram")
    straight = Address(port=origin.port, user="by_scram", password=origin.password, database=DATABASE)
    maker = Client(straight, {})
    maker.rows(SETUP)
    maker.leave()
    superuser = Address(port=origin.port, user=origin.superuser, password=origin.password, database=DATABASE)
    keeper = Client(superuser, {"options": "-c lock_timeout=5s"})
    keeper.rows(FRESH)
    writer = Client(straight, {"application_name": "writer"})
    world = World(origin, straight, keeper, writer, {})
    world.fresh = world.look()
    try:
        yield world
    finally:
        keeper.leave()
        writer.leave()
