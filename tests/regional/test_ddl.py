"""DDL that one pool node has seen, and what the others of its group do when an edge tells them (rules 22)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from protos.link.ddl import RECENT_S
from protos.link.link_pb2 import Ddl, Frame
from protos.pg.messages import query
from regional.configuration import OriginSecret
from regional.knowledge import CATALOG_AGE_S, CATALOG_GRACE_S
from tests.regional.cache.conftest import Oids, shop
from tests.regional.cache.test_publishing import told
from tests.support.beside import NAME, Edge, PoolSide, beside, configuration_for, until
from tests.support.cluster import DATABASE, PASSWORD, Origin

__all__ = ["shop"]  # a fixture

TRIGGER = b"create trigger later after insert on shop.prices for each row execute function shop.write_log()"


def said(edge: Edge) -> list[Ddl]:
    return [frame.ddl for frame in edge.heard if frame.HasField("ddl")]


def tell(edge: Edge, ddl: Ddl) -> None:
    """The edge passes it on."""
    edge.stream.mux.send_control(Frame(ddl=ddl))


def ddl(number: int = 1, *names: str) -> Ddl:
    return Ddl(configurations=names or [NAME], node="another", number=number)


async def linked(*edges: Edge) -> None:
    for edge in edges:
        await until(lambda: any(frame.HasField("configuration") for frame in edge.heard))  # noqa: B023 - asked at once
        edge.heard.clear()


async def ready(side: PoolSide, origin: Origin) -> Edge:
    edge = side.serve(origin)
    await side.cached()
    edge.heard.clear()
    return edge


@asynccontextmanager
async def another(side: PoolSide) -> AsyncIterator[PoolSide]:
    """A second pool node."""
    other = PoolSide(side.pump, side.nursery)
    try:
        yield other
    finally:
        other.end()


def test_what_is_not_told_any_more_is_in_every_catalogue() -> None:
    assert RECENT_S > CATALOG_AGE_S + CATALOG_GRACE_S + 1


@beside
async def test_ddl_is_told_before_its_client_hears_that_it_is_done(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge = await ready(side, origin)
    client = edge.client()
    heard: list[int] = []
    client.on_settled = lambda: heard.append(len(said(edge)))
    await client.ask(query(b"begin"))
    await client.ask(query(TRIGGER))
    await client.ask(query(b"commit"))
    assert heard == [0, 0, 1]
    (one,) = said(edge)
    assert (list(one.configurations), one.number) == ([NAME], 1)
    await client.ask(query(b"create table shop.fresh (id int)"))
    assert [(each.node, each.number) for each in said(edge)] == [(one.node, 1), (one.node, 2)]


@beside
async def test_a_pool_node_that_is_told_says_so_to_all_edges(side: PoolSide, origin: Origin) -> None:
    edge, other = side.serve(origin), side.edge()
    await linked(edge, other)
    tell(edge, ddl())
    await until(lambda: said(edge) and said(other))
    for each in (edge, other):
        assert said(each) == [ddl()]
        assert told(each) == ["meaning"]
    tell(other, ddl())
    await until(lambda: len(said(other)) == 2)
    assert len(said(edge)) == 1
    assert told(other) == ["meaning"], "it has heard of that"


@beside
async def test_a_write_after_ddl_through_another_pool_node_is_judged_with_it(
    side: PoolSide, origin: Origin, shop: Oids
) -> None:
    edge = await ready(side, origin)
    async with another(side) as other:
        there = await ready(other, origin)
        await there.client().ask(query(TRIGGER))
        client = edge.client()
        await client.ask(query(b"begin"))
        await client.ask(query(b"insert into shop.prices values (70, 1)"))
        tell(edge, said(there)[0])
        await until(lambda: said(edge))
        assert (side.tenant.knowledge.judge.catalog, side.tenant.knowledge.cache.reach) == (None, None)
        edge.heard.clear()
        await client.ask(query(b"commit"))
        assert told(edge) == ["all", "Z"], "what was judged by the older catalogue is everything"
        await client.ask(query(b"insert into shop.prices values (71, 1)"))
        assert told(edge)[-2:] == ["all", "Z"], "nothing is known yet"
        await side.cached()
        edge.heard.clear()
        await client.ask(query(b"insert into shop.prices values (72, 1)"))
        assert told(edge) == [" ".join(map(str, sorted((shop["log"], shop["prices"])))), "Z"]


@beside
async def test_ddl_that_a_catalogue_shows_is_told_too(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge = await ready(side, origin)
    with origin.connect() as connection:
        connection.execute(TRIGGER)
    side.tick(CATALOG_AGE_S + 1)
    await until(lambda: said(edge))
    async with another(side) as other:
        there = await ready(other, origin)
        tell(there, said(edge)[0])
        await until(lambda: said(there))
        await other.cached()
        assert len(said(there)) == 1, "what it reads then is no news"


@beside
async def test_ddl_past_us_is_told_also_where_our_own_comes_before_it(
    side: PoolSide, origin: Origin, shop: Oids
) -> None:
    """The other one has read between the two; it would be up to 30 seconds until it does so again."""
    edge = await ready(side, origin)
    async with another(side) as other:
        there = await ready(other, origin)
        client = there.client()
        await client.ask(query(b"create table shop.fresh (id int)"))
        tell(edge, said(there)[0])
        await until(lambda: said(edge))
        await side.cached()
        with origin.connect() as connection:
            connection.execute(TRIGGER)
        assert len(said(there)) == 1
        await other.cached()
        await until(lambda: len(said(there)) == 2)
        tell(edge, said(there)[1])
        await until(lambda: len(said(edge)) == 2)
        assert side.tenant.knowledge.cache.reach is None
        await side.cached()
        await other.cached()
        assert (len(said(edge)), len(said(there))) == (2, 2), "that is all"


@beside
async def test_our_own_ddl_is_news_also_where_others_have_run_some_meanwhile(
    side: PoolSide, origin: Origin, shop: Oids
) -> None:
    edge = await ready(side, origin)
    await edge.client().ask(query(TRIGGER))
    tell(edge, ddl())
    await until(lambda: len(said(edge)) == 2)
    await side.cached()
    await until(lambda: len(said(edge)) == 3)
    assert said(edge)[2].number == said(edge)[0].number + 1


@beside
async def test_configurations_with_one_database_go_together(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    for name, database in (("beside", DATABASE), ("elsewhere", "another")):
        where = msgspec.structs.replace(configuration_for(origin).origin, database=database)
        made = msgspec.structs.replace(configuration_for(origin), name=name, origin=where)
        side.tenants.put(made, OriginSecret(password=PASSWORD))
    await linked(edge)
    side.tenant.knowledge.ddl_seen()
    await until(lambda: said(edge))
    assert list(said(edge)[0].configurations) == [NAME, "beside"]
    edge.heard.clear()
    tell(edge, ddl(1, "beside"))
    await until(lambda: said(edge))
    assert told(edge) == told(edge, name="beside") == ["meaning"]
    assert told(edge, name="elsewhere") == []


@beside
async def test_what_concerns_nobody_here_is_answered(side: PoolSide, origin: Origin) -> None:
    edge, other = side.serve(origin), side.edge()
    await linked(edge, other)
    tell(edge, ddl(1, "elsewhere"))
    await until(lambda: said(edge))
    side.tenant.knowledge.ddl_seen()
    await until(lambda: len(said(edge)) == 2)
    own = said(edge)[1]
    tell(edge, own)
    await until(lambda: len(said(edge)) == 3)
    assert said(edge) == [ddl(1, "elsewhere"), own, own]
    assert told(edge) == ["meaning"]
    assert said(other) == [own]


@beside
async def test_a_link_that_is_new_hears_of_what_was_lately(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await linked(edge)
    side.tenant.knowledge.ddl_seen()
    tell(edge, ddl())
    await until(lambda: len(said(edge)) == 2)
    late = side.edge()
    await until(lambda: len(said(late)) == 2)
    assert {one.node for one in said(late)} == {one.node for one in said(edge)}
    kinds = [frame.WhichOneof("control") for frame in late.heard]
    assert kinds.index("configuration") < kinds.index("ddl")


@beside
async def test_what_a_pool_node_that_is_gone_may_have_done_is_not_known(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await linked(edge)
    moment = side.tenant.knowledge.meaning.now
    side.tenants.others_missed()
    await until(lambda: told(edge))
    assert told(edge) == ["meaning"]
    assert side.tenant.knowledge.meaning.now > moment
    assert not said(edge), "each pool node finds that out by itself"
