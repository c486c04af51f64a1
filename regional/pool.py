"""One configuration's pool: which origin connection serves whom, who waits, and when one is opened or closed.

Theory of operation: each origin connection is in exactly one place, and that place is its state:

    dialing ──► idle ⇄ leased ──► resetting ──► idle
                  └──► (gone)  ◄──┘

`dialing` is a count, for a connection that does not exist yet has no object. Who of the waiters is next, the queue says
(`queueing.py`); a matching profile only decides *which* idle connection that one gets. Nothing here waits or does I/O:
methods change the places at once and say what follows (a lease granted, how many connections to dial), so no await
stands between looking and changing, and a waiter that leaves in the tick of its grant finds the lease in the answer
of `leave`.

Growth: a connection is dialled for each waiter that no dial in progress will serve, up to `top`, several at once. What
`top` is at the moment, and for how many leases at once, `sizing.py` decides and writes into the fields for it here.
"""

from collections.abc import Hashable, Iterable
from typing import Final, Generic, Protocol, TypeVar

import attrs

from protos.errors import LocalProtocolError
from regional.profile import Profile
from regional.queueing import Queue

MIN_SIZE: Final = 5  # a configuration's limit is never lower (design §2, §7)
UNBOUNDED: Final = 1 << 30


class Pooled(Protocol):
    """What the pool asks of an origin connection."""

    @property
    def profile(self) -> Profile: ...
    @property
    def idle_since(self) -> float: ...
    @property
    def expires_at(self) -> float: ...


class Waiting(Protocol):
    """What the pool asks of whoever wants a lease."""

    @property
    def profile(self) -> Profile: ...
    @property
    def mux(self) -> Hashable: ...


O = TypeVar("O", bound=Pooled)  # noqa: E741 - an origin connection
W = TypeVar("W", bound=Waiting)


@attrs.frozen(kw_only=True)
class PoolLimits:
    """Sizes are connections, times are seconds."""

    max_size: int
    min_size: int = 0
    max_waiters: int = 5_000
    idle_timeout_s: float = 600.0


class Pool(Generic[O, W]):
    """The places of one configuration's connections."""

    def __init__(self, limits: PoolLimits) -> None:
        self.limits = limits
        self.dialing = 0
        self.idle: list[O] = []  # the most recently used last: it is the warmest, and the others may expire
        self.leased: set[O] = set()
        self.resetting: set[O] = set()
        self.waiters: Queue[W] = Queue()
        self.total_leases = 0
        self.queued_leases = 0
        """Those of them whose client had to wait."""
        self.extra = 0
        """How many connections beyond max_size there may be now (rules 14: the limit is soft)."""
        self.ceiling = UNBOUNDED
        """What there may be otherwise: more are closed when they are idle."""
        self.dial_ceiling = UNBOUNDED
        """What there may be for one more to be dialled: more are not closed."""
        self.lease_cap = UNBOUNDED
        """How many may be leased at once."""

    @property
    def size(self) -> int:
        return self.dialing + len(self.idle) + len(self.leased) + len(self.resetting)

    @property
    def top(self) -> int:
        """How many connections there may be now."""
        return min(self.limits.max_size + self.extra, self.ceiling)

    @property
    def is_over(self) -> bool:
        return self.size > self.top

    @property
    def room(self) -> int:
        """How many more may be dialled now."""
        return max(0, min(self.top, self.dial_ceiling) - self.size)

    @property
    def is_full(self) -> bool:
        """Whether nobody may queue; whom a connection that is or may be dialled will serve does not count."""
        served = self.dialing + self.room + len(self.idle)
        return len(self.waiters) - served >= self.limits.max_waiters

    def all(self) -> Iterable[O]:
        return [*self.idle, *self.leased, *self.resetting]

    # --- borrowing ---

    def checkout(self, waiter: W, now: float) -> O | None:
        """A lease now, or None: the waiter is queued, and `to_dial` says whether that takes a new connection."""
        if self.idle and not self.waiters and len(self.leased) < self.lease_cap:
            return self._lease(waiter)
        self.waiters.put(waiter, now)
        return None

    def leave(self, waiter: W) -> bool:
        """The waiter gives up its place; False if it has none (any more)."""
        return self.waiters.leave(waiter)

    def to_dial(self) -> int:
        """How many connections to dial now; they count as dialing from here on."""
        wanted = max(len(self.waiters) - self.dialing, self.limits.min_size - self.size)
        number = max(0, min(wanted, self.room))
        self.dialing += number
        return number

    def overdue(self, now: float, timeout_s: float) -> list[W]:
        """Take out the waiters that have waited for timeout_s."""
        return self.waiters.overdue(now, timeout_s)

    def waited_s(self, now: float) -> float:
        """How long the head of the queue has waited."""
        return self.waiters.waited_s(now)

    # --- connections coming and going ---

    def dialed(self, origin: O) -> None:
        """A dial succeeded: the connection is idle; `grant` gives it out."""
        self._end_dial()
        self.idle.append(origin)

    def dial_failed(self) -> None:
        self._end_dial()

    def grant(self) -> tuple[O, W] | None:
        """The next lease that can be given out, if somebody waits and something is idle."""
        if not self.idle or not self.waiters or len(self.leased) >= self.lease_cap:
            return None
        waiter = self.waiters.take()
        self.queued_leases += 1
        return self._lease(waiter), waiter

    def reset(self, origin: O) -> None:
        """A leased connection has to be cleaned before anybody else may have it."""
        self.leased.remove(origin)
        self.resetting.add(origin)

    def checkin(self, origin: O) -> None:
        """A leased or reset connection is clean: idle again; `grant` gives it out."""
        if origin in self.leased:
            self.leased.remove(origin)
        else:
            self.resetting.remove(origin)
        self.idle.append(origin)

    def discard(self, origin: O) -> None:
        """The connection is gone, wherever it was. It may have been discarded before."""
        self.leased.discard(origin)
        self.resetting.discard(origin)
        if origin in self.idle:
            self.idle.remove(origin)

    def expired(self, now: float) -> list[O]:
        """Take out the idle connections that are too old, or idle for too long and not needed for the minimum."""
        gone = [origin for origin in self.idle if origin.expires_at <= now]
        spare = self.size - len(gone) - self.limits.min_size
        for origin in self.idle:  # the longest idle first
            if spare <= 0:
                break
            if origin not in gone and now - origin.idle_since >= self.limits.idle_timeout_s:
                gone.append(origin)
                spare -= 1
        self.idle = [origin for origin in self.idle if origin not in gone]
        return gone

    def over_limit(self) -> list[O]:
        """Take out idle connections beyond what there may be now, the longest idle first."""
        gone = []
        while self.idle and self.is_over:
            gone.append(self.idle.pop(0))
        return gone

    def _lease(self, waiter: W) -> O:
        origin = self._pick(waiter.profile)
        self.leased.add(origin)
        self.total_leases += 1
        return origin

    def _pick(self, profile: Profile) -> O:
        """The most recently used connection that has the profile already, else the most recently used."""
        idle = self.idle
        if idle[-1].profile is not profile:
            for index in range(len(idle) - 1, -1, -1):
                if idle[index].profile is profile:
                    return idle.pop(index)
        return idle.pop()

    def _end_dial(self) -> None:
        if not self.dialing:
            message = "a dial ended that was never begun"
            raise LocalProtocolError(message)
        self.dialing -= 1
