"""Tests that run on the host's loop, asyncio, alone: what the pump and the link's stream live on."""

import asyncio
import functools
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Final, ParamSpec

TIMEOUT_S: Final = 20.0

P = ParamSpec("P")


def on_host(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Run a coroutine function under asyncio, where others run under trio."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def main() -> None:
            await asyncio.wait_for(test(*args, **kwargs), TIMEOUT_S)

        asyncio.run(main())

    run.__signature__ = inspect.signature(test)  # type: ignore[attr-defined]
    del run.__wrapped__  # it would be taken for a coroutine function
    return run


async def until(what: Callable[[], object]) -> None:
    """Let the loop turn until WHAT is true."""
    deadline = time.monotonic() + TIMEOUT_S / 2
    while not what():
        assert time.monotonic() < deadline, inspect.getsource(what).strip()
        await asyncio.sleep(0)


async def turns(number: int = 20) -> None:
    """Let the loop turn."""
    for _ in range(number):
        await asyncio.sleep(0)
