"""Which configurations of a pool node have one database, so that a write through one of them concerns the others.

They have if their origins' addresses overlap and the database has the same name there, or if the catalogue says that it
is the same (`Reach.database`): a host may have two names. Where that is not known, as before the first connection, or
since one was lost, for the server may have been started again, databases of one name count as the same one.
"""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

import attrs

from regional.configuration import Address, Configured


class Knows(Protocol):
    """What a member knows for the cache."""

    @property
    def database(self) -> str: ...


class Knowledge(Protocol):
    """What a member knows."""

    @property
    def cache(self) -> Knows: ...


class Member(Configured, Protocol):
    """What is asked of a tenant."""

    @property
    def knowledge(self) -> Knowledge: ...


M = TypeVar("M", bound=Member)


def have_one_database(one: Member, other: Member) -> bool:
    """Whether these may be configurations of one database; of an identity that is empty nothing is known."""
    if one is other:
        return True
    known, known_there = one.knowledge.cache.database, other.knowledge.cache.database
    if known and known == known_there:
        return True
    here, there = one.configuration.origin, other.configuration.origin
    if here.database != there.database:
        return False
    if not (known and known_there):
        return True
    return not set(here.addresses).isdisjoint(there.addresses)


@attrs.define
class _Places:
    """Where members stand, by what they may have in common with another one."""

    by_database: dict[str, list[int]] = attrs.field(factory=dict)
    by_name: dict[str, list[int]] = attrs.field(factory=dict)
    unknown: dict[str, list[int]] = attrs.field(factory=dict)
    """By name, those whose database is not known."""
    by_address: dict[tuple[str, Address], list[int]] = attrs.field(factory=dict)

    def add(self, place: int, member: Member) -> None:
        known, origin = member.knowledge.cache.database, member.configuration.origin
        self.by_name.setdefault(origin.database, []).append(place)
        if known:
            self.by_database.setdefault(known, []).append(place)
        else:
            self.unknown.setdefault(origin.database, []).append(place)
        for address in origin.addresses:
            self.by_address.setdefault((origin.database, address), []).append(place)

    def of(self, member: Member) -> Iterable[int]:
        """Those that `have_one_database` with this one."""
        known, origin = member.knowledge.cache.database, member.configuration.origin
        name = origin.database
        if not known:
            return self.by_name.get(name, ())
        places = {*self.by_database.get(known, ()), *self.unknown.get(name, ())}
        places.update(*(self.by_address.get((name, address), ()) for address in origin.addresses))
        return sorted(places)


class Neighbours:
    """Of all tenants of a node; looked through again only when something has changed."""

    def __init__(self, members: Callable[[], Iterable[Member]] = tuple) -> None:
        self.version = 0
        """Grows whenever the answers may have changed."""
        self._all_members = members
        self._members: tuple[Member, ...] = ()
        self._places: _Places | None = None

    def changed(self) -> None:
        self.version += 1
        self._places = None

    def of(self, tenant: M) -> tuple[M, ...]:
        """The configurations of a tenant's database, itself among them."""
        if self._places is None:
            self._members, self._places = tuple(self._all_members()), _Places()
            for place, member in enumerate(self._members):
                self._places.add(place, member)
        return tuple(self._members[place] for place in self._places.of(tenant))  # type: ignore[misc]

    def that_cache(self, tenant: M) -> tuple[M, ...]:
        """Those of them that cache."""
        return tuple(
            other for other in self.of(tenant) if not (other.is_withdrawn or other.configuration.caching.disabled)
        )
