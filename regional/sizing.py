"""How large a pool may be now: everything that has a say in it, brought together in four numbers of the pool.

- `origin_connection_limit` is soft (rules 14). It may be passed by `extra_of(limit)` connections while the head of the
  queue has waited for over a second and the concurrency control is not holding, or by as many as are suspected dead.
  That lasts SOFT_S at most and is not allowed again for as long; what is over the limit then closes when it is idle.
- The concurrency control's size and its cap of leases, for its trials (`concurrency.py`).
- An origin that refuses with 53300 makes the size at that moment the limit for SHORTAGE_S.
- The configuration's share of an `origin_total_limit` (`shares.py`).

Decided at the janitor's ticks, with what the tick has seen; nothing here waits or asks the time.
"""

import math
from typing import Any, Final, Literal

from regional.concurrency import Control, Sample
from regional.pool import MIN_SIZE, UNBOUNDED, Pool, PoolLimits

SOFT_AFTER_S: Final = 1.0
SOFT_S: Final = 45.0
SHORTAGE_S: Final = 30.0

BoundBy = Literal["limit", "soft", "demand", "slow", "trial", "full", "share"]
"""The configured limit; a little more than that, for a while; as many as have been asked for so far; more do no good;
fewer are being tried; the origin has no room for more; the share of an `origin_total_limit`."""


def extra_of(limit: int) -> int:
    """How many connections may be over a limit at most."""
    return max(2, limit // 10)


class Sizing:
    """Of one pool."""

    def __init__(self, pool: Pool[Any, Any]) -> None:
        self.share = UNBOUNDED
        self.suspected = 0
        """Connections that are suspected dead."""
        self.is_asking = False
        """Whether the origin is being asked for lock waits."""
        self._pool = pool
        self.control = Control(pool.limits.max_size, _floor(pool.limits))
        self._soft_since = -math.inf
        self._short_until = -math.inf
        self.apply()

    @property
    def bound(self) -> int:
        """How many connections may be in use at once now."""
        pool = self._pool
        return min(pool.top, pool.dial_ceiling, pool.lease_cap)

    @property
    def bound_by(self) -> BoundBy:
        """Where the bound comes from."""
        pool, control, bound = self._pool, self.control, self.bound
        if pool.dial_ceiling == bound:
            return "full"
        if self.share == bound < pool.limits.max_size + pool.extra:
            return "share"
        if pool.lease_cap == bound < pool.top:
            return "trial"
        if bound > pool.limits.max_size:
            return "soft"
        if control.size == bound < control.limit:
            return "slow" if control.is_holding else "demand"
        return "limit"

    @property
    def is_holding(self) -> bool:
        """Whether the concurrency control keeps the pool from growing."""
        return self.control.is_holding and self._pool.size >= self.control.size

    @property
    def is_short(self) -> bool:
        """Whether the origin has refused further connections."""
        return self._pool.dial_ceiling != UNBOUNDED

    def limits_changed(self) -> None:
        limits = self._pool.limits
        self.control.limit = limits.max_size
        self.control.floor = _floor(limits)
        self.apply()

    def forget(self) -> None:
        """What was found of one origin says nothing of another."""
        limits = self._pool.limits
        self.control = Control(limits.max_size, _floor(limits))
        self._short_until = -math.inf
        self._pool.dial_ceiling = UNBOUNDED
        self.apply()

    def refused(self, now: float) -> None:
        """The origin has no room for more connections (its 53300)."""
        self._short_until = now + SHORTAGE_S
        pool = self._pool
        pool.dial_ceiling = min(pool.dial_ceiling, max(1, pool.size))

    def tick(self, now: float, quiet: int, suspected: int) -> None:
        """Decide anew; quiet leases are those in which no statement runs."""
        pool = self._pool
        self.suspected = suspected
        waited_s = pool.waited_s(now)
        self.control.tick(
            Sample(
                now=now, leases=pool.total_leases, queued_leases=pool.queued_leases, size=pool.size,
                dialing=pool.dialing, leased=len(pool.leased), quiet=quiet, waiters=len(pool.waiters),
                waited_s=waited_s,
            )
        )  # fmt: skip
        pool.extra = self._extra(now, waited_s)
        if now >= self._short_until:
            pool.dial_ceiling = UNBOUNDED
        self.apply()

    def _extra(self, now: float, waited_s: float) -> int:
        pool = self._pool
        most = extra_of(pool.limits.max_size)
        extra = min(most, self.suspected)
        if waited_s > SOFT_AFTER_S and not self.control.is_holding:
            extra = most
        if pool.extra and waited_s:
            extra = max(extra, pool.extra)  # those that there are stay while clients wait
        if not extra:
            return 0
        if now - self._soft_since >= 2 * SOFT_S:
            self._soft_since = now
        return extra if now - self._soft_since < SOFT_S else 0

    def apply(self) -> None:
        """Write it into the pool."""
        pool, control = self._pool, self.control
        size = control.size
        if size >= control.limit:
            size += pool.extra
        pool.ceiling = min(size, self.share)
        pool.lease_cap = control.lease_cap


def _floor(limits: PoolLimits) -> int:
    return min(limits.max_size, max(MIN_SIZE, limits.min_size))
