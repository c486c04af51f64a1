"""Which configurations of a pool node have one database, so that a write through one of them concerns the others.

They have if their origins' addresses overlap and the database has the same name there, or if the catalogue says that it
is the same (`Reach.database`): a host may have two names. Where that is not known, as before the first connection, or
since one was lost, for the server may have been started again, databases of one name count as the same one.
"""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from regional.configuration import Configured


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


class Neighbours:
    """Of all tenants of a node; asked again only when something has changed."""

    def __init__(self, members: Callable[[], Iterable[Member]] = tuple) -> None:
        self.version = 0
        """Grows whenever the answers may have changed."""
        self._members = members

    def changed(self) -> None:
        self.version += 1

    def that_cache(self, tenant: M) -> tuple[M, ...]:
        """The configurations of a tenant's database, itself among them, that cache."""
        return tuple(
            other  # type: ignore[misc]
            for other in self._members()
            if not (other.is_withdrawn or other.configuration.caching.disabled) and have_one_database(tenant, other)
        )
