"""Rules 1 to 3 and what a session is promised, through both tiers: what the client reads, and what the database did."""

import time
from typing import Final

import msgspec
import pytest
import trio

from edge.limits import BROKEN_S
from protos.pg.messages import (
    bind,
    copy_data,
    copy_done,
    describe_statement,
    error_fields,
    execute,
    parse,
    query,
    sync,
    terminate,
)
from protos.pg.startup import cancel_request
from tests.edge.test_session import CUT_OFF, GOES_ON
from tests.support.beside import PoolSide, active, beside, until
from tests.support.cluster import Origin
from tests.support.two_tiers import READY, Driver, TwoTiers, rows, tags, two_tiers, warm

BEGUN: Final = query(b"begin; select")  # BEGIN alone would wait at the edge


def fields(messages: list[bytes]) -> dict[str, str]:
    """Of the one error."""
    (error,) = [message for message in messages if message[:1] == b"E"]
    return error_fields(error)


def make_table(origin: Origin, name: str) -> None:
    with origin.connect(origin.database) as connection:
        connection.execute(f"drop table if exists {name}; create table {name} (a int primary key, b text)")
        connection.execute(f"grant all on {name} to public")


def count(origin: Origin, name: str) -> int:
    with origin.connect(origin.database) as connection:
        row = connection.execute(f"select count(*) from {name}").fetchone()
        assert row is not None
        return int(row[0])


async def answers(driver: Driver) -> None:
    """The session is alive and in step."""
    assert rows(await driver.ask(query(b"select 'in step'"))) == [[b"in step"]]


# --- the link is lost (rules 1) ---


@beside
async def test_a_transaction_whose_link_is_lost_ends_loudly_and_rolls_back(side: PoolSide, origin: Origin) -> None:
    make_table(origin, "lost_link")
    async with two_tiers(side, origin) as tiers:
        driver, quiet = await tiers.connect(), await tiers.connect()
        await answers(quiet)
        await driver.ask(BEGUN)
        await driver.ask(query(b"insert into lost_link values (1)"))
        tiers.cut()
        error = fields(await driver.until_closed())
        assert (error["S"], error["C"]) == ("FATAL", "08006")
        assert "rolled back" in error["D"]
        await side.quiet()
        assert count(origin, "lost_link") == 0
        await tiers.link()
        await answers(quiet)


@beside
async def test_a_statement_whose_link_is_lost_is_cancelled_and_its_outcome_unknown(
    side: PoolSide, origin: Origin
) -> None:
    async with two_tiers(side, origin) as tiers:
        driver = await tiers.connect()
        await driver.send(query(b"select pg_sleep(60), 'lost with its link'"))
        await active(origin, "lost with its link")
        tiers.cut()
        error = fields(await driver.until_closed())
        assert (error["S"], error["C"]) == ("FATAL", "08006")
        assert "unknown" in error["D"]
        await active(origin, "lost with its link", active=False)


@beside
async def test_what_a_session_has_set_goes_with_it_over_a_lost_link(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        driver = await tiers.connect()
        await driver.ask(query(b"set datestyle = german; set app.tenant = '42'"))
        await until(lambda: not any(client._session.is_settling for client in tiers.edge.clients))
        tiers.cut()
        await driver.send(query(b"select date '2024-02-01', current_setting('app.tenant')"))  # held
        await tiers.link()
        assert rows(await driver.until_ready()) == [[b"01.02.2024", b"42"]]


@beside
async def test_setting_something_costs_one_crossing_and_so_does_what_comes_next(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        driver = await tiers.connect()
        other = await tiers.connect()
        _, seen = await tiers.crossings(lambda: driver.ask(query(b"set work_mem = '7MB'")))
        assert len([kinds for _, kinds in seen if "data" in kinds]) == 2
        await until(lambda: not any(client._session.is_settling for client in tiers.edge.clients))
        await other.ask(query(b"select 1"))
        answer, seen = await tiers.crossings(lambda: driver.ask(query(b"show work_mem")))
        assert rows(answer) == [[b"7MB"]]
        assert len(seen) == 2


@beside
async def test_a_quiet_session_keeps_its_settings_and_statements_over_a_lost_link(
    side: PoolSide, origin: Origin
) -> None:
    async with two_tiers(side, origin) as tiers:
        driver = await tiers.connect(DateStyle="german")
        # Else its settings are read after each transaction, and it is not quiet yet.
        await until(lambda: side.tenant.knowledge.judge.catalog)
        await driver.ask(parse(b"s", b"select date '2024-02-01'") + parse(b"", b"select 'unnamed'") + sync())
        tiers.cut()
        await driver.send(bind(b"", b"s") + execute() + sync())  # held
        await tiers.link()
        assert rows(await driver.until_ready()) == [[b"01.02.2024"]]
        assert rows(await driver.ask(bind(b"", b"") + execute() + sync())) == [[b"unnamed"]]
        assert not driver.is_closed


@beside
async def test_a_held_statement_is_refused_after_its_wait_and_runs_never(side: PoolSide, origin: Origin) -> None:
    make_table(origin, "held")
    async with two_tiers(side, origin) as tiers:
        driver = await tiers.connect()
        tiers.cut()
        await driver.send(query(b"insert into held values (1)"))
        await until(tiers.edge.limits.waiting)
        tiers.edge.tick(trio.current_time() + 1e9)
        answer = await driver.until_ready()
        assert (fields(answer)["S"], fields(answer)["C"]) == ("ERROR", "57P03")
        assert answer[-1] == READY
        await tiers.link()
        await answers(driver)
        assert count(origin, "held") == 0


# --- the client leaves (rules 3) ---


@beside
async def test_a_query_before_terminate_commits(side: PoolSide, origin: Origin) -> None:
    make_table(origin, "terminated")
    async with two_tiers(side, origin) as tiers:
        driver = await tiers.connect()
        await driver.send(query(b"insert into terminated select 1 from pg_sleep(0.1)") + terminate())
        driver.hang_up()
        await until(lambda: side.tenant.pool.total_leases)
        await side.quiet()
        assert count(origin, "terminated") == 1


@beside
async def test_a_client_that_says_terminate_at_once_gets_its_answers(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        driver = await tiers.connect()
        await driver.send(query(b"select 1 from pg_sleep(0.1)"), query(b"select 2") + terminate())
        assert tags(await driver.until_closed()) == "TDCZTDCZ"
        await side.quiet()


@beside
async def test_a_client_that_vanishes_in_a_transaction_is_rolled_back_and_its_connection_kept(
    side: PoolSide, origin: Origin
) -> None:
    make_table(origin, "vanished")
    async with two_tiers(side, origin) as tiers:
        driver, other = await tiers.connect(), await tiers.connect()
        await driver.ask(BEGUN)
        await driver.ask(query(b"insert into vanished values (1)"))
        connections = set(side.tenant.pool.all())
        driver.hang_up()
        await until(lambda: not tiers.edge.clients - {one for one in tiers.edge.clients if one._passage.lane is None})
        await side.quiet()
        await answers(other)
        assert count(origin, "vanished") == 0
        assert connections & set(side.tenant.pool.all())


# --- COPY that fails while its client goes on sending ---


async def _fail_copies(driver: Driver, other: Driver) -> None:
    flood = copy_data(b"1\tx\n1\ttwice\n") + copy_data(b"2\t" + b"y" * 90_000 + b"\n") * 60 + copy_done()
    for _ in range(3):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(driver.send, query(b"copy copied from stdin") + flood)
            answer = await driver.until_ready()
        assert tags(answer) == "GEZ"
        assert fields(answer)["C"] == "23505"
        await answers(other)
        await answers(driver)


@beside
async def test_a_failed_copy_leaves_both_sides_in_step(side: PoolSide, origin: Origin) -> None:
    make_table(origin, "copied")
    async with two_tiers(side, origin) as tiers:
        with trio.fail_after(5):
            await _fail_copies(await tiers.connect(), await tiers.connect())
        await side.quiet()
        assert not side.tenant.pool.leased, "what was left over holds no connection"
        assert count(origin, "copied") == 0


# --- statements (rules 8, 12) ---


@beside
async def test_a_long_pipeline_of_a_named_statement_is_served_by_any_connections(
    side: PoolSide, origin: Origin
) -> None:
    async with two_tiers(side, origin, origin_connection_limit=5) as tiers:
        drivers = [await tiers.connect() for _ in range(12)]

        async def work(driver: Driver, number: int) -> None:
            sql = b"select length($1::text) + %d" % number
            await driver.ask(parse(b"s", sql) + sync())
            one = bind(b"", b"s", [b"x" * 3000]) + execute() + sync()
            for _ in range(3):
                async with trio.open_nursery() as inner:
                    inner.start_soon(driver.send, one * 100)
                    answer = await driver.until_ready(100)
                assert tags(answer) == "2DCZ" * 100
                assert rows(answer) == [[b"%d" % (3000 + number)]] * 100

        async with trio.open_nursery() as nursery:
            for number, driver in enumerate(drivers):
                nursery.start_soon(work, driver, number)


@beside
async def test_a_statement_is_known_to_the_last_chunk_of_the_request_that_needs_it(
    side: PoolSide, origin: Origin
) -> None:
    async with two_tiers(side, origin) as tiers:
        driver = await tiers.connect()
        await driver.ask(parse(b"s", b"select 'known'") + sync())
        group = bind(b"", b"s") + execute() + sync()
        (client,) = tiers.edge.clients
        renamed = client._session.feed(group)
        client._session.owed = 0
        for size in (len(renamed), len(renamed) + 10):  # between two groups, and in the middle of one
            tiers.rest_passes.clear()
            tiers.split_bytes = size
            await driver.send(group * 2)
            assert rows(await driver.until_ready()) == [[b"known"]]
            await side.quiet()  # another connection will serve the rest, one that has not seen the statement
            for connection in list(side.tenant.pool.idle):
                side.tenant.discard(connection, "the test wants another")
            tiers.rest_passes.set()
            tiers.split_bytes = 0
            assert rows(await driver.until_ready()) == [[b"known"]]


@beside
async def test_sessions_with_one_name_for_two_meanings_do_not_meet(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        one, other = await tiers.connect(), await tiers.connect()
        german, american = await tiers.connect(DateStyle="sql, dmy"), await tiers.connect(DateStyle="sql, mdy")
        for driver, sql in (
            (one, b"select 1"),
            (other, b"select 2"),
            (german, b"select extract(month from date '01/02/2024')"),
            (american, b"select extract(month from date '01/02/2024')"),
        ):
            await driver.ask(parse(b"s", sql) + sync())
        run = bind(b"", b"s") + execute() + sync()
        for _ in range(3):
            for driver, value in ((one, b"1"), (other, b"2"), (german, b"2"), (american, b"1")):
                assert rows(await driver.ask(run)) == [[value]]


@beside
async def test_another_session_s_statement_cannot_be_guessed(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        victim, attacker = await tiers.connect(), await tiers.connect()
        await victim.ask(parse(b"s", b"select 'secret'") + sync())
        (client,) = [one for one in tiers.edge.clients if len(one._session.statements)]
        statement = client._session.statements.registry.present(b"s")
        assert statement is not None
        for attempt in (
            bind(b"", statement.name) + execute(),
            describe_statement(statement.name),
            bind(b"", b"s") + execute(),
            bind(b"", b"") + execute(),
        ):
            answer = await attacker.ask(attempt + sync())
            assert (tags(answer), fields(answer)["C"]) == ("EZ", "26000")
        assert rows(await victim.ask(bind(b"", b"s") + execute() + sync())) == [[b"secret"]]


@pytest.mark.parametrize("how", ["run", "prepared", "in a function"])
@beside
async def test_another_session_s_statement_cannot_be_replaced(side: PoolSide, origin: Origin, how: str) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        await side.alone()
        driver, other = await tiers.connect(), await tiers.connect()
        run = (bind(b"", b"s", [b"41"]), execute(), sync())
        assert tags(await driver.ask(parse(b"s", b"select $1::int + 1"), *run)) == "12DCZ"
        await side.quiet()
        [[name]] = rows(await other.ask(query(b"select name from pg_prepared_statements where statement ~ 'int . 1'")))
        assert name is not None
        if how == "run":  # PostgreSQL has it under this name for the lease, if it is let
            await other.ask(parse(name, b"select $1::int + 1000"), sync())
            await other.ask(query(b'execute "%s"(1)' % name))
        else:
            sql = b'deallocate "%s"; prepare "%s"(int) as select $1 + 1000' % (name, name)
            await other.ask(query(sql if how == "prepared" else b"do $$ begin execute '%s'; end $$" % sql))
        await side.quiet()
        assert rows(await driver.ask(*run)) == [[b"42"]]


@beside
async def test_an_oversized_bind_of_a_named_statement_arrives_whole(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        driver = await tiers.connect()
        await driver.ask(parse(b"s", b"select md5($1), length($1)") + sync())
        side.tenant.retire(lambda _: True)
        request = bind(b"", b"s", [b"v" * (3 << 20)]) + execute() + sync()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(driver.send, request)
            ((_, length),) = rows(await driver.until_ready())
        assert length == b"%d" % (3 << 20)


# --- refusals of the pool node ---


@beside
async def test_an_oversized_query_refused_in_the_middle_disturbs_nobody(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin, origin_connection_limit=5, wait_timeout_s=1.0) as tiers:
        holders = [await tiers.connect() for _ in range(5)]
        for holder in holders:
            await holder.ask(BEGUN)
        driver = await tiers.connect()
        long = query(b"select '" + b"x" * (2 << 20) + b"'")
        await driver.send(long[:100_000])
        await until(lambda: side.tenant.pool.waiters)
        side.tick(2.0)
        assert fields(await driver.until_ready())["C"] == "53300"
        for holder in holders:
            await holder.ask(query(b"commit"))
        await driver.send(long[100_000:])
        await answers(driver)
        for holder in holders:
            await answers(holder)


@beside
async def test_an_origin_that_is_away_refuses_statements_not_sessions(side: PoolSide, origin: Origin) -> None:
    forwarder = await side.forwarder(origin)
    async with two_tiers(side, origin, port=forwarder.port, wait_timeout_s=1.0) as tiers:
        driver = await tiers.connect()
        await answers(driver)
        forwarder.stop()
        await until(lambda: not side.tenant.pool.size)
        await driver.send(query(b"select 1"))
        await until(lambda: side.tenant.pool.waiters)
        side.tick(2.0)
        answer = await driver.until_ready()
        assert tags(answer) == "EZ"
        assert fields(answer)["S"] == "ERROR"
        await forwarder.start()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answers, driver)
            while not side.tenant.pool.size:
                side.tick()
                await trio.sleep(0.01)


# --- the configuration changes ---


async def _ends(tiers: TwoTiers, side: PoolSide, *, deleted: bool) -> None:
    quiet, busy = await tiers.connect(), await tiers.connect()
    await answers(quiet)
    await busy.ask(BEGUN)
    present = side.tenant.configuration
    if deleted:
        side.tenants.withdraw("app", present.version + 1)
    else:
        changes = {"version": present.version + 1, "credentials_version": present.credentials_version + 1}
        side.put(msgspec.structs.replace(present, **changes))
    assert fields(await quiet.until_closed())["C"] == "57P01"
    await busy.ask(query(b"select 1"))
    answer = await busy.ask(query(b"commit"))
    assert tags(answer[:2]) == "CZ"
    assert fields(answer + await busy.until_closed())["C"] == "57P01"


@beside
async def test_new_credentials_end_sessions_at_their_next_boundary(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await _ends(tiers, side, deleted=False)


@beside
async def test_a_deleted_configuration_ends_sessions_at_their_next_boundary(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await _ends(tiers, side, deleted=True)
        with pytest.raises(AssertionError, match=r"3D000|28P01|does not exist"):
            await tiers.connect()


# --- cancel, and bad input ---


@beside
async def test_a_cancel_request_cancels_the_query_it_means(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        driver, other = Driver(tiers), await tiers.connect()
        told = await driver.log_in({})
        await driver.send(query(b"select pg_sleep(60), 'to be cancelled'"))
        await active(origin, "to be cancelled")
        for secret in (bytes(4), told.secret_key):
            canceller = Driver(tiers)
            await canceller.send(cancel_request(told.process_id, secret))
            assert await canceller.until_closed() == []
        answer = await driver.until_ready()
        assert (fields(answer)["C"], answer[-1]) == ("57014", READY)
        await answers(driver)
        await answers(other)


@beside
async def test_garbage_ends_its_own_session_and_no_other(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        other = await tiers.connect()
        await other.ask(BEGUN)
        for garbage in (
            b"Q\x7f\xff\xff\xff",
            b"!\0\0\0\4",
            b"B\0\0\0\x06xx",
            parse(b"", b"select 1")[:-2] + b"\0\7S\0\0\0\4",
        ):
            driver = await tiers.connect()
            await answers(driver)
            await driver.send(garbage + b"Q" * 100)
            *_, last = await driver.until_closed()
            assert (fields([last])["S"], fields([last])["C"]) == ("FATAL", "08P01")
        assert tags(await other.ask(query(b"commit"))) == "CZ"


@beside
async def test_a_message_that_ends_in_a_string_fails_as_postgresql_says_and_costs_no_connection(
    side: PoolSide, origin: Origin
) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        connected = set(side.tenant.pool.all())
        for message in CUT_OFF:
            for first in (b"", query(b"select 1"), parse(b"", b"select 1")):
                number = 2 + first.startswith(b"Q") + message.startswith(b"Q")
                answer = await driver.ask(first, message, sync(), query(b"select 2"), number=number)
                error = fields(answer)
                assert (error["S"], error["C"], error["M"]) == ("ERROR", "08P01", "invalid string in message")
                assert rows(answer)[-1] == [b"2"]
        for message in (GOES_ON, b"S\0\0\0\5x", b"H\0\0\0\5x" + sync()):
            error = fields(await driver.ask(message))
            assert (error["S"], error["C"], error["M"]) == ("ERROR", "08P01", "invalid message format")
        assert fields(await driver.ask(parse(b"\xff", b"select 1"), sync()))["C"] == "22021"
        assert rows(await driver.ask(query(b"select 2"))) == [[b"2"]]
        assert set(side.tenant.pool.all()) == connected


# --- the origin skips what comes up to a Sync ---

SKIPPED: Final = execute(b"nothing") + query(b"select 'skipped'")


def is_skipping(side: PoolSide) -> bool:
    return any(origin.pipeline.is_skipping for origin in side.tenant.pool.leased)


@pytest.mark.parametrize("begun", [b"", query(b"begin; select 1")])
@pytest.mark.parametrize("last", [b"", terminate()])
@beside
async def test_a_client_that_leaves_while_the_origin_skips_gives_its_connection_back(
    side: PoolSide, origin: Origin, last: bytes, begun: bytes
) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        connected, driver = set(side.tenant.pool.all()), await tiers.connect()
        await driver.send(begun, SKIPPED)
        await until(lambda: is_skipping(side))
        await driver.send(last)
        driver.hang_up()
        await until(lambda: not side.tenant.is_busy, timeout_s=2)
        await side.quiet()
        assert set(side.tenant.pool.all()) == connected
        await answers(await tiers.connect())


@beside
async def test_garbage_behind_what_is_never_answered_ends_its_session_in_time(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        driver = await tiers.connect()
        await driver.send(SKIPPED)
        await until(lambda: is_skipping(side))
        await driver.send(b"!\0\0\0\4")
        await until(lambda: tiers.edge.limits.broken)
        tiers.edge.tick(time.monotonic() + BROKEN_S - 1)
        assert tiers.edge.clients
        tiers.edge.tick(time.monotonic() + BROKEN_S)
        error = fields([(await driver.until_closed())[-1]])
        assert (error["S"], error["C"]) == ("FATAL", "08P01")
        await until(lambda: not side.tenant.is_busy, timeout_s=2)


@pytest.mark.parametrize("at_once", [True, False])
@beside
async def test_garbage_in_the_data_of_a_copy_ends_its_session_at_once(
    side: PoolSide, origin: Origin, *, at_once: bool
) -> None:
    make_table(origin, "copied")
    async with two_tiers(side, origin) as tiers:
        driver = await tiers.connect()
        garbage = copy_data(b"1\tone\n") + b"!\0\0\0\4"
        await driver.send(query(b"copy copied from stdin"), garbage if at_once else b"")
        if not at_once:
            while tags(driver._seen) != "G":
                await driver._receive()
            await driver.send(garbage)
        answer = await driver.until_closed()
        assert tags(answer) == "GEZE"
        assert [fields([one])["M"] for one in answer if one[:1] == b"E"] == [
            "COPY from stdin failed: the client has broken the protocol", "invalid frontend message type 33",
        ]  # fmt: skip
        await side.quiet()
        assert count(origin, "copied") == 0


@pytest.mark.parametrize("state", ["track", "pin"])
@beside
async def test_names_longer_than_what_is_read_of_a_message_end_their_session_with_a_word(
    side: PoolSide, origin: Origin, state: str
) -> None:
    long = b"n" * (1 << 20)
    async with two_tiers(side, origin, session_state=state) as tiers:
        for message in (parse(long, b"select 1"), bind(long, b"s"), bind(b"", long)):
            driver = await tiers.connect()
            await driver.send(message)
            error = fields(await driver.until_closed())
            assert error["M"] == "the names in a message of more than 1 MiB must end within 1024 bytes"
        driver = await tiers.connect()
        answer = await driver.ask(parse(long[:99_999], b"select 1"), bind(b"", long[:99]), execute(), sync())
        assert tags(answer) == "12DCZ"


@beside
async def test_who_waits_while_the_origin_skips_is_idle_in_a_transaction(side: PoolSide, origin: Origin) -> None:
    """No query is running that could be over its limit."""
    async with two_tiers(side, origin, query_timeout_s=60.0, idle_in_transaction_timeout_s=300.0) as tiers:
        driver = await tiers.connect()
        await driver.send(SKIPPED)
        await until(lambda: is_skipping(side))
        side.tick(later_s=200)
        assert not any(origin.cancelling for origin in side.tenant.pool.leased)
        assert tags(await driver.ask(sync())) == "EZ"
        await driver.send(SKIPPED)
        await until(lambda: is_skipping(side))
        side.tick(later_s=301)
        assert fields([(await driver.until_closed())[-1]])["C"] == "25P03"


@beside
async def test_a_query_that_is_cut_off_leaves_the_unnamed_statement(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        driver = await tiers.connect()
        for message in (message for message in CUT_OFF if message.startswith(b"Q")):
            await driver.ask(parse(b"", b"select 7"), sync())
            await driver.ask(message)
            assert rows(await driver.ask(bind(b"", b""), execute(), sync())) == [[b"7"]]
