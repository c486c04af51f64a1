"""What a tenant learns of its origin: the catalogue, what connections report, and how it asks."""

from collections.abc import Callable

import pytest

from protos.pg.messages import command_complete, data_row, error_response, parameter_status, query, ready_for_query
from regional.borrowing import borrow
from regional.exchange import Exchange
from regional.knowledge import CATALOG_AGE_S, CATALOG_GRACE_S
from regional.origin import Origin
from regional.residue import Residue
from tests.regional.test_tenants import frames
from tests.support.beside import PoolSide, beside, turns, until
from tests.support.cluster import Origin as Server
from tests.support.scripted import LOGIN

IDLE = ord("I")


def ask(sql: bytes) -> Callable[[Origin, Callable[[Exchange], None]], None]:
    return lambda origin, done: origin.run(sql, done)


# --- the catalogue ---


@beside
async def test_the_catalogue_is_read_when_a_connection_is_there_and_again_when_it_is_old(
    side: PoolSide, origin: Server
) -> None:
    side.serve(origin)
    await borrow(side.tenant, ask(b"select 1"))
    judge = side.tenant.knowledge.judge
    await until(lambda: judge.catalog is not None)
    await side.quiet()
    first, generation, leases = judge.catalog, judge.generation, side.tenant.pool.total_leases
    side.tick(CATALOG_AGE_S - 1)
    await turns()
    assert side.tenant.pool.total_leases == leases
    side.tick(CATALOG_AGE_S + 1)
    await until(lambda: side.tenant.pool.total_leases > leases)
    await side.quiet()
    assert (judge.catalog, judge.generation) == (first, generation), "it says the same, so what is remembered stays"
    with origin.connect() as connection:
        connection.execute("create table noticed (a int)")
    side.tick(2 * CATALOG_AGE_S + 1)
    await until(lambda: judge.catalog is not first)
    with origin.connect() as connection:
        connection.execute("drop table noticed")


@beside
async def test_a_catalogue_that_cannot_be_read_again_proves_nothing_in_the_end(side: PoolSide, origin: Server) -> None:
    edge = side.serve(origin)
    await side.known()
    judge = side.tenant.knowledge.judge
    side.tenant.retire(lambda origin: True)  # as after hours without a client
    assert not side.tenant.pool.size
    side.tick(CATALOG_AGE_S + CATALOG_GRACE_S - 1)
    assert judge.catalog is not None
    side.tick(CATALOG_AGE_S + CATALOG_GRACE_S + 1)
    assert judge.catalog is None
    await edge.client().ask(query(b"select 1"))
    await side.quiet()
    side.tick(CATALOG_AGE_S + CATALOG_GRACE_S + 1)
    await until(lambda: judge.catalog is not None)


@beside
async def test_nor_does_one_whose_reading_fails_each_time(
    side: PoolSide, origin: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    side.serve(origin)
    await side.known()
    knowledge, leases = side.tenant.knowledge, side.tenant.pool.total_leases
    monkeypatch.setattr("regional.knowledge.CATALOG_SNAPSHOT", "set local statement_timeout = 1; select pg_sleep(9)")
    side.tick(CATALOG_AGE_S + 1)
    await until(lambda: side.tenant.pool.total_leases > leases)
    await side.quiet()
    assert knowledge.judge.catalog is not None
    knowledge._due += CATALOG_AGE_S  # when it is tried again
    side.tick(CATALOG_AGE_S + CATALOG_GRACE_S + 1)
    assert knowledge.judge.catalog is None


@beside
async def test_answers_go_with_a_catalogue_that_is_not_read_again(side: PoolSide, origin: Server) -> None:
    """All is answered at the edges, so no connection is left; and DDL goes another way."""
    edge = side.serve(origin)
    await side.known()
    side.tenant.retire(lambda origin: True)
    edge.heard.clear()

    def dropped() -> list[bool]:
        return [frame.invalidate.answers for frame in edge.heard if frame.HasField("invalidate")]

    side.tick(CATALOG_AGE_S + CATALOG_GRACE_S / 2)
    await turns()
    assert dropped() == []
    side.tick(CATALOG_AGE_S + CATALOG_GRACE_S + 1)
    side.tick(CATALOG_AGE_S + CATALOG_GRACE_S + 2)
    await until(dropped)
    assert dropped() == [True], "once"


@beside
async def test_ddl_makes_the_catalogue_worthless_until_it_is_read_again(side: PoolSide, origin: Server) -> None:
    edge = side.serve(origin)
    await side.known()
    sql = b"select a from judged"
    await edge.client().ask(query(b"drop table if exists judged; create table judged (a int)"))
    await side.quiet()
    assert side.tenant.judge(sql), "a new table that nobody has read of"
    side.tick()
    await until(lambda: side.tenant.judge(sql) == Residue.CLEAN)


@beside
async def test_ddl_seen_while_the_catalogue_is_read_spoils_what_is_read(side: PoolSide, origin: Server) -> None:
    side.serve(origin)
    await side.alone()
    judge = side.tenant.knowledge.judge
    side.tick(CATALOG_AGE_S + 1)
    await until(lambda: side.tenant.pool.leased)
    side.tenant.knowledge.drop_catalog()
    await side.quiet()
    assert judge.catalog is None
    side.tick()
    await until(lambda: judge.catalog is not None)


@pytest.mark.parametrize(
    "answer",
    [
        data_row([b"nonsense"]) + command_complete("SELECT 1"),
        error_response({"S": "ERROR", "V": "ERROR", "C": "42501", "M": "permission denied"}),
    ],
    ids=["nonsense", "error"],
)
@beside
async def test_a_catalogue_that_cannot_be_read_leaves_everything_unproven(
    side: PoolSide, origin: Server, answer: bytes
) -> None:
    scripted = await side.scripted()
    edge = side.serve(origin, port=scripted.port)
    scripted.script = lambda piece: answer + ready_for_query(IDLE) if b"pg_proc" in piece.data else None
    await borrow(side.tenant, ask(b"select 1"))
    await until(lambda: any(b"pg_proc" in piece.data for piece in scripted.seen))
    await side.quiet()
    assert side.tenant.knowledge.judge.catalog is None
    assert side.tenant.judge(b"select a from t")
    assert (await edge.client().ask(query(b"select 1"))).value == b"1"


# --- what connections report (rules 6) ---


@beside
async def test_a_connection_that_reports_something_else_retires_the_older_ones(side: PoolSide, origin: Server) -> None:
    scripted = await side.scripted()
    edge = side.serve(origin, port=scripted.port)
    busy = edge.client()
    await borrow(side.tenant, ask(b"select 1"))
    await side.quiet()
    for idle in side.tenant.pool.idle[1:]:
        side.tenant.discard(idle, "so that one is opened")
    await busy.ask(query(b"begin"))
    scripted.login = LOGIN + parameter_status("TimeZone", "Europe/Rome")
    older = list(side.tenant.pool.all())
    told = len(frames(edge, "invalidate"))
    other = edge.client()
    other.send(query(b"begin"))
    await until(lambda: other.is_in_transaction)
    assert side.tenant.knowledge.parameters["TimeZone"] == "Europe/Rome"
    await until(lambda: len(frames(edge, "invalidate")) > told)
    await busy.ask(query(b"commit"))
    await until(lambda: all(one.connection.is_closed for one in older))


@pytest.mark.parametrize("name", ["application_name", "session_authorization", "is_superuser", "in_hot_standby"])
@beside
async def test_what_only_concerns_one_connection_retires_nothing(side: PoolSide, origin: Server, name: str) -> None:
    scripted = await side.scripted()
    side.serve(origin, port=scripted.port)
    await borrow(side.tenant, ask(b"select 1"))
    await side.quiet()
    before = side.tenant.pool.size
    scripted.login = LOGIN + parameter_status(name, "another")
    side.tenant.pool.dialing += 1
    await side.tenant.opener._dial()
    assert side.tenant.pool.size == before + 1


@beside
async def test_a_server_that_reads_its_configuration_anew_is_heard(side: PoolSide, origin: Server) -> None:
    scripted = await side.scripted()
    edge = side.serve(origin, port=scripted.port)
    await borrow(side.tenant, ask(b"select 1"))
    await side.quiet()
    scripted.connections[0].write(parameter_status("TimeZone", "Europe/Rome"))
    await until(lambda: side.tenant.knowledge.parameters.get("TimeZone") == "Europe/Rome")
    await until(lambda: frames(edge, "invalidate"))
