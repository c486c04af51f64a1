"""What the origin makes of startup parameters, asked once for everybody (rules 6)."""

import pytest

from protos.link.link_pb2 import Resolved
from protos.pg.messages import query
from protos.pg.parsers import error_fields
from regional import resolving
from tests.support.beside import PoolSide, beside, configuration_for
from tests.support.cluster import Origin


def reported(resolved: Resolved) -> list[dict[bytes, bytes]]:
    return [{pair.name: pair.value for pair in one.reported} for one in resolved.resolutions]


@beside
async def test_the_origin_canonicalises(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    resolved = await edge.resolve(datestyle="german", timezone="utc", application_name="mine", work_mem="1MB")
    assert resolved.error == b""
    assert reported(resolved) == [
        {b"DateStyle": b"German, DMY"}, {b"TimeZone": b"UTC"}, {b"application_name": b"mine"}, {},
    ]  # fmt: skip
    assert {pair.name for pair in resolved.parameters} >= {b"server_version", b"TimeZone"}


@beside
async def test_the_origin_refuses(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    resolved = await edge.resolve(timezone="Nowhere/At_all", work_mem="1MB", nonsense="1", role="superhero")
    codes = [error_fields(one.refusal)["C"] if one.refusal else "" for one in resolved.resolutions]
    assert codes == ["22023", "", "42704", "22023"]


@beside
async def test_asking_leaves_nothing(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    await edge.resolve(work_mem="77kB", role="by_md5", timezone="Nowhere/At_all")
    await side.quiet()
    client = edge.client()
    assert side.tenant.pool.size == 1
    assert (await client.ask(query(b"select current_setting('work_mem')"))).value != b"77kB"
    assert (await client.ask(query(b"select current_user"))).value == b"by_scram"


@beside
async def test_an_answer_is_remembered(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    first = await edge.resolve(datestyle="german")
    leases = side.tenant.pool.total_leases
    assert (await side.edge().resolve(datestyle="german")).resolutions == first.resolutions
    assert side.tenant.pool.total_leases == leases
    await edge.resolve(datestyle="iso")
    assert side.tenant.pool.total_leases == leases + 1


@beside
async def test_the_memory_is_bounded(side: PoolSide, origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "MAX_KNOWN", 3)
    edge = side.serve(origin)
    for number in range(5):
        await edge.resolve(application_name=f"a{number}")
    assert len(side.tenants._resolvers["app"].known) == 3


@pytest.mark.parametrize("value", ["\udce9\udcff", "né", "", "'; drop table x; --", "\\", "a\nb", "x" * 9000])
@beside
async def test_any_bytes_may_be_asked_about(side: PoolSide, origin: Origin, value: str) -> None:
    edge = side.serve(origin)
    resolved = await edge.resolve(application_name=value)
    assert resolved.error == b""
    assert len(resolved.resolutions) == 1
    resolved = await edge.resolve(**{"my.thing": value, "na'me": value})
    assert len(resolved.resolutions) == 2


@beside
async def test_without_a_question_the_base_is_learnt(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    assert not side.tenant.knowledge.parameters
    resolved = await edge.resolve()
    assert b"server_version" in {pair.name for pair in resolved.parameters}


@beside
async def test_an_origin_that_cannot_be_asked_is_an_error_of_the_whole(side: PoolSide, origin: Origin) -> None:
    side.put(configuration_for(origin), "wrong")
    edge = side.edge()
    resolved = await edge.resolve(datestyle="german")
    assert error_fields(resolved.error)["C"] == "08006"
    assert error_fields(resolved.error)["S"] == "FATAL"
    resolved = await edge.resolve("nobody", datestyle="german")
    assert error_fields(resolved.error)["S"] == "FATAL"
