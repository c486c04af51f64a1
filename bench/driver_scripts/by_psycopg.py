"""psycopg 3: blocking, asynchronous, with its pipeline mode, and with a cursor on the server."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import psycopg

from bench.driver_scripts.plain import Loop, PlainDriver
from bench.driver_scripts.stage import AGAIN, COLD, READ, TEN, TRANSACTION, WRITE, numbered


def _text(sql: str) -> bytes:
    return numbered(sql).encode()


class Psycopg(PlainDriver):
    """The blocking one. Like the others it opens transactions by itself."""

    connection: psycopg.Connection[tuple[Any, ...]]

    def connect(self) -> None:
        self.connection = psycopg.connect(self.url)

    def ask(self, sql: str, *parameters: object) -> Any:
        row = self.connection.execute(_text(sql), parameters).fetchone()
        return row and row[0]

    def transaction(self, number: int, value: int) -> str:
        word = self.word(number)
        self.connection.execute(_text(WRITE), (value, number))
        self.connection.commit()
        return word

    def batch(self, numbers: Sequence[int], value: int) -> None:
        with self.connection.cursor() as cursor:
            cursor.executemany(_text(WRITE), [(value, number) for number in numbers])
        self.connection.commit()

    def close(self) -> None:
        self.connection.rollback()
        self.connection.close()


class PsycopgPipeline(Psycopg):
    """In pipeline mode from beginning to end: what is read is waited for, what is written is not."""

    pipeline: AbstractContextManager[psycopg.Pipeline]

    def connect(self) -> None:
        super().connect()
        self.pipeline = self.connection.pipeline()
        self.pipeline.__enter__()

    def transaction(self, number: int, value: int) -> str:
        read = self.connection.execute(_text(READ), (number,))
        self.connection.execute(_text(WRITE), (value, number))
        self.connection.commit()
        row = read.fetchone()
        return str(row and row[0])

    def close(self) -> None:
        self.pipeline.__exit__(None, None, None)
        super().close()


class PsycopgCursor(Psycopg):
    """With a cursor on the server for what is read."""

    scripts = (COLD, AGAIN, TRANSACTION, TEN)

    def ask(self, sql: str, *parameters: object) -> Any:
        with self.connection.cursor(name="things") as cursor:
            row = cursor.execute(_text(sql), parameters).fetchone()
        return row and row[0]


class PsycopgAsync(PlainDriver):
    """The asynchronous one."""

    connection: psycopg.AsyncConnection[tuple[Any, ...]]

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._run = Loop().run

    def connect(self) -> None:
        self.connection = self._run(psycopg.AsyncConnection.connect(self.url))

    async def _ask(self, sql: str, *parameters: object) -> Any:
        cursor = await self.connection.execute(_text(sql), parameters)
        row = await cursor.fetchone()
        return row and row[0]

    def ask(self, sql: str, *parameters: object) -> Any:
        return self._run(self._ask(sql, *parameters))

    async def _transaction(self, number: int, value: int) -> str:
        word = await self._ask(READ, number)
        await self.connection.execute(_text(WRITE), (value, number))
        await self.connection.commit()
        return str(word)

    def transaction(self, number: int, value: int) -> str:
        return self._run(self._transaction(number, value))

    async def _batch(self, numbers: Sequence[int], value: int) -> None:
        async with self.connection.cursor() as cursor:
            await cursor.executemany(_text(WRITE), [(value, number) for number in numbers])
        await self.connection.commit()

    def batch(self, numbers: Sequence[int], value: int) -> None:
        self._run(self._batch(numbers, value))

    def close(self) -> None:
        self._run(self.connection.rollback())
        self._run(self.connection.close())
