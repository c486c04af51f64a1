"""What the pool node asks its origins: who waits for locks, and whether a server has become read-only."""

from collections.abc import Iterator

import pytest

from protos.pg.messages import query
from regional.asking import SUSPECT_S, count_lock_waits, survey
from tests.support.beside import PoolSide, active, beside, until
from tests.support.cluster import Origin


@beside
async def test_lock_waits_are_counted_among_our_own_connections(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.known()
    control = side.tenant.sizing.control
    with origin.connect(origin.database) as connection:
        connection.execute("drop table if exists row; create table row as select 1 as a; grant all on row to public")
        holder, sleeper = edge.client(), edge.client()
        await holder.ask(query(b"begin; update row set a = 2"))
        sleeper.send(query(b"select pg_sleep(1)"))
        lockers = [edge.client() for _ in range(3)]
        for locker in lockers:
            locker.send(query(b"update row set a = a + 1 /* locker */"))
        await active(origin, "locker")
        waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
        await until(lambda: connection.execute(waiting).fetchone() == (3,))
        await count_lock_waits(side.tenant)
        assert control._locked == 3
        quiet, _ = survey(side.tenant.pool, 0.0)
        assert quiet == 1, "the holder of the lock says nothing"
        await holder.ask(query(b"commit"))
        for locker in lockers:
            await locker.answer()
        await count_lock_waits(side.tenant)
    assert control._locked == 0


@beside
async def test_a_question_that_finds_no_connection_changes_nothing(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, origin_connection_limit=5, max_waiters=0)
    await side.known()
    for _ in range(5):
        await edge.client().ask(query(b"begin"))
    side.tenant.sizing.control.locks_told(2, 0.0)
    await count_lock_waits(side.tenant)
    assert side.tenant.sizing.control._locked == 2


@beside
async def test_a_connection_that_does_not_answer_the_pool_node_is_suspected_dead(
    side: PoolSide, origin: Origin
) -> None:
    forwarder = await side.forwarder(origin)
    edge = side.serve(origin, port=forwarder.port)
    await side.alone()
    (connected,) = side.tenant.pool.idle
    client = edge.client(timezone="Asia/Tokyo")
    forwarder.hold()
    client.send(query(b"select 1"))
    await until(lambda: connected.is_in_exchange)
    assert survey(side.tenant.pool, connected.last_activity + SUSPECT_S) == (0, 0)
    assert survey(side.tenant.pool, connected.last_activity + SUSPECT_S + 0.1) == (0, 1)
    forwarder.release()
    assert (await client.answer()).value == b"1"


# --- read-only (25006) ---


@pytest.fixture
def read_only_later(origin: Origin) -> Iterator[None]:
    yield
    with origin.connect() as connection:
        connection.execute("alter system reset default_transaction_read_only")
        connection.execute("select pg_reload_conf()")


@pytest.mark.usefixtures("read_only_later")
@beside
async def test_a_server_that_became_read_only_loses_the_connection(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    (connected,) = side.tenant.pool.idle
    with origin.connect() as connection:
        connection.execute("alter system set default_transaction_read_only = on")
        connection.execute("select pg_reload_conf()")
    client = edge.client()
    show = query(b"show default_transaction_read_only")
    while (await client.ask(show)).value != b"on":
        pass
    assert not connected.scrutiny.was_read_only
    answer = await client.ask(query(b"create table never (a int)"))
    assert answer.code == "25006"
    await until(lambda: connected.connection.is_closed)
    assert (await client.ask(query(b"select 1"))).value == b"1", "the session lives on"


@pytest.mark.parametrize(
    "statements",
    [
        [b"begin read only", b"create table never (a int)", b"rollback"],
        [b"begin; set transaction read only; create table never (a int)", b"rollback"],
        [b"set transaction read only; create table never (a int)"],
    ],
)
@beside
async def test_a_client_that_asked_for_read_only_costs_no_connection(
    side: PoolSide, origin: Origin, statements: list[bytes]
) -> None:
    edge = side.serve(origin)
    await side.alone()
    (connected,) = side.tenant.pool.idle
    client = edge.client()
    codes = [error["C"] for sql in statements for error in (await client.ask(query(sql))).errors]
    assert "25006" in codes
    await side.quiet()
    assert side.tenant.pool.idle == [connected]
    assert not connected.scrutiny.refused_write


@beside
async def test_a_session_that_is_read_only_by_its_startup_costs_no_connection(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    (connected,) = side.tenant.pool.idle
    client = edge.client(default_transaction_read_only="on")
    assert (await client.ask(query(b"create table never (a int)"))).code == "25006"
    await side.quiet()
    assert side.tenant.pool.idle == [connected]
