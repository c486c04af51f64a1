"""A configuration at work, against a real PostgreSQL: who gets a connection, what it is like, and what time does.

Principle 3: nothing of one client ever reaches another. Times are pretended (`PoolSide.tick`), so no test sleeps.
"""

import pytest

from protos.errors import DrainingError
from protos.pg.messages import bind, copy_data, execute, flush, parse, query, sync
from regional.tenant import EXCHANGE_LIMIT_S, TICK_S, UNCANCELLED_LIMIT_S
from tests.support.beside import Client, Edge, PoolSide, active, beside, configuration_for, turns, until
from tests.support.cluster import Origin


async def full(side: PoolSide, edge: Edge, size: int = 5) -> list[Client]:
    """As many clients in transactions as the pool has connections."""
    await side.known()  # or the node itself would be among those who wait
    holders = [edge.client() for _ in range(size)]
    for holder in holders:
        await holder.ask(query(b"begin"))
    return holders


async def last_words(side: PoolSide, origin: Origin, client: Client, sql: bytes) -> str:
    """Run SQL on the one connection that there is; what it ran last then."""
    await client.ask(query(sql))
    await side.quiet()
    (connected,) = side.tenant.pool.idle
    with origin.connect() as connection:
        row = connection.execute("select query from pg_stat_activity where pid = %s", [connected.process_id]).fetchone()
    assert row is not None
    return str(row[0])


# --- settings ---


@beside
async def test_each_session_has_its_own_settings_on_the_same_connection(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    plain, mine = edge.client(), edge.client(timezone="Asia/Tokyo")
    yours = edge.client(timezone="UTC", datestyle="German")
    await side.alone()
    show = query(b"select current_setting('timezone') || ' ' || current_setting('datestyle')")
    base = (await plain.ask(show)).value
    for _ in range(3):
        assert (await mine.ask(show)).value == b"Asia/Tokyo ISO, MDY"
        assert (await yours.ask(show)).value == b"UTC German, DMY"
        assert (await plain.ask(show)).value == base
    assert side.tenant.pool.size == 1


@beside
async def test_a_restored_session_sees_nothing_of_how_it_was_restored(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    answer = await edge.client(application_name="mine").ask(query(b"select 1"))
    assert answer.tags == "TDCZ"


@beside
async def test_a_refused_setting_is_told_and_the_statement_does_not_run(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    bad, good = edge.client(timezone="Nowhere/At_all", work_mem="64kB"), edge.client()
    await side.alone()
    with origin.connect(origin.database) as connection:
        connection.execute("drop table if exists not_run; create table not_run (a int); grant all on not_run to public")
    for _ in range(2):
        answer = await bad.ask(query(b"insert into not_run values (1)"))
        assert answer.tags == "EZ"
        assert answer.code == "22023"
    assert (await good.ask(query(b"select count(*) from not_run"))).value == b"0"
    await side.quiet()
    assert (await good.ask(query(b"select current_setting('work_mem')"))).value != b"64kB"
    assert side.tenant.pool.size == 1
    assert not bad.is_over


# --- nothing reaches the next client ---

SPY = query(
    b"select coalesce(to_regclass('secret_temp')::text, '') || current_setting('work_mem') || current_user ||"
    b" (select count(*) from pg_listening_channels()) || (select count(*) from pg_cursors) ||"
    b" (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) ||"
    b" (select count(*) from pg_prepared_statements where from_sql) || coalesce(current_setting('search_path'), '')"
)

TRACES = [
    b"set work_mem = '65kB'",
    b"set search_path = pg_temp, elsewhere",
    b"select set_config('work_mem', '66kB', false)",
    b"create temp table secret_temp (a int)",
    b"listen secrets",
    b"select pg_advisory_lock(42)",
    b"prepare secret as select 1",
    b"begin; declare secret cursor with hold for select 1; commit",
    b"begin; set local work_mem = '67kB'; select pg_advisory_xact_lock(43); commit",
    b"set role pg_monitor",
    b"do $$ begin perform set_config('work_mem', '68kB', false); end $$",
    b"set work_mem = '69kB'; select 1/0",
    b"begin; set work_mem = '70kB'; create temp table secret_temp (a int); select pg_advisory_lock(pg_backend_pid())",
]


@beside
async def test_nothing_of_a_client_reaches_the_next(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, user=origin.superuser, origin_connection_limit=5)
    await side.known()
    holders = await full(side, edge)
    base = {(await holder.ask(SPY)).value for holder in holders}
    for holder in holders:
        await holder.ask(query(b"rollback"))
    assert len(base) == 1
    for trace in TRACES:
        culprits = [edge.client() for _ in range(5)]
        for culprit in culprits:
            culprit.send(query(trace))
        for culprit in culprits:
            await culprit.answer()
            if culprit.is_in_transaction:
                culprit.leave()
        holders = await full(side, edge)
        assert {(await holder.ask(SPY)).value for holder in holders} == base, trace
        for holder in holders:
            await holder.ask(query(b"rollback"))
    assert side.tenant.pool.size == 5


@beside
async def test_what_no_sql_takes_away_closes_the_connection(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, user=origin.superuser)
    await side.alone()
    one, other = edge.client(), edge.client()
    before = (await other.ask(query(b"select pg_backend_pid()"))).value
    await one.ask(query(b"select setseed(0.5)"))
    assert (await other.ask(query(b"select pg_backend_pid()"))).value != before


@beside
async def test_a_plain_statement_costs_no_cleaning(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    with origin.connect(origin.database) as connection:
        connection.execute("drop table if exists plain; create table plain (a int); grant all on plain to public")
    await side.alone()
    side.tenant.knowledge.drop_catalog()
    await side.known()
    await side.alone()
    client = edge.client()
    assert await last_words(side, origin, client, b"insert into plain values (1)") == "insert into plain values (1)"
    assert (await last_words(side, origin, client, b"set work_mem = '64kB'")).startswith("SET SESSION AUTHORIZATION")


CLEAN_REQUESTS = {
    "select": [query(b"select a from plain where a = 1")],
    "insert": [query(b"insert into plain values (1)")],
    "unnamed": [parse(b"", b"update plain set a = $1 where a = $1") + bind(b"", b"", [b"1"]) + execute() + sync()],
    "transaction": [
        query(b"begin"),
        query(b"set local work_mem = '64kB'"),
        query(b"delete from plain"),
        query(b"commit"),
    ],
    "rolled back": [query(b"begin"), query(b"insert into plain values (2)"), query(b"rollback")],
    "error": [query(b"select 1/0")],
}


@pytest.mark.parametrize("requests", CLEAN_REQUESTS.values(), ids=CLEAN_REQUESTS)
@beside
async def test_a_clean_return_sends_nothing_to_the_origin(
    side: PoolSide, origin: Origin, requests: list[bytes]
) -> None:
    with origin.connect(origin.database) as connection:
        connection.execute("drop table if exists plain; create table plain (a int); grant all on plain to public")
    forwarder = await side.forwarder(origin)
    edge = side.serve(origin, port=forwarder.port)
    await side.known()
    client = edge.client()
    for _ in range(3):
        forwarder.heard.clear()
        for request in requests:
            await client.ask(request)
        await side.quiet()
        assert bytes(forwarder.heard) == b"".join(requests)


@beside
async def test_a_return_that_is_not_clean_is_heard_by_the_origin(side: PoolSide, origin: Origin) -> None:
    """So that the test before this one would notice."""
    forwarder = await side.forwarder(origin)
    edge = side.serve(origin, port=forwarder.port)
    await side.known()
    forwarder.heard.clear()
    await edge.client().ask(query(b"create temp table left_behind (a int)"))
    await side.quiet()
    assert b"DISCARD TEMP" in forwarder.heard


@beside
async def test_the_answer_goes_out_before_the_cleaning(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    one, other = edge.client(), edge.client()
    one.send(query(b"set work_mem = '64kB'"))
    other.send(query(b"select current_setting('work_mem')"))
    assert (await one.answer()).tags == "CZ"
    assert (await other.answer()).value != b"64kB"


# --- who waits ---


@beside
async def test_waiters_are_served_in_their_order(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, origin_connection_limit=5)
    holders = await full(side, edge)
    waiters = [edge.client() for _ in range(6)]
    for waiter in waiters:
        waiter.send(query(b"begin"))
        await turns()
    for served, holder in enumerate([*holders, waiters[0]]):
        await holder.ask(query(b"commit"))
        await until(lambda: waiters[served].is_in_transaction)  # noqa: B023 - asked at once
        assert [waiter.is_in_transaction for waiter in waiters[1:]].count(True) == served - (served > 4) * 0
    assert side.tenant.pool.size == 5


@beside
async def test_who_waits_too_long_is_told_the_state_of_the_pool(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, wait_timeout_s=15)
    edge.tenants.put(configuration_for(origin, wait_timeout_s=15, origin_connection_limit=5), side.tenant.opener.secret)
    holders = await full(side, edge)
    waiter = edge.client()
    waiter.send(parse(b"", b"select 1"), bind(b"", b""), execute(), sync())
    await turns()
    side.tick(0.5)
    await turns()
    assert not waiter.refusals
    side.tick(16)
    answer = await waiter.answer()
    assert answer.tags == "EZ"
    assert answer.code == "53300"
    assert answer.error["S"] == "ERROR"
    assert "5 of 5 origin connections in use, limit 5, 0 waiting" in answer.error["D"]
    assert "H" in answer.error
    await holders[0].ask(query(b"commit"))
    assert (await waiter.ask(query(b"select 1"))).value == b"1", "the session lives on"


@beside
async def test_an_edge_with_a_crowd_does_not_starve_another(side: PoolSide, origin: Origin) -> None:
    crowded, quiet = side.serve(origin, origin_connection_limit=5), side.edge()
    holders = await full(side, crowded)
    crowd, few = [crowded.client() for _ in range(200)], [quiet.client() for _ in range(5)]
    for clients in (crowd, few):
        before = len(side.tenant.pool.waiters)
        for client in clients:
            client.send(query(b"begin"))
        await until(lambda: len(side.tenant.pool.waiters) == before + len(clients))  # noqa: B023 - asked at once

    served: list[Client] = []
    for _ in range(10):  # one connection becomes free, and no other until somebody has it
        await holders.pop(0).ask(query(b"commit"))
        waiting = [client for client in (*crowd, *few) if client not in served]
        await until(lambda: any(client.is_in_transaction for client in waiting))  # noqa: B023 - asked at once
        now = [client for client in waiting if client.is_in_transaction]
        served += now
        holders += now
    assert served == [client for pair in zip(crowd, few, strict=False) for client in pair]


@beside
async def test_the_limit_is_passed_a_little_when_clients_wait_for_over_a_second(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, origin_connection_limit=5)
    holders = await full(side, edge)
    waiters = [edge.client() for _ in range(4)]
    for waiter in waiters:
        waiter.send(query(b"begin"))
    await turns()
    side.tick(0.5)
    assert side.tenant.pool.size == 5
    side.tick(1.5)
    await until(lambda: sum(waiter.is_in_transaction for waiter in waiters) == 2)
    assert side.tenant.pool.size == 7
    for client in [*holders, *waiters[:2]]:
        await client.ask(query(b"commit"))
    for waiter in waiters[2:]:
        await until(lambda: waiter.is_in_transaction)  # noqa: B023 - asked at once
        await waiter.ask(query(b"commit"))
    await side.quiet()
    side.tick()
    assert side.tenant.pool.size == 5


@beside
async def test_a_lock_that_everybody_waits_for_leaves_connections_to_the_others(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, origin_connection_limit=60)
    await side.known()
    with origin.connect(origin.database) as connection:
        connection.execute("drop table if exists hot; create table hot as select 1 as a; grant all on hot to public")
    holder, reader = edge.client(), edge.client()
    await holder.ask(query(b"begin; update hot set a = 2"))
    lockers = [edge.client() for _ in range(40)]
    for locker in lockers:
        locker.send(query(b"update hot set a = a + 1"))
    await until(lambda: len(side.tenant.pool.leased) == 20)
    reader.send(query(b"select 1"))
    for second in range(2, 30):
        side.tick(second)
        await turns()
        await side.settled()
    assert (await reader.answer()).value == b"1"
    assert not side.tenant.sizing.is_holding
    await holder.ask(query(b"commit"))
    for locker in lockers:
        assert (await locker.answer()).errors == []


@beside
async def test_the_queue_is_bounded(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, origin_connection_limit=5, max_waiters=2)
    holders = await full(side, edge)
    waiters = [edge.client() for _ in range(3)]
    for waiter in waiters:
        waiter.send(query(b"select 1"))
    answer = await waiters[2].answer()
    assert answer.code == "53300"
    assert "2 waiting" in answer.error["D"]
    for holder in holders:
        await holder.ask(query(b"commit"))
    assert [(await waiter.answer()).value for waiter in waiters[:2]] == [b"1", b"1"]


@beside
async def test_without_a_queue_a_connection_can_still_be_opened(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, origin_connection_limit=5, max_waiters=0)
    await full(side, edge)
    assert (await edge.client().ask(query(b"select 1"))).code == "53300"


@beside
async def test_a_waiter_that_leaves_takes_nothing(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, origin_connection_limit=5)
    holders = await full(side, edge)
    gone, next_one = edge.client(), edge.client()
    gone.send(query(b"create table never_made (a int)"))
    next_one.send(query(b"select to_regclass('never_made')"))
    await turns()
    holders[0].send(query(b"commit"))
    gone.leave()
    assert (await next_one.answer()).value is None
    assert not side.tenant.pool.waiters


@beside
async def test_a_waiter_that_leaves_in_the_tick_of_its_grant_gives_it_back(side: PoolSide, origin: Origin) -> None:
    """Its connection is being given its settings when it goes."""
    forwarder = await side.forwarder(origin)
    edge = side.serve(origin, port=forwarder.port)
    await side.alone()
    one, other = edge.client(timezone="Asia/Tokyo"), edge.client()
    forwarder.hold()
    one.send(query(b"create table never_made (a int)"))
    await until(lambda: side.tenant.pool.leased)
    (connected,) = side.tenant.pool.leased
    assert connected.is_in_exchange
    one.leave()
    forwarder.release()
    await side.quiet()
    assert side.tenant.pool.idle == [connected]
    assert (await other.ask(query(b"select to_regclass('never_made')"))).value is None
    assert (await other.ask(query(b"select current_setting('timezone')"))).value != b"Asia/Tokyo"


# --- time limits ---


@beside
async def test_idle_in_transaction_ends_the_session(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, idle_in_transaction_timeout_s=300)
    await side.alone()
    client = edge.client()
    await client.ask(query(b"begin"))
    side.tick(299)
    await turns()
    assert not client.is_over
    side.tick(301)
    answer = await client.ended()
    assert answer.code == "25P03"
    assert answer.error["S"] == "FATAL"
    assert side.tenant.pool.size == 0, "PostgreSQL rolls back what its client leaves open"


@beside
async def test_without_a_limit_a_transaction_may_be_idle_for_ever(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, idle_in_transaction_timeout_s=0)
    client = edge.client()
    await client.ask(query(b"begin"))
    side.tick(1e6)
    assert (await client.ask(query(b"select 1"))).value == b"1"


@beside
async def test_a_flush_without_a_sync_counts_as_idle_in_transaction(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, idle_in_transaction_timeout_s=300)
    client = edge.client()
    client.send(parse(b"", b"select 1"), bind(b"", b""), execute(), flush())
    await client.more("C")
    side.tick(301)
    assert (await client.ended()).code == "25P03"


@beside
async def test_a_copy_without_data_counts_as_idle_in_transaction(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, idle_in_transaction_timeout_s=300, query_timeout_s=0)
    client = edge.client()
    await client.ask(query(b"begin"))
    await client.ask(query(b"create temp table copied (a int) on commit drop"))
    client.send(query(b"copy copied from stdin"))
    await client.more("G")
    client.send(copy_data(b"1\n"))
    await turns()
    side.tick(301)
    assert (await client.ended()).code == "25P03"


@beside
async def test_a_query_over_its_limit_is_cancelled(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, query_timeout_s=60)
    await side.alone()
    client = edge.client()
    for _ in range(2):  # the second one on the same connection, and without a tick between
        client.send(query(b"select pg_sleep(60)"))
        await active(origin, "pg_sleep(60)")
        side.tick(59)
        assert not client.take().messages
        side.tick(61)
        answer = await client.answer()
        assert answer.code == "57014"
        await side.quiet()
    assert not client.is_over
    assert side.tenant.pool.size == 1


@beside
async def test_without_a_limit_a_query_may_run_for_ever(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, query_timeout_s=0)
    client = edge.client()
    client.send(query(b"select 1 from pg_sleep(0.2)"))
    await until(lambda: side.tenant.pool.leased)
    side.tick(1e6)
    assert (await client.answer()).value == b"1"


@beside
async def test_each_query_of_a_pipeline_has_its_own_time(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, query_timeout_s=60)
    client = edge.client()
    client.send(query(b"begin"), query(b"select pg_sleep(0.1)"), query(b"select 1 from pg_sleep(0.3)"))
    await until(lambda: client.settled == 1)
    (connected,) = (one for one in side.tenant.pool.leased if one.channel is not None)  # the catalogue may be read
    connected.busy_since -= 50  # the two queries take 50 seconds each, and what they take on this machine
    await until(lambda: client.settled == 2)
    connected.busy_since -= 50
    side.tick()
    assert (await client.answer()).errors == []


@beside
async def test_a_query_whose_client_does_not_read_has_time(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, query_timeout_s=60)
    await side.alone()
    client = edge.client()
    client.reads = False
    client.keeps = False
    client.send(query(b"select repeat('x', 1000) from generate_series(1, 20000)"))
    await until(lambda: side.tenant.pool.leased and next(iter(side.tenant.pool.leased)).connection.is_paused)
    (connected,) = side.tenant.pool.leased
    for tick in range(400):
        side.tick(tick * TICK_S)
    await turns()
    assert not connected.has_timed_out
    client.reads = True
    client.read()
    await until(lambda: not client.session.owed)
    assert client.received_bytes > 20_000_000


@beside
async def test_a_query_that_cannot_be_cancelled_ends_with_its_connection(side: PoolSide, origin: Origin) -> None:
    forwarder = await side.forwarder(origin)
    edge = side.serve(origin, port=forwarder.port, query_timeout_s=60)
    await side.alone()
    client = edge.client()
    await client.ask(query(b"begin"))
    forwarder.hold()
    client.send(query(b"select 1"))
    await turns()
    side.tick(61)
    side.tick(60 + UNCANCELLED_LIMIT_S - 1)
    await turns()
    assert not client.is_over
    side.tick(61 + UNCANCELLED_LIMIT_S)
    answer = await client.ended()
    assert answer.code == "08006"
    assert "unknown" in answer.error["D"]
    assert side.tenant.pool.size == 0


@pytest.mark.parametrize("is_cleaning", [False, True], ids=["settings", "cleaning"])
@beside
async def test_a_connection_that_does_not_answer_us_is_given_up(
    side: PoolSide, origin: Origin, *, is_cleaning: bool
) -> None:
    forwarder = await side.forwarder(origin)
    edge = side.serve(origin, port=forwarder.port, idle_in_transaction_timeout_s=0, query_timeout_s=0)
    await side.alone()
    (connected,) = side.tenant.pool.idle
    client = edge.client() if is_cleaning else edge.client(timezone="Asia/Tokyo")
    if is_cleaning:
        client.on_settled = forwarder.hold
    else:
        forwarder.hold()
    client.send(query(b"set work_mem = '64kB'"))
    await until(lambda: connected.is_in_exchange)
    side.tick(EXCHANGE_LIMIT_S - 1)
    assert not connected.connection.is_closed
    side.tick(EXCHANGE_LIMIT_S + 1)
    assert connected.connection.is_closed
    assert connected not in [*side.tenant.pool.all()]


# --- a configuration that changes ---


@beside
async def test_a_raised_limit_serves_those_who_wait(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, origin_connection_limit=5)
    await full(side, edge)
    waiter = edge.client()
    waiter.send(query(b"select 1"))
    await turns()
    assert side.tenant.pool.size == 5
    side.put(configuration_for(origin, origin_connection_limit=6, version=2))
    assert (await waiter.answer()).value == b"1"
    assert side.tenant.pool.size == 6


@beside
async def test_a_lowered_limit_holds_also_while_clients_wait(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, origin_connection_limit=8)
    holders = await full(side, edge, 8)
    waiters = [edge.client() for _ in range(8)]
    for waiter in waiters:
        waiter.send(query(b"begin"))
    await turns()
    side.put(configuration_for(origin, origin_connection_limit=5, version=2))
    for holder in holders:
        await holder.ask(query(b"commit"))
    await until(lambda: sum(waiter.is_in_transaction for waiter in waiters) == 5)
    assert side.tenant.pool.size == 5
    assert len(side.tenant.pool.waiters) == 3


@beside
async def test_a_lowered_limit_closes_what_is_idle(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, origin_connection_limit=8)
    for holder in await full(side, edge, 8):
        await holder.ask(query(b"commit"))
    side.put(configuration_for(origin, origin_connection_limit=5, version=2))
    assert side.tenant.pool.size == 5


@beside
async def test_a_restart_replaces_each_connection_between_two_leases(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.known()
    client, idle = edge.client(), edge.client()
    await client.ask(query(b"begin"))
    before = (await client.ask(query(b"select pg_backend_pid()"))).value
    side.tenant.retire(lambda origin: True)
    assert len(side.tenant.pool.leased) == side.tenant.pool.size == 1
    assert (await client.ask(query(b"select pg_backend_pid()"))).value == before
    assert (await client.ask(query(b"commit"))).tags == "CZ"
    assert (await idle.ask(query(b"select pg_backend_pid()"))).value != before


@beside
async def test_another_origin_is_used_from_the_next_lease_on(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.known()
    client = edge.client()
    await client.ask(query(b"begin"))
    side.put(configuration_for(origin, user=origin.superuser, version=2))
    assert (await client.ask(query(b"select current_user"))).value == b"by_scram"
    await client.ask(query(b"commit"))
    assert (await client.ask(query(b"select current_user"))).value == origin.superuser.encode()


@beside
async def test_a_withdrawn_configuration_lets_transactions_finish_and_turns_waiters_away(
    side: PoolSide, origin: Origin
) -> None:
    edge = side.serve(origin, origin_connection_limit=5)
    holders = await full(side, edge)
    waiter = edge.client()
    waiter.send(query(b"select 1"))
    await turns()
    tenant = side.tenant
    side.tenants.withdraw("app", 2)
    answer = await waiter.ended()
    assert answer.code == "57P01"
    assert (await holders[0].ask(query(b"select 1"))).value == b"1"
    for holder in holders:
        assert (await holder.ask(query(b"commit"))).tags == "CZ"
    await until(lambda: not tenant.pool.size)
    side.tick()
    assert list(side.tenants) == []
    holders[0].send(query(b"select 1"))
    assert (await holders[0].ended()).code == "57P01"


@beside
async def test_a_drained_node_tells_who_is_in_the_middle(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    busy, quiet, running = edge.client(), edge.client(), edge.client()
    await quiet.ask(query(b"select 1"))
    await busy.ask(query(b"begin"))
    running.send(query(b"select pg_sleep(64)"))
    await active(origin, "pg_sleep(64)")
    side.tenants.end_all(DrainingError())
    assert (await busy.ended()).code == "57P01"
    assert (await running.ended()).code == "57P01"
    assert not quiet.is_over
    await active(origin, "pg_sleep(64)", active=False)


@beside
async def test_connections_are_closed_when_they_are_old_or_not_needed(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, idle_timeout_s=600, lifetime_s=3600, origin_connection_min=1)
    for holder in await full(side, edge, 3):
        await holder.ask(query(b"commit"))
    side.tick(599)
    assert side.tenant.pool.size == 3
    side.tick(601)
    assert side.tenant.pool.size == 1
    (last,) = side.tenant.pool.idle
    side.tick(3601)
    assert last.connection.is_closed
    await side.quiet()
    assert side.tenant.pool.size == 1, "the minimum is kept warm"
