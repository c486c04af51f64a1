"""psycopg 3 on asyncio: the same protocol, driven without blocking."""

import asyncio
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql

from tests.support.activity import wait_until_active
from tests.support.cluster import Origin
from tests.support.target import Target

INSERT = sql.SQL("insert into {} values (%s, %s)")


def test_async_queries_transactions_and_errors(target: Target, table: str) -> None:
    async def talk() -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(target.conninfo) as connection:
            async with connection.transaction():
                await connection.execute(INSERT.format(sql.Identifier(table)), (1, "one"))
            with pytest.raises(errors.UniqueViolation):
                await connection.execute(INSERT.format(sql.Identifier(table)), (1, "again"))
            await connection.rollback()
            cursor = await connection.execute(sql.SQL("select * from {}").format(sql.Identifier(table)))
            return await cursor.fetchall()

    assert asyncio.run(talk()) == [(1, "one")]


def test_async_connections_work_side_by_side(target: Target) -> None:
    async def one(number: int) -> int:
        async with await psycopg.AsyncConnection.connect(target.conninfo) as connection:
            for _ in range(5):
                cursor = await connection.execute("select %s::int, pg_sleep(0.005)", (number,))
                row = await cursor.fetchone()
                assert row is not None
                assert row[0] == number
                await connection.commit()
            return number

    async def all_of_them() -> list[int]:
        return await asyncio.gather(*(one(number) for number in range(25)))

    assert asyncio.run(all_of_them()) == list(range(25))


def test_an_async_task_that_is_cancelled_cancels_its_query(target: Target, origin: Origin) -> None:
    text = f"task {target.port}"

    async def talk() -> None:
        async with await psycopg.AsyncConnection.connect(target.conninfo, autocommit=True) as connection:
            query = sql.SQL("select {}, pg_sleep(30)").format(sql.Literal(text))
            task = asyncio.create_task(connection.execute(query))
            await asyncio.to_thread(wait_until_active, origin, text)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(wait_until_active, origin, text, active=False)

    asyncio.run(talk())
