"""Two loops in one thread: asyncio hosts, trio is the guest, and either may wait for the other."""

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Generator

import pytest
import trio
import trio.lowlevel

from protos.runtime.guest import call_host, in_turns, run, signals_to


def test_the_result_of_main_is_ours() -> None:
    async def main() -> int:
        await trio.sleep(0.001)
        return 7

    assert run(main) == 7


def test_an_error_of_main_is_ours() -> None:
    async def main() -> None:
        await trio.lowlevel.checkpoint()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(main)


def test_long_work_lets_both_loops_turn() -> None:
    async def main() -> list[str]:
        happened: list[str] = []

        def work() -> Generator[None, None, str]:
            for _ in range(20):
                happened.append("slice")
                yield
            return "done"

        async def beside() -> None:
            await trio.lowlevel.checkpoint()
            happened.append("trio")

        asyncio.get_running_loop().call_soon(happened.append, "asyncio")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(beside)
            happened.append(await in_turns(work()))
        return happened

    happened = run(main)
    assert happened[-1] == "done"
    assert max(happened.index("trio"), happened.index("asyncio")) < 12, "in the middle of it"


def test_both_loops_run_in_this_thread() -> None:
    async def main() -> set[int]:
        async def host() -> int:
            await asyncio.sleep(0)
            return threading.get_ident()

        return {threading.get_ident(), await call_host(host())}

    assert run(main) == {threading.get_ident()}


def test_the_host_goes_on_while_trio_waits() -> None:
    async def main() -> list[int]:
        turns: list[int] = []

        async def host() -> None:
            for number in range(3):
                await asyncio.sleep(0.001)
                turns.append(number)

        task = asyncio.get_running_loop().create_task(host())
        await trio.sleep(0.05)
        assert task.done()
        return turns

    assert run(main) == [0, 1, 2]


def test_an_event_set_by_the_host_wakes_trio() -> None:
    async def main() -> None:
        event = trio.Event()
        asyncio.get_running_loop().call_later(0.001, event.set)
        with trio.fail_after(5):
            await event.wait()

    run(main)


def test_an_error_of_the_host_reaches_trio() -> None:
    async def main() -> None:
        async def fail() -> None:
            await asyncio.sleep(0)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await call_host(fail())

    run(main)


def test_a_cancelled_call_is_cancelled_on_the_host_and_waited_for() -> None:
    async def main() -> None:
        seen: list[str] = []

        async def long() -> None:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.sleep(0.01)
                seen.append("cleaned up")
                raise

        with trio.move_on_after(0.01) as scope:
            await call_host(long())
        assert scope.cancelled_caught
        assert seen == ["cleaned up"]

    run(main)


def test_a_call_that_ends_in_spite_of_its_cancellation_has_its_result() -> None:
    async def main() -> int:
        async def stubborn() -> int:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return 7
            return 0

        with trio.move_on_after(0.01):
            return await call_host(stubborn())
        return 1

    assert run(main) == 7


def test_a_call_that_the_host_itself_cancels_is_an_error() -> None:
    async def main() -> None:
        async def cancelled() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(60)

        with pytest.raises(RuntimeError):
            await call_host(cancelled())

    run(main)


def test_many_calls_at_once() -> None:
    async def main() -> list[int]:
        found: list[int] = []

        async def one(number: int) -> int:
            await asyncio.sleep(0.001 * (number % 3))
            return number

        async def ask(number: int) -> None:
            found.append(await call_host(one(number)))

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(ask, number)
        return found

    assert sorted(run(main)) == list(range(20))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN], ids=["default", "ignored"])
def test_a_signal_is_a_call_whatever_it_was_before(number: signal.Signals, before: signal.Handlers) -> None:
    async def main() -> list[signal.Signals]:
        heard: list[signal.Signals] = []
        with signals_to(heard.append, number):
            os.kill(os.getpid(), number)
            with trio.move_on_after(5):
                while not heard:  # noqa: ASYNC110 - what is tested is not a trio event
                    await trio.sleep(0.001)
        return heard

    old = signal.signal(number, before)
    try:
        assert run(main) == [number]
    finally:
        signal.signal(number, old)


def test_a_run_follows_another() -> None:
    """Nothing of the first is left, neither handlers nor wake-up descriptors."""

    async def main() -> Awaitable[None] | None:
        await trio.lowlevel.checkpoint()
        return None

    old = signal.getsignal(signal.SIGINT)
    try:
        for _ in range(3):
            assert run(main) is None
    finally:
        signal.signal(signal.SIGINT, old)
