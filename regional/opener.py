"""Opening origin connections for a tenant: as many at once as its pool asks for, with a pause after failures.

An origin that cannot be reached is tried again, with exponential backoff, for as long as somebody waits: a database
that restarts costs its clients only time. One that says no to the login itself (password, database) will not mend
while they wait, so they are told at once, unless other connections are there to serve them. One that has no room for
another connection has told how large the pool may be for a while, and they wait on (`sizing.py`).
"""

import random
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

import structlog
import trio

from protos.errors import OriginFullError, OriginRefusedError, ServiceError
from regional.configuration import Configuration, OriginSecret
from regional.dial import Dialer, LoginConnection
from regional.origin import Origin
from regional.profile import BASE

if TYPE_CHECKING:
    from regional.tenant import Tenant

LIFETIME_JITTER: Final = 0.1  # connections opened together do not all expire together
FIRST_RETRY_S: Final = 0.1
MAX_RETRY_S: Final = 2.0

log = structlog.get_logger(__name__)


class Opener:
    """Of one tenant."""

    def __init__(
        self, tenant: "Tenant", secret: OriginSecret, dialer: Dialer, opened: Callable[[Origin], None]
    ) -> None:
        self.last_error = ""
        """What a client may read of the last failure; empty after a success."""
        self.secret = secret
        self._tenant = tenant
        self.dialer = dialer
        self._opened = opened
        self._retry_s = FIRST_RETRY_S
        self._retry_at = 0.0

    def grow(self, nursery: trio.Nursery) -> None:
        """Dial what the pool wants now."""
        if self._tenant.is_withdrawn or monotonic() < self._retry_at:
            return
        for _ in range(self._tenant.pool.to_dial()):
            nursery.start_soon(self._dial)

    def forget_failures(self) -> None:
        self._retry_s, self._retry_at, self.last_error = FIRST_RETRY_S, 0.0, ""

    async def _dial(self) -> None:
        """Open one connection. Cancellation: safe, the node is going away."""
        tenant = self._tenant
        configuration = tenant.configuration
        try:
            login = await self.dialer.dial(configuration, self.secret)
        except ServiceError as error:
            tenant.pool.dial_failed()
            self._failed(error)
            return
        except Exception as error:
            log.exception("opening an origin connection failed unforeseen", configuration=configuration.name)
            tenant.pool.dial_failed()
            self._failed(OriginRefusedError(repr(error)))
            return
        origin = self._dialed(login, configuration)
        if configuration.origin != tenant.configuration.origin or tenant.is_withdrawn:
            tenant.discard(origin, "the configuration was changed while it was opened")
        elif not origin.connection.is_closed:
            self.forget_failures()
            self._opened(origin)

    def adopt(self, login: LoginConnection) -> None:
        """Take a connection that somebody else has opened."""
        self._tenant.pool.dialing += 1
        self._dialed(login, self._tenant.configuration)

    def _dialed(self, login: LoginConnection, configuration: Configuration) -> Origin:
        now = monotonic()
        lifetime_s = configuration.lifetime_s * (1 - LIFETIME_JITTER * random.random())
        origin = Origin(
            tenant=self._tenant,
            connection=login.connection,
            address=login.address,
            parameters=login.parameters,
            process_id=login.process_id,
            secret_key=login.secret_key,
            profile=BASE,
            expires_at=now + lifetime_s,
            idle_since=now,
            last_activity=now,
        )
        self._tenant.pool.dialed(origin)
        login.hand_over(origin)
        return origin

    def _failed(self, error: ServiceError) -> None:
        tenant = self._tenant
        tenant.total_errors += 1
        if isinstance(error, OriginFullError):
            tenant.sizing.refused(monotonic())
        first = not self.last_error
        self.last_error = error.detail or error.public_message
        self._retry_at = monotonic() + self._retry_s * random.uniform(0.5, 1.0)
        self._retry_s = min(self._retry_s * 2, MAX_RETRY_S)
        if first:  # once, not for each try
            log.warning("cannot open an origin connection", configuration=tenant.configuration.name, why=str(error))
        if not error.retryable and not tenant.pool.size:
            for waiter in list(tenant.pool.waiters):
                tenant.pool.leave(waiter)
                waiter.refused(error)
