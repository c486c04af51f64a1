"""`origin_total_limit`: configurations with one origin share what it gives them, divided max-min.

A group is the configurations that go to the same hosts and have an `origin_total_limit`; the smallest of theirs holds
for all of them. At each tick of the janitor the group's connections are divided anew, in three rounds: first what each
pool needs (leases and waiters), then what it has idle, then what is left. In each round nobody gets more than it wants,
and nobody less than another that wants more: so a pool keeps its idle connections until another one needs their room.
A pool with more than its share closes idle connections at once and others as their leases end; until they are gone
nobody else gets their room. The sum never exceeds the limit.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Protocol

from regional.configuration import Configured
from regional.pool import UNBOUNDED, Pool
from regional.sizing import Sizing


class Member(Configured, Protocol):
    """What is asked of a tenant."""

    @property
    def pool(self) -> Pool[Any, Any]: ...
    @property
    def sizing(self) -> Sizing: ...


def divide(total: int, wants: Sequence[int], turn: int = 0) -> list[int]:
    """Max-min: nobody gets more than it wants, nor less than another that wants more, but for one left over.

    Those left over go round, beginning with the one whose turn it is.
    """
    given = [0] * len(wants)
    left = max(0, total)
    while left and (hungry := [i for i, want in enumerate(wants) if given[i] < want]):
        each = min(left // len(hungry), *(wants[i] - given[i] for i in hungry))
        if each:
            for i in hungry:
                given[i] += each
            left -= each * len(hungry)
        else:
            for step in range(left):
                given[hungry[(turn + step) % len(hungry)]] += 1
            left = 0
    return given


def share_out(members: Iterable[Member], turn: int = 0) -> None:
    """Tell each pool its share; those without a total limit have no bound but their own."""
    groups: dict[Hashable, list[Member]] = {}
    for member in members:
        if member.configuration.origin_total_limit is None:
            member.sizing.share = UNBOUNDED
        else:
            groups.setdefault(frozenset(member.configuration.origin.addresses), []).append(member)
    for group in groups.values():
        total = min(member.configuration.origin_total_limit or UNBOUNDED for member in group)
        _share_out(total, group, turn)


def _share_out(total: int, group: list[Member], turn: int) -> None:
    pools = [member.pool for member in group]
    limits = [pool.limits.max_size + pool.extra for pool in pools]
    needs = [min(limit, _need(member)) for member, limit in zip(group, limits, strict=True)]
    shares = divide(total, needs, turn)
    kept = [max(0, pool.size - share) for pool, share in zip(pools, shares, strict=True)]
    shares = _plus(shares, divide(total - sum(shares), kept, turn))
    spare = [max(0, limit - share) for limit, share in zip(limits, shares, strict=True)]
    shares = _plus(shares, divide(total - sum(shares), spare, turn))
    # What is over its share is still there; the others may grow by what remains.
    grows = [max(0, share - pool.size) for pool, share in zip(pools, shares, strict=True)]
    grown = divide(total - sum(_size_within(pool, share) for pool, share in zip(pools, shares, strict=True)), grows)
    for member, pool, share, growth in zip(group, pools, shares, grown, strict=True):
        member.sizing.share = share if pool.size >= share else pool.size + growth


def _need(member: Member) -> int:
    pool = member.pool
    warm = 0 if member.is_withdrawn else pool.limits.min_size
    return max(warm, len(pool.leased) + len(pool.resetting) + len(pool.waiters))


def _size_within(pool: Pool[Any, Any], share: int) -> int:
    """What the pool still has when it has closed the idle connections over its share."""
    return max(pool.size - len(pool.idle), min(pool.size, share))


def _plus(some: list[int], others: list[int]) -> list[int]:
    return [one + other for one, other in zip(some, others, strict=True)]
