"""What the pool node asks an origin about the connections that it has there, and what it makes of their silence.

- How many of them wait for locks? Asked through a connection borrowed like any other, when the concurrency control
  wants to know. A lock wait is no load, and only the origin can tell one from the other.
- Is this connection's server read-only? Asked of a connection that has refused a write (25006), after its lease, when
  it is clean. The error alone proves nothing: the client may have asked for a read-only transaction itself, in any of
  many ways. A server that is read-only now, and did not say so when the connection logged in (PostgreSQL 14 and later
  report it), has been demoted or has been set read-only: the connection is closed, so that a new one is opened to
  whatever the hosts' names mean now. One that was read-only from the beginning was wanted so, and is kept.
"""

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

from protos.errors import ServiceError
from regional.borrowing import Borrower, borrow
from regional.exchange import Exchange
from regional.origin import Origin
from regional.pool import Pool

if TYPE_CHECKING:
    from regional.channel import Channel
    from regional.tenant import Tenant

SUSPECT_S: Final = 2.0  # of silence to a statement of ours, which takes milliseconds

# The settings of a session are in effect when this is asked; reset_val is what the server has.
READ_ONLY_QUERY: Final = (
    b"select pg_catalog.pg_is_in_recovery() or coalesce((select reset_val = 'on' from pg_catalog.pg_settings"
    b" where name = 'default_transaction_read_only'), false)"
)


async def count_lock_waits(tenant: "Tenant") -> None:
    """Ask how many of the leased connections wait for locks, and tell the control. Cancellation: safe."""
    sizing = tenant.sizing
    if sizing.is_asking:
        return
    sizing.is_asking = True
    ids = ",".join(str(origin.process_id) for origin in tenant.pool.leased)
    sql = f"select count(*) from pg_catalog.pg_stat_activity where wait_event_type = 'Lock' and pid in ({ids or 0})"
    try:
        exchange = await borrow(tenant, lambda origin, done: origin.run(sql.encode(), done))
    except ServiceError:
        return
    finally:
        sizing.is_asking = False
    if not exchange.error and exchange.rows and exchange.rows[0][0] is not None:
        sizing.control.locks_told(int(exchange.rows[0][0]), monotonic())


def ask_whether_read_only(origin: Origin, done: Callable[[Origin], None]) -> None:
    """Mark the connection for closing if its server has become read-only; done goes on with the end of its lease."""
    origin.scrutiny.refused_write = False
    if origin.scrutiny.was_read_only:
        done(origin)
        return

    def told(exchange: Exchange) -> None:
        if not exchange.status:
            return  # lost meanwhile
        if exchange.rows and exchange.rows[0][0] == b"t":
            origin.must_close = "its server has become read-only"
        done(origin)

    if origin in origin.tenant.pool.leased:
        origin.tenant.pool.reset(origin)
    origin.run(READ_ONLY_QUERY, told)


def survey(pool: "Pool[Origin, Channel | Borrower]", now: float) -> tuple[int, int]:
    """How many connections are leased without a statement that runs, and how many are suspected dead."""
    quiet = sum(not origin.pipeline.owed and not origin.is_in_exchange for origin in pool.leased)
    suspected = sum(_is_suspected_dead(origin, now) for origin in pool.all())
    return quiet, suspected


def _is_suspected_dead(origin: Origin, now: float) -> bool:
    """Whether it owes what a living connection would have given: to a statement of ours, or after a cancel."""
    if origin.is_in_exchange:
        return now - origin.last_activity > SUSPECT_S
    return origin.has_timed_out or bool(origin.channel is not None and origin.channel.clean_up_by)
