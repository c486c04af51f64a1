"""What a signal means before anybody listens to it.

A node needs a second to import what it is made of. Asked to end in that second it has nothing to drain and ends with
status 0, like later; without this it would die of the signal. A reload finds nothing loaded yet. Handlers that come
later replace these.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_Frame = FrameType | None


@contextmanager
def ends_at_once() -> Iterator[None]:
    """SIGTERM and SIGINT end the process without cleaning up, for there is nothing; SIGHUP does nothing."""
    with _handling(signal.SIGTERM, signal.SIGINT, by=lambda *_: os._exit(0)), _handling(signal.SIGHUP, by=_nothing):
        yield


@contextmanager
def ends_in_order() -> Iterator[None]:
    """SIGTERM and SIGINT leave every block on the way out."""
    with _handling(signal.SIGTERM, signal.SIGINT, by=_leave):
        yield


def _leave(_number: int, _frame: _Frame) -> None:
    raise SystemExit(0)


def _nothing(_number: int, _frame: _Frame) -> None:
    pass


@contextmanager
def _handling(*numbers: signal.Signals, by: "signal._HANDLER") -> Iterator[None]:
    before = {number: signal.signal(number, by) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
