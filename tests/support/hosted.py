"""Run a trio function as our nodes do: as the guest of an asyncio loop, in the test's own process."""

import signal
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import trio

from protos.runtime.guest import run

T = TypeVar("T")

LIMIT_S: Final = 30.0


def hosted(main: Callable[[], Awaitable[T]]) -> T:
    """Run main to its end, at most LIMIT_S, and give the signals back as they were."""

    async def limited() -> T:
        with trio.fail_after(LIMIT_S):
            return await main()

    before = signal.getsignal(signal.SIGINT)
    try:
        return run(limited)
    finally:
        signal.signal(signal.SIGINT, before)


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is true; `hosted` has the deadline."""
    while not condition():  # noqa: ASYNC110 - what is waited for happens on the host, which knows no trio event
        await trio.sleep(0.002)
