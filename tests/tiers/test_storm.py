"""Storms in small: many clients at once, no connection to the database is open, and nobody fails. Nothing is timed."""

from typing import Final

import pytest
import trio

from bench.stormers import Stormers
from protos.pg.messages import query
from protos.pg.parsers import data_row_of
from tests.support.beside import PoolSide, beside, until
from tests.support.cluster import Origin
from tests.support.forwarding import Forwarder
from tests.support.stage import PARAMETERS
from tests.support.two_tiers import Driver, TwoTiers, in_thread, two_tiers

CLIENTS: Final = 64
LIMIT: Final = 5
RUSH: Final = 200


async def storm(tiers: TwoTiers, drivers: list[Driver], forwarder: Forwarder) -> list[bytes | None]:
    """Each asks while the origin is silent, so that all of them wait; then it speaks. What each was told."""
    pool, before = tiers.side.tenant.pool, forwarder.accepted
    told: list[bytes | None] = []

    async def read(driver: Driver) -> None:
        messages = await driver.until_ready()
        told.extend(data_row_of(message)[0] for message in messages if message[:1] == b"D")

    forwarder.hold()
    for number, driver in enumerate(drivers):
        await driver.send(query(b"select %d" % number))
    await until(lambda: len(pool.waiters) == len(drivers) and forwarder.accepted - before == LIMIT)
    assert pool.dialing == pool.size == LIMIT, "all are opened at once, and no more than may be"
    forwarder.release()
    async with trio.open_nursery() as nursery:
        for driver in drivers:
            nursery.start_soon(read, driver)
    await tiers.side.quiet()
    assert forwarder.accepted - before == LIMIT
    assert pool.size == LIMIT
    return told


@pytest.mark.parametrize("was_used", [False, True], ids=["never used", "connections closed"])
@beside
async def test_clients_that_ask_at_once_are_all_answered(side: PoolSide, origin: Origin, *, was_used: bool) -> None:
    forwarder = await side.forwarder(origin)
    changes = {"port": forwarder.port, "origin_connection_limit": LIMIT, "server_parameters": PARAMETERS}
    async with two_tiers(side, origin, **changes) as tiers:
        drivers = [await tiers.connect() for _ in range(CLIENTS)]
        assert side.tenant.pool.size == 0, "to connect takes no connection to the origin"
        for _ in range(2 if was_used else 1):
            for idle in side.tenant.pool.idle[:]:
                side.tenant.discard(idle, "closed before the storm")
            told = await storm(tiers, drivers, forwarder)
            assert sorted(told, key=int) == [b"%d" % number for number in range(CLIENTS)]  # type: ignore[arg-type]


@beside
async def test_clients_that_connect_and_ask_at_once_are_all_answered(
    side: PoolSide, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.stormers.QUERY", b"select 1")
    async with two_tiers(side, origin, origin_connection_limit=LIMIT, server_parameters=PARAMETERS) as tiers:
        target = tiers.listen()
        conninfo = (
            f"host={target.host} port={target.port} user={target.user} password={target.password} "
            f"dbname={target.database} sslmode=disable gssencmode=disable"
        )
        answer = await in_thread(lambda: Stormers().answer({"rush": conninfo, "count": RUSH}))
        assert (answer["failed"], answer["why"]) == (0, [])
        assert len(answer["ms"]) == RUSH  # type: ignore[arg-type]
        await side.quiet()
        assert side.tenant.pool.size <= LIMIT
