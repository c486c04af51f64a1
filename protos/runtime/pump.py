"""The pump: many sockets in one nested poller, whose descriptor the host loop watches once.

asyncio's own transports schedule a handle for each ready socket, and a trio task per connection needs a wake-up of the
guest; at tens of thousands of messages a second either costs more than the work itself. Here one turn of the host loop
asks the nested epoll which sockets are ready and calls each one's `ready` in a row. What those calls put on a link
gathers meanwhile and leaves as one gRPC message, for the link's writer is a task of the host that runs after the turn.

Linux is the target. On macOS a kqueue of the same shape serves for development.
"""

import asyncio
import select
import sys
from collections.abc import Callable
from typing import Any, Final, Protocol

import structlog

READ: Final = 1
WRITE: Final = 4  # the values of EPOLLIN and EPOLLOUT, so that Linux needs no translation
_MAX_EVENTS: Final = 512  # a turn stays short, so timers and the link's reader get theirs between two turns

log = structlog.get_logger(__name__)


class Pumped(Protocol):
    """What the pump drives: it is told when its descriptor is ready, and when its own code has failed."""

    def ready(self, events: int) -> None:
        """Read or write; events is READ, WRITE, both, or with other bits an error or a hang-up."""

    def failed(self, error: Exception) -> None:
        """Our own code raised: this connection cannot be trusted any more."""


class Poller(Protocol):
    """The part of select.epoll that we use."""

    def fileno(self) -> int: ...
    def register(self, fd: int, eventmask: int, /) -> None: ...
    def modify(self, fd: int, eventmask: int, /) -> None: ...
    def unregister(self, fd: int, /) -> None: ...
    def poll(self, timeout: float, maxevents: int, /) -> list[tuple[int, int]]: ...
    def close(self) -> None: ...


class Pump:
    """One per process and host loop."""

    def __init__(self) -> None:
        self._poller: Poller = _make_poller()
        self._pumped: dict[int, Pumped] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._poller.fileno(), self._turn)

    def __len__(self) -> int:
        return len(self._pumped)

    def watch(self, fd: int, pumped: Pumped, events: int) -> None:
        self._pumped[fd] = pumped
        self._poller.register(fd, events)

    def change(self, fd: int, events: int) -> None:
        self._poller.modify(fd, events)

    def forget(self, fd: int) -> None:
        if self._pumped.pop(fd, None) is not None:
            self._poller.unregister(fd)

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        """Call function then; for what happens seldom. What is done for each query belongs to a janitor."""
        self._loop.call_later(seconds, function)

    def close(self) -> None:
        self._loop.remove_reader(self._poller.fileno())
        self._poller.close()

    def _turn(self) -> None:
        pumped = self._pumped
        for fd, events in self._poller.poll(0, _MAX_EVENTS):
            one = pumped.get(fd)
            if one is None:  # closed by an earlier one of this turn
                continue
            try:
                one.ready(events)
            except Exception as error:
                log.exception("a connection failed unforeseen", fd=fd)
                one.failed(error)


def _make_poller() -> Poller:
    if sys.platform == "linux":
        return select.epoll()
    return _Kqueue()


_kq: Final[Any] = select  # kqueue and its constants are not there on the platform that types are checked for


class _Kqueue:
    """select.epoll's shape over kqueue, level-triggered as epoll is."""

    def __init__(self) -> None:
        self._kqueue = _kq.kqueue()
        self._masks: dict[int, int] = {}

    def fileno(self) -> int:
        return int(self._kqueue.fileno())

    def register(self, fd: int, eventmask: int, /) -> None:
        self._masks[fd] = 0
        self.modify(fd, eventmask)

    def modify(self, fd: int, eventmask: int, /) -> None:
        changed = self._masks[fd] ^ eventmask
        for bit, kind in ((READ, _kq.KQ_FILTER_READ), (WRITE, _kq.KQ_FILTER_WRITE)):
            if changed & bit:
                flag = _kq.KQ_EV_ADD if eventmask & bit else _kq.KQ_EV_DELETE
                self._kqueue.control([_kq.kevent(fd, kind, flag)], 0)
        self._masks[fd] = eventmask

    def unregister(self, fd: int, /) -> None:
        self.modify(fd, 0)
        del self._masks[fd]

    def poll(self, timeout: float, maxevents: int, /) -> list[tuple[int, int]]:
        ready: dict[int, int] = {}
        for event in self._kqueue.control(None, maxevents, timeout):
            bit = READ if event.filter == _kq.KQ_FILTER_READ else WRITE
            ready[event.ident] = ready.get(event.ident, 0) | bit
        return list(ready.items())

    def close(self) -> None:
        self._kqueue.close()
