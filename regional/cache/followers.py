"""One follower for each database whose writes are to be followed (`caching.follow_writes`).

Configurations that have one database share it; it logs in as the first of them by name. Which database a configuration
has is known once its catalogue was read, and the follower says which one it has itself reached: what it follows counts
only for a catalogue of that server and database. So nothing is kept between a restart of the origin, or a failover, and
the time when both sides have noticed.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import attrs
import structlog
import trio

from regional.cache.following import Following, drop_publication
from regional.cache.verdicts import EVERYTHING, Writing
from regional.configuration import Configuration, Origin, OriginSecret
from regional.dial import Dialer

if TYPE_CHECKING:
    from regional.tenant import Tenant

log = structlog.get_logger(__name__)


@attrs.define(eq=False)
class Follower:
    """Of one database."""

    members: "list[Tenant]"
    """The configurations that want it."""
    origin: Origin
    """What it logs in to; that of one of the members."""
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    following: Following | None = None

    def access(self) -> tuple[Configuration, OriginSecret]:
        """How to log in, as it is now."""
        leader = next((one for one in self.members if one.configuration.origin == self.origin), self.members[0])
        return leader.configuration, leader.opener.secret

    def publish(self, tables: frozenset[int] | None) -> None:
        """Tell every edge that may have answers of this database."""
        written = EVERYTHING if tables is None else Writing(tables)
        audience = {tenant: None for member in self.members for tenant in (member, *member.publishing.audience)}
        for tenant in audience:
            tenant.publishing.purge(written)


class Followers:
    """Of a pool node, by database."""

    def __init__(self, dialer: Dialer, nursery: trio.Nursery) -> None:
        self._dialer = dialer
        self._nursery = nursery
        self._followers: dict[str, Follower] = {}
        self._databases: dict[Tenant, tuple[Origin, str]] = {}
        self._used: dict[Origin, tuple[Configuration, OriginSecret]] = {}
        """Logins that may have left a publication."""

    def settle(self, tenants: "Iterable[Tenant]") -> None:
        """See which databases are to be followed now."""
        wanting = sorted(filter(wants_following, tenants), key=lambda tenant: tenant.configuration.name)
        self._databases = {tenant: self._database_of(tenant) for tenant in wanting}
        members: dict[str, list[Tenant]] = {}
        for tenant, (_, database) in self._databases.items():
            members.setdefault(database, []).append(tenant)
        members.pop("", None)
        for database, follower in list(self._followers.items()):
            there = members.get(database, [])
            if any(tenant.configuration.origin == follower.origin for tenant in there):
                follower.members = there
                self._used[follower.origin] = follower.access()
            else:
                del self._followers[database]
                follower.scope.cancel()
        for database in members.keys() - self._followers.keys():
            self._start(database, members[database])
        self._clear_unwanted({origin for origin, _ in self._databases.values()})

    def follows(self, tenant: "Tenant", tables: frozenset[int]) -> bool:
        """Whether answers that this configuration has read from these tables may be kept now."""
        database = tenant.knowledge.cache.database
        follower = self._followers.get(database)
        if follower is None or follower.following is None or tenant not in follower.members:
            return False
        return follower.following.database == database and follower.following.follows(tables)

    def why_not(self, tenant: "Tenant") -> str:
        """Why nothing is followed for this configuration, with the cure; empty if something is, or is not wanted."""
        if not wants_following(tenant):
            return ""
        _, database = self._databases.get(tenant, (None, ""))
        follower = self._followers.get(database)
        if follower is None or follower.following is None:
            return "the origin's catalogue is not known yet"
        return follower.following.reason

    def all_why_not(self) -> dict[str, str]:
        """By configuration, those that want to follow and do not."""
        found = {tenant.configuration.name: self.why_not(tenant) for tenant in self._databases}
        return {name: why for name, why in found.items() if why}

    def renew(self, tenant: "Tenant") -> None:
        """This configuration's catalogue is another, or its origin is."""
        _, database = self._databases.get(tenant, (None, ""))
        follower = self._followers.get(database)
        if follower is not None and follower.following is not None:
            follower.following.renew()

    def check(self) -> None:
        """See whether each still follows; what no longer does invalidates everything here and now."""
        for follower in self._followers.values():
            if follower.following is not None:
                follower.following.check()

    def _database_of(self, tenant: "Tenant") -> tuple[Origin, str]:
        """What is known, or was known last of this origin: a connection that was lost says nothing of the database."""
        origin, known = tenant.configuration.origin, tenant.knowledge.cache.database
        before, last = self._databases.get(tenant, (None, ""))
        return origin, known or (last if before == origin else "")

    def _start(self, database: str, members: "list[Tenant]") -> None:
        follower = Follower(members, members[0].configuration.origin)
        follower.following = Following(self._dialer, follower.access, follower.publish)
        self._followers[database] = follower
        self._used[follower.origin] = follower.access()
        self._nursery.start_soon(self._run, follower, follower.following)

    async def _run(self, follower: Follower, following: Following) -> None:
        with follower.scope:
            await following.run()

    def _clear_unwanted(self, wanted: set[Origin]) -> None:
        """Remove the publications that nobody follows any more."""
        for origin in self._used.keys() - wanted:
            self._nursery.start_soon(self._clear, *self._used.pop(origin))

    async def _clear(self, configuration: Configuration, secret: OriginSecret) -> None:
        if why := await drop_publication(self._dialer, configuration, secret):
            log.warning("the publication is left in the database", configuration=configuration.name, why=why)


def wants_following(tenant: "Tenant") -> bool:
    caching = tenant.configuration.caching
    return caching.follow_writes and not caching.disabled and not tenant.is_withdrawn
