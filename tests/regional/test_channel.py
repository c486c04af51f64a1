"""A session at the pool node, against a real PostgreSQL: what of it runs, and what is left when its client goes.

Rules 1 to 3: what was sent before Terminate runs as PostgreSQL would run it; a client that is lost is cancelled and
rolled back; either way the connection is given back clean, or closed.
"""

import pytest

from protos.link.link_pb2 import Reason
from protos.pg.messages import bind, copy_data, copy_done, execute, flush, parse, query, sync
from regional.departure import CLEAN_UP_S
from tests.support.beside import Client, PoolSide, active, beside, turns, until
from tests.support.cluster import Origin

BOTH = pytest.mark.parametrize("reason", [Reason.TERMINATED, Reason.LOST], ids=["terminated", "lost"])


def make_table(origin: Origin, name: str) -> None:
    with origin.connect(origin.database) as connection:
        connection.execute("set lock_timeout = 5000")
        connection.execute(f"drop table if exists {name}; create table {name} (a int); grant all on {name} to public")


def rows_of(origin: Origin, name: str) -> list[int]:
    with origin.connect(origin.database) as connection:
        return [row[0] for row in connection.execute(f"select a from {name} order by a").fetchall()]


async def process_id(client: Client) -> bytes | None:
    return (await client.ask(query(b"select pg_backend_pid()"))).value


async def begun(side: PoolSide, origin: Origin, **changes: object) -> tuple[Client, Client, bytes | None]:
    """Two sessions of one edge, and the process of the one connection that there is."""
    edge = side.serve(origin, **changes)
    one, other = edge.client(), edge.client()
    await side.alone()
    return one, other, await process_id(one)


# --- Terminate ---


@beside
async def test_a_query_before_terminate_commits(side: PoolSide, origin: Origin) -> None:
    make_table(origin, "left_behind")
    one, other, served_by = await begun(side, origin)
    one.send(query(b"insert into left_behind select 1 from pg_sleep(0.1)"))
    one.leave(Reason.TERMINATED)
    await side.quiet()
    assert rows_of(origin, "left_behind") == [1]
    assert await process_id(other) == served_by
    assert not side.tenant.channels.keys() - {(other.process_id, other.secret)}


@beside
async def test_a_query_that_waits_for_a_connection_runs_after_its_client_has_terminated(
    side: PoolSide, origin: Origin
) -> None:
    make_table(origin, "left_behind")
    edge = side.serve(origin, origin_connection_limit=5)
    holders = [edge.client() for _ in range(5)]
    for holder in holders:
        await holder.ask(query(b"begin"))
    late = edge.client()
    late.send(query(b"insert into left_behind select 1 from pg_sleep(0.1)"))
    late.leave(Reason.TERMINATED)
    await turns()
    assert rows_of(origin, "left_behind") == []
    await holders[0].ask(query(b"commit"))
    await until(lambda: (late.process_id, late.secret) not in side.tenant.channels)
    assert rows_of(origin, "left_behind") == [1]


@beside
async def test_a_long_query_before_terminate_is_not_cut_short(side: PoolSide, origin: Origin) -> None:
    make_table(origin, "left_behind")
    one, other, served_by = await begun(side, origin)
    one.send(query(b"insert into left_behind select 1 from pg_sleep(0.3)"))
    one.leave(Reason.TERMINATED)
    await turns()
    side.tick(CLEAN_UP_S + 1)
    await side.quiet()
    assert rows_of(origin, "left_behind") == [1]
    assert await process_id(other) == served_by


@beside
async def test_a_query_over_its_limit_is_cancelled_also_after_terminate(side: PoolSide, origin: Origin) -> None:
    one, other, served_by = await begun(side, origin, query_timeout_s=1)
    one.send(query(b"select pg_sleep(60)"))
    one.leave(Reason.TERMINATED)
    await active(origin, "pg_sleep(60)")
    side.tick(2)
    await side.quiet()
    assert await process_id(other) == served_by


@BOTH
@beside
async def test_an_execute_without_its_sync_does_not_commit(side: PoolSide, origin: Origin, reason: Reason) -> None:
    make_table(origin, "left_behind")
    one, other, served_by = await begun(side, origin)
    one.send(parse(b"", b"insert into left_behind values (1)"), bind(b"", b""), execute(), flush())
    await one.more("C")
    one.leave(reason)
    await side.quiet()
    assert await process_id(other) != served_by
    assert rows_of(origin, "left_behind") == []
    assert (await other.ask(query(b"select count(*) from left_behind"))).value == b"0"


@BOTH
@beside
async def test_an_open_transaction_is_rolled_back_and_its_connection_kept(
    side: PoolSide, origin: Origin, reason: Reason
) -> None:
    make_table(origin, "left_behind")
    one, other, served_by = await begun(side, origin)
    await one.ask(query(b"begin"))
    await one.ask(query(b"insert into left_behind values (1)"))
    one.leave(reason)
    await side.quiet()
    assert await process_id(other) == served_by
    assert rows_of(origin, "left_behind") == []
    assert side.tenant.pool.size == 1


@BOTH
@beside
async def test_a_failed_transaction_is_rolled_back_and_its_connection_kept(
    side: PoolSide, origin: Origin, reason: Reason
) -> None:
    one, other, served_by = await begun(side, origin)
    await one.ask(query(b"begin"))
    assert (await one.ask(query(b"select 1/0"))).code == "22012"
    one.leave(reason)
    await side.quiet()
    assert await process_id(other) == served_by


@BOTH
@beside
async def test_whoever_leaves_with_nothing_open_costs_nothing(side: PoolSide, origin: Origin, reason: Reason) -> None:
    one, other, served_by = await begun(side, origin)
    one.leave(reason)
    await turns()
    assert not side.tenant.channels
    assert await process_id(other) == served_by


# --- lost in the middle ---


@beside
async def test_a_client_lost_in_a_running_statement_is_cancelled_and_rolled_back(
    side: PoolSide, origin: Origin
) -> None:
    make_table(origin, "left_behind")
    one, other, served_by = await begun(side, origin)
    one.send(query(b"begin; insert into left_behind values (1); select pg_sleep(61)"))
    await active(origin, "pg_sleep(61)")
    one.leave()
    await side.quiet()
    await active(origin, "pg_sleep(61)", active=False)
    assert rows_of(origin, "left_behind") == []
    assert await process_id(other) == served_by


@beside
async def test_a_client_lost_in_an_execute_without_its_sync_is_cancelled(side: PoolSide, origin: Origin) -> None:
    one, other, served_by = await begun(side, origin)
    one.send(parse(b"", b"select pg_sleep(62)"), bind(b"", b""), execute(), flush())
    await active(origin, "pg_sleep(62)")
    one.leave()
    await side.quiet()
    await active(origin, "pg_sleep(62)", active=False)
    assert await process_id(other) != served_by


@BOTH
@beside
async def test_a_copy_that_gets_no_more_data_is_given_up(side: PoolSide, origin: Origin, reason: Reason) -> None:
    make_table(origin, "left_behind")
    one, other, served_by = await begun(side, origin)
    one.send(query(b"copy left_behind from stdin"))
    await one.more("G")
    one.send(copy_data(b"1\n"))
    await turns()
    one.leave(reason)
    await side.quiet()
    assert rows_of(origin, "left_behind") == []
    assert await process_id(other) == served_by


@BOTH
@beside
async def test_a_copy_that_begins_after_its_client_has_gone_is_given_up(
    side: PoolSide, origin: Origin, reason: Reason
) -> None:
    make_table(origin, "left_behind")
    one, other, _ = await begun(side, origin)
    with origin.connect(origin.database) as blocker, blocker.transaction():
        blocker.execute("lock table left_behind")
        one.send(query(b"copy left_behind from stdin"))
        await active(origin, "copy left_behind")
        one.leave(reason)
        await turns()
    await side.quiet()
    assert rows_of(origin, "left_behind") == []
    assert (await other.ask(query(b"select 1"))).value == b"1"
    assert side.tenant.pool.size == 1


@BOTH
@beside
async def test_a_copy_of_the_extended_protocol_is_given_up_with_its_connection(
    side: PoolSide, origin: Origin, reason: Reason
) -> None:
    make_table(origin, "left_behind")
    one, other, _ = await begun(side, origin)
    one.send(parse(b"", b"copy left_behind from stdin"), bind(b"", b""), execute(), sync())
    await one.more("G")
    one.send(copy_data(b"1\n"))
    await turns()
    one.leave(reason)
    await side.quiet()
    assert rows_of(origin, "left_behind") == []
    assert (await other.ask(query(b"select count(*) from left_behind"))).value == b"0"


@beside
async def test_half_a_copy_row_is_not_completed_by_us(side: PoolSide, origin: Origin) -> None:
    make_table(origin, "left_behind")
    one, other, served_by = await begun(side, origin)
    one.send(query(b"copy left_behind from stdin"))
    await one.more("G")
    one.send(copy_data(b"1\n2\n3\n" * 1000)[:2000])
    await turns()
    one.leave()
    await side.quiet()
    assert rows_of(origin, "left_behind") == []
    assert await process_id(other) != served_by


@beside
async def test_a_client_lost_in_the_middle_of_a_long_statement_is_not_waited_for(
    side: PoolSide, origin: Origin
) -> None:
    one, other, served_by = await begun(side, origin)
    whole = query(b"select 1 /*" + b"x" * (2 << 20) + b"*/")
    one.send(whole[: 3 << 19])
    await until(lambda: side.tenant.pool.leased)
    await turns()
    one.leave()
    await side.quiet()
    assert await process_id(other) != served_by


@beside
async def test_copy_data_that_comes_with_its_query_is_taken(side: PoolSide, origin: Origin) -> None:
    make_table(origin, "copied_at_once")
    edge = side.serve(origin)
    client = edge.client()
    answer = await client.ask(
        query(b"copy copied_at_once from stdin"), copy_data(b"1\n"), copy_data(b"2\n"), copy_done()
    )
    assert answer.tags == "GCZ"
    assert rows_of(origin, "copied_at_once") == [1, 2]


BAD, GOOD = copy_data(b"not a number\n"), copy_data(b"1\n")


@beside
@pytest.mark.parametrize("is_simple", [True, False], ids=["simple", "extended"])
@pytest.mark.parametrize("opening", [b"", b"begin"])
@pytest.mark.parametrize(
    ("data", "answered"),
    [((BAD, sync(), sync()), 2), ((sync(), BAD, sync()), 1), ((sync(), sync(), BAD), 0), ((GOOD, sync(), BAD), 0)],
)
async def test_the_syncs_behind_a_bad_row_are_answered_and_the_connection_goes_on(
    side: PoolSide, origin: Origin, data: tuple[bytes, ...], answered: int, opening: bytes, *, is_simple: bool
) -> None:
    make_table(origin, "left_behind")
    one, other, served_by = await begun(side, origin)
    if opening:
        await one.ask(query(opening))
    copy = b"copy left_behind from stdin"
    one.send(*((query(copy),) if is_simple else (parse(b"", copy), bind(b"", b""), execute(), flush())))
    assert (await one.more("G")).tags.endswith("G")
    one.send(*data, copy_done(), *(() if is_simple else (sync(),)))
    await until(lambda: one.session.owed == 0)
    assert one.take().tags == "E" + "Z" * (1 + answered)
    if opening:
        await one.ask(query(b"rollback"))
    assert rows_of(origin, "left_behind") == []
    assert await process_id(one) == served_by
    assert await process_id(other) == served_by


@BOTH
@beside
async def test_a_client_may_leave_while_nobody_knows_how_many_syncs_are_answered(
    side: PoolSide, origin: Origin, reason: Reason
) -> None:
    make_table(origin, "left_behind")
    one, other, _ = await begun(side, origin)
    one.send(parse(b"", b"copy left_behind from stdin"), bind(b"", b""), execute(), flush())
    await one.more("G")
    one.send(sync(), BAD, sync(), copy_done(), sync())
    one.leave(reason)
    await side.quiet()
    assert rows_of(origin, "left_behind") == []
    assert (await other.ask(query(b"select 1"))).value == b"1"


@beside
async def test_what_asks_nothing_of_the_origin_holds_no_connection(side: PoolSide, origin: Origin) -> None:
    one, _, _ = await begun(side, origin)
    for message in (flush(), copy_data(b"1\n"), copy_done()):
        one.send(message)
        await turns()
        assert not side.tenant.pool.leased
