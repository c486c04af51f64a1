"""The pool core: whatever happens in whatever order, each connection is in one place and nobody waits in vain."""

from collections import Counter

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from protos.errors import LocalProtocolError
from regional.pool import UNBOUNDED, Pool, PoolLimits
from regional.profile import BASE, Profile
from tests.support.pooled import Connected, Waiter

LINKS = ["near", "far", "third"]
NO_BOUND = st.just(UNBOUNDED)
PROFILES = [BASE, Profile.of([("timezone", "UTC")]), Profile.of([("timezone", "Asia/Tokyo")])]


def pool_of(max_size: int = 5, **limits: int) -> Pool[Connected, Waiter]:
    return Pool(PoolLimits(max_size=max_size, **limits))


def filled(pool: Pool[Connected, Waiter], *profiles: Profile) -> list[Connected]:
    """Idle connections, the last one used last."""
    made = []
    for profile in profiles:
        pool.dialing += 1
        made.append(Connected(profile))
        pool.dialed(made[-1])
    return made


def test_a_waiter_gets_the_idle_connection_that_has_its_settings() -> None:
    pool = pool_of()
    _, tokyo, last = filled(pool, PROFILES[1], PROFILES[2], BASE)
    assert pool.checkout(Waiter(PROFILES[2]), 0.0) is tokyo
    assert pool.checkout(Waiter(PROFILES[2]), 0.0) is last, "none has them: the one used last"


def test_the_head_of_the_queue_is_served_whatever_its_settings() -> None:
    pool = pool_of()
    waiters = [Waiter(PROFILES[1]), Waiter(BASE)]
    for waiter in waiters:
        assert pool.checkout(waiter, 0.0) is None
    (connected,) = filled(pool, BASE)
    assert pool.grant() == (connected, waiters[0])
    assert pool.grant() is None


def test_nobody_overtakes_the_queue() -> None:
    pool, first = pool_of(), Waiter()
    pool.checkout(first, 0.0)
    (connected,) = filled(pool, BASE)
    assert pool.checkout(Waiter(), 0.0) is None
    assert pool.grant() == (connected, first)


def test_as_many_are_dialled_as_wait_up_to_the_limit() -> None:
    pool = pool_of(3)
    for wanted in (1, 1, 1, 0):
        pool.checkout(Waiter(), 0.0)
        assert pool.to_dial() == wanted
    assert pool.size == 3


def test_the_minimum_is_dialled_without_anybody() -> None:
    pool = pool_of(min_size=2)
    assert (pool.to_dial(), pool.to_dial()) == (2, 0)


def test_the_queue_is_bounded_but_not_for_whom_a_dial_will_serve() -> None:
    pool = pool_of(2, max_waiters=1)
    for is_full in (False, False, False, True):
        assert pool.is_full is is_full
        pool.checkout(Waiter(), 0.0)
        pool.to_dial()
    assert pool_of(2, max_waiters=0).is_full is False


def test_who_waits_too_long_is_taken_out_in_order() -> None:
    pool = pool_of()
    waiters = [Waiter() for _ in range(3)]
    for since, waiter in enumerate(waiters):
        pool.checkout(waiter, float(since))
    assert pool.waited_s(2.5) == 2.5
    assert pool.overdue(15.9, 15.0) == waiters[:1]
    assert pool.overdue(17.0, 15.0) == waiters[1:]
    assert pool.waited_s(99.0) == 0.0


def test_a_waiter_leaves_once() -> None:
    pool, waiter = pool_of(), Waiter()
    pool.checkout(waiter, 0.0)
    assert pool.leave(waiter)
    assert not pool.leave(waiter)


def test_the_oldest_are_closed_first_and_the_minimum_stays() -> None:
    pool = pool_of(min_size=2)
    connected = filled(pool, *[BASE] * 4)
    for number, one in enumerate(connected):
        one.idle_since = float(number)
    assert pool.expired(600.0) == connected[:1]
    assert pool.expired(700.0) == connected[1:2]
    connected[2].expires_at = 700.0
    assert pool.expired(700.0) == [connected[2]], "age is no matter of the minimum"
    assert pool.idle == connected[3:]


def test_what_is_too_old_does_not_count_for_the_minimum() -> None:
    pool = pool_of(min_size=1)
    old, idle = filled(pool, BASE, BASE)
    old.expires_at = 600.0
    assert pool.expired(600.0) == [old]
    assert pool.idle == [idle]


def test_a_lowered_limit_closes_what_is_idle_oldest_first() -> None:
    pool = pool_of(4)
    connected = filled(pool, *[BASE] * 4)
    pool.limits = PoolLimits(max_size=2)
    assert pool.over_limit() == connected[:2]
    assert pool.over_limit() == []


def test_a_dial_that_was_never_begun_cannot_end() -> None:
    with pytest.raises(LocalProtocolError):
        pool_of().dial_failed()


def test_what_may_be_over_the_limit_is_dialled_and_then_given_back() -> None:
    pool = pool_of(2)
    for _ in range(6):
        pool.checkout(Waiter(), 0.0)
    assert pool.to_dial() == 2
    pool.extra = 2
    assert pool.to_dial() == 2
    pool.extra = 0
    assert pool.is_over
    assert pool.to_dial() == 0


def test_what_the_origin_refuses_is_not_dialled_but_nothing_is_closed_for_it() -> None:
    pool = pool_of(4)
    filled(pool, *[BASE] * 3)
    pool.dial_ceiling = 2
    assert not pool.is_over
    assert pool.over_limit() == []
    for _ in range(5):
        pool.checkout(Waiter(), 0.0)
    assert pool.to_dial() == 0


def test_a_trial_holds_leases_back_and_not_connections() -> None:
    pool = pool_of(4)
    connected = filled(pool, *[BASE] * 3)
    pool.lease_cap = 1
    assert pool.checkout(Waiter(), 0.0) is connected[2]
    waiter = Waiter()
    assert pool.checkout(waiter, 0.0) is None
    assert pool.grant() is None
    assert pool.to_dial() == 1, "the pool does not know of the trial's end"
    pool.lease_cap = UNBOUNDED
    assert pool.grant() == (connected[1], waiter)


class PoolMachine(RuleBasedStateMachine):
    """A tenant in small: it dials when asked to, and gives out whenever something may have become idle."""

    @initialize(max_size=st.integers(1, 4), min_size=st.integers(0, 2), max_waiters=st.integers(0, 3))
    def begin(self, max_size: int, min_size: int, max_waiters: int) -> None:
        limits = PoolLimits(max_size=max_size, min_size=min(min_size, max_size), max_waiters=max_waiters)
        self.pool: Pool[Connected, Waiter] = Pool(limits)
        self.now = 0.0
        self.turns: Counter[object] = Counter()
        self.most = max_size  # the largest size that was allowed for what is open now
        self.waiting: list[Waiter] = []
        self.served: dict[Connected, Waiter] = {}
        self.resetting: list[Connected] = []

    def follow(self) -> None:
        while (grant := self.pool.grant()) is not None:
            connected, waiter = grant
            flow = [other for other in self.waiting if other.mux == waiter.mux]
            assert waiter is flow[0], "first come, first served in a flow"
            self.waiting.remove(waiter)
            self.served[connected] = waiter
            for mux in {other.mux for other in self.waiting} - {waiter.mux}:
                self.turns[mux, waiter.mux] += 1
                assert self.turns[mux, waiter.mux] <= 1, "another flow had two turns while this one waited"
            for mux in LINKS:
                self.turns[waiter.mux, mux] = 0
        for mux in set(LINKS) - {other.mux for other in self.waiting}:
            for other in LINKS:
                self.turns[mux, other] = 0
        self.pool.to_dial()

    @rule(profile=st.sampled_from(PROFILES), mux=st.sampled_from(LINKS), passes_s=st.floats(0, 5))
    def checkout(self, profile: Profile, mux: str, passes_s: float) -> None:
        self.now += passes_s
        if self.pool.is_full and not self.pool.idle:
            return
        waiter = Waiter(profile, mux)
        connected = self.pool.checkout(waiter, self.now)
        if connected is None:
            self.waiting.append(waiter)
        else:
            assert not self.waiting
            assert len(self.pool.leased) <= self.pool.lease_cap
            self.served[connected] = waiter
        self.follow()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        waiter = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(waiter)
        assert self.pool.leave(waiter)
        self.follow()

    @precondition(lambda self: self.pool.dialing)
    @rule(works=st.booleans())
    def dial_ends(self, *, works: bool) -> None:
        if works:
            self.pool.dialed(Connected(idle_since=self.now, expires_at=self.now + 100))
        else:
            self.pool.dial_failed()
        self.follow()

    @precondition(lambda self: self.served)
    @rule(data=st.data(), how=st.sampled_from(["checkin", "reset", "discard"]), profile=st.sampled_from(PROFILES))
    def lease_ends(self, data: st.DataObject, how: str, profile: Profile) -> None:
        connected = data.draw(st.sampled_from(list(self.served)))
        del self.served[connected]
        connected.profile, connected.idle_since = profile, self.now
        if how == "reset":
            self.pool.reset(connected)
            self.resetting.append(connected)
        elif how == "checkin" and not self.pool.is_over:
            self.pool.checkin(connected)
        else:
            self.pool.discard(connected)
        self.follow()

    @precondition(lambda self: self.resetting)
    @rule(data=st.data(), works=st.booleans())
    def reset_ends(self, data: st.DataObject, *, works: bool) -> None:
        connected = data.draw(st.sampled_from(self.resetting))
        self.resetting.remove(connected)
        if works:
            self.pool.checkin(connected)
        else:
            self.pool.discard(connected)
        self.follow()

    @precondition(lambda self: self.pool.idle)
    @rule(data=st.data())
    def an_idle_one_is_lost(self, data: st.DataObject) -> None:
        connected = data.draw(st.sampled_from(self.pool.idle))
        self.pool.discard(connected)
        self.pool.discard(connected)
        self.follow()

    @rule(passes_s=st.sampled_from([1.0, 50.0, 700.0]))
    def time_passes(self, passes_s: float) -> None:
        self.now += passes_s
        overdue = self.pool.overdue(self.now, 15.0)
        assert overdue == self.waiting[: len(overdue)]
        del self.waiting[: len(overdue)]
        self.follow()
        before = self.pool.size
        gone = self.pool.expired(self.now)
        too_old = [one for one in gone if one.expires_at <= self.now]
        assert before - len(gone) >= min(before, self.pool.limits.min_size) - len(too_old)
        self.follow()

    @rule(max_size=st.integers(1, 4))
    def limit_changes(self, max_size: int) -> None:
        self.pool.limits = attrs.evolve(self.pool.limits, max_size=max_size, min_size=min(1, max_size))
        self.pool.over_limit()
        self._limits_have_changed()

    @rule(
        extra=st.integers(0, 2), ceiling=st.integers(1, 4) | NO_BOUND, dial_ceiling=st.integers(1, 4) | NO_BOUND,
        lease_cap=st.integers(1, 4) | NO_BOUND,
    )  # fmt: skip
    def sizes_change(self, extra: int, ceiling: int, dial_ceiling: int, lease_cap: int) -> None:
        pool = self.pool
        pool.extra, pool.ceiling, pool.dial_ceiling, pool.lease_cap = extra, ceiling, dial_ceiling, lease_cap
        pool.over_limit()
        self._limits_have_changed()

    def _limits_have_changed(self) -> None:
        self.most = max(self.pool.top, self.pool.size)
        self.follow()

    @invariant()
    def each_connection_is_in_one_place(self) -> None:
        everything = list(self.pool.all())
        assert len(set(map(id, everything))) == len(everything)
        assert self.pool.leased == set(self.served)
        assert self.pool.resetting == set(self.resetting)

    @invariant()
    def never_over_the_limit(self) -> None:
        assert self.pool.size <= self.most

    @invariant()
    def nothing_is_idle_while_somebody_waits(self) -> None:
        held_back = len(self.pool.leased) >= self.pool.lease_cap
        assert held_back or not (self.pool.idle and self.pool.waiters)

    @invariant()
    def whoever_waits_is_in_the_queue_in_order(self) -> None:
        assert list(self.pool.waiters) == self.waiting

    @invariant()
    def whoever_waits_has_hope(self) -> None:
        pool = self.pool
        if pool.waiters:
            full = pool.size >= min(pool.limits.max_size + pool.extra, pool.ceiling, pool.dial_ceiling)
            assert pool.dialing or full or (pool.idle and len(pool.leased) >= pool.lease_cap)

    @invariant()
    def nobody_is_dialled_for_in_vain(self) -> None:
        assert self.pool.dialing <= self.most


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
