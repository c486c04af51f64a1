"""A tenant: one configuration at work. Leases are granted, connections come back clean or are closed.

The pool core decides who gets which connection; here is what follows from its decisions. What a lease may have left
behind is cleaned after the client has its answer, and a connection that provably carries nothing is not cleaned at all.

When a lease ends, the questions are asked in this order: has it changed what is known, or its session (`settling`)?
must it close (why)? is a cancel under way? is anything left on it? only then is it idle, and given to the next waiter.
"""

from collections.abc import Callable
from time import monotonic
from typing import Final

import structlog
import trio

from protos.errors import IdleInTransactionError
from protos.pg.tags import TransactionStatus
from regional import complaints
from regional.asking import ask_whether_read_only, count_lock_waits, survey
from regional.borrowing import Borrower
from regional.cache.publishing import Publishing
from regional.channel import Channel
from regional.configuration import Configuration, OriginSecret
from regional.dial import Dialer
from regional.exchange import Exchange
from regional.knowledge import Knowledge
from regional.opener import Opener
from regional.origin import Origin
from regional.pool import Pool, PoolLimits
from regional.profile import Profile, difference
from regional.residue import Residue
from regional.session_state import NamesSeen
from regional.settling import BETWEEN, clean, has_to_know
from regional.sizing import Sizing

CANCEL_LIMIT_S: Final = 10.0  # rules 16
UNCANCELLED_LIMIT_S: Final = 30.0  # then the origin, or the way to it, is taken for dead
EXCHANGE_LIMIT_S: Final = 30.0  # for our own conversations: settings, cleaning, the catalogue
TICK_S: Final = 0.5

log = structlog.get_logger(__name__)


class Tenant:
    """One configuration's runtime."""

    def __init__(
        self, configuration: Configuration, secret: OriginSecret, dialer: Dialer, nursery: trio.Nursery
    ) -> None:
        self.configuration = configuration
        self.channels: dict[tuple[int, bytes], Channel] = {}
        """By cancel key."""
        self.pool: Pool[Origin, Channel | Borrower] = Pool(_limits(configuration))
        self.sizing = Sizing(self.pool)
        self.opener = Opener(self, secret, dialer, self._opened)
        self.knowledge = Knowledge(self, dict(configuration.server_parameters))
        self.judge = self.knowledge.judge.verdict
        self.names = NamesSeen()
        self.publishing = Publishing(self)
        self.total_errors = 0
        self.is_withdrawn = False
        self._dialer = dialer
        self._nursery = nursery
        self._retired: set[Origin] = set()

    @property
    def is_busy(self) -> bool:
        return bool(self.pool.leased or self.pool.waiters)

    # --- for channels ---

    def checkout(self, waiter: Channel | Borrower) -> None:
        """Grant a lease now or later, or refuse it."""
        pool = self.pool
        if self.is_withdrawn:
            self._turn_away(waiter)
        elif not pool.idle and pool.is_full:
            waiter.refused(complaints.too_many_waiters(self))
        else:
            origin = pool.checkout(waiter, monotonic())
            if origin is not None:
                waiter.granted(origin)
            else:
                self.opener.grow(self._nursery)

    def client_encoding_of(self, profile: Profile) -> str:
        """In which encoding a session with these settings sends its statements, by PostgreSQL's name for it."""
        asked = profile.client_encoding
        if asked is None:
            return self.knowledge.parameters.get("client_encoding", "")
        plain = "".join(filter(str.isalnum, asked)).upper()
        return "UTF8" if plain == "UNICODE" else plain

    def leave(self, channel: Channel) -> None:
        """The channel has no lease and wants none."""
        self.pool.leave(channel)
        self.forget(channel)

    def forget(self, channel: Channel) -> None:
        if self.channels.get(channel.key) is channel:
            del self.channels[channel.key]

    def restore(self, origin: Origin, profile: Profile, done: Callable[[Exchange], None]) -> None:
        """Give the connection the settings of its next lease."""
        sql = difference(origin.profile, profile)
        if sql is None:
            done(Exchange(done, status=TransactionStatus.IDLE))
        else:
            origin.profile = BETWEEN  # until it is known that it worked
            origin.run(sql, done)

    def cancel(self, origin: Origin) -> None:
        """Cancel what this connection is running; it is not used again until that is settled (rules 16)."""
        origin.cancelling += 1
        self._nursery.start_soon(self._cancel, origin)

    async def _cancel(self, origin: Origin) -> None:
        with trio.move_on_after(CANCEL_LIMIT_S) as scope:
            try:
                await self._dialer.cancel(self.configuration, self.opener.secret, origin)
            except (ValueError, OSError) as error:  # ssl.SSLError among them: a configuration changed meanwhile
                log.warning("cancel not sent", configuration=self.configuration.name, why=str(error))
        origin.cancelling -= 1
        if scope.cancelled_caught:
            origin.must_close = "a cancel request was not settled in time"
        if origin in self.pool.resetting and not origin.is_in_exchange:
            self.lease_ended(origin)

    # --- connections coming back ---

    def lease_ended(self, origin: Origin) -> None:
        """The pipeline is idle, or an exchange of ours is done: clean it, give it to the next, or close it."""
        pool = self.pool
        if origin.connection.is_closed:
            return
        if not origin.cancelling and has_to_know(self, origin):
            return
        why = origin.must_close or self._reason_to_close(origin)
        if why and origin.settling is None:
            self.discard(origin, why)
        elif origin.cancelling:
            if origin in pool.leased:
                pool.reset(origin)
            origin.residue |= Residue.SETTINGS  # a signal that comes late hits our own cleaning
        elif origin.residue:
            clean(self, origin)
        elif origin.scrutiny.refused_write:
            ask_whether_read_only(origin, self.lease_ended)
        else:
            origin.idle_since = origin.last_activity
            pool.checkin(origin)
            if pool.waiters:
                self._give_out()

    def _reason_to_close(self, origin: Origin) -> str:
        if origin in self._retired:
            return "retired"
        if origin.expires_at <= origin.last_activity:
            return "lifetime is over"
        residue = origin.residue
        if residue and residue.closes:
            return "a statement left something that cannot be cleaned"
        return "there are more than there may be now" if self.pool.is_over else ""

    def discard(self, origin: Origin, why: str) -> None:
        """Close a connection, wherever it is."""
        log.info("origin connection closed", configuration=self.configuration.name, why=why)
        origin.hang_up()
        self._forget_origin(origin)

    def origin_lost(self, origin: Origin, why: str) -> None:
        """The connection has ended by itself."""
        log.warning("origin connection lost", configuration=self.configuration.name, why=why)
        self.total_errors += 1
        self.knowledge.lost()
        self._forget_origin(origin)

    def _forget_origin(self, origin: Origin) -> None:
        self.pool.discard(origin)
        self._retired.discard(origin)
        if origin.residue.makes_catalog_stale or origin.unseen.is_open:
            origin.unseen.lost()
        self.publishing.lost(origin, self._nursery)
        if self.pool.waiters:
            self.opener.grow(self._nursery)

    def origin_known(self) -> None:
        """Its catalogue has been read."""
        if self.knowledge.cache.reach is not None:
            self.publishing.look_for_others(self._nursery)

    def _opened(self, origin: Origin) -> None:
        self.knowledge.compare(origin)
        self._give_out()
        self.knowledge.refresh(self._nursery, monotonic())

    def _give_out(self) -> None:
        while (grant := self.pool.grant()) is not None:
            origin, waiter = grant
            waiter.granted(origin)

    def fit(self) -> None:
        """Close the idle connections beyond what there may be now."""
        for origin in self.pool.over_limit():
            origin.hang_up()

    # --- the life of the configuration ---

    def change(self, configuration: Configuration, secret: OriginSecret) -> None:
        """Take over a changed configuration while it runs."""
        moved = configuration.origin != self.configuration.origin or secret != self.opener.secret
        self.configuration = configuration
        self.pool.limits = _limits(configuration)
        self.sizing.limits_changed()
        if moved:
            self.opener.secret = secret
            self.opener.forget_failures()
            self.sizing.forget()
            self.knowledge.parameters = dict(configuration.server_parameters)
            self.knowledge.drop_catalog()
            self.knowledge.lost()
            self.names.forget_catalog()
            self.retire(lambda origin: True)
        self.fit()
        self.opener.grow(self._nursery)

    def learned(self, configuration: Configuration) -> None:
        """The same configuration with a newer version, for what was learnt of its origin."""
        self.configuration = configuration

    def retire(self, which: Callable[[Origin], bool]) -> None:
        """Close these connections: idle ones now, the others when their lease ends."""
        idle = set(self.pool.idle)
        for origin in self.pool.all():
            if not which(origin):
                continue
            if origin in idle:
                self.discard(origin, "retired")
                continue
            self._retired.add(origin)
            if origin.kept and origin.channel is not None and origin.pipeline.is_idle:
                origin.channel.end(complaints.unpinned())

    def is_retired(self, origin: Origin) -> bool:
        """Whether this connection is to be closed when its lease ends."""
        return origin in self._retired

    def withdraw(self) -> None:
        """The configuration is gone: no new leases; those that there are may end."""
        self.is_withdrawn = True
        for waiter in list(self.pool.waiters):
            self.pool.leave(waiter)
            self._turn_away(waiter)
        self.retire(lambda origin: True)

    def _turn_away(self, waiter: Channel | Borrower) -> None:
        error = complaints.withdrawn(self.configuration.name)
        if isinstance(waiter, Channel):
            waiter.end(error)
        else:
            waiter.refused(error)

    def close(self) -> None:
        """The node goes away: close everything now."""
        for origin in self.pool.all():
            origin.hang_up()

    # --- time limits ---

    def tick(self, now: float) -> None:
        """Everything that depends on time; called by the node's janitor."""
        for waiter in self.pool.overdue(now, self.configuration.wait_timeout_s):
            waiter.refused(complaints.overdue(self))
        for origin in [*self.pool.leased, *self.pool.resetting]:
            if origin.is_in_exchange and now - origin.last_activity > EXCHANGE_LIMIT_S:
                origin.lost("it did not answer the pool node in time")
            elif origin.channel is not None:
                self._tick_lease(origin, origin.channel, now)
        for origin in self.pool.expired(now):
            origin.hang_up()
        self.sizing.tick(now, *survey(self.pool, now))
        self.fit()
        if not self.is_withdrawn:
            self._give_out()
            self.opener.grow(self._nursery)
            if self.sizing.control.wants_locks:
                self._nursery.start_soon(count_lock_waits, self)
            self.knowledge.expire(now)
            if self.pool.idle or (self.pool.waiters and self.pool.leased):  # no reason to open a connection
                self.knowledge.refresh(self._nursery, now)

    def _tick_lease(self, origin: Origin, channel: Channel, now: float) -> None:
        if channel.clean_up_by:
            if now > channel.clean_up_by:
                origin.lost("its client left, and it could not be cleaned up in time")
            return
        pipeline = origin.pipeline
        is_asked = (pipeline.owed and not pipeline.is_skipping) or origin.is_verifying
        if is_asked:
            self._tick_query(origin, channel, now)
        if origin.kept and pipeline.is_idle:
            return  # pinned, and between transactions
        if not is_asked or pipeline.in_copy_in:  # it is the client's turn
            limit_s = self.configuration.idle_in_transaction_timeout_s
            if limit_s and now - origin.last_activity > limit_s:
                channel.end(IdleInTransactionError.after(limit_s))

    def _tick_query(self, origin: Origin, channel: Channel, now: float) -> None:
        limit_s = self.configuration.query_timeout_s
        if channel.is_blocked:
            origin.busy_since += TICK_S  # its client is what is slow
        elif origin.has_timed_out:
            if now - origin.busy_since > limit_s + UNCANCELLED_LIMIT_S:
                origin.lost("a query over its limit could not be cancelled")
        elif limit_s and now - origin.busy_since > limit_s:
            origin.has_timed_out = True
            log.info("query over its limit is cancelled", configuration=self.configuration.name, limit_s=limit_s)
            self.cancel(origin)


def _limits(configuration: Configuration) -> PoolLimits:
    return PoolLimits(
        max_size=configuration.origin_connection_limit,
        min_size=configuration.origin_connection_min,
        max_waiters=configuration.max_waiters,
        idle_timeout_s=configuration.idle_timeout_s,
    )
