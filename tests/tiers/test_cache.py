"""The cache through both tiers and over a real PostgreSQL: what is not kept passes, and what is gone is gone."""

import time
from typing import Final

import msgspec
import psycopg
import pytest
import trio

from edge.cache.answers import Answers
from edge.cache.collecting import MAX_ANSWER_BYTES, SLICE_BYTES
from edge.cache.unsent import MIN_BYTES
from protos.pg.messages import query
from regional.configuration import Caching
from tests.support.beside import NAME, PoolSide, beside, until
from tests.support.cluster import Origin
from tests.support.two_tiers import Driver, TwoTiers, in_thread, two_tiers

CACHES: Final = Caching()
ROW_BYTES: Final = 1_000_000


@pytest.fixture
def lines(origin: Origin) -> Origin:
    """A database with a table of 60 short rows."""
    with origin.connect(origin.database) as connection:
        connection.execute("drop table if exists lines; create table lines (n int primary key)")
        connection.execute("insert into lines select generate_series(1, 60)")
        connection.execute("grant all on lines to public")
    return origin


def read(rows: int, size: int = ROW_BYTES) -> bytes:
    """Its answer has so many rows, each of so many bytes."""
    return query(b"select repeat('x', %d) from lines where n <= %d" % (size, rows))


def answers_of(tiers: TwoTiers) -> Answers:
    entry = tiers.edge.directory.get(NAME)
    assert entry is not None
    return entry.answers


async def caches(tiers: TwoTiers) -> Answers:
    """Wait until what is asked may be kept, and is served."""
    driver, tenant = await tiers.connect(), tiers.side.tenant
    await driver.ask(query(b"select 1"))

    def is_known() -> bool:
        tiers.side.tick()
        return tenant.knowledge.judge.catalog is not None and tenant.publishing.in_doubt is not None

    await until(is_known)
    answers = answers_of(tiers)
    await until(lambda: answers.clock() < answers.vouched_until)
    return answers


async def length(driver: Driver, request: bytes) -> int:
    """How many bytes of rows come."""
    return sum(len(message) for message in await driver.ask(request) if message[:1] == b"D")


@beside
async def test_an_answer_beyond_the_bound_passes_and_is_not_kept(side: PoolSide, lines: Origin) -> None:
    async with two_tiers(side, lines, caching=CACHES) as tiers:
        answers, driver = await caches(tiers), await tiers.connect()
        size = await length(driver, read(51))
        assert size > MAX_ANSWER_BYTES
        assert (answers.misses, len(answers), answers.store.collecting_bytes) == (1, 0, 0)
        for _ in range(2):
            assert await length(driver, read(3)) > 3 * ROW_BYTES
        assert (answers.hits, len(answers)) == (1, 1)


@beside
async def test_what_there_is_no_room_to_collect_passes_and_is_not_kept(side: PoolSide, lines: Origin) -> None:
    """Answers on their way have a quarter of the room (rules 25): the second fits, but not beside the first."""
    async with two_tiers(side, lines, cache_bytes=8 << 20, caching=CACHES) as tiers:
        answers = await caches(tiers)
        first, second = await tiers.connect(), await tiers.connect()
        await first.send(read(3, 600_000))  # and takes nothing of it
        await until(lambda: answers.store.collecting_bytes > 200_000)
        assert await length(second, read(10, 200_000)) > 2_000_000
        assert (answers.misses, len(answers)) == (2, 0)
        await first.until_ready()
        assert (answers.store.collecting_bytes, len(answers)) == (0, 1)
        for _ in range(2):
            assert await length(second, read(10, 200_000)) > 2_000_000
        assert (answers.hits, len(answers)) == (1, 2), "there is room again"


@beside
async def test_a_drain_lets_out_what_is_being_taken(side: PoolSide, lines: Origin) -> None:
    async with two_tiers(side, lines, caching=CACHES) as tiers:
        answers = await caches(tiers)
        reader, plain = await tiers.connect(), await tiers.connect()
        whole = await length(reader, read(4))
        await reader.send(read(4))
        await until(lambda: answers.hits == 1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tiers.edge.drain, 20.0)
            assert [message[:1] for message in await plain.until_closed()] == [b"E"]
            for _ in range(8):
                assert await reader._receive()
                await trio.sleep(0.02)
            assert nursery.child_tasks, "the drain waits for it"
            received = await reader.until_closed()
        assert sum(len(message) for message in received if message[:1] == b"D") == whole
        assert [message[:1] for message in received[-2:]] == [b"Z", b"E"]
        assert b"57P01" in received[-1]


@beside
async def test_a_drain_waits_no_longer_than_it_may_for_who_takes_nothing(side: PoolSide, lines: Origin) -> None:
    async with two_tiers(side, lines, caching=CACHES) as tiers:
        answers = await caches(tiers)
        stuck = await tiers.connect()
        await length(stuck, read(4))
        await stuck.send(read(4))
        await until(lambda: answers.hits == 1)
        began = trio.current_time()
        await tiers.edge.drain(0.3)
        assert 0.3 <= trio.current_time() - began < 2
        assert not tiers.edge.clients


@beside
async def test_a_configuration_that_is_deleted_takes_its_answers_along(side: PoolSide, lines: Origin) -> None:
    async with two_tiers(side, lines, caching=CACHES) as tiers:
        answers, target = await caches(tiers), tiers.listen()
        driver = await tiers.connect()
        for _ in range(2):
            await length(driver, read(60, 1000))
        assert (len(answers), answers.hits) == (1, 1)
        made = side.tenant.configuration
        side.tenants.withdraw(NAME, made.version + 1)
        await until(lambda: tiers.edge.directory.get(NAME) is None)
        assert (len(answers), answers.is_on) == (0, False)
        tiers.edge.tick(time.monotonic())
        assert answers.store.bytes == 0
        (error,) = [message for message in await driver.until_closed() if message[:1] == b"E"]
        assert b"57P01" in error
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            await in_thread(lambda: psycopg.connect(target.conninfo))
        side.put(msgspec.structs.replace(made, version=made.version + 2))
        await until(lambda: tiers.edge.directory.get(NAME) is not None)
        again = await caches(tiers)
        assert again is not answers
        other = await tiers.connect()
        await length(other, read(60, 1000))
        assert (again.misses, again.hits) == (1, 0)


@beside
async def test_a_driver_that_takes_nothing_does_not_keep_others_from_a_long_answer(
    side: PoolSide, lines: Origin
) -> None:
    async with two_tiers(side, lines, caching=CACHES) as tiers:
        answers, target = await caches(tiers), tiers.listen()
        request = read(12)
        slow = await tiers.connect()
        await length(slow, request)
        await slow.send(request)
        unsent = answers.store.unsent
        await until(lambda: unsent.bytes > 12 * ROW_BYTES)
        assert unsent.bytes < 12 * ROW_BYTES + 2 * SLICE_BYTES + MIN_BYTES

        def rows() -> list[int]:
            with psycopg.connect(target.conninfo, autocommit=True) as connection:
                return [len(value) for (value,) in connection.execute(request[5:-1])]

        assert await in_thread(rows) == [ROW_BYTES] * 12
        assert (answers.misses, len(answers)) == (1, 1)
        assert answers.hits >= 1
        assert sum(len(message) for message in await slow.until_ready() if message[:1] == b"D") > 12 * ROW_BYTES
        await until(lambda: not unsent.bytes)
