"""DDL through one pool node of a group, and what its edges serve of what the other one judges."""

from protos.pg.messages import query
from protos.pg.parsers import data_row_of
from tests.regional.cache.conftest import Oids, shop
from tests.regional.cache.test_publishing import told
from tests.support.beside import PoolSide, beside, until
from tests.support.cluster import Origin
from tests.support.group import Group, grouped
from tests.support.two_tiers import Driver

__all__ = ["shop"]  # a fixture

TRIGGER = b"create trigger later after insert on shop.prices for each row execute function shop.write_log()"
LOG = b"select count(*) from shop.log"


async def count(driver: Driver, sql: bytes = LOG) -> int:
    (row,) = [message for message in await driver.ask(query(sql)) if message[:1] == b"D"]
    return int(data_row_of(row)[0] or b"")


async def is_hit(group: Group, driver: Driver, expected: int, sql: bytes = LOG) -> bool:
    before = group.answers.hits
    assert await count(driver, sql) == expected
    return group.answers.hits > before


@beside
async def test_a_new_trigger_counts_for_writes_through_the_other_pool_node(
    side: PoolSide, origin: Origin, shop: Oids
) -> None:
    async with grouped(side, origin) as group:
        _, link = group.links
        reader, writer = await group.connect(), link.side.edges[0].client()
        await is_hit(group, reader, 0)
        assert await is_hit(group, reader, 0)
        link.to_pool.passes.clear()
        await reader.ask(query(TRIGGER))
        assert not await is_hit(group, reader, 0)
        link.side.edges[0].heard.clear()
        await writer.ask(query(b"insert into shop.prices values (70, 1)"))
        assert told(link.side.edges[0]) == [str(shop["prices"]), "Z"], "it has not heard of the trigger"
        assert not await is_hit(group, reader, 1), "so nothing is served"
        await writer.ask(query(b"insert into shop.prices values (71, 1)"))
        assert not await is_hit(group, reader, 2)
        link.to_pool.passes.set()
        await until(lambda: group.is_vouched_for)
        await writer.ask(query(b"insert into shop.prices values (72, 1)"))
        assert told(link.side.edges[0])[-2:] == ["all", "Z"]
        for link in group.links:
            await link.side.cached()
        assert not await is_hit(group, reader, 3)
        assert await is_hit(group, reader, 3), "and all is as before"
        await writer.ask(query(b"insert into shop.prices values (73, 1)"))
        await until(lambda: told(link.side.edges[0])[-2].count(" ") == 1)
        assert not await is_hit(group, reader, 4)


@beside
async def test_a_view_that_reads_another_table_is_not_kept_by_its_old_meaning(
    side: PoolSide, origin: Origin, shop: Oids
) -> None:
    with origin.connect() as connection:
        connection.execute("create view shop.total as select count(*) as count from shop.orders")
        connection.execute("grant select on shop.total to public; alter view shop.total owner to by_scram")
    view = b"select count from shop.total"
    async with grouped(side, origin) as group:
        _, link = group.links
        reader = await group.connect()
        await is_hit(group, reader, 2, view)
        assert await is_hit(group, reader, 2, view)
        other = link.side.edges[0].client()
        await other.ask(query(b"create or replace view shop.total as select count(*) as count from shop.log"))
        await until(lambda: not group.answers.kept)
        for each in (*group.links, *group.links):  # what the one reads that has run it, the other one reads again
            await until(lambda: group.is_vouched_for)
            await each.side.cached()
        await is_hit(group, reader, 0, view)
        assert await is_hit(group, reader, 0, view)
        await other.ask(query(b"insert into shop.log values (1)"))
        answers = group.answers
        await until(lambda: not any(answers.is_good(one.number, one.tables) for one in answers.kept.values()))
        assert not await is_hit(group, reader, 1, view)
