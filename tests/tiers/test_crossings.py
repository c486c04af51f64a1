"""One trip: what a driver does costs exactly one message out and its answer back, or none at all."""

from typing import Final

import asyncpg

from protos.pg.messages import bind, describe_portal, describe_statement, execute, parse, query, sync
from protos.pg.parsers import data_row_of, parameter_status_of
from protos.runtime.guest import call_host
from tests.support.beside import PoolSide, beside, until
from tests.support.cluster import Origin
from tests.support.target import Target, connect
from tests.support.two_tiers import FIRST, ONE, TO_EDGE, TO_POOL, Driver, in_thread, two_tiers, warm

ASKED: Final = [(TO_POOL, frozenset({"resolve"})), (TO_EDGE, frozenset({"resolved"}))]

FLIGHT: Final = parse(b"", b"select $1::int + 1") + bind(b"", b"", [b"41"]) + describe_portal(b"") + execute() + sync()


def value(messages: list[bytes]) -> bytes | None:
    (row,) = [message for message in messages if message[:1] == b"D"]
    return data_row_of(row)[0]


@beside
async def test_connecting_crosses_nothing(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver, crossed = await tiers.crossings(lambda: tiers.connect(application_name="x", client_encoding="UTF8"))
        assert crossed == []
        driver.hang_up()


@beside
async def test_the_first_statement_of_a_session_crosses_once(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        before = tiers.counts
        answer, crossed = await tiers.crossings(lambda: driver.ask(query(b"select 42")))
        assert value(answer) == b"42"
        assert crossed == FIRST
        assert tiers.counts == (before[0] + 1, before[1] + 1)


@beside
async def test_the_first_statement_of_all_crosses_once_though_no_origin_connection_is_open(
    side: PoolSide, origin: Origin
) -> None:
    async with two_tiers(side, origin) as tiers:
        driver = Driver(tiers)
        _, crossed = await tiers.crossings(lambda: driver.log_in({}))
        assert crossed == ASKED, "what the origin reports at connect is asked once, and then known to all"
        answer, crossed = await tiers.crossings(lambda: driver.ask(query(b"select 42")))
        assert value(answer) == b"42"
        assert crossed == FIRST


@beside
async def test_every_later_statement_crosses_once(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        await driver.ask(query(b"select 1"))
        before = tiers.counts
        for number in range(20):
            answer, crossed = await tiers.crossings(lambda: driver.ask(query(b"select 42")))
            assert value(answer) == b"42"
            assert crossed == ONE
            answer, crossed = await tiers.crossings(lambda: driver.ask(FLIGHT))
            assert value(answer) == b"42"
            assert crossed == ONE
            assert tiers.counts == (before[0] + 2 * number + 2, before[1] + 2 * number + 2)


@beside
async def test_an_extended_query_with_a_parameter_in_one_flight_crosses_once(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        answer, crossed = await tiers.crossings(lambda: driver.ask(FLIGHT))
        assert [message[:1] for message in answer] == [b"1", b"2", b"T", b"D", b"C", b"Z"]
        assert value(answer) == b"42"
        assert crossed == FIRST


@beside
async def test_a_prepared_statement_crosses_once_each_time_on_whichever_connection(
    side: PoolSide, origin: Origin
) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        prepared = parse(b"s", b"select $1::int + 1") + describe_statement(b"s") + sync()
        _, crossed = await tiers.crossings(lambda: driver.ask(prepared))
        assert [direction for direction, _ in crossed] == [TO_POOL, TO_EDGE]
        for round_ in range(3):
            if round_ == 1:  # a connection that does not know it
                side.tenant.retire(lambda _: True)
            run = bind(b"", b"s", [b"41"]) + execute() + sync()
            answer, crossed = await tiers.crossings(lambda: driver.ask(run))  # noqa: B023 - asked at once
            assert value(answer) == b"42"
            assert crossed == [(TO_POOL, frozenset({"statement", "data"})), (TO_EDGE, frozenset({"data"}))]


@beside
async def test_a_transaction_crosses_once_a_statement(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        await driver.ask(query(b"select 1"))
        opening = [(TO_POOL, frozenset({"begin", "data"})), ONE[1]]
        for sql, expected in ((b"begin", []), (b"select 1", opening), (b"select 2", ONE), (b"commit", ONE)):
            _, crossed = await tiers.crossings(lambda: driver.ask(query(sql)))  # noqa: B023 - asked at once
            assert crossed == expected


@beside
async def test_a_pipeline_crosses_once(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        answer, crossed = await tiers.crossings(lambda: driver.ask(FLIGHT * 30, number=30))
        assert sum(message[:1] == b"D" for message in answer) == 30
        assert crossed[0] == FIRST[0]
        assert [direction for direction, _ in crossed].count(TO_POOL) == 1


@beside
async def test_an_unknown_startup_parameter_crosses_once_and_then_never_again(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        for expected in (ASKED, [], []):
            driver = Driver(tiers)
            told, crossed = await tiers.crossings(lambda: driver.log_in({"DateStyle": "german"}))  # noqa: B023
            assert crossed == expected
            assert told.parameters["DateStyle"] == "German, DMY"
            answer, crossed = await tiers.crossings(lambda: driver.ask(query(b"select current_setting('datestyle')")))  # noqa: B023
            assert value(answer) == b"German, DMY"
            assert crossed == FIRST
            driver.hang_up()


@beside
async def test_settings_cost_no_crossing_on_whichever_connection(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        german, plain = await tiers.connect(DateStyle="german"), await tiers.connect()
        for driver, style in ((german, b"German, DMY"), (plain, b"ISO, MDY")) * 3:
            answer, crossed = await tiers.crossings(lambda: driver.ask(query(b"select current_setting('datestyle')")))  # noqa: B023
            assert value(answer) == style
            assert [direction for direction, _ in crossed] == [TO_POOL, TO_EDGE]
            told = [message for message in answer if message[:1] == b"S"]
            assert [parameter_status_of(message) for message in told] == [], "its own restoring is nobody's business"


@beside
async def test_leaving_waits_for_no_answer(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        await driver.ask(query(b"select 1"))

        async def leave() -> None:
            await driver.send(b"X\0\0\0\4")
            assert await driver.until_closed() == []

        _, crossed = await tiers.crossings(leave)
        assert crossed == []
        await until(lambda: not side.tenant.channels)


# --- drivers ---


def connected_and_asked(target: Target) -> int:
    with connect(target, autocommit=True) as connection:
        row = connection.execute("select %s::int + 1", (41,)).fetchone()
        assert row is not None
        return int(row[0])


@beside
async def test_psycopg_connects_and_asks_in_one_crossing(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        target = tiers.listen()
        for _ in range(2):
            answer, crossed = await tiers.crossings(lambda: in_thread(lambda: connected_and_asked(target)))
            assert answer == 42
            assert crossed == FIRST


@beside
async def test_psycopg_s_later_queries_cross_once_each(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        target = tiers.listen()
        connection = await in_thread(lambda: connect(target, autocommit=True))
        try:
            for number in range(12):

                def ask(number: int = number) -> object:
                    return connection.execute("select %s::int + 1", (number,)).fetchone()

                answer, crossed = await tiers.crossings(lambda: in_thread(ask))
                assert answer == (number + 1,)
                flights = 2 if number == 5 else 1  # psycopg prepares it then, in a flight of its own
                assert [direction for direction, _ in crossed] == [TO_POOL, TO_EDGE] * flights
        finally:
            await in_thread(connection.close)


@beside
async def test_asyncpg_prepares_once_and_then_crosses_once_each(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        target = tiers.listen()

        async def dial() -> object:
            return await asyncpg.connect(
                host=target.host, port=target.port, user=target.user, password=target.password,
                database=target.database,
            )  # fmt: skip

        connection, crossed = await tiers.crossings(lambda: call_host(dial()))
        assert crossed == []
        for _ in range(3):
            statement = connection.fetchval("select $1::int + 1", 41)  # type: ignore[attr-defined]
            answer, crossed = await tiers.crossings(lambda: call_host(statement))  # noqa: B023 - asked at once
            assert answer == 42
        assert [direction for direction, _ in crossed] == [TO_POOL, TO_EDGE]
        await call_host(connection.close())  # type: ignore[attr-defined]
