"""The queue: first come, first served within a flow, in turn between flows, and nobody is lost."""

import time

import attrs

from regional.queueing import Queue


@attrs.frozen(eq=False)
class Waiter:
    mux: str = "one"


def taken(queue: Queue[Waiter]) -> list[str]:
    """Whose turns come, until nobody waits."""
    return [queue.take().mux for _ in range(len(queue))]


def test_one_flow_is_served_in_its_order() -> None:
    queue, waiters = Queue[Waiter](), [Waiter() for _ in range(5)]
    for waiter in waiters:
        queue.put(waiter, 0.0)
    assert list(queue) == waiters
    assert [queue.take() for _ in waiters] == waiters
    assert not queue


def test_an_edge_with_a_thousand_waiters_delays_the_five_of_another_by_five() -> None:
    queue = Queue[Waiter]()
    for _ in range(1000):
        queue.put(Waiter("many"), 0.0)
    for _ in range(5):
        queue.put(Waiter("few"), 1.0)
    assert taken(queue)[:10] == ["many", "few"] * 5


def test_a_flow_that_comes_back_has_saved_nothing() -> None:
    queue = Queue[Waiter]()
    for _ in range(4):
        queue.put(Waiter("always"), 0.0)
    queue.put(Waiter("sometimes"), 0.0)
    assert [queue.take().mux for _ in range(3)] == ["always", "sometimes", "always"]
    for _ in range(2):
        queue.put(Waiter("sometimes"), 1.0)
    assert taken(queue) == ["always", "sometimes", "always", "sometimes"]


def test_who_leaves_is_gone_and_its_flow_with_the_last_of_it() -> None:
    queue, first, second = Queue[Waiter](), Waiter("a"), Waiter("b")
    queue.put(first, 0.0)
    queue.put(second, 1.0)
    assert first in queue
    assert queue.leave(first)
    assert not queue.leave(first)
    assert first not in queue
    assert taken(queue) == ["b"]
    assert not queue.leave(second), "it has got its lease"


def test_the_one_that_waits_longest_counts_whatever_its_flow() -> None:
    queue, waiters = Queue[Waiter](), [Waiter(name) for name in "abab"]
    for since, waiter in enumerate(waiters):
        queue.put(waiter, float(since))
    assert queue.waited_s(10.0) == 10.0
    assert queue.overdue(11.5, 10.0) == waiters[:2]
    assert queue.waited_s(10.0) == 8.0
    assert taken(queue) == ["a", "b"]
    assert queue.waited_s(10.0) == 0.0


def test_a_long_queue_costs_no_more_for_each() -> None:
    def seconds(number: int) -> float:
        queue, waiters = Queue[Waiter](), [Waiter(str(i % 7)) for i in range(number)]
        begun = time.process_time()
        for waiter in waiters:
            queue.put(waiter, 0.0)
        for waiter in waiters[number // 2 :]:
            queue.leave(waiter)
        for _ in range(number // 2):
            queue.waited_s(1.0)
            queue.take()
        return (time.process_time() - begun) / number

    seconds(1000)
    assert seconds(100_000) < 20 * seconds(1000)
