"""One origin connection under its client, against a real PostgreSQL: what comes through, and what is told when it ends.

An error is told once, and never into the middle of a message; what a slow client does not take is not read.
"""

from protos.pg.messages import bind, execute, parse, query, sync
from tests.support.beside import PoolSide, active, beside, configuration_for, turns, until
from tests.support.cluster import Origin


def end_backends(origin: Origin, which: str = "true") -> None:
    with origin.connect() as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'Onetrip' and "
            f"pid <> pg_backend_pid() and {which}"
        )


# --- an origin that ends things ---


@beside
async def test_an_idle_connection_that_the_origin_ends_is_not_noticed(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.known()
    end_backends(origin)
    await until(lambda: not side.tenant.pool.size)
    assert (await edge.client().ask(query(b"select 1"))).value == b"1"


@beside
async def test_a_transaction_whose_connection_the_origin_ends_gets_its_words(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    client, other = edge.client(), edge.client()
    await client.ask(query(b"begin"))
    end_backends(origin)
    answer = await client.ended()
    assert [error["C"] for error in answer.errors] == ["57P01"]
    assert answer.error["S"] == "FATAL"
    assert (await other.ask(query(b"select 1"))).value == b"1"


@beside
async def test_a_statement_whose_connection_the_origin_ends_gets_its_words_once(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    client = edge.client()
    client.send(parse(b"", b"select pg_sleep(63)"), bind(b"", b""), execute(), sync())
    await active(origin, "pg_sleep(63)")
    end_backends(origin)
    answer = await client.ended()
    assert [error["C"] for error in answer.errors] == ["57P01"]


@beside
async def test_an_origin_that_breaks_in_the_middle_of_an_answer_ends_the_session(
    side: PoolSide, origin: Origin
) -> None:
    forwarder = await side.forwarder(origin)
    edge = side.serve(origin, port=forwarder.port)
    await side.alone()
    client, quiet = edge.client(), edge.client()
    await quiet.ask(query(b"select 1"))
    client.reads = False
    client.send(query(b"select repeat('x', 1000) from generate_series(1, 20000)"))
    await until(lambda: client.received_bytes)
    forwarder.stop()
    client.reads = True
    client.read()
    answer = await client.ended()
    assert answer.tags == "TD", "an error behind half a row would be read as the rest of it"
    assert client.is_inside_message
    assert not quiet.is_over


@beside
async def test_an_origin_that_breaks_before_an_answer_says_that_the_outcome_is_unknown(
    side: PoolSide, origin: Origin
) -> None:
    forwarder = await side.forwarder(origin)
    edge = side.serve(origin, port=forwarder.port)
    client = edge.client()
    client.send(query(b"select pg_sleep(66)"))
    await active(origin, "pg_sleep(66)")
    forwarder.stop()
    answer = await client.ended()
    assert answer.code == "08006"
    assert answer.error["S"] == "FATAL"
    assert "unknown" in answer.error["D"]
    end_backends(origin)


@beside
async def test_an_origin_lost_in_an_idle_transaction_says_that_it_is_rolled_back(
    side: PoolSide, origin: Origin
) -> None:
    forwarder = await side.forwarder(origin)
    edge = side.serve(origin, port=forwarder.port)
    client = edge.client()
    await client.ask(query(b"begin"))
    forwarder.stop()
    answer = await client.ended()
    assert answer.code == "08006"
    assert "rolled back" in answer.error["D"]


@beside
async def test_an_origin_that_restarts_costs_waiters_only_time(side: PoolSide, origin: Origin) -> None:
    forwarder = await side.forwarder(origin)
    edge = side.serve(origin, port=forwarder.port)
    client, late = edge.client(), edge.client()
    await client.ask(query(b"select 1"))
    await side.quiet()
    forwarder.stop()
    await until(lambda: not side.tenant.pool.size)
    client.send(query(b"select 2"))
    late.send(parse(b"s", b"select 3"), sync())
    await until(lambda: side.tenant.opener.last_error)
    side.tick()
    assert not client.take().messages
    await forwarder.start()
    side.tenant.opener.forget_failures()
    side.tick()
    assert (await client.answer()).value == b"2"
    assert (await late.answer()).tags == "1Z"
    assert side.tenant.opener.last_error == ""


@beside
async def test_an_origin_that_is_away_is_named_to_who_waits_too_long(side: PoolSide, origin: Origin) -> None:
    forwarder = await side.forwarder(origin)
    forwarder.stop()
    edge = side.serve(origin, port=forwarder.port)
    client = edge.client()
    client.send(query(b"select 1"))
    await until(lambda: side.tenant.opener.last_error)
    side.tick(16)
    answer = await client.answer()
    assert answer.code == "53300"
    assert "The last attempt to open one failed" in answer.error["D"]


@beside
async def test_a_wrong_origin_password_is_told_at_once(side: PoolSide, origin: Origin) -> None:
    side.put(configuration_for(origin), "wrong")
    edge = side.edge()
    clients = [edge.client() for _ in range(3)]
    for client in clients:
        client.send(query(b"select 1"))
    for client in clients:
        answer = await client.answer()
        assert answer.tags == "EZ"
        assert answer.code == "08006"
        assert "28P01" in answer.error["D"]
    assert side.tenant.pool.size == 0


@beside
async def test_a_link_that_ends_rolls_back_everything_that_it_carried(side: PoolSide, origin: Origin) -> None:
    edge, other = side.serve(origin), side.edge()
    clients = [edge.client() for _ in range(3)]
    await clients[0].ask(query(b"begin"))
    clients[1].send(query(b"select pg_sleep(65)"))
    await active(origin, "pg_sleep(65)")
    survivor = other.client()
    await survivor.ask(query(b"begin"))
    edge.cut()
    await until(lambda: len(side.tenant.channels) == 1)
    await until(lambda: len(side.tenant.pool.leased) == 1 and not side.tenant.pool.resetting)
    await active(origin, "pg_sleep(65)", active=False)
    assert (await survivor.ask(query(b"commit"))).tags == "CZ"


@beside
async def test_a_slow_reader_costs_bounded_memory(side: PoolSide, origin: Origin) -> None:
    """Of 200 MB no more is on the way than its credit, the backlog and what one read brings."""
    edge = side.serve(origin)
    slow, quick = edge.client(), edge.client()
    slow.keeps = slow.reads = False
    slow.send(query(b"select repeat('x', 10000) from generate_series(1, 20000)"))
    await until(lambda: side.tenant.pool.leased and next(iter(side.tenant.pool.leased)).connection.is_paused)
    stalled = slow.received_bytes
    await turns(50)
    (channel,) = [channel for channel in side.tenant.channels.values() if channel.origin is not None]
    assert slow.received_bytes == stalled <= 256 << 10
    assert channel.lane.backlog_bytes <= 256 << 10
    assert (await quick.ask(query(b"select 1"))).value == b"1"
    slow.reads = True
    slow.read()
    most = 0
    while slow.session.owed:
        await turns(5)
        most = max(most, channel.lane.backlog_bytes)
    assert slow.received_bytes > 200_000_000
    assert most <= 256 << 10
