"""What configurations with one origin share: divided max-min, never more than there is, and handed on when needed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regional.configuration import Configuration, Origin
from regional.pool import UNBOUNDED, Pool, PoolLimits
from regional.shares import divide, share_out
from regional.sizing import Sizing
from tests.regional.samples import ORIGIN, configuration
from tests.support.pooled import Connected, Waiter

OTHER = Origin(host="other.internal", database="app", user="app_user")


class Tenant:
    """What is asked of one, and what it does then."""

    is_withdrawn = False

    def __init__(self, total: int | None, limit: int = 20, origin: Origin = ORIGIN) -> None:
        self.configuration: Configuration = configuration(origin_total_limit=total, origin=origin)
        self.pool: Pool[Any, Any] = Pool(PoolLimits(max_size=limit))
        self.sizing = Sizing(self.pool)

    def want(self, number: int) -> None:
        for _ in range(number):
            self.pool.checkout(Waiter(), 0.0)

    def end(self, number: int) -> None:
        for leased in list(self.pool.leased)[:number]:
            if self.pool.is_over:
                self.pool.discard(leased)
            else:
                self.pool.checkin(leased)

    def follow(self) -> None:
        for _ in range(self.pool.to_dial()):
            self.pool.dialed(Connected())
        while self.pool.grant() is not None:
            pass


def tick(*tenants: Tenant, turn: int = 0) -> list[int]:
    """Share out, let each do what follows, and tell the sizes."""
    share_out(tenants, turn)
    for tenant in tenants:
        tenant.sizing.apply()
        tenant.pool.over_limit()
    for tenant in tenants:
        tenant.follow()
    return [tenant.pool.size for tenant in tenants]


@pytest.mark.parametrize(
    ("total", "wants", "given"),
    [
        (10, [20, 20], [5, 5]),
        (10, [2, 20], [2, 8]),
        (10, [2, 3], [2, 3]),
        (10, [1, 4, 20, 20], [1, 3, 3, 3]),
        (0, [1, 1], [0, 0]),
        (-3, [1], [0]),
        (5, [], []),
    ],
)
def test_division_is_max_min(total: int, wants: list[int], given: list[int]) -> None:
    assert divide(total, wants) == given


@given(total=st.integers(0, 60), wants=st.lists(st.integers(0, 30), max_size=6), turn=st.integers(0, 9))
def test_nobody_gets_more_than_it_wants_nor_less_than_another_that_wants_more(
    total: int, wants: list[int], turn: int
) -> None:
    given = divide(total, wants, turn)
    assert sum(given) == min(total, sum(wants))
    for mine, want in zip(given, wants, strict=True):
        assert 0 <= mine <= want
        if mine < want:
            assert max(given) <= mine + 1


def test_what_is_left_over_goes_round() -> None:
    assert [divide(1, [5, 5, 5], turn).index(1) for turn in range(4)] == [0, 1, 2, 0]


def test_without_a_total_limit_nobody_is_bounded() -> None:
    free, bounded = Tenant(None), Tenant(10)
    free.want(20)
    assert tick(free, bounded) == [20, 0]
    assert free.sizing.share == UNBOUNDED


def test_another_origin_is_another_matter() -> None:
    here, there = Tenant(10), Tenant(10, origin=OTHER)
    here.want(10)
    there.want(10)
    assert tick(here, there) == [10, 10]


def test_idle_connections_are_given_back_when_another_needs_their_room() -> None:
    first, second = Tenant(10), Tenant(12)
    tick(first, second)
    first.want(10)
    assert tick(first, second) == [10, 0], "nobody else wants them"
    first.end(10)
    assert tick(first, second) == [10, 0], "they are kept while nobody else needs their room"
    second.want(7)
    assert tick(first, second) == [3, 7]


def test_a_lease_is_not_taken_away_but_its_connection_goes_when_it_ends() -> None:
    first, second = Tenant(10), Tenant(10)
    first.want(20)
    tick(first, second)
    second.want(20)
    assert tick(first, second) == [10, 0]
    first.end(4)
    assert tick(first, second) == [6, 4]
    first.end(1)
    assert tick(first, second) == [5, 5]


def test_what_is_to_be_kept_warm_is_needed_but_not_by_who_leaves() -> None:
    first, second = Tenant(8), Tenant(8)
    first.pool.limits = PoolLimits(max_size=20, min_size=8)
    second.want(8)
    assert tick(first, second) == [4, 4]
    first.is_withdrawn = True
    first.pool.idle.clear()
    assert tick(first, second)[1] == 8


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["want", "end"]), st.integers(1, 12)), max_size=25))
def test_the_sum_is_never_more_than_the_total(steps: list[tuple[int, str, int]]) -> None:
    tenants = [Tenant(11) for _ in range(3)]
    tick(*tenants)
    for turn, (who, what, number) in enumerate(steps):
        getattr(tenants[who], what)(number)
        tenants[who].follow()
        assert sum(tenant.pool.size for tenant in tenants) <= 11
        assert sum(tick(*tenants, turn=turn)) <= 11
    if any(tenant.pool.waiters for tenant in tenants):
        assert sum(tenant.pool.size for tenant in tenants) == 11
