"""Whose answers may be kept while an origin's writes are followed, and who hears of them."""

import time

import msgspec
import pytest
import trio

from protos.link.link_pb2 import Invalidate, Verdict
from protos.pg.messages import query
from regional.cache import following
from regional.cache.publication import publication_name
from regional.configuration import Caching, OriginSecret
from tests.regional.cache.followed import USER, Database
from tests.support.beside import NAME, Client, Edge, PoolSide, beside, until

FOLLOWS = Caching(follow_writes=True)


def put(side: PoolSide, database: Database, caching: Caching, *, name: str = NAME, host: str = "127.0.0.1") -> None:
    made = database.configuration()
    made = msgspec.structs.replace(
        made, name=name, caching=caching, origin=msgspec.structs.replace(made.origin, host=host)
    )
    side.tenants.put(made, OriginSecret(password=database.origin.password))


async def begin(side: PoolSide, database: Database, caching: Caching = FOLLOWS) -> tuple[Edge, Client]:
    put(side, database, caching)
    edge = side.edge()
    await side.known()
    return edge, edge.client()


async def verdict(edge: Edge, client: Client, sql: str) -> Verdict:
    before = len(edge.heard)
    edge.ask(client)
    await client.ask(query(sql.encode()))
    (found,) = [frame.verdict for frame in edge.heard[before:] if frame.HasField("verdict")]
    return found


async def ready(side: PoolSide) -> None:
    await until(lambda: not side.tenants.followers.why_not(side.tenant))


def invalidated(edge: Edge, name: str = NAME) -> list[Invalidate]:
    found = [frame.invalidate for frame in edge.heard if frame.HasField("invalidate")]
    return [one for one in found if one.configuration == name and not one.meaning]


@beside
async def test_answers_are_kept_of_tables_that_are_followed(side: PoolSide, database: Database) -> None:
    edge, client = await begin(side, database)
    await ready(side)
    item, measures = database.oids("item"), database.oids("measure", "measure_1", "measure_2")
    assert (await verdict(edge, client, "select * from item")).tables == sorted(item)
    assert (await verdict(edge, client, "select * from item_view")).tables == sorted(item)
    assert (await verdict(edge, client, "select * from measure")).tables == sorted(measures)
    for name in ("keyless", "late", "item_copy"):
        for sql in (f"select * from {name}", f"select * from item, {name}"):
            said = await verdict(edge, client, sql)
            assert (said.why, said.only_now) == ("not followed", True)


@beside
async def test_without_the_setting_nobody_follows(side: PoolSide, database: Database) -> None:
    edge, client = await begin(side, database, Caching())
    assert (await verdict(edge, client, "select * from keyless")).why == ""
    assert side.tenants.followers.why_not(side.tenant) == ""
    assert database.ask("select count(*)::int from pg_publication") == [0]


@beside
async def test_all_configurations_of_the_database_hear_of_a_write(side: PoolSide, database: Database) -> None:
    edge, _ = await begin(side, database)
    put(side, database, FOLLOWS, name="second")
    put(side, database, Caching(), name="third")
    put(side, database, Caching(disabled=True), name="fourth")
    await edge.resolve("second", TimeZone="UTC")
    await edge.resolve("third", TimeZone="UTC")
    side.tick()
    await ready(side)
    assert len(database.slots()) == 1
    edge.heard.clear()
    database.run("update item set name = 'bypassed'")
    tables = sorted(database.oids("item"))
    await until(lambda: all(invalidated(edge, name) for name in (NAME, "second", "third")))
    assert [list(one.tables) for name in (NAME, "second", "third") for one in invalidated(edge, name)] == [tables] * 3
    assert invalidated(edge, "fourth") == []


@beside
async def test_what_nobody_follows_any_more_is_cleared_away(side: PoolSide, database: Database) -> None:
    await begin(side, database)
    await ready(side)
    put(side, database, FOLLOWS, name="second")
    assert database.published()
    put(side, database, Caching())
    side.tenants.withdraw("second", 2)
    await until(lambda: not database.slots())
    await until(lambda: not database.ask("select 1 from pg_publication"))


@beside
async def test_a_follower_that_is_still_wanted_stays(side: PoolSide, database: Database) -> None:
    edge, _ = await begin(side, database)
    put(side, database, FOLLOWS, name="second")
    await edge.resolve("second", TimeZone="UTC")
    side.tick()
    await until(lambda: side.tenants.get("second") is not None and not _why_not(side, "second"))
    slots = database.slots()
    side.tenants.withdraw(NAME, 2)
    await trio.sleep(0.3)
    assert database.slots() == slots
    assert database.ask("select pubname from pg_publication") == [publication_name(USER)]


def _why_not(side: PoolSide, name: str) -> str:
    tenant = side.tenants.get(name)
    assert tenant is not None
    return side.tenants.followers.why_not(tenant)


@beside
async def test_a_new_table_is_followed_as_soon_as_the_catalogue_is_read(side: PoolSide, database: Database) -> None:
    edge, client = await begin(side, database)
    await ready(side)
    await client.ask(query(b"create table fresh (id int primary key)"))
    began = time.monotonic()
    while (await verdict(edge, client, "select * from fresh")).why:
        assert time.monotonic() - began < 5
        side.tick()
        await trio.sleep(0.05)
    edge.heard.clear()
    database.run("insert into fresh values (1)")
    await until(lambda: [list(one.tables) for one in invalidated(edge)] == [sorted(database.oids("fresh"))])


@beside
async def test_another_server_than_the_catalogues_is_not_followed(side: PoolSide, database: Database) -> None:
    edge, client = await begin(side, database)
    await ready(side)
    (follower,) = side.tenants.followers._followers.values()
    assert follower.following is not None
    assert follower.following._pursuit is not None
    follower.following._pursuit.database += " after a failover"
    assert (await verdict(edge, client, "select * from item")).why == "not followed"


@beside
async def test_a_pong_goes_out_behind_what_has_lapsed_meanwhile(
    side: PoolSide, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Edges serve hits on the strength of it."""
    edge, _ = await begin(side, database)
    await ready(side)
    monkeypatch.setattr(following, "CHECK_EVERY_S", 60)
    await trio.sleep(0.3)  # longer than the pause before the next check, which is the last one
    edge.heard.clear()
    pongs: list[float] = []
    edge.stream.mux.on_pong = pongs.append
    monkeypatch.setattr(following, "FRESH_S", 0.3)
    time.sleep(following.FRESH_S + 0.1)  # noqa: ASYNC251 - the whole node stands still
    edge.stream.mux.ping(time.monotonic())
    await until(lambda: pongs)
    assert [one.answers for one in invalidated(edge)] == [True]


@beside
async def test_why_nothing_is_followed_is_known(side: PoolSide, database: Database) -> None:
    put(side, database, FOLLOWS)
    assert "catalogue is not known" in side.tenants.followers.why_not(side.tenant)
    with database.connect(database.origin.superuser) as connection:
        connection.execute(f"alter role {USER} noreplication")
    try:
        side.edge()
        await side.known()
        await until(lambda: "REPLICATION" in side.tenants.followers.all_why_not().get(NAME, ""))
    finally:
        with database.connect(database.origin.superuser) as connection:
            connection.execute(f"alter role {USER} replication")
    put(side, database, FOLLOWS)  # tried again at once
    await ready(side)
    assert side.tenants.followers.all_why_not() == {}
