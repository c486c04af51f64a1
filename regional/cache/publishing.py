"""What a tenant's leases have written, told to every edge that may have answers of the same database (rules 21).

A connection that is lost with something unpublished counts as having committed it. It may do so only later, since the
statement goes on at the origin. So until its backend is gone, which another connection is asked, what was read from
those tables is not kept, and when it is gone it is published once more. Behind another pooler the number of a backend
is not known; there it is awaited that whatever ran for the same user in the same database is over.

The same goes for what a pool node before this one, or another one of the group, may have left behind when it ended:
nothing is kept until the statements that this one found running in the same database are over. Of other users', whose
writes may change the same tables, PostgreSQL may not say whether they run: there, open transactions count.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import structlog
import trio

from protos.errors import ServiceError
from protos.link.link_pb2 import Frame, Invalidate
from regional.borrowing import borrow
from regional.cache.neighbours import Neighbours
from regional.cache.verdicts import EVERYTHING, Writing
from regional.exchange import Exchange

if TYPE_CHECKING:
    from regional.origin import Origin
    from regional.tenant import Tenant

LOOK_AGAIN_S: Final = 0.5  # whether a backend is gone
GIVE_UP_S: Final = 600.0
FOUND_LIMIT_S: Final = 60.0  # for what was running before we came, which may be nobody's but the user's own

_IS_HERE: Final = "datname = pg_catalog.current_database() and pid <> pg_catalog.pg_backend_pid()"
_RUNNING: Final = f"({_IS_HERE} and usename = session_user and state in ('active', 'fastpath function call'))"
# The virtual transaction is there for everybody to see, and names a transaction for good.
FOUND_QUERY: Final = (
    "select pid, virtualtransaction from pg_catalog.pg_stat_activity join pg_catalog.pg_locks using (pid)"
    f" where {_IS_HERE} and usename is not null and locktype = 'virtualxid' and mode = 'ExclusiveLock'"
    " and coalesce(state in ('active', 'fastpath function call'), true)"
)
LEFT_QUERY: Final = (
    "select pid, xact_start::text, pg_catalog.pg_backend_pid() from pg_catalog.pg_stat_activity"
    f" where pid in (pg_catalog.pg_backend_pid(), {{}}) or {_RUNNING}"
)

_Found = set[tuple[bytes | None, ...]] | None
"""What is at work; None if that could not be found out."""

log = structlog.get_logger(__name__)


class Publishing:
    """Of one tenant."""

    def __init__(self, tenant: "Tenant") -> None:
        self.neighbours = Neighbours()
        self.follows: Callable[[frozenset[int]], bool] = lambda tables: False
        """Whether writes to these tables that go another way are told as well."""
        self._tenant = tenant
        self._version = -1  # of the neighbours that the audience was found among
        self._audience: tuple[Tenant, ...] = ()
        self._doubts: list[Writing] = [EVERYTHING]  # until nothing is left of what a node before this one began
        self._has_looked = False  # or is about it

    @property
    def audience(self) -> "tuple[Tenant, ...]":
        """The configurations that hear of what is written here; none if nobody caches this database."""
        if self._version != self.neighbours.version:
            self._version = self.neighbours.version
            self._audience = self.neighbours.that_cache(self._tenant)
            if self._audience:
                self._tenant.knowledge.hurry()
        return self._audience

    @property
    def is_wanted(self) -> bool:
        """Whether what is written and read here has to be known."""
        return not self._tenant.configuration.caching.disabled or bool(self.audience)

    def neighbours_changed(self) -> None:
        """If somebody caches from now on, nobody has looked at what the leases that there are have done so far."""
        for origin in self._tenant.pool.leased:
            if origin.channel is not None and not origin.watching.is_on and self.audience:
                origin.watching.doubt(origin.pipeline)

    def publish(self, written: Writing) -> None:
        """Tell every edge what has been written, or may have been."""
        for tenant in self.audience:
            tenant.publishing.purge(written)

    def purge(self, written: Writing) -> None:
        """Have every edge drop the answers of this configuration that were read from what was written."""
        name = self._tenant.configuration.name
        if written.everything:
            invalidate = Invalidate(configuration=name, answers=True)
        else:
            invalidate = Invalidate(configuration=name, tables=sorted(written.tables))
        self._tenant.knowledge.tell(Frame(invalidate=invalidate))

    # --- what others have begun ---

    def look_for_others(self, nursery: trio.Nursery) -> None:
        """The origin can be asked now: wait until what others have left running is over."""
        if not self._has_looked:
            self._has_looked = True
            nursery.start_soon(self._await_others)

    def is_first(self) -> None:
        """The configuration has just been made, or been given this origin: nobody has written through it before."""
        if not self._has_looked:
            self._has_looked = True
            self._doubts.remove(EVERYTHING)

    def others_missed(self) -> None:
        """Another pool node is gone, and may have left something running."""
        if self._has_looked:
            self._has_looked = False
            self._doubts.append(EVERYTHING)

    async def _await_others(self) -> None:
        """Cancellation: safe."""
        found: _Found = None
        with trio.move_on_after(FOUND_LIMIT_S):
            found = await self._await_gone(self._running)
        self._doubts.remove(EVERYTHING)
        if found != set():
            self.publish(EVERYTHING)

    async def _await_gone(self, look: Callable[[], Awaitable[_Found]]) -> _Found:
        """Look till nothing that the first look found is there any more; return what it found. Cancellation: safe."""
        left = found = await look()
        while left != set() and not self._tenant.is_withdrawn:
            await trio.sleep(LOOK_AGAIN_S)
            seen = await look()
            if seen is not None:
                left = seen if left is None else left & seen
        return found

    async def _running(self) -> _Found:
        """The statements that are not of this pool; None if that could not be found out."""
        if not self._tenant.pool.idle:
            return None  # it is no reason to open a connection, nor to wait in the queue
        try:
            exchange = await borrow(self._tenant, lambda origin, done: origin.run(FOUND_QUERY.encode(), done))
        except ServiceError:
            return None
        ours = {str(origin.process_id).encode() for origin in self._tenant.pool.all()}
        return None if exchange.error else {tuple(row) for row in exchange.rows if row[0] not in ours}

    # --- lost connections ---

    @property
    def in_doubt(self) -> frozenset[int] | None:
        """The tables that a lost connection may yet change; None for all."""
        if any(doubt.everything for doubt in self._doubts):
            return None
        return frozenset().union(*(doubt.tables for doubt in self._doubts))

    def lost(self, origin: "Origin", nursery: trio.Nursery) -> None:
        """A connection is gone, and perhaps had written something, or run DDL."""
        written = origin.watching.take_all()
        if written is not None:
            self.publish(written)
            doubting = [tenant.publishing for tenant in self.audience]
            for one in doubting:
                one._doubts.append(written)
            nursery.start_soon(self._await_writing, origin, written, doubting)
        elif origin.unseen.is_open:
            nursery.start_soon(self._await_end, origin)

    async def _await_writing(self, origin: "Origin", written: Writing, doubting: "list[Publishing]") -> None:
        """Cancellation: safe, for nothing is kept then."""
        await self._await_end(origin)
        for one in doubting:
            one._doubts.remove(written)
        self.publish(written)

    async def _await_end(self, origin: "Origin") -> None:
        """Wait until what was lost is at work no more. Cancellation: safe."""
        process_id = origin.process_id
        with trio.move_on_after(GIVE_UP_S) as scope:
            await self._await_gone(lambda: self._left_by(process_id))
        origin.unseen.gone()
        if scope.cancelled_caught:
            log.warning("a lost connection may be at work still", configuration=self._tenant.configuration.name)

    async def _left_by(self, process_id: int) -> _Found:
        """What may be at work for a lost connection; None if that could not be found out."""
        numbers: list[int] = []

        def ask(origin: "Origin", done: Callable[[Exchange], None]) -> None:
            numbers.append(origin.process_id)
            origin.run(LEFT_QUERY.format(process_id).encode(), done)

        try:
            exchange = await borrow(self._tenant, ask)
        except ServiceError:
            return None
        if exchange.error or not exchange.rows:
            return None
        asked = exchange.rows[0][2]
        if asked == str(numbers[0]).encode():
            return {(pid,) for pid, _, _ in exchange.rows if pid == str(process_id).encode()}
        return {(pid, began) for pid, began, _ in exchange.rows if pid != asked}
