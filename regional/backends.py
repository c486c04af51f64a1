"""Whether an origin gives each of our connections a backend of its own, as a pool node needs it.

A pooler in transaction mode puts another connection of PostgreSQL under each transaction, so settings and statements
are not where they were left. What such a pooler says of itself is not to be relied on; who answers is. PostgreSQL tells
each connection at login the process that serves it, so where that one answers there is no pooler. Where another one
does there is some pooler, and two connections are opened for a look: if both are answered by one process, or one by
two, they take turns. They are asked in an order that finds this out whichever of its own a pooler takes: the one used
last, or all in turn. In session mode it never happens. A pooler that has no room for two more says nothing, and passes.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import structlog
import trio

from protos.errors import OriginRefusedError, ServiceError
from protos.pg.messages import terminate
from protos.runtime.connection import Connection
from regional.configuration import Configuration, OriginSecret
from regional.configuration import Origin as Where
from regional.dial import Dialer, LoginConnection
from regional.exchange import Exchange
from regional.login_shells import row_of
from regional.origin import Origin

if TYPE_CHECKING:
    from regional.tenant import Tenant

WHICH_BACKEND: Final = b"SELECT pg_catalog.pg_backend_pid()"
LOOK_LIMIT_S: Final = 2.0  # a pooler without room lets its clients wait
_ORDER: Final = (0, 0, 1, 0, 1, 1)
WHAT: Final = "the origin is a pooler in transaction mode: its connections take turns on those of PostgreSQL"
CURE: Final = "Give PostgreSQL's own address, or have the pooler work in session mode (PgBouncer: pool_mode=session)."

log = structlog.get_logger(__name__)


class Backends:
    """Of one tenant's origin."""

    def __init__(self, tenant: "Tenant") -> None:
        self.are_shared = False
        self._tenant = tenant
        self._asked: Where | None = None  # where that was last known
        self._is_in_doubt = False

    def refuse_shared(self) -> None:
        if self.are_shared:
            raise OriginRefusedError(WHAT, hint=CURE)

    def ask(self, origin: Origin, then: Callable[[Exchange | None], None]) -> None:
        """Have this connection say which backend it has, unless that is known; then go on.

        then is told what came of it: None if nothing was asked.
        """

        def answered(exchange: Exchange) -> None:
            own = str(origin.process_id).encode()
            self._is_in_doubt = bool(exchange.rows) and exchange.rows[0] != [own]
            then(exchange)

        where = self._tenant.configuration.origin
        if self._asked == where:
            then(None)
        else:
            self._asked = where
            origin.run(WHICH_BACKEND, answered)

    async def look(self, dialer: Dialer, secret: OriginSecret) -> None:
        """Look closer, if the answer was that of a pooler. Cancellation: safe."""
        before, self.are_shared = self.are_shared, False
        if self._is_in_doubt:
            self._is_in_doubt = False
            self.are_shared = await take_turns(dialer, self._tenant.configuration, secret)
        if self.are_shared:
            self._asked = None  # it may be set right
            if not before:
                log.warning(WHAT, configuration=self._tenant.configuration.name, cure=CURE)


async def take_turns(dialer: Dialer, configuration: Configuration, secret: OriginSecret) -> bool:
    """Whether two connections, opened for that, take turns on backends. Cancellation: safe, both are closed."""
    logins: list[LoginConnection] = []
    try:
        with trio.move_on_after(LOOK_LIMIT_S):
            for _ in range(2):
                logins.append(await dialer.dial(configuration, secret))  # noqa: PERF401 - closed one by one
            return await _are_moved([login.connection for login in logins])
    except ServiceError:
        return False
    finally:
        for login in logins:
            login.connection.write(terminate())
            login.connection.finish()
    return False


async def _are_moved(connections: list[Connection]) -> bool:
    backends: dict[int, bytes | None] = {}
    for number in _ORDER:
        row = await row_of(connections[number], WHICH_BACKEND)
        if not row:
            return False
        if backends.setdefault(number, row[0]) != row[0] or len(set(backends.values())) < len(backends):
            return True
    return False
