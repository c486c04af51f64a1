"""Many clients in one process that do something at the same moment, through libpq and without waiting for each other.

Standard input holds one JSON request a line: `gather` lets some clients connect and stay, `storm` lets each of them ask
one query at once, `rush` lets new clients connect, ask and leave, all at once. Each is answered by one line: for each
client that was served the milliseconds from its own first byte to the end of its answer, and what became of the others.
"""

import contextlib
import json
import resource
import select
import sys
import time
from collections.abc import Iterable
from typing import Final

import psycopg
from psycopg import pq

from bench.client import QUERY

# Nobody waits longer for a pooler; who is not served by then has failed.
LIMIT_S: Final = 120.0
_MAX_EVENTS: Final = 256


class Caller:
    """One client: it connects, or is connected already, and perhaps asks."""

    def __init__(self, connection: pq.abc.PGconn, *, is_connected: bool, asks: bool) -> None:
        self.connection = connection
        self.begun = time.monotonic()
        self.ms = 0.0
        """How long it took; 0.0 until then."""
        self.failure = ""
        self.is_connected = is_connected
        self._asks = asks
        if connection.status == pq.ConnStatus.BAD:
            self.fail(connection.get_error_message())
        elif is_connected:
            self._ask()

    @property
    def is_done(self) -> bool:
        return bool(self.ms or self.failure)

    def step(self) -> int:
        """Go on as far as can be without waiting; gives the events of epoll to wait for next."""
        try:
            return self._read() if self.is_connected else self._connect()
        except psycopg.Error as error:
            self.fail(str(error))
            return 0

    def fail(self, why: str) -> None:
        self.failure = self.failure or " ".join(why.split()) or "failed without a word"

    def _connect(self) -> int:
        match self.connection.connect_poll():
            case pq.PollingStatus.READING:
                return select.EPOLLIN
            case pq.PollingStatus.WRITING:
                return select.EPOLLOUT
            case pq.PollingStatus.OK:
                self.is_connected = True
                if not self._asks:
                    self._finish()
                    return 0
                self._ask()
                return select.EPOLLIN
        self.fail(self.connection.get_error_message())
        return 0

    def _ask(self) -> None:
        self.connection.nonblocking = 1
        self.connection.send_query(QUERY)
        self.connection.flush()  # one small message: a socket with nothing queued takes it

    def _read(self) -> int:
        self.connection.consume_input()
        while not self.connection.is_busy():
            result = self.connection.get_result()
            if result is None:
                self._finish()
                return 0
            if result.status != pq.ExecStatus.TUPLES_OK:
                self.fail(result.get_error_message())
        return select.EPOLLIN

    def _finish(self) -> None:
        self.ms = (time.monotonic() - self.begun) * 1000


def drive(callers: Iterable[Caller], limit_s: float = LIMIT_S) -> None:
    """Let all of them go on until each is served or has failed."""
    poller = select.epoll()
    watched: dict[int, Caller] = {}
    end = time.monotonic() + limit_s

    def follow(caller: Caller, before: int, events: int) -> None:
        """Wait for what it wants next. libpq may have taken another socket."""
        if before >= 0 and watched.get(before) is caller:
            del watched[before]
            with contextlib.suppress(OSError):
                poller.unregister(before)
        if not caller.is_done:
            fd = caller.connection.socket
            watched[fd] = caller
            poller.register(fd, events)

    for caller in callers:
        if not caller.is_done:
            follow(caller, -1, select.EPOLLIN if caller.is_connected else select.EPOLLOUT)
    while watched and (left_s := end - time.monotonic()) > 0:
        for fd, _ in poller.poll(left_s, _MAX_EVENTS):
            one = watched[fd]
            follow(one, fd, one.step())
    for one in watched.values():
        one.fail(f"no answer within {limit_s:.0f} s")
    poller.close()


def report(callers: list[Caller]) -> dict[str, object]:
    """What became of them, as the answer to a request."""
    failures = [caller.failure for caller in callers if caller.failure]
    return {
        "ms": [caller.ms for caller in callers if not caller.failure],
        "failed": len(failures),
        "why": sorted(set(failures))[:3],
    }


class Stormers:
    """The clients that stay."""

    def __init__(self) -> None:
        self._held: list[pq.abc.PGconn] = []

    def answer(self, request: dict[str, str | int]) -> dict[str, object]:
        """Do what one request says."""
        match request:
            case {"gather": str(conninfo), "count": int(count)}:
                self.leave()
                callers = self._callers(conninfo, count, asks=False)
                self._held = [caller.connection for caller in callers if not caller.failure]
                return report(callers)
            case {"storm": _}:
                callers = [Caller(connection, is_connected=True, asks=True) for connection in self._held]
                drive(callers)
                return report(callers)
            case {"rush": str(conninfo), "count": int(count)}:
                callers = self._callers(conninfo, count, asks=True)
                for caller in callers:
                    caller.connection.finish()
                return report(callers)
            case {"leave": _}:
                self.leave()
                return {}
        return {"refused": "unknown request"}

    def leave(self) -> None:
        for connection in self._held:
            connection.finish()
        self._held = []

    def _callers(self, conninfo: str, count: int, *, asks: bool) -> list[Caller]:
        callers: list[Caller] = []
        for _ in range(count):
            begun = time.monotonic()
            caller = Caller(pq.PGconn.connect_start(conninfo.encode()), is_connected=False, asks=asks)
            caller.begun = begun
            callers.append(caller)
        drive(callers)
        return callers


def main() -> None:
    """Answer requests until standard input ends."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    stormers = Stormers()
    for line in sys.stdin:
        print(json.dumps(stormers.answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
