"""asyncpg with its defaults: every query is a named statement, and types are read from the catalogue."""

import asyncio
import datetime
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import asyncpg
import pytest

from tests.support.activity import wait_until_active
from tests.support.cluster import Origin
from tests.support.target import Target

T = TypeVar("T")
TIMEOUT_S: Final = 40.0
MANY: Final = 50_000
# Refused, it leaves its socket for the server to close, which its loop must live to see.
SETTLING_S: Final = 0.2


def words_of(target: Target) -> dict[str, Any]:
    """What asyncpg is told of a target."""
    context: ssl.SSLContext | bool = False
    if target.ca_file is not None:
        context = ssl.create_default_context(cafile=str(target.ca_file))
    return {
        "host": target.host,
        "port": target.port,
        "user": target.user,
        "password": target.password,
        "database": target.database,
        "ssl": context,
        "timeout": 20.0,
        "command_timeout": TIMEOUT_S,
    }


def talk(target: Target, conversation: Callable[[Any], Awaitable[T]]) -> T:
    """Run a conversation over one connection of its own event loop."""

    async def connected() -> T:
        connection = await asyncpg.connect(**words_of(target))
        try:
            return await asyncio.wait_for(conversation(connection), TIMEOUT_S)
        finally:
            await connection.close(timeout=10)

    return asyncio.run(connected())


def test_parameters_and_rows(target: Target) -> None:
    async def conversation(connection: Any) -> None:
        day = datetime.date(2026, 11, 22)
        row = await connection.fetchrow(
            "select $1::int as n, $2::text as word, $3::date as day, $4::int[] as list, $5::bytea as bytes",
            7, "grüße", day, [1, None, 3], b"\x00\xff",
        )  # fmt: skip
        assert dict(row) == {"n": 7, "word": "grüße", "day": day, "list": [1, None, 3], "bytes": b"\x00\xff"}
        assert await connection.fetchval("select $1::numeric(10, 2)::text", "3.14159") == "3.14"

    talk(target, conversation)


def test_types_of_the_database_are_learnt(target: Target, table: str) -> None:
    async def conversation(connection: Any) -> None:
        await connection.execute(f"create type {table}_mood as enum ('calm', 'stormy')")
        await connection.execute(f"create type {table}_pair as (number int, mood {table}_mood)")
        pair = await connection.fetchval(f"select row(1, 'stormy')::{table}_pair")
        assert tuple(pair) == (1, "stormy")
        moods = await connection.fetchval(f"select $1::{table}_mood[]", ["calm", "stormy"])
        assert moods == ["calm", "stormy"]

    talk(target, conversation)


def test_the_same_statement_again_and_again(target: Target) -> None:
    async def conversation(connection: Any) -> None:
        for number in range(50):
            assert await connection.fetchval("select $1::int + 1", number) == number + 1

    talk(target, conversation)


def test_a_prepared_statement_is_described_and_reused(target: Target) -> None:
    async def conversation(connection: Any) -> None:
        statement = await connection.prepare("select $1::int as a, $2::text as b")
        assert [parameter.name for parameter in statement.get_parameters()] == ["int4", "text"]
        assert [attribute.name for attribute in statement.get_attributes()] == ["a", "b"]
        for number in range(10):
            assert tuple(await statement.fetchrow(number, str(number))) == (number, str(number))

    talk(target, conversation)


def test_commit_keeps_and_rollback_undoes(target: Target, table: str) -> None:
    async def conversation(connection: Any) -> None:
        async with connection.transaction(isolation="serializable"):
            await connection.execute(f"insert into {table} values ($1, $2)", 1, "kept")
        undone = connection.transaction()
        await undone.start()
        await connection.execute(f"insert into {table} values ($1, $2)", 2, "undone")
        await undone.rollback()
        async with connection.transaction():
            with pytest.raises(asyncpg.UniqueViolationError):
                async with connection.transaction():
                    await connection.execute(f"insert into {table} values (1, 'twice')")
            await connection.execute(f"insert into {table} values (3, 'kept')")
        assert [row["id"] for row in await connection.fetch(f"select id from {table} order by id")] == [1, 3]

    talk(target, conversation)


def test_an_error_names_itself_and_the_session_goes_on(target: Target) -> None:
    async def conversation(connection: Any) -> None:
        for _ in range(2):
            with pytest.raises(asyncpg.UndefinedTableError) as caught:
                await connection.fetch("select * from not_there")
            assert caught.value.sqlstate == "42P01"
            assert await connection.fetchval("select 1") == 1

    talk(target, conversation)


def test_a_cursor_reads_in_pieces(target: Target) -> None:
    async def conversation(connection: Any) -> None:
        seen = 0
        async with connection.transaction():
            async for row in connection.cursor("select n from generate_series(1, 1000) as n", prefetch=70):
                seen += 1
                assert row["n"] == seen
        assert seen == 1000

    talk(target, conversation)


def test_many_rows_arrive_whole(target: Target) -> None:
    async def conversation(connection: Any) -> None:
        rows = await connection.fetch("select n, md5(n::text) as word from generate_series(1, $1::int) as n", MANY)
        assert len(rows) == MANY
        assert rows[-1]["n"] == MANY

    talk(target, conversation)


def test_executemany_is_one_pipeline_and_all_or_nothing(target: Target, table: str) -> None:
    async def conversation(connection: Any) -> None:
        insert = f"insert into {table} values ($1, $2)"
        await connection.executemany(insert, [(number, str(number)) for number in range(2_000)])
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.executemany(insert, [(2_000, "new"), (1, "twice")])
        assert await connection.fetchval(f"select count(*) from {table}") == 2_000

    talk(target, conversation)


def test_copy_goes_in_and_comes_out(target: Target, table: str) -> None:
    async def conversation(connection: Any) -> None:
        records = [(number, f"word {number}") for number in range(5_000)]
        assert await connection.copy_records_to_table(table, records=records) == "COPY 5000"
        pieces: list[bytes] = []

        async def take(piece: bytes) -> None:
            pieces.append(piece)

        await connection.copy_from_query(f"select * from {table} order by id", output=take)
        assert b"".join(pieces) == b"".join(f"{number}\t{word}\n".encode() for number, word in records)

    talk(target, conversation)


def test_a_timeout_cancels_the_statement_and_not_the_session(target: Target, origin: Origin) -> None:
    text = f"asyncpg {target.port}"

    async def conversation(connection: Any) -> None:
        query = asyncio.create_task(connection.fetch(f"select '{text}', pg_sleep(30)"))
        await asyncio.to_thread(wait_until_active, origin, text)
        query.cancel()
        with pytest.raises(asyncio.CancelledError):
            await query
        assert await connection.fetchval("select 1") == 1
        await asyncio.to_thread(wait_until_active, origin, text, active=False)

    talk(target, conversation)


def test_its_pool_resets_connections_and_reuses_them(target: Target) -> None:
    async def one(pool: Any, number: int) -> int:
        async with pool.acquire() as connection, connection.transaction():
            return int(await connection.fetchval("select $1::int", number))

    async def many() -> list[int]:
        async with asyncpg.create_pool(**words_of(target), min_size=2, max_size=10) as pool:
            return await asyncio.gather(*(one(pool, number) for number in range(100)))

    assert asyncio.run(many()) == list(range(100))


def test_notices_and_server_settings(target: Target) -> None:
    async def both() -> None:
        settings = {"application_name": "a test", "search_path": "pg_catalog"}
        connection = await asyncpg.connect(**words_of(target), server_settings=settings)
        notices: list[str] = []
        connection.add_log_listener(lambda _, message: notices.append(message.message))
        await connection.execute("do $$ begin raise notice 'look here'; end $$")
        assert await connection.fetchval("select current_setting('search_path')") == "pg_catalog"
        assert connection.get_settings().application_name == "a test"
        await connection.close()
        assert notices == ["look here"]

    asyncio.run(both())


async def refused(target: Target) -> str:
    """Fail to connect; with what SQLSTATE."""
    try:
        connection = await asyncpg.connect(**words_of(target))
    except asyncpg.PostgresError as error:
        await asyncio.sleep(SETTLING_S)
        return str(error.sqlstate)
    await connection.close()
    raise AssertionError("it was let in")


def test_a_wrong_password_is_refused(target: Target) -> None:
    assert asyncio.run(refused(target.but(password="wrong"))) == "28P01"


def test_an_unknown_database_is_refused(target: Target) -> None:
    assert asyncio.run(refused(target.but(database="not_there"))) == "3D000"
