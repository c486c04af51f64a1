"""Messages reach the origin in the order in which they came, whatever some of them wait for."""

import pytest

from protos.pg.messages import bind, execute, flush, parse, query, sync
from protos.pg.tags import Frontend
from tests.support.beside import PoolSide, active, beside
from tests.support.cluster import Origin
from tests.support.told import Told

SQL = b"select 'told', $1::text"


@pytest.mark.parametrize("size", [1, 7, 1_000, 1_000_000])
@beside
async def test_what_comes_in_any_chunks_is_answered_in_order(side: PoolSide, origin: Origin, size: int) -> None:
    edge = side.serve(origin)
    await side.known()
    client = Told(edge)
    await client.learn(b"s", SQL)
    for connected in list(side.tenant.pool.idle):
        side.tenant.discard(connected, "the test wants another")
    data = b"".join(
        query(b"select 'q', '%d'" % number) + bind(b"", b"s", [b"%d" % number]) + execute() + flush() + sync()
        + parse(b"", b"select 'u', $1") + bind(b"", b"", [b"%d" % number]) + execute() + sync()
        for number in range(20)
    )  # fmt: skip
    for start in range(0, len(data), size):
        client.send(data[start : start + size])
    rows = (await client.answer()).rows
    assert rows == [[kind, b"%d" % number] for number in range(20) for kind in (b"q", b"told", b"u")]


@beside
async def test_what_waits_is_bounded_by_credit(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.known()
    client = Told(edge)
    with origin.connect(origin.database) as direct:
        direct.execute("drop table if exists passed; create table passed (a int); grant all on passed to public")
        await client.learn(b"s", b"select $1::text, count(*) from passed", [25])
        for connected in list(side.tenant.pool.idle):
            side.tenant.discard(connected, "the test wants another")
        direct.execute("begin; lock table passed")
        client.send(bind(b"", b"s", [b"x"]), execute(), sync())
        await active(origin, "count(*) from passed")
        for _ in range(40):
            client.send(bind(b"", b"s", [b"x" * 100_000]), execute(), sync())
        (connected,) = side.tenant.pool.leased
        await side.settled()
        held = connected.scrutiny.verifying._held
        assert sum(piece.tag == Frontend.BIND for piece in held) < 10
        direct.execute("rollback")
        assert (await client.answer()).tags == "2DCZ" * 41
