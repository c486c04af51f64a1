"""What a client reads when the pool cannot serve it: the state of the pool, and what to do."""

from typing import TYPE_CHECKING

from protos.errors import (
    CheckoutTimeoutError,
    ConnectionLostError,
    DrainingError,
    TooManyWaitersError,
)
from protos.pg.pipeline import Pipeline
from protos.pg.tags import TransactionStatus

if TYPE_CHECKING:
    from regional.tenant import Tenant


def overdue(tenant: "Tenant") -> CheckoutTimeoutError:
    """No connection came free in time."""
    return CheckoutTimeoutError(
        detail=_state_of(tenant),
        hint=_hint_of(tenant),
    )


def too_many_waiters(tenant: "Tenant") -> TooManyWaitersError:
    """The queue is full."""
    return TooManyWaitersError(detail=_state_of(tenant), hint="Raise max_waiters, or let fewer clients ask at once.")


def withdrawn(name: str) -> DrainingError:
    """The configuration is gone."""
    return DrainingError(public=f"terminating connection: configuration {name} was deleted or changed")


def unpinned() -> DrainingError:
    """The connection that a session keeps (session_state=pin) has to go."""
    public = "terminating connection: the origin connection that the session is pinned to is being closed"
    return DrainingError(public, public=public, hint="Connect again.")


def unread(why: str) -> ConnectionLostError:
    """What a session has set is not known, so the session cannot go on as it was."""
    return ConnectionLostError(why, detail=f"What the session had set for itself is lost: {why}.")


def lost(pipeline: Pipeline, why: str) -> ConnectionLostError:
    """The origin connection has gone in the middle of a lease."""
    if pipeline.owed or pipeline.has_unsynced:
        detail = "It is unknown whether the last statements have taken effect."
    elif pipeline.status != TransactionStatus.IDLE:
        detail = "The transaction that was open has been rolled back."
    else:
        detail = "No statement was running."
    return ConnectionLostError(why, detail=detail)


def _state_of(tenant: "Tenant") -> str:
    pool = tenant.pool
    sizing = tenant.sizing
    said = [
        f"Configuration {tenant.configuration.name}: {len(pool.leased)} of {pool.size} origin connections in use, "
        f"limit {pool.limits.max_size}, {len(pool.waiters)} waiting."
    ]
    if sizing.is_holding:
        said.append(f"The pool does not grow beyond {sizing.control.size}: more get no more done.")
    if sizing.share < pool.limits.max_size:
        said.append(f"Its share of origin_total_limit is {sizing.share} now.")
    if sizing.is_short:
        said.append(f"The database has refused more than {pool.dial_ceiling}.")
    if sizing.suspected:
        said.append(f"{sizing.suspected} of its connections are suspected dead.")
    if tenant.opener.last_error:
        said.append(f"The last attempt to open one failed: {tenant.opener.last_error}")
    return " ".join(said)


def _hint_of(tenant: "Tenant") -> str:
    """What to do against waiting, by what makes clients wait."""
    sizing = tenant.sizing
    if sizing.is_holding:
        return "The database is what is slow: look for what loads it; more connections would not help."
    if sizing.is_short:
        return "Raise the database's max_connections, or let others who use it take fewer."
    if sizing.share < tenant.pool.limits.max_size:
        return "Raise origin_total_limit, or let the other configurations of this database use less."
    return "Shorten transactions, raise origin_connection_limit, or look whether the database is reachable."
