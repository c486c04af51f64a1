"""Failed logins of one address: a burst is free, then each connection waits, and few wait at a time."""

from edge.throttle import BURST, CANCEL_BURST, CANCEL_REFILL_S, DELAY_S, MAX_ADDRESSES, MAX_DELAYED, REFILL_S, Throttle

HERE = "192.0.2.1"


def _empty(throttle: Throttle, now: float = 0.0) -> None:
    for _ in range(BURST):
        throttle.failed(HERE, now)


def test_nobody_waits_before_a_burst_of_failures() -> None:
    throttle = Throttle()
    for _ in range(BURST - 1):
        assert throttle.delay(HERE, 0.0) == 0.0
        throttle.failed(HERE, 0.0)
    assert throttle.delay(HERE, 0.0) == 0.0
    throttle.failed(HERE, 0.0)
    assert throttle.delay(HERE, 0.0) == DELAY_S


def test_other_addresses_are_not_delayed() -> None:
    throttle = Throttle()
    _empty(throttle)
    assert throttle.delay("192.0.2.2", 0.0) == 0.0


def test_time_heals() -> None:
    throttle = Throttle()
    _empty(throttle)
    assert throttle.delay(HERE, 0.9 * REFILL_S) == DELAY_S
    assert throttle.delay(HERE, 1.1 * REFILL_S) == 0.0


def test_only_so_many_are_delayed_at_a_time() -> None:
    throttle = Throttle()
    _empty(throttle)
    assert [throttle.delay(HERE, 0.0) for _ in range(MAX_DELAYED)] == [DELAY_S] * MAX_DELAYED
    assert throttle.delay(HERE, 0.0) is None
    throttle.let_in(HERE)
    assert throttle.delay(HERE, 0.0) == DELAY_S


def test_the_memory_of_addresses_is_bounded() -> None:
    throttle = Throttle()
    _empty(throttle)
    for number in range(MAX_ADDRESSES):
        throttle.failed(f"host-{number}", 0.0)
    assert throttle.delay(HERE, 0.0) == 0.0  # forgotten, as the one that failed longest ago


def test_cancel_requests_of_unknown_sessions_are_limited_apart_from_logins() -> None:
    throttle = Throttle()
    _empty(throttle)
    assert [throttle.may_cancel(HERE, 0.0) for _ in range(CANCEL_BURST + 1)] == [True] * CANCEL_BURST + [False]
    assert throttle.may_cancel("192.0.2.2", 0.0)
    assert throttle.may_cancel(HERE, 1.1 * CANCEL_REFILL_S)
    assert not throttle.may_cancel(HERE, 1.1 * CANCEL_REFILL_S)
