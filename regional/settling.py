"""What follows a transaction that may have changed its session or left something, once the client has its answer.

    lease ended ──► asking (has it run DDL that nobody has seen?)
                      └──► settling (what has the session set, what does it hold?) ──► pinned, with its session
                             └──► cleaning (take away what is left) ──► idle, or closed

Each of them is left out where there is nothing to find out or take away. Asking is of `regional/unseen.py`. Settling
comes before the session's next lease and before anybody else's; cleaning is off every client's path. Both are
exchanges on the connection itself. A session whose settings could not be read has lost them, and is told so: it ends.
"""

from typing import TYPE_CHECKING

import structlog

from protos.pg.messages import parameter_status
from protos.pg.parsers import error_fields
from protos.pg.tags import TransactionStatus
from regional import complaints
from regional.exchange import Exchange
from regional.profile import Profile
from regional.residue import Residue, reset_sql
from regional.session_state import LEFT_SQL, PREPARED_SQL, harvest_sql, read

if TYPE_CHECKING:
    from regional.channel import Channel
    from regional.origin import Origin
    from regional.tenant import Tenant

log = structlog.get_logger(__name__)

BETWEEN = Profile.between()
"""Of a connection whose settings are being changed: equal to nothing."""


def has_to_know(tenant: "Tenant", origin: "Origin") -> bool:
    """Begin to find out what has to be known of a lease that is over, before anything else; False for nothing."""
    if origin.unseen.is_open:
        origin.unseen.ask(origin, tenant.lease_ended)
    elif origin.settling is not None:
        settle(tenant, origin, origin.settling)
    else:
        return False
    return True


def settle(tenant: "Tenant", origin: "Origin", channel: "Channel") -> None:
    """Read what the session has on this connection; then the lease ends for good, or the session keeps it."""
    if tenant.names.knows_catalog:
        _harvest(tenant, origin, channel)
        return

    def go_on(is_alive: bool) -> None:  # noqa: FBT001
        if not is_alive:
            origin.settling = None
            channel.unsettled(complaints.unread("the connection was lost"))
        elif origin.settling is channel and not origin.connection.is_closed:
            settle(tenant, origin, channel)

    tenant.knowledge.find_names(origin, go_on)


def _harvest(tenant: "Tenant", origin: "Origin", channel: "Channel") -> None:
    pins = tenant.configuration.session_state == "pin"
    own = [name for name in channel.profile.settings if "." in name and name.isascii()]

    def harvested(exchange: Exchange) -> None:
        origin.settling = None
        if not exchange.status:
            channel.unsettled(complaints.unread("the connection was lost"))
            return
        try:
            harvest = read(exchange)
            profile = harvest.applied_to(
                channel.settings.startup.settings, channel.profile.settings, origin.scrutiny.login
            )
        except ValueError as error:
            log.warning("a session's settings could not be read", configuration=_name(tenant), why=str(error))
            channel.unsettled(complaints.unread(str(error)))
            tenant.lease_ended(origin)
            return
        holds = pins and bool(harvest.holds)
        if harvest.held.get("temporary objects"):
            origin.plans.kept()
        if harvest.held.get("LISTEN") or origin.scrutiny.asked & Residue.LISTENS:
            origin.residue |= Residue.CLOSES  # no UNLISTEN makes it as one that has never listened
        here = harvest.applied_to({}, {}, origin.scrutiny.login)
        has_reset = bool(channel.settings.startup.settings.keys() - here.settings.keys())
        if holds and tenant.is_retired(origin):
            channel.unsettled(complaints.unpinned())
            tenant.lease_ended(origin)
        elif (holds or has_reset) and not channel.has_left:
            origin.profile = here
            _lead_back(tenant, origin, channel, profile, keeps=holds)
        else:
            channel.settled(profile, None)
            tenant.lease_ended(origin)

    origin.run(harvest_sql(dict.fromkeys([*own, *tenant.names]), pins=pins), harvested)


def _lead_back(tenant: "Tenant", origin: "Origin", channel: "Channel", profile: Profile, *, keeps: bool) -> None:
    """Give what the session has reset the value of its startup, which the origin's RESET does not know (`resets.py`).

    The client is told of those that PostgreSQL reports. keeps: the session keeps the connection.
    """

    def restored(exchange: Exchange) -> None:
        if not exchange.status:
            channel.unsettled(complaints.unread("the connection was lost"))
        elif exchange.error:
            channel.unsettled(complaints.unread(error_fields(exchange.error).get("M", "")))
            tenant.lease_ended(origin)
        elif keeps and not channel.has_left:
            _report(channel, exchange)
            origin.profile = profile
            origin.kept, origin.residue = origin.residue, Residue.CLEAN
            channel.settled(profile, origin)
        else:
            _report(channel, exchange)
            channel.settled(profile, None)
            tenant.lease_ended(origin)

    tenant.restore(origin, profile, restored)


def _report(channel: "Channel", exchange: Exchange) -> None:
    """Tell the client which values are reported now."""
    channel.answer(b"".join(parameter_status(*pair) for pair in exchange.parameters.items()), 0, 0, last=True)


def clean(tenant: "Tenant", origin: "Origin") -> None:
    """Take away what is left; then the connection is idle, or it is closed."""
    residue, origin.residue = origin.residue, Residue.CLEAN
    if not residue.needs_reset:
        tenant.lease_ended(origin)
        return
    asks = residue.statements_lost and origin.prepared.is_worth_asking
    if residue.statements_lost and not asks:
        origin.prepared.forget()
    if residue.resets_settings:
        origin.profile = BETWEEN
    if origin in tenant.pool.leased:
        tenant.pool.reset(origin)

    def cleaned(exchange: Exchange) -> None:
        _cleaned(tenant, origin, residue, exchange)

    sql = [LEFT_SQL] if residue & Residue.LOCKS else []
    sql += [reset_sql(residue & ~Residue.STATEMENTS).decode(), PREPARED_SQL] if asks else [reset_sql(residue).decode()]
    origin.run(";".join(filter(None, sql)).encode(), cleaned)


def _cleaned(tenant: "Tenant", origin: "Origin", residue: Residue, exchange: Exchange) -> None:
    if not exchange.status:
        return  # lost meanwhile
    if exchange.error or exchange.status != TransactionStatus.IDLE:
        why = error_fields(exchange.error).get("M") if exchange.error else "a transaction is open"
        tenant.discard(origin, f"it could not be cleaned: {why}")
        return
    if residue & Residue.LOCKS and exchange.rows:
        locks, statements, shared, schema = exchange.rows[0]
        origin.plans.cleaned(has_schema=schema != b"0")
        if locks != b"0":
            log.warning(
                "a session advisory lock was held after a transaction, and is released", configuration=_name(tenant)
            )
        if not residue.statements_lost and (statements != b"0" or int(shared or b"0") < len(origin.prepared)):
            origin.residue |= Residue.STATEMENTS  # a function has run PREPARE or DEALLOCATE; only this shows it
    if residue.resets_settings:
        origin.profile = Profile.of(())
    if residue.statements_lost and origin.prepared.is_worth_asking:
        _reconcile(tenant, origin, exchange)
    else:
        tenant.lease_ended(origin)


def _reconcile(tenant: "Tenant", origin: "Origin", exchange: Exchange) -> None:
    """Take away the prepared statements that are not the shared ones, or all of them if they are too many."""
    shared, others, unwanted = exchange.rows[-1]
    if others != b"0" and unwanted is None:
        origin.prepared.forget()
        origin.residue |= Residue.STATEMENTS
        tenant.lease_ended(origin)
        return
    dropped = origin.prepared.reconcile((shared or b"").split())
    sql = b";".join(([unwanted] if unwanted else []) + [b'DEALLOCATE "%s"' % name for name in dropped])
    if not sql:
        tenant.lease_ended(origin)
        return

    def deallocated(exchange: Exchange) -> None:
        _cleaned(tenant, origin, Residue.CLEAN, exchange)

    origin.run(sql, deallocated)


def _name(tenant: "Tenant") -> str:
    return tenant.configuration.name
