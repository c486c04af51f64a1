"""Children that live and die together.

Theory of operation: the supervisor has a list of children, a task that watches each, and one cancel scope around what
the house does while it lives. A child's death or the first signal cancels that scope;
then the children are ended one after another, the last of the list first, each in order and within a bound. A second
signal kills what is left at once, which also ends the waiting.
"""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Final

import attrs
import trio

from deploy.children import Command, spawn
from deploy.complaint import CommandError

# Beyond what a child was promised for its drain, before it is killed.
END_GRACE_S: Final = 4.0
MAX_LINE_BYTES: Final = 4096
_POLL_S: Final = 0.05


@attrs.define(eq=False)
class Child:
    """One process of the house."""

    name: str
    process: "subprocess.Popen[bytes]"
    #: Asks it to end; its death within end_s is expected then.
    ask_to_end: Callable[[], None]
    end_s: float
    kill_signal: signal.Signals = signal.SIGKILL
    #: Why it ended, as far as it left word.
    explain: Callable[[], str] = lambda: "its own messages above say why"
    ended: trio.Event = attrs.field(factory=trio.Event)
    ready: trio.Event = attrs.field(factory=trio.Event)
    #: What it said with READY.
    said: str = ""


class Supervisor:
    """Starts children, watches them, ends them."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._children: list[Child] = []
        self.living = trio.CancelScope()
        #: Why the house ended, where nobody asked it to.
        self.failure: CommandError | None = None

    def start_node(self, name: str, command: Command, *, end_s: float) -> Child:
        """Start a node of ours; wait with `until_ready` for what it says."""
        process = spawn(command, stdout=subprocess.PIPE)
        child = Child(name, process, process.terminate, end_s)
        self.adopt(child)
        self._nursery.start_soon(_listen, child)
        return child

    def adopt(self, child: Child, *, ends_last: bool = False) -> None:
        """Watch a process that has been started."""
        self._children.insert(0 if ends_last else len(self._children), child)
        self._nursery.start_soon(self._watch, child)

    async def until_ready(self, child: Child) -> str:
        """What the child said with READY. Its death meanwhile ends `living`. Cancellation: safe."""
        await child.ready.wait()
        return child.said

    def fail(self, error: CommandError) -> None:
        """End the house for this reason, unless it is ending for another."""
        if not self.living.cancel_called and self.failure is None:
            self.failure = error
            self.living.cancel()

    async def obey(self, signals: AsyncIterator[int]) -> None:
        """The first signal ends the house in order, a second one at once. Cancellation: safe."""
        async for _ in signals:
            if self.living.cancel_called:
                for child in self._children:
                    _kill(child)
            self.living.cancel()

    async def end(self) -> None:
        """End all children, the last of the list first. Cancellation: not safe, some may be left to their tether."""
        self.living.cancel()  # from now on an end is no failure
        for child in reversed(self._children):
            if not child.ended.is_set():
                child.ask_to_end()
            with trio.move_on_after(child.end_s + END_GRACE_S):
                await child.ended.wait()
            _kill(child)
            await child.ended.wait()

    async def _watch(self, child: Child) -> None:
        status = await wait_for(child.process)
        child.ended.set()
        how = f"status {status}" if status >= 0 else signal.Signals(-status).name
        what = "ended" if child.ready.is_set() else "did not start"
        self.fail(CommandError(f"the {child.name} {what} ({how})", child.explain()))


async def wait_for(process: "subprocess.Popen[bytes]") -> int:
    """Wait for a process to end; its status. Cancellation: safe."""
    if sys.platform == "linux":
        try:
            descriptor = os.pidfd_open(process.pid)
        except ProcessLookupError:  # somebody has polled it, so its status is known
            return process.wait()
        try:
            await trio.lowlevel.wait_readable(descriptor)
        finally:
            os.close(descriptor)
        return process.wait()
    while process.poll() is None:  # noqa: ASYNC110 - there is nothing else to ask
        await trio.sleep(_POLL_S)
    return process.wait()


def _kill(child: Child) -> None:
    """End it at once."""
    if not child.ended.is_set():
        child.process.send_signal(child.kill_signal)


async def _listen(child: Child) -> None:
    """Read a node's stdout to its end: a READY line, and nothing else is expected."""
    assert child.process.stdout is not None
    with child.process.stdout as pipe:
        stream = trio.lowlevel.FdStream(os.dup(pipe.fileno()))
    async with stream:
        text = b""
        async for data in stream:
            text = (text + data)[:MAX_LINE_BYTES]
            line, newline, _ = text.partition(b"\n")
            if newline and line.startswith(b"READY ") and not child.ready.is_set():
                child.said = line.decode(errors="replace").removeprefix("READY ").strip()
                child.ready.set()
