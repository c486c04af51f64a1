"""Asking the origin what it makes of a startup parameter, once for everybody (rules 6).

PostgreSQL canonicalises values (`DateStyle=iso` is reported as `ISO, MDY`) and refuses bad ones. Each unknown pair is
set in a transaction of its own on a connection of the pool, what the origin reports is noted, and the transaction is
rolled back. The answer holds for the configuration until the base changes.
"""

from collections.abc import Callable
from typing import Final

import structlog

from protos.errors import ServiceError
from protos.link.link_pb2 import Resolution, Resolve, Resolved, Setting
from protos.link.settings import to_wire
from protos.pg.messages import service_error
from regional.borrowing import borrow
from regional.exchange import Exchange
from regional.origin import Origin
from regional.profile import quote_literal
from regional.tenant import Tenant

MAX_KNOWN: Final = 10_000

Pair = tuple[bytes, bytes]

log = structlog.get_logger(__name__)


class Resolver:
    """What is known of one configuration's settings."""

    def __init__(self, tenant: Tenant) -> None:
        self.known: dict[Pair, Resolution] = {}
        self._tenant = tenant

    async def resolve(self, question: Resolve, answer: Callable[[Resolved], None]) -> None:
        """Cancellation: safe; nobody is answered then."""
        resolved = Resolved(id=question.id)
        try:
            if not question.settings and not self._tenant.knowledge.parameters:
                await borrow(self._tenant, lambda origin, done: origin.run(b"SELECT 1", done))
            for setting in question.settings:
                resolved.resolutions.append(await self._resolve_one(setting))
        except ServiceError as error:
            answer(Resolved(id=question.id, error=service_error(error, "FATAL")))
            return
        except Exception as error:
            log.exception("a question to the origin failed unforeseen", configuration=question.configuration)
            answer(Resolved(id=question.id, error=service_error(ServiceError(repr(error)), "FATAL")))
            return
        resolved.parameters.extend(to_wire(self._tenant.knowledge.parameters.items()))
        answer(resolved)

    async def _resolve_one(self, setting: Setting) -> Resolution:
        pair = (setting.name, setting.value)
        known = self.known.get(pair)
        if known is None:
            known = await self._ask(setting)
            if known.refusal:  # what is refused today may be there tomorrow: an extension's parameter, a time zone
                return known
            self.known[pair] = known
            while len(self.known) > MAX_KNOWN:
                del self.known[next(iter(self.known))]
        return known

    async def _ask(self, setting: Setting) -> Resolution:
        name, value = (quote_literal(raw.decode("utf-8", "surrogateescape")) for raw in (setting.name, setting.value))
        sql = f"SELECT pg_catalog.set_config({name},{value},true) IS NULL".encode("ascii")
        reported: dict[str, str] = {}
        refusal = b""

        def ask(origin: Origin, done: Callable[[Exchange], None]) -> None:
            def asked(exchange: Exchange) -> None:
                nonlocal refusal
                refusal = exchange.error
                reported.update(exchange.parameters)
                if exchange.status:
                    origin.run(b"ROLLBACK", done)
                else:
                    done(exchange)

            def begun(exchange: Exchange) -> None:
                if exchange.status:
                    origin.run(sql, asked)
                else:
                    done(exchange)

            origin.run(b"BEGIN", begun)

        await borrow(self._tenant, ask)
        return Resolution(
            setting=setting,
            reported=to_wire(reported.items()),
            refusal=refusal,
        )
