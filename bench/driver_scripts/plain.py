"""A driver that is told SQL, blocking or not: what such drivers have in common."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final, TypeVar

from bench.driver_scripts.stage import AGAIN, BATCH, COLD, READ, SEEN, TEN, TRANSACTION

T = TypeVar("T")

PLAIN_SCRIPTS: Final = (COLD, AGAIN, TRANSACTION, TEN, BATCH)


class PlainDriver:
    """A driver with SQL of ours; `ask` gives the one value of one row."""

    scripts: tuple[str, ...] = PLAIN_SCRIPTS

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, sql: str, *parameters: object) -> Any:
        """Run a query with parameters $1, $2; its value."""
        raise NotImplementedError

    def word(self, number: int) -> str:
        return str(self.ask(READ, number))

    def seen(self, first: int, last: int) -> int:
        return int(self.ask(SEEN, first, last))

    def orm(self, number: int, value: int) -> str:
        raise NotImplementedError

    def batch(self, numbers: Sequence[int], value: int) -> None:
        raise NotImplementedError

    def release(self) -> None:
        """Nothing: there is no pool."""


class Loop:
    """An asyncio loop for a driver that needs one, run step by step."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Let the loop run until this is done."""
        return self._runner.run(work)
