"""A connection of the pool, borrowed by the pool node itself, which waits in the queue for it as a channel does."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from protos.errors import OriginRefusedError, ServiceError
from regional.exchange import Exchange
from regional.origin import Origin
from regional.profile import BASE

if TYPE_CHECKING:
    from regional.tenant import Tenant


class Borrower:
    """Somebody of the pool node itself who needs a connection: waits in the queue like a channel."""

    def __init__(self) -> None:
        self.profile = BASE
        self.mux = None  # in the queue all of us share one turn
        self.origin: Origin | None = None
        self.error: ServiceError | None = None
        self._decided = trio.Event()

    def granted(self, origin: Origin) -> None:
        self.origin = origin
        self._decided.set()

    def refused(self, error: ServiceError) -> None:
        self.error = error
        self._decided.set()

    async def wait(self) -> Origin:
        """Cancellation: safe; the tenant takes back what was granted."""
        await self._decided.wait()
        if self.error is not None:
            raise self.error
        assert self.origin is not None
        return self.origin


async def borrow(tenant: "Tenant", work: Callable[[Origin, Callable[[Exchange], None]], None]) -> Exchange:
    """Let work run its exchanges on a connection of the pool; the one that it ends with.

    Raises ServiceError where there is no connection, or it is lost. Cancellation: safe.
    """
    borrower = Borrower()
    done = trio.Event()
    result: list[Exchange] = []

    def finished(exchange: Exchange) -> None:
        result.append(exchange)
        done.set()

    def restored(exchange: Exchange) -> None:
        assert borrower.origin is not None
        if exchange.status and not exchange.error:
            borrower.origin.profile = BASE
            work(borrower.origin, finished)
        else:
            if exchange.error:
                borrower.origin.must_close = "its settings could not be reset"
            exchange.status = 0
            finished(exchange)

    try:
        tenant.checkout(borrower)
        origin = await borrower.wait()
        if origin.connection.is_closed:
            raise OriginRefusedError("the origin connection was lost")
        tenant.restore(origin, BASE, restored)
        await done.wait()
    finally:
        tenant.pool.leave(borrower)
        if borrower.origin is not None:
            if not result:
                borrower.origin.must_close = "its borrower was cancelled"
            tenant.lease_ended(borrower.origin)
    exchange = result[0]
    if not exchange.status:
        raise OriginRefusedError("the origin connection was lost")
    return exchange
