"""Tables that are written and read through a pool node."""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.cluster import Origin

Oids = dict[str, int]

SCHEMA: Final = """
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


@pytest.fixture
def shop(origin: Origin) -> Iterator[Oids]:
    """The oids of the tables, by name."""
    with origin.connect() as connection:
        connection.execute(SCHEMA.encode())
        rows = connection.execute("select relname, oid::int from pg_class where relnamespace = 'shop'::regnamespace")
        yield dict(rows.fetchall())
        connection.execute("drop schema if exists shop cascade")
