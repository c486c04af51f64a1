"""Children live and die together."""

import math
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable

import pytest
import trio

from deploy.children import Command, spawn
from deploy.complaint import CommandError
from deploy.supervisor import Child, Supervisor, wait_for

READY = "print('READY here:1', flush=True);"
NODE = f"import time; {READY} time.sleep(60)"
STUBBORN = f"import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); {READY} time.sleep(60)"
SHORT = f"import time; {READY} time.sleep(0.1); raise SystemExit(3)"
BROKEN = "raise SystemExit(4)"

Life = Callable[[Supervisor], Awaitable[None]]


def python(code: str) -> Command:
    return Command(arguments=[sys.executable, "-I", "-c", code], env=dict(os.environ))


async def house(life: Life, signals: trio.MemoryReceiveChannel[int] | None = None) -> Supervisor:
    """A house with this life, as `onetrip dev` lives."""
    async with trio.open_nursery() as nursery:
        supervisor = Supervisor(nursery)
        if signals is not None:
            nursery.start_soon(supervisor.obey, signals)
        try:
            with supervisor.living:
                await life(supervisor)
        finally:
            with trio.CancelScope(shield=True):
                await supervisor.end()
            nursery.cancel_scope.cancel()
    return supervisor


async def test_what_a_node_says_is_read_and_it_is_ended_in_order() -> None:
    children: list[Child] = []

    async def life(supervisor: Supervisor) -> None:
        child = supervisor.start_node("node", python(NODE), end_s=5)
        children.append(child)
        assert await supervisor.until_ready(child) == "here:1"

    supervisor = await house(life)
    assert supervisor.failure is None
    assert children[0].process.returncode == -signal.SIGTERM


async def test_a_childs_death_ends_the_rest_and_is_told() -> None:
    children: list[Child] = []

    async def life(supervisor: Supervisor) -> None:
        children.append(supervisor.start_node("first node", python(NODE), end_s=5))
        await supervisor.until_ready(supervisor.start_node("second node", python(SHORT), end_s=5))
        await trio.sleep_forever()

    with trio.fail_after(20):
        supervisor = await house(life)
    assert str(supervisor.failure) == "the second node ended (status 3); its own messages above say why"
    assert children[0].process.returncode is not None


async def test_a_child_that_does_not_start_is_told() -> None:
    async def life(supervisor: Supervisor) -> None:
        await supervisor.until_ready(supervisor.start_node("node", python(BROKEN), end_s=5))

    with trio.fail_after(20):
        supervisor = await house(life)
    assert "the node did not start (status 4)" in str(supervisor.failure)


async def test_the_first_signal_ends_in_order_and_the_second_at_once() -> None:
    send, receive = trio.open_memory_channel[int](math.inf)
    children: list[Child] = []

    async def life(supervisor: Supervisor) -> None:
        child = supervisor.start_node("node", python(STUBBORN), end_s=60)
        children.append(child)
        await supervisor.until_ready(child)
        send.send_nowait(signal.SIGTERM)
        send.send_nowait(signal.SIGINT)
        await trio.sleep_forever()

    with trio.fail_after(20):
        supervisor = await house(life, receive)
    assert supervisor.failure is None
    assert children[0].process.returncode == -signal.SIGKILL


async def test_who_does_not_end_in_time_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.supervisor.END_GRACE_S", 0.1)
    children: list[Child] = []

    async def life(supervisor: Supervisor) -> None:
        child = supervisor.start_node("node", python(STUBBORN), end_s=0.1)
        children.append(child)
        await supervisor.until_ready(child)

    with trio.fail_after(20):
        await house(life)
    assert children[0].process.returncode == -signal.SIGKILL


async def test_the_database_ends_after_those_who_use_it() -> None:
    order: list[str] = []

    async def life(supervisor: Supervisor) -> None:
        for name, ends_last in (("pool", False), ("database", True), ("edge", False)):
            process = spawn(python(NODE), stdout=subprocess.DEVNULL)

            def end(name: str = name, process: "subprocess.Popen[bytes]" = process) -> None:
                order.append(name)
                process.terminate()

            supervisor.adopt(Child(name, process, end, 5), ends_last=ends_last)

    await house(life)
    assert order == ["edge", "pool", "database"]


async def test_only_the_first_reason_is_kept() -> None:
    async def life(supervisor: Supervisor) -> None:
        supervisor.fail(CommandError("first"))
        supervisor.fail(CommandError("second"))

    assert str((await house(life)).failure) == "first"


async def test_a_process_that_was_asked_already_is_waited_for_all_the_same() -> None:
    process = spawn(python("raise SystemExit(5)"), stdout=subprocess.DEVNULL)
    process.wait()
    assert await wait_for(process) == 5
