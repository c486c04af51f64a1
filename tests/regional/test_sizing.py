"""How large a pool may be: the soft limit, an origin that refuses, a share, and what the concurrency control says."""

from regional.concurrency import FREE, START
from regional.pool import UNBOUNDED, Pool, PoolLimits
from regional.sizing import SHORTAGE_S, SOFT_S, Sizing, extra_of
from tests.support.pooled import Connected, Waiter


class Scene:
    """A pool of which all connections are leased, and clients that wait since 0."""

    def __init__(self, limit: int, waiters: int = 0) -> None:
        self.pool: Pool[Connected, Waiter] = Pool(PoolLimits(max_size=limit))
        self.sizing = Sizing(self.pool)
        for _ in range(limit + waiters):
            self.pool.checkout(Waiter(), 0.0)
        self.opened = self.open()

    def open(self) -> int:
        number = self.pool.to_dial()
        for _ in range(number):
            self.pool.dialed(Connected())
        while self.pool.grant() is not None:
            pass
        return number

    def tick(self, now: float, suspected: int = 0) -> int:
        """How many are opened then."""
        self.sizing.tick(now, 0, suspected)
        return self.open()


def test_the_hard_maximum_is_a_tenth_more_or_two() -> None:
    assert [extra_of(limit) for limit in (5, 20, 29, 60, 1500)] == [2, 2, 2, 6, 150]


def test_the_limit_is_passed_only_when_the_head_has_waited_for_a_second() -> None:
    scene = Scene(5, waiters=9)
    assert scene.opened == 5
    assert scene.tick(0.9) == 0
    assert scene.tick(1.1) == 2
    assert scene.tick(1.6) == 0
    assert scene.pool.size == 7


def test_the_limit_is_not_passed_while_the_control_holds() -> None:
    scene = Scene(5, waiters=9)
    scene.sizing.control.is_holding = True
    assert scene.tick(1.5) == 0


def test_what_is_suspected_dead_may_be_replaced_at_once() -> None:
    scene = Scene(5, waiters=9)
    scene.sizing.control.is_holding = True
    assert scene.tick(0.5, suspected=1) == 1
    assert scene.tick(0.6, suspected=5) == 1


def test_the_pool_is_back_at_its_limit_within_a_minute_and_rests() -> None:
    scene = Scene(5, waiters=50)
    scene.tick(1.5)
    assert scene.pool.size == 7
    scene.tick(SOFT_S)
    assert not scene.pool.is_over
    scene.tick(SOFT_S + 1.6)
    assert scene.pool.is_over, "what is over closes at the end of its lease"
    for leased in list(scene.pool.leased)[:2]:
        scene.pool.discard(leased)
    assert scene.tick(2 * SOFT_S) == 0
    assert scene.pool.size == 5
    assert scene.tick(2 * SOFT_S + 2) == 2


def test_without_waiters_it_is_back_at_once() -> None:
    scene = Scene(5, waiters=2)
    scene.tick(1.5)
    assert not scene.pool.waiters
    scene.tick(2.0)
    assert scene.pool.is_over


def test_an_origin_that_refuses_makes_the_present_size_the_limit_for_a_while() -> None:
    scene = Scene(8)
    scene.pool.limits = PoolLimits(max_size=20)
    scene.sizing.limits_changed()
    for _ in range(20):
        scene.pool.checkout(Waiter(), 0.0)
    assert scene.pool.to_dial() == 12
    for _ in range(12):
        scene.pool.dial_failed()
        scene.sizing.refused(10.0)
    assert scene.sizing.is_short
    assert scene.tick(11.0) == 0
    scene.pool.discard(next(iter(scene.pool.leased)))
    assert scene.tick(12.0) == 1, "what is lost may be replaced"
    assert scene.tick(10.0 + SHORTAGE_S - 1) == 0
    assert scene.tick(10.0 + SHORTAGE_S) > 0
    assert not scene.sizing.is_short


def test_another_origin_begins_anew() -> None:
    scene = Scene(8)
    scene.sizing.refused(1.0)
    scene.sizing.control.is_holding = True
    scene.sizing.forget()
    assert not scene.sizing.is_short
    assert not scene.sizing.control.is_holding
    assert scene.pool.top == 8


def test_one_is_always_tried() -> None:
    scene = Scene(5)
    for leased in list(scene.pool.leased):
        scene.pool.discard(leased)
    scene.sizing.refused(1.0)
    scene.pool.checkout(Waiter(), 1.0)
    assert scene.tick(1.1) == 1


def test_the_share_holds() -> None:
    scene = Scene(8)
    scene.sizing.share = 6
    scene.sizing.apply()
    assert scene.pool.is_over
    scene.sizing.share = UNBOUNDED
    scene.sizing.apply()
    assert not scene.pool.is_over


def test_a_changed_limit_is_the_controls_too() -> None:
    scene = Scene(8)
    scene.pool.limits = PoolLimits(max_size=50, min_size=30)
    scene.sizing.limits_changed()
    assert (scene.sizing.control.limit, scene.sizing.control.floor) == (50, 30)
    assert scene.pool.top == 30
    assert scene.pool.lease_cap == FREE


def test_what_bounds_the_pool_is_told() -> None:
    scene = Scene(8)

    def told() -> tuple[int, str]:
        return scene.sizing.bound, scene.sizing.bound_by

    assert told() == (8, "limit")
    scene.pool.limits = PoolLimits(max_size=100)
    scene.sizing.limits_changed()
    assert told() == (START, "demand")
    scene.sizing.control.is_holding = True
    assert told() == (START, "slow")
    scene.pool.lease_cap = 6
    assert told() == (6, "trial")
    scene.sizing.share = 5
    scene.sizing.apply()
    assert told() == (5, "share")
    scene.sizing.share = UNBOUNDED
    scene.sizing.apply()
    scene.sizing.refused(1.0)
    assert told() == (8, "full")
    scene.sizing.forget()
    assert told() == (START, "demand")


def test_a_limit_that_is_passed_is_told() -> None:
    scene = Scene(5, waiters=9)
    scene.sizing.share = 5
    scene.tick(1.1)
    assert (scene.sizing.bound, scene.sizing.bound_by) == (5, "share")
    scene.sizing.share = UNBOUNDED
    scene.tick(1.2)
    assert (scene.sizing.bound, scene.sizing.bound_by) == (7, "soft")
