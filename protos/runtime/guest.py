"""One thread, two loops: asyncio as the host, trio as its guest.

grpcio's async API lives on asyncio, our lifecycles (listeners, nurseries, deadlines) on trio. The process runs one
asyncio loop, and trio runs inside it as a guest (trio.lowlevel.start_guest_run): its tasks are stepped by callbacks of
the host, in the same thread, so nothing needs a lock and either side may call the other's plain functions.

What guest mode costs: trio waits for sockets and timers in a helper thread, so each wake-up of a *sleeping* trio is a
thread switch. Nothing on the path of a query may wake it; the bytes of established connections go through the pump,
which the host loop watches itself. A query touches trio only when something has to be opened, closed or timed out.

The host's loop is uvloop's. A message of gRPC passes several threads on its way here, and a query over an idle link
pays for each wake-up with cold caches: uvloop takes 0.3 ms off such a query, and a tenth off the CPU of a busy one.

This module and the pump are the only places that know both loops:

- `run(main)` starts the host and the guest and returns main's result. Signals belong to the host.
- `await call_host(coroutine)` lets a trio task wait for an asyncio coroutine (a gRPC call).
- `await in_turns(slices)` does long work without holding up either loop.
"""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from typing import TypeVar

import outcome
import trio
import uvloop

T = TypeVar("T")


def run(main: Callable[[], Awaitable[T]]) -> T:
    """Run the trio function main as a guest of a new asyncio loop, until it ends; its result or exception is ours."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_host(main))


async def _host(main: Callable[[], Awaitable[T]]) -> T:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[outcome.Outcome[T]] = loop.create_future()
    # A handler of our own keeps trio from installing its KeyboardInterrupt machinery, also where a shell has started
    # us with SIGINT ignored; whoever wants the signal replaces it (signals_to).
    signal.signal(signal.SIGINT, lambda *_: None)
    trio.lowlevel.start_guest_run(
        main,
        run_sync_soon_threadsafe=loop.call_soon_threadsafe,
        run_sync_soon_not_threadsafe=loop.call_soon,
        done_callback=ended.set_result,
        host_uses_signal_set_wakeup_fd=True,
    )
    return (await ended).unwrap()


async def in_turns(slices: Generator[None, None, T]) -> T:
    """Run a generator to its end, and give its result; everybody has a turn wherever it yields. Cancellation: safe."""
    while True:
        try:
            next(slices)
        except StopIteration as end:
            result: T = end.value
            return result
        await trio.lowlevel.checkpoint()


async def call_host(coroutine: Coroutine[object, object, T]) -> T:
    """Run an asyncio coroutine as a task of the host and wait for it from trio.

    Cancellation: the asyncio task is cancelled and waited for. For grpc.aio that ends the stream it reads or
    writes, so only whole streams are run through here, never a single read.
    """
    task = asyncio.get_running_loop().create_task(coroutine)
    trio_task = trio.lowlevel.current_task()
    cancelled: BaseException | None = None

    def done(_: asyncio.Task[T]) -> None:
        trio.lowlevel.reschedule(trio_task)

    def abort(raise_cancel: Callable[[], object]) -> trio.lowlevel.Abort:
        nonlocal cancelled
        try:
            raise_cancel()
        except BaseException as exc:  # noqa: BLE001 - trio hands its Cancelled over this way
            cancelled = exc
        task.cancel()
        return trio.lowlevel.Abort.FAILED

    task.add_done_callback(done)
    await trio.lowlevel.wait_task_rescheduled(abort)
    if cancelled is not None and task.cancelled():
        raise cancelled
    if task.cancelled():
        message = "the host cancelled a call"
        raise RuntimeError(message)
    return task.result()


@contextlib.contextmanager
def signals_to(handler: Callable[[signal.Signals], None], *numbers: signal.Signals) -> Iterator[None]:
    """Call handler in the host's thread for each of these signals, whatever their disposition was before."""
    loop = asyncio.get_running_loop()
    for number in numbers:
        loop.add_signal_handler(number, handler, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
