"""What an edge answers itself costs no crossing, and is what PostgreSQL would have said."""

from typing import Final

import pytest

from edge.control import Held
from protos.errors import DrainingError
from protos.pg.messages import (
    bind,
    close_portal,
    close_statement,
    command_complete,
    describe_portal,
    describe_statement,
    error_fields,
    execute,
    flush,
    parse,
    query,
    ready_for_query,
    sync,
)
from regional.configuration import Early
from tests.support.beside import PoolSide, beside, until
from tests.support.cluster import Origin
from tests.support.target import connect
from tests.support.two_tiers import ONE, TO_EDGE, TO_POOL, Driver, TwoTiers, in_thread, rows, two_tiers, warm

#: The first statement of a session, in front of which its transaction is opened, and its answer.
OPENING_FIRST: Final = [(TO_POOL, frozenset({"open", "begin", "data"})), (TO_EDGE, frozenset({"data"}))]
IN_TRANSACTION: Final = ready_for_query(ord("T"))
FAILED: Final = ready_for_query(ord("E"))
IDLE: Final = ready_for_query(ord("I"))


def sqlstates(messages: list[bytes]) -> list[str]:
    return [error_fields(message)["C"] for message in messages if message[:1] == b"E"]


async def asked(
    tiers: TwoTiers, driver: Driver, *messages: bytes
) -> tuple[list[bytes], list[tuple[str, frozenset[str]]]]:
    return await tiers.crossings(lambda: driver.ask(*messages))


# --- a transaction that is held ---


@beside
async def test_begin_crosses_with_the_first_statement(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        assert await asked(tiers, driver, query(b"begin")) == ([command_complete("BEGIN"), IN_TRANSACTION], [])
        answer, crossed = await asked(tiers, driver, query(b"select pg_current_xact_id_if_assigned() is null"))
        assert (rows(answer), answer[-1], crossed) == ([[b"t"]], IN_TRANSACTION, OPENING_FIRST)
        answer, crossed = await asked(tiers, driver, query(b"commit"))
        assert (answer, crossed) == ([command_complete("COMMIT"), IDLE], ONE)


@beside
async def test_a_transaction_of_one_read_and_one_write_costs_three_crossings(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        await (await tiers.connect()).ask(query(b"create table if not exists early (id int)"))
        target = tiers.listen()

        def work() -> None:
            with connect(target) as connection:
                connection.execute("select count(*) from early")
                connection.execute("insert into early values (1)")

        await in_thread(work)
        _, crossed = await tiers.crossings(lambda: in_thread(work))
        assert [direction for direction, kinds in crossed if "data" in kinds] == [TO_POOL, TO_EDGE] * 3


@pytest.mark.parametrize("sql", [b"set search_path = pg_catalog", b"select set_config('role', 'none', false)"])
@beside
async def test_the_first_statement_is_not_refused_for_being_alone(side: PoolSide, origin: Origin, sql: bytes) -> None:
    async with two_tiers(side, origin, session_state="reset") as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        assert sqlstates(await driver.ask(query(sql.replace(b"none", b"by_scram")))) == ["0A000"]
        await driver.ask(query(b"begin"))
        answer = await driver.ask(query(sql))
        assert (sqlstates(answer), answer[-1]) == ([], IN_TRANSACTION)


@pytest.mark.parametrize("is_extended", [False, True], ids=["simple", "extended"])
@beside
async def test_a_reset_for_the_transaction_may_be_its_first_statement(
    side: PoolSide, origin: Origin, *, is_extended: bool
) -> None:
    sql = b"set local timezone to default"
    messages = [parse(b"", sql), bind(b"", b""), execute(), sync()] if is_extended else [query(sql)]
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect(TimeZone="Asia/Tokyo")
        await driver.ask(query(b"begin"))
        await driver.ask(*messages)
        assert rows(await driver.ask(query(b"select current_setting('timezone')"))) == [[b"Asia/Tokyo"]]


@beside
async def test_an_empty_transaction_does_not_cross(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        for end, tag in ((b"commit", "COMMIT"), (b"ROLLBACK;", "ROLLBACK"), (b"end work", "COMMIT")):
            _, begun = await asked(tiers, driver, query(b"start transaction read only"))
            answer, ended = await asked(tiers, driver, query(end))
            assert (answer, begun, ended) == ([command_complete(tag), IDLE], [], [])


@beside
async def test_modes_hold_for_the_transaction_and_for_its_chain(side: PoolSide, origin: Origin) -> None:
    show = query(
        b"select current_setting('transaction_isolation'), current_setting('transaction_read_only'),"
        b" current_setting('transaction_deferrable')"
    )
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        for sql in (b"begin isolation level serializable", b"SET TRANSACTION READ ONLY, DEFERRABLE"):
            _, crossed = await asked(tiers, driver, query(sql))
            assert crossed == []
        for _ in range(2):
            answer, _ = await asked(tiers, driver, show)
            assert rows(answer) == [[b"serializable", b"on", b"on"]]
            await driver.ask(query(b"commit and chain"))
        await driver.ask(query(b"commit"))
        answer, crossed = await asked(tiers, driver, show)
        assert (rows(answer), crossed) == ([[b"read committed", b"off", b"off"]], ONE)


@beside
async def test_an_empty_chain_is_held(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        for sql, tag in ((b"begin", "BEGIN"), (b"commit and chain", "COMMIT"), (b"abort and chain", "ROLLBACK")):
            assert await asked(tiers, driver, query(sql)) == ([command_complete(tag), IN_TRANSACTION], [])
        _, crossed = await asked(tiers, driver, query(b"select 1"))
        assert crossed == OPENING_FIRST


@beside
async def test_begin_in_the_extended_protocol_is_held_too(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        begin = parse(b"", b"begin transaction") + bind(b"", b"") + describe_portal(b"") + execute() + sync()
        answer, crossed = await asked(tiers, driver, begin)
        assert [message[:1] for message in answer] == [b"1", b"2", b"n", b"C", b"Z"]
        assert (answer[-1], crossed) == (IN_TRANSACTION, [])
        two_trips = (parse(b"c", b"commit") + describe_statement(b"c") + sync(), bind(b"", b"c") + execute() + sync())
        kinds = [[m[:1] for m in (await asked(tiers, driver, one))[0]] for one in two_trips]
        assert kinds == [[b"1", b"t", b"n", b"Z"], [b"2", b"C", b"Z"]]
        assert tiers.crossed == []
        answer, crossed = await asked(tiers, driver, bind(b"", b"c") + execute() + sync())  # outside of a transaction
        assert [message[:1] for message in answer] == [b"2", b"N", b"C", b"Z"]
        assert crossed


@beside
async def test_a_savepoint_is_opened_with_its_transaction(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        for sql in (b"begin", b'savepoint "outer"', b"savepoint s1", b"release savepoint s1", b"savepoint s2"):
            _, crossed = await asked(tiers, driver, query(sql))
            assert crossed == []
        answer, _ = await asked(tiers, driver, query(b"select 1/0"))
        assert (sqlstates(answer), answer[-1]) == (["22012"], FAILED)
        assert await driver.ask(query(b"rollback to s2")) == [command_complete("ROLLBACK"), IN_TRANSACTION]
        assert await driver.ask(query(b'release "outer"')) == [command_complete("RELEASE"), IN_TRANSACTION]
        assert sqlstates(await driver.ask(query(b"release s2"))) == ["3B001"]


@beside
async def test_what_is_pipelined_behind_begin_is_in_its_transaction(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        work = [query(b"begin"), query(b"select 1"), query(b"select 1/0"), query(b"select 2"), query(b"commit")]
        answer = await driver.ask(*work, number=5)
        ready = [message for message in answer if message[:1] == b"Z"]
        assert ready == [IN_TRANSACTION, IN_TRANSACTION, FAILED, FAILED, IDLE]
        assert sqlstates(answer) == ["22012", "25P02"]


@beside
async def test_what_fails_in_the_opening_is_the_first_statement_s_error(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        for statement in (query(b"select 1"), parse(b"", b"select 1") + bind(b"", b"") + execute() + sync()):
            driver = await tiers.connect()
            await driver.ask(query(b"begin"))
            (client,) = (one for one in tiers.edge.clients if one._session.here.held)
            client._session.here.held = Held((b"BEGIN", b"SET TRANSACTION READ ONLY", b"set local work_mem = 'much'"))
            assert sqlstates(answer := await driver.ask(statement)) == ["22023"]
            assert answer[-1] == FAILED
            assert sqlstates(await driver.ask(statement)) == ["25P02"]
            assert await driver.ask(query(b"rollback")) == [command_complete("ROLLBACK"), IDLE]
            assert rows(await driver.ask(query(b"select 3"))) == [[b"3"]]


@beside
async def test_a_first_statement_that_is_refused_leaves_a_failed_transaction(side: PoolSide, origin: Origin) -> None:
    # Else what follows it would run outside of any transaction (rules 1).
    async with two_tiers(side, origin, origin_connection_limit=5, max_waiters=0) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        await driver.ask(query(b"create table if not exists kept (id int)"))
        await side.quiet()
        busy = [await tiers.connect() for _ in range(7)]
        for one in busy:
            await one.ask(query(b"begin"))
            await one.send(query(b"select pg_advisory_xact_lock(1)"))
        await until(lambda: side.tenant.pool.is_full)
        await driver.ask(query(b"begin"))
        answer = await driver.ask(query(b"insert into kept values (1)"))
        assert (sqlstates(answer), answer[-1]) == (["53300"], FAILED)
        for one in busy:
            one.hang_up()
        # Not only one is idle: the catalogue, which could not be read meanwhile, is read on the first.
        await until(lambda: bool(side.tenant.pool.idle))
        await side.quiet()
        answer = await driver.ask(query(b"insert into kept values (2)"))
        assert (sqlstates(answer), answer[-1]) == (["25P02"], FAILED)
        assert await driver.ask(query(b"commit")) == [command_complete("ROLLBACK"), IDLE]
        await driver.ask(query(b"begin"))
        await driver.ask(query(b"insert into kept values (3)"))
        await driver.ask(query(b"commit"))
        assert rows(await driver.ask(query(b"select id from kept; drop table kept"))) == [[b"3"]]


@beside
async def test_a_failed_transaction_that_is_held_ends_at_the_edge(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        tiers.cut()
        await driver.ask(query(b"begin"))
        await driver.send(query(b"select 1"))
        (client,) = tiers.edge.clients
        await until(lambda: bool(client._held))
        tiers.edge.limits.tick(1e12)
        answer = await driver.until_ready()
        assert (sqlstates(answer), answer[-1]) == (["57P03"], FAILED)
        assert await driver.ask(query(b"rollback and chain")) == [command_complete("ROLLBACK"), IN_TRANSACTION]
        await tiers.link()
        assert rows(await driver.ask(query(b"select 1"))) == [[b"1"]]


@beside
async def test_a_session_with_nothing_but_a_held_begin_outlives_its_link(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        await driver.ask(query(b"begin read only"))
        tiers.cut()
        await tiers.link()
        answer, crossed = await asked(tiers, driver, query(b"show transaction_read_only"))
        assert (rows(answer), crossed) == ([[b"on"]], OPENING_FIRST)


@beside
async def test_a_held_transaction_may_be_idle_for_as_long_as_any_other(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin, idle_in_transaction_timeout_s=60) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        await driver.ask(query(b"begin"))
        (client,) = tiers.edge.clients
        tiers.edge.tick(client.held_since + 59)
        assert await driver.ask(query(b"set transaction read only")) == [command_complete("SET"), IN_TRANSACTION]
        tiers.edge.tick(client.held_since + 61)
        assert sqlstates(await driver.until_closed()) == ["25P03"]


@beside
async def test_a_drain_waits_for_the_end_of_a_held_transaction(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        await driver.ask(query(b"select 1"))
        await driver.ask(query(b"begin"))
        (client,) = tiers.edge.clients
        client.end_when_quiet(DrainingError())
        assert tiers.edge.clients
        answer = await driver.ask(query(b"commit"))
        assert answer[:2] == [command_complete("COMMIT"), IDLE]
        answer += await driver.until_closed()
        assert sqlstates(answer) == ["57P01"]


@beside
@pytest.mark.parametrize(
    "sql",
    [b"begin; select 1", b"begin -- a remark", b"savepoint a1", b"begin read", b"select 1; begin", b"set transaction"],
)
async def test_what_is_not_known_for_certain_crosses(side: PoolSide, origin: Origin, sql: bytes) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        _, crossed = await asked(tiers, driver, query(sql))
        assert crossed


# --- a prepare round trip ---

SQL: Final = b"select $1::int + 1 as next"


@beside
@pytest.mark.parametrize("end", [sync(), flush()])
async def test_a_prepare_round_trip_of_a_known_statement_does_not_cross(
    side: PoolSide, origin: Origin, end: bytes
) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        first = await tiers.connect()
        told = await first.ask(parse(b"a", SQL) + describe_statement(b"a") + sync())
        for name in (b"b", b""):
            driver = await tiers.connect()
            await driver.send(parse(name, SQL) + describe_statement(name) + end)
            run = bind(b"", name, [b"41"]) + execute() + sync()
            answer, crossed = await asked(tiers, driver, run) if end == flush() else (await driver.until_ready(), [])
            if end == sync():
                assert (answer, crossed) == (told, [])
                answer, crossed = await asked(tiers, driver, run)
            else:
                assert answer[:3] == told[:3]
            assert rows(answer) == [[b"42"]]
            assert crossed == [(TO_POOL, frozenset({"open", "statement", "data"})), (TO_EDGE, frozenset({"data"}))]


@beside
async def test_what_was_heard_of_a_statement_is_not_told_of_the_next_one_of_its_name(
    side: PoolSide, origin: Origin
) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        await driver.ask(
            parse(b"", SQL) + describe_statement(b"") + sync(), parse(b"", b"select 'x' as y") + sync(), number=2
        )
        answer = await driver.ask(bind(b"", b"") + execute() + sync())
        assert rows(answer) == [[b"x"]]


@beside
async def test_a_name_in_use_is_not_prepared_again_at_the_edge(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        prepare = parse(b"a", SQL) + describe_statement(b"a") + sync()
        await driver.ask(prepare)
        _, crossed = await asked(tiers, driver, prepare)
        assert crossed


# --- names that are taken away ---


@beside
async def test_names_are_taken_away_at_no_crossing_where_no_transaction_is_open(side: PoolSide, origin: Origin) -> None:
    prepare = parse(b"a", SQL) + parse(b"b", SQL) + sync()
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        for sql, tag, gone in (
            (b"DEALLOCATE ALL", "DEALLOCATE ALL", b"ab"),
            (b"deallocate prepare all;", "DEALLOCATE ALL", b"ab"),
            (b"DEALLOCATE a", "DEALLOCATE", b"a"),
        ):
            await driver.ask(close_statement(b"a"), close_statement(b"b"), prepare)
            for before, status in ((b"", IDLE), (b"begin", IN_TRANSACTION)):
                if before:
                    await driver.ask(close_statement(b"a"), close_statement(b"b"), prepare)
                    await driver.ask(query(before))
                assert await asked(tiers, driver, query(sql)) == ([command_complete(tag), status], [])
            await driver.ask(query(b"rollback"))
            for name in (b"a", b"b"):
                answer = await driver.ask(bind(b"", name, [b"41"]), execute(), sync())
                assert sqlstates(answer) == (["26000"] if name in gone else [])


@beside
async def test_names_that_are_not_there_or_may_be_at_the_origin_are_its_business(
    side: PoolSide, origin: Origin
) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        await driver.ask(query(b"begin"))
        await driver.ask(query(b"select 1"))
        answer, crossed = await asked(tiers, driver, query(b"deallocate all"))
        assert (answer, bool(crossed)) == ([command_complete("DEALLOCATE ALL"), IN_TRANSACTION], True)
        await driver.ask(query(b"do $$ begin execute 'prepare a as select 1'; end $$"))
        answer, crossed = await asked(tiers, driver, query(b"deallocate all"))
        assert (answer, bool(crossed)) == ([command_complete("DEALLOCATE ALL"), IN_TRANSACTION], True)
        assert sqlstates(await driver.ask(query(b"execute a"))) == ["26000"]
        answer, crossed = await asked(tiers, driver, query(b"deallocate all"))
        assert (sqlstates(answer), bool(crossed)) == (["25P02"], True)
        await driver.ask(query(b"rollback"))
        answer, crossed = await asked(tiers, driver, query(b"deallocate a"))
        assert (sqlstates(answer), bool(crossed)) == (["26000"], True)


# --- what is remembered ---

ARRAYS: Final = (
    b"select b.oid, b.typarray from pg_catalog.pg_type a left join pg_catalog.pg_type b on b.oid = a.typelem"
    b" where a.typcategory = 'A' group by b.oid, b.typarray order by b.oid"
)
RELEASE: Final = b"SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;"


@beside
@pytest.mark.parametrize("sql", [ARRAYS, b"select pg_catalog.version()", b"show transaction isolation level"])
async def test_a_fact_is_answered_from_memory(side: PoolSide, origin: Origin, sql: bytes) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        first = await (await tiers.connect()).ask(query(sql))
        assert rows(first)
        driver = await tiers.connect()
        assert await asked(tiers, driver, query(sql)) == (first, [])
        await driver.ask(query(b"begin"))
        answer, _ = await asked(tiers, driver, query(sql))
        assert (answer[:-1], answer[-1]) == (first[:-1], IN_TRANSACTION)


@beside
async def test_all_facts_of_a_transaction_are_learnt_at_once(side: PoolSide, origin: Origin) -> None:
    questions = (b"select pg_catalog.version()", b"select current_schema()", b"show transaction isolation level")
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        for number in range(2):
            driver = await tiers.connect()
            await driver.ask(query(b"begin"))
            for sql in questions:
                _, crossed = await asked(tiers, driver, query(sql))
                assert bool(crossed) == (number == 0)
            await driver.ask(query(b"rollback"))
        await driver.ask(query(b"begin"))
        await driver.ask(query(b"set local default_transaction_isolation = serializable"))
        _, crossed = await asked(tiers, driver, query(questions[2]))
        assert crossed == ONE, "the transaction is not as it was opened"


@beside
async def test_a_fact_in_the_extended_protocol_is_remembered_whatever_its_names(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)

        def run(name: bytes) -> bytes:
            return parse(name, ARRAYS) + describe_statement(name) + bind(b"", name) + execute() + sync()

        first = await (await tiers.connect()).ask(run(b"x1"))
        assert [message[:1] for message in first[:5]] == [b"1", b"t", b"T", b"2", b"D"]
        for name in (b"x2", b""):
            driver = await tiers.connect()
            assert await asked(tiers, driver, run(name)) == (first, [])
            answer, _ = await asked(tiers, driver, bind(b"", name) + execute() + sync())
            assert rows(answer) == rows(first), "the statement is prepared as well"


@beside
async def test_a_setting_in_known_words_travels_with_the_next_statement(side: PoolSide, origin: Origin) -> None:
    show = query(b"select current_setting('extra_float_digits'), current_setting('timezone')")
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        answers = []
        for number in range(2):
            driver = await tiers.connect()
            told = []
            for sql in (b"SET extra_float_digits = 3", b"SELECT set_config('TimeZone', 'Asia/Tokyo', false)"):
                answer, crossed = await asked(tiers, driver, query(sql))
                await until(lambda: not any(client._session.is_settling for client in tiers.edge.clients))
                told += answer
                assert bool(crossed) == (number == 0)
            answers.append(told)
            answer, crossed = await asked(tiers, driver, show)
            assert rows(answer) == [[b"3", b"Asia/Tokyo"]]
            # That the edge has heard of the settings goes by itself or with this, as it comes.
            crossed = [(where, kinds - {"state"}) for where, kinds in crossed if kinds != {"state"}]
            assert crossed == (ONE if number == 0 else [(TO_POOL, frozenset({"open", "data"})), ONE[1]])
            driver.hang_up()
        assert answers[0] == answers[1]
        other = await tiers.connect()
        assert rows(await other.ask(show)) == [[b"1", b"Etc/UTC"]]


@beside
async def test_a_connection_given_back_to_a_driver_s_pool_is_as_new_at_no_crossing(
    side: PoolSide, origin: Origin
) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        for number in range(3):
            await driver.ask(query(b"set app.tenant = '42'"))
            await until(lambda: not any(client._session.is_settling for client in tiers.edge.clients))
            answer, crossed = await asked(tiers, driver, query(RELEASE))
            assert [message[:1] for message in answer] == [b"T", b"D", b"C", b"C", b"C", b"C", b"Z"]
            assert any("data" in kinds for _, kinds in crossed) == (number == 0)
            await until(lambda: not any(client._session.is_settling for client in tiers.edge.clients))
            answer = await driver.ask(query(b"select current_setting('app.tenant', true)"))
            assert rows(answer) in ([[b""]], [[None]])


@beside
async def test_ddl_makes_the_edge_forget_before_its_answer(side: PoolSide, origin: Origin) -> None:
    sql = b"select typname from pg_type where typname = 'early_mood'"
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        for _ in range(2):
            assert rows(await driver.ask(query(sql))) == []
        other = await tiers.connect()
        await other.ask(query(b"create type early_mood as enum ('calm')"))
        assert rows(await driver.ask(query(sql))) == [[b"early_mood"]]
        await other.ask(query(b"drop type early_mood"))
        assert rows(await driver.ask(query(sql))) == []


@pytest.mark.parametrize("is_extended", [False, True], ids=["simple", "extended"])
@beside
async def test_a_transaction_begins_at_the_edge_though_a_setting_is_new(
    side: PoolSide, origin: Origin, *, is_extended: bool
) -> None:
    begin, commit = ((extended if is_extended else query)(sql) for sql in (b"begin", b"commit"))
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        for number in range(2):
            driver = await tiers.connect()
            _, crossed = await asked(tiers, driver, query(b"set app.new = 'x'"))
            assert any("data" in kinds for _, kinds in crossed) == (number == 0)
            _, crossed = await asked(tiers, driver, begin)
            assert not any("data" in kinds for _, kinds in crossed)
            assert rows(await driver.ask(query(b"select current_setting('app.new')"))) == [[b"x"]]
            assert (await driver.ask(commit))[-2:] == [command_complete("COMMIT"), IDLE]


# --- what can be switched off ---


def extended(sql: bytes) -> bytes:
    return parse(b"", sql) + bind(b"", b"") + execute() + sync()


SWITCHES: Final = {
    "begin": (
        query(b"begin"), query(b"set transaction read only"), query(b"savepoint a1"), query(b"rollback"),
        extended(b"start transaction read only"), extended(b"savepoint a1"), extended(b"commit"),
    ),
    "prepare": (
        parse(b"a", SQL) + describe_statement(b"a") + sync(), parse(b"b", SQL) + sync(),
        describe_statement(b"a") + sync(), close_statement(b"a") + sync(), close_portal(b"p") + sync(), sync(),
        parse(b"begin", b"begin") + describe_statement(b"begin") + sync(), query(b"deallocate b"),
        query(b"deallocate all"),
    ),
    "settings": (
        query(b"set app.a = 'b'"), extended(b"select set_config('app.a', 'c', false)"), query(b"reset app.a"),
        query(RELEASE), extended(b"set timezone = 'Asia/Tokyo'"),
    ),
    "catalog": (
        query(ARRAYS), extended(ARRAYS), query(b"select pg_catalog.version()"), extended(b"show datestyle"),
        query(b"select current_schema()"),
    ),
}  # fmt: skip
"""What each switch is about: no request of it crosses a second time, but where that is off."""


@beside
@pytest.mark.parametrize("off", ["", *SWITCHES])
async def test_each_trick_can_be_switched_off_alone(side: PoolSide, origin: Origin, off: str) -> None:
    async with two_tiers(side, origin, early=Early(**{off: False} if off else {})) as tiers:
        await warm(tiers)
        for name, requests in SWITCHES.items():
            told = []
            for number in range(2):
                driver = await tiers.connect()
                answers = []
                for request in requests:
                    answer, crossed = await asked(tiers, driver, request)
                    await until(lambda: not any(client._session.is_settling for client in tiers.edge.clients))
                    answers.append(answer)
                    if number:
                        assert any("data" in kinds for _, kinds in crossed) == (name == off), request
                driver.hang_up()
                told.append(answers)
            assert told[0] == told[1]


@beside
async def test_reset_leads_each_session_back_to_its_own_startup(side: PoolSide, origin: Origin) -> None:
    show = query(b"select current_setting('timezone')")
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        given, plain = await tiers.connect(TimeZone="Asia/Tokyo"), await tiers.connect()
        await plain.ask(query(b"set timezone = 'Asia/Tokyo'"))
        for _ in range(2):
            for driver, expected in ((given, b"Asia/Tokyo"), (plain, b"Etc/UTC")):
                await until(lambda: not any(client._session.is_settling for client in tiers.edge.clients))
                await driver.ask(query(b"reset timezone"))
                assert rows(await driver.ask(show)) == [[expected]]


@beside
async def test_a_release_query_of_a_session_with_a_startup_leaves_its_stream_in_order(
    side: PoolSide, origin: Origin
) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect(TimeZone="Asia/Tokyo", application_name="app")
        for _ in range(3):
            answer = await driver.ask(query(RELEASE))
            assert [m[:1] for m in answer if m[:1] not in b"S"] == [b"T", b"D", b"C", b"C", b"C", b"C", b"Z"]
            await until(lambda: not any(client._session.is_settling for client in tiers.edge.clients))
            answer = await driver.ask(query(b"select current_setting('timezone')"))
            assert rows(answer) == [[b"Asia/Tokyo"]]
            assert answer[-1] == IDLE


@beside
async def test_a_refused_transaction_teaches_nothing_about_the_next(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        await warm(tiers)
        driver = await tiers.connect()
        await driver.ask(query(b"begin isolation level serializable"))
        tiers.cut()
        await driver.send(query(b"select 1"))
        (client,) = tiers.edge.clients
        await until(lambda: bool(client._held))
        tiers.edge.limits.tick(1e12)
        await driver.until_ready()
        await driver.ask(query(b"rollback"))
        await tiers.link()
        for sql, expected in ((b"select 1", b"1"), (b"show transaction isolation level", b"read committed")):
            assert rows(await driver.ask(query(sql))) == [[expected]]
        other = await tiers.connect()
        await other.ask(query(b"begin isolation level serializable"))
        assert rows(await other.ask(query(b"show transaction isolation level"))) == [[b"serializable"]]
