"""One child process of a test: it says READY within a deadline, its log is kept, and it never outlives the test.

Theory of operation: the child is started as our product starts its own (`deploy/children.py`): it dies with the test
run, whatever ends that, and leads a process group, so that what it started can be ended with it. Stdout is read here,
since its one line is part of the contract; stderr goes to a file, shown when something went wrong.
"""

import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from deploy.children import Command, spawn

READY: Final = "READY "
# Two busy cores may need seconds to import what a node imports.
READY_TIMEOUT_S: Final = 40.0
STOP_TIMEOUT_S: Final = 15.0
# What is shown of a log when its process failed.
TAIL_BYTES: Final = 6000


def free_port() -> int:
    """A port of the loopback address that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ProcessFailedError(Exception):
    """A child did not do what it was started for; the text holds the end of its log."""


class Process:
    """A started child and what it has said."""

    def __init__(self, command: Sequence[str], *, log: Path, env: Mapping[str, str]) -> None:
        self.command = list(command)
        self.log_file = log
        self.stdout = ""
        with log.open("ab") as stderr:
            self.popen = spawn(Command(arguments=self.command, env=env), stdout=subprocess.PIPE, stderr=stderr)

    @property
    def log(self) -> str:
        """Everything on stderr so far."""
        return self.log_file.read_text(errors="replace")

    def ready(self, timeout_s: float = READY_TIMEOUT_S) -> str:
        """Wait for the READY line and return what it says."""
        deadline = time.monotonic() + timeout_s
        while READY not in self.stdout or not self.stdout.endswith("\n"):
            if not self._read(deadline - time.monotonic()):
                raise self._failed("it did not become ready")
        return self.stdout.rpartition(READY)[2].strip()

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Wait for the end, reading what is said meanwhile; the exit status."""
        deadline = time.monotonic() + timeout_s
        while self._read(deadline - time.monotonic()):
            pass
        try:
            return self.popen.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise self._failed("it did not end") from None

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Ask it to end, and wait; the exit status."""
        self.popen.send_signal(signal.SIGTERM)
        return self.wait(timeout_s)

    def kill(self) -> None:
        """End it and everything that it started, at once. Harmless when it has ended."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        if self.popen.stdout is not None:
            self.popen.stdout.close()

    def _read(self, timeout_s: float) -> bool:
        """Take more of stdout; False at its end or after the timeout."""
        assert self.popen.stdout is not None
        readable, _, _ = select.select([self.popen.stdout], [], [], max(0.0, timeout_s))
        data = os.read(self.popen.stdout.fileno(), 65536) if readable else b""
        self.stdout += data.decode(errors="replace")
        return bool(data)

    def _failed(self, what: str) -> ProcessFailedError:
        text = f"{' '.join(self.command)}: {what} (status {self.popen.poll()}); stdout: {self.stdout!r}"
        return ProcessFailedError(f"{text}\n{self.log[-TAIL_BYTES:]}")
