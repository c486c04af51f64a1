"""asyncpg: one connection, and its pool."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from bench.driver_scripts.plain import Loop, PlainDriver
from bench.driver_scripts.stage import READ, SEEN, WRITE


class Asyncpg(PlainDriver):
    """A connection."""

    connection: Any

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._run = Loop().run

    def connect(self) -> None:
        self.connection = self._run(asyncpg.connect(self.url))

    def ask(self, sql: str, *parameters: object) -> Any:
        return self._run(self.connection.fetchval(sql, *parameters))

    async def _transaction(self, number: int, value: int) -> str:
        async with self.connection.transaction():
            word = await self.connection.fetchval(READ, number)
            await self.connection.execute(WRITE, value, number)
        return str(word)

    def transaction(self, number: int, value: int) -> str:
        return self._run(self._transaction(number, value))

    def batch(self, numbers: Sequence[int], value: int) -> None:
        self._run(self.connection.executemany(WRITE, [(value, number) for number in numbers]))

    def close(self) -> None:
        self._run(self.connection.close())


class AsyncpgPool(Asyncpg):
    """A connection out of a pool, given back after the work."""

    pool: Any

    async def _open(self) -> None:
        self.pool = await asyncpg.create_pool(self.url, min_size=1, max_size=1)
        self.connection = await self.pool.acquire()

    def connect(self) -> None:
        self._run(self._open())

    def release(self) -> None:
        if self.connection is not None:
            self._run(self.pool.release(self.connection))
            self.connection = None

    async def _seen(self, first: int, last: int) -> int:
        return int(await self.pool.fetchval(SEEN, first, last))

    def seen(self, first: int, last: int) -> int:
        return self._run(self._seen(first, last))

    def close(self) -> None:
        self.release()  # else the pool would wait for it
        self._run(self.pool.close())
