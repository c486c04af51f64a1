"""All tenants of a pool node: what edges are told of them, and what they ask across them."""

import hmac
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import structlog
import trio

from protos.errors import NotReadyError, QueryCancelledError, ServiceError, UnknownConfigurationError
from protos.link.link_pb2 import Caching, Early, Frame, Invalidate, Resolution, Resolve, Resolved, Withdraw
from protos.link.link_pb2 import Configuration as Pushed
from protos.link.settings import to_wire
from protos.pg.messages import service_error
from regional.cache.followers import Followers
from regional.cache.neighbours import Neighbours
from regional.cache.verdicts import EVERYTHING, Writing
from regional.channel import Channel
from regional.configuration import Configuration, OriginSecret
from regional.control import UnknownTableError
from regional.ddl import SeenDdl
from regional.dial import Dialer
from regional.resolving import Resolver
from regional.shares import share_out
from regional.tenant import Tenant

log = structlog.get_logger(__name__)

MAX_PUSHED_RESOLUTIONS: Final = 200


class Tenants:
    """By name."""

    def __init__(self, dialer: Dialer, nursery: trio.Nursery, mock_secret: bytes) -> None:
        self.mock_secret = mock_secret
        self.push: Callable[[Frame], None] = lambda frame: None
        self.on_learnt: Callable[[Tenant], None] = lambda tenant: None
        self.changes = 0
        """How often a configuration was put or withdrawn."""
        self.dialer = dialer
        self._nursery = nursery
        self._tenants: dict[str, Tenant] = {}
        self._leaving: set[Tenant] = set()  # withdrawn, with leases that may end
        self._resolvers: dict[str, Resolver] = {}
        self._turn = 0
        self._neighbours = Neighbours(self.__iter__)
        self.followers = Followers(dialer, nursery)
        self.ddl = SeenDdl(self.__iter__, self._neighbours, lambda frame: self.push(frame))  # noqa: PLW0108 - set later
        self._told: dict[str, bool] = {}  # what was pushed last of what is known for the cache

    def __iter__(self) -> Iterator[Tenant]:
        return iter([*self._tenants.values(), *self._leaving])

    def get(self, name: str) -> Tenant | None:
        return self._tenants.get(name)

    def put(self, configuration: Configuration, secret: OriginSecret) -> None:
        """Make a new or changed configuration effective, here and at the edges."""
        self.changes += 1
        tenant = self._tenants.get(configuration.name)
        if tenant is None:
            tenant = Tenant(configuration, secret, self.dialer, self._nursery)
            tenant.knowledge.on_parameters = self._parameters_changed
            tenant.knowledge.tell = self.push
            tenant.knowledge.on_meaning = self.ddl.seen
            tenant.knowledge.cache.on_news = self._known_for_cache
            tenant.publishing.neighbours = self._neighbours
            tenant.publishing.follows = partial(self.followers.follows, tenant)
            self._tenants[configuration.name] = tenant
            self._resolvers[configuration.name] = Resolver(tenant)
            # Another pool node may have had it before: edges keep answers, and nobody told them of writes through here.
            tenant.publishing.purge(EVERYTHING)
        else:
            if configuration.origin != tenant.configuration.origin:
                self._forget_answers(configuration.name)
            if configuration.caching != tenant.configuration.caching:
                tenant.publishing.purge(EVERYTHING)
            tenant.change(configuration, secret)
            self.followers.renew(tenant)
        self._neighbours_changed()
        self._share_out()
        self.push(Frame(configuration=self._pushed(tenant)))

    def withdraw(self, name: str, version: int) -> None:
        self.changes += 1
        tenant = self._tenants.pop(name, None)
        self._resolvers.pop(name, None)
        if tenant is not None:
            tenant.withdraw()
            self._leaving.add(tenant)
        self._neighbours_changed()
        self.push(Frame(withdraw=Withdraw(name=name, version=version)))

    def configurations(self) -> list[Pushed]:
        """What a new edge is told."""
        return [self._pushed(tenant) for tenant in self._tenants.values()]

    def tick(self, now: float) -> None:
        self._share_out()
        for tenant in list(self):
            tenant.tick(now)
        for tenant in [tenant for tenant in self._leaving if not tenant.is_busy]:
            tenant.close()
            self._leaving.discard(tenant)
            self._neighbours.changed()

    def _share_out(self) -> None:
        """Divide what origins give between the configurations that have one in common."""
        self._turn += 1
        share_out(self, self._turn)
        for tenant in self:
            tenant.sizing.apply()
            tenant.fit()

    def close(self) -> None:
        for tenant in list(self):
            tenant.close()

    @property
    def is_busy(self) -> bool:
        return any(tenant.is_busy for tenant in self)

    def end_all(self, error: ServiceError) -> None:
        """FATAL for every session that is in the middle of something."""
        for tenant in list(self):
            for channel in list(tenant.channels.values()):
                if channel.origin is not None or channel.is_waiting:
                    channel.end(error)

    # --- what edges ask ---

    def cancel(self, process_id: int, secret_key: bytes) -> None:
        """Cancel what this session is running or waiting for; a miss is dropped and not remembered (rules 16)."""
        for tenant in list(self):
            for (candidate, secret), channel in list(tenant.channels.items()):
                if candidate == process_id and hmac.compare_digest(secret, secret_key):
                    self._cancel(tenant, channel)
                    return

    def _cancel(self, tenant: Tenant, channel: Channel) -> None:
        origin = channel.origin
        if origin is not None and not origin.is_in_exchange:
            if origin.pipeline.owed or origin.pipeline.has_unsynced:
                tenant.cancel(origin)
        elif tenant.pool.leave(channel):
            channel.refused(QueryCancelledError())

    def resolve(self, question: Resolve, answer: Callable[[Resolved], None]) -> None:
        """What does the origin report for these settings?"""
        resolver = self._resolvers.get(question.configuration)
        if resolver is None:
            error = service_error(NotReadyError(public="the configuration has just been deleted"), "FATAL")
            answer(Resolved(id=question.id, error=error))
        else:
            self._nursery.start_soon(resolver.resolve, question, answer)

    # --- what the origins say ---

    def _parameters_changed(self, tenant: Tenant) -> None:
        name = tenant.configuration.name
        if self._tenants.get(name) is not tenant:
            return
        self._forget_answers(name)
        self.push(Frame(configuration=self._pushed(tenant)))
        self.on_learnt(tenant)

    def _known_for_cache(self, tenant: Tenant) -> None:
        self._neighbours_changed()
        self.followers.renew(tenant)
        name = tenant.configuration.name
        if self._tenants.get(name) is tenant and self._told.get(name) != tenant.knowledge.cache.is_read_committed:
            self.push(Frame(configuration=self._pushed(tenant)))

    def _neighbours_changed(self) -> None:
        """Who has a lease finds out at once whether what it writes is wanted now."""
        self._neighbours.changed()
        self.followers.settle(self)
        for tenant in self:
            tenant.publishing.neighbours_changed()

    def others_missed(self) -> None:
        """Another pool node may have written, or run DDL, and nobody has heard of it."""
        for tenant in self:
            tenant.publishing.others_missed()
            tenant.knowledge.others_ddl_seen()

    def purge(self, name: str, table: str | None) -> None:
        """Have every linked edge drop this configuration's answers, or those that were read from a table.

        Raises UnknownConfigurationError, UnknownTableError, and NotReadyError while the tables are not known.
        """
        tenant = self._tenants.get(name)
        if tenant is None:
            raise UnknownConfigurationError
        if table is None:
            tenant.publishing.purge(EVERYTHING)
            return
        reach = tenant.knowledge.cache.reach
        if reach is None:
            raise NotReadyError(public="the origin's catalogue is not known at present; purge without a table")
        tables = reach.named(table)
        if not tables:
            raise UnknownTableError(name, table)
        tenant.publishing.purge(Writing(tables))

    def _forget_answers(self, name: str) -> None:
        """DateStyle=ISO means something else where the base has another order."""
        self._resolvers[name].known.clear()
        self.push(Frame(invalidate=Invalidate(configuration=name)))

    def _pushed(self, tenant: Tenant) -> Pushed:
        configuration = tenant.configuration
        early, caching = configuration.early, configuration.caching
        self._told[configuration.name] = is_read_committed = tenant.knowledge.cache.is_read_committed
        known: list[Resolution] = list(self._resolvers[configuration.name].known.values())
        return Pushed(
            name=configuration.name,
            version=configuration.version,
            credentials_version=configuration.credentials_version,
            user=configuration.user,
            verifier=configuration.verifier,
            client_auth=configuration.client_auth,
            max_client_connections=configuration.max_client_connections,
            wait_timeout_s=configuration.wait_timeout_s,
            idle_in_transaction_timeout_s=configuration.idle_in_transaction_timeout_s,
            early=Early(begin=early.begin, prepare=early.prepare, remember=early.settings or early.catalog),
            caching=Caching(
                enabled=not caching.disabled,
                in_transactions=caching.in_transactions,
                is_read_committed=is_read_committed,
                stale_if_unreachable_s=caching.stale_if_unreachable,
            ),
            parameters=to_wire(tenant.knowledge.parameters.items()),
            known=known[-MAX_PUSHED_RESOLUTIONS:],
        )
