"""The pump: ready sockets are told, closed ones are not, and one that fails harms nobody."""

import socket
from collections.abc import Callable, Iterator

import pytest

from protos.runtime.pump import READ, WRITE, Pump
from tests.support.host import on_host, turns, until


class Noting:
    """A pumped socket that notes what it is told."""

    def __init__(self, pump: Pump, events: int = READ) -> None:
        self.pump = pump
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.seen: list[int] = []
        self.failures: list[Exception] = []
        self.on_ready: Callable[[], object] = lambda: None
        pump.watch(self.ours.fileno(), self, events)

    def ready(self, events: int) -> None:
        self.seen.append(events)
        if events & READ:
            self.ours.recv(100)
        self.on_ready()

    def failed(self, error: Exception) -> None:
        self.failures.append(error)
        self.forget()

    def forget(self) -> None:
        self.pump.forget(self.ours.fileno())

    def close(self) -> None:
        self.forget()
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def closing() -> Iterator[list[Noting]]:
    made: list[Noting] = []
    yield made
    for one in made:
        one.ours.close()
        one.theirs.close()


@on_host
async def test_whoever_is_ready_is_told(closing: list[Noting]) -> None:
    pump = Pump()
    first, second = Noting(pump), Noting(pump)
    closing += [first, second]
    assert len(pump) == 2
    second.theirs.send(b"x")
    await until(lambda: second.seen)
    assert (first.seen, second.seen) == ([], [READ])
    pump.close()


@on_host
async def test_what_is_asked_for_may_change(closing: list[Noting]) -> None:
    pump = Pump()
    one = Noting(pump)
    closing.append(one)
    pump.change(one.ours.fileno(), WRITE)
    await until(lambda: one.seen)
    assert one.seen[0] == WRITE
    pump.change(one.ours.fileno(), 0)
    await turns()
    one.seen.clear()
    one.theirs.send(b"x")
    await turns()
    assert one.seen == []
    pump.close()


@on_host
async def test_whoever_was_forgotten_earlier_in_the_turn_is_not_told(closing: list[Noting]) -> None:
    pump = Pump()
    ones = [Noting(pump) for _ in range(2)]
    closing += ones
    for one, other in (ones, ones[::-1]):
        one.on_ready = other.forget
        one.theirs.send(b"x")
    await until(lambda: any(one.seen for one in ones))
    await turns()
    assert sorted(len(one.seen) for one in ones) == [0, 1]
    pump.close()


@on_host
async def test_one_that_fails_is_told_and_the_others_go_on(closing: list[Noting]) -> None:
    pump = Pump()
    ones = [Noting(pump) for _ in range(3)]
    closing += ones

    def fail() -> None:
        raise ZeroDivisionError

    ones[1].on_ready = fail
    for one in ones:
        one.theirs.send(b"x")
    await until(lambda: ones[0].seen and ones[1].failures and ones[2].seen)
    assert isinstance(ones[1].failures[0], ZeroDivisionError)
    assert len(pump) == 2
    pump.close()


@on_host
async def test_forgetting_twice_is_nothing(closing: list[Noting]) -> None:
    pump = Pump()
    one = Noting(pump)
    closing.append(one)
    one.forget()
    one.forget()
    assert len(pump) == 0
    pump.close()


@on_host
async def test_later_is_after_this_turn(closing: list[Noting]) -> None:
    pump = Pump()
    ones = [Noting(pump) for _ in range(2)]
    closing += ones
    order: list[str] = []

    def first() -> None:
        order.append("ready")

    ones[0].on_ready = first
    ones[1].on_ready = lambda: order.append("ready")
    pump.later(0.01, lambda: order.append("later"))
    for one in ones:
        one.theirs.send(b"x")
    await until(lambda: len(order) == 3)
    assert order == ["ready", "ready", "later"]
    pump.close()


@on_host
async def test_more_sockets_than_one_turn_takes(closing: list[Noting]) -> None:
    pump = Pump()
    closing += [Noting(pump) for _ in range(600)]
    for one in closing:
        one.theirs.send(b"x")
    await until(lambda: all(one.seen for one in closing))
    pump.close()
