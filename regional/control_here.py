"""What the admin API asks of this node, done: `regional.control.Control` over the tenants and links of the process."""

import time
from typing import Final

import structlog
import trio

from protos.errors import UnknownConfigurationError
from protos.runtime.guest import call_host
from regional.configuration import Configuration, OriginSecret
from regional.control import Acknowledgement, LinkStatus, PoolStatus, Status
from regional.secrets import SecretError
from regional.server import EdgeLink, LinkServer
from regional.store import StoreError
from regional.tenant import Tenant
from regional.tenants import Tenants
from regional.vault import Vault

ACKNOWLEDGE_TIMEOUT_S: Final = 5.0  # design §9
LOOK_LIMIT_S: Final = 5.0  # for the catalogue of an origin that is tested; it can be read later as well
WILDCARDS: Final = ("0.0.0.0", "[::]", "::", "")

log = structlog.get_logger(__name__)


class ControlHere:
    """Control of this node."""

    def __init__(self, tenants: Tenants, links: LinkServer, vault: Vault, nursery: trio.Nursery) -> None:
        self._tenants = tenants
        self._links = links
        self._vault = vault
        self._nursery = nursery
        self._since = time.monotonic()
        self._checked: Tenant | None = None  # the latest, until its configuration is published
        self._checked_at = 0  # how much DDL was known then

    async def check(self, configuration: Configuration, secret: OriginSecret) -> dict[str, str]:
        dialer = self._tenants.dialer
        login = await dialer.dial(configuration, secret)
        parameters, self._checked_at = dict(login.parameters), self._tenants.ddl.count
        tenant = Tenant(configuration, secret, dialer, self._nursery)
        tenant.opener.adopt(login)
        try:
            with trio.move_on_after(LOOK_LIMIT_S):
                await tenant.knowledge.load()
            tenant.knowledge.backends.refuse_shared()
        finally:
            tenant.withdraw()
            tenant.close()
        self._checked = tenant
        return parameters

    async def publish(self, configuration: Configuration, secret: OriginSecret) -> Acknowledgement:
        self._tenants.put(configuration, secret)
        self._hand_down(configuration, secret)
        return await self._acknowledged(configuration.name, configuration.version)

    def _hand_down(self, configuration: Configuration, secret: OriginSecret) -> None:
        """Give a tenant what its origin's test has learnt."""
        checked, tenant = self._checked, self._tenants.get(configuration.name)
        if checked is None or tenant is None or checked.configuration.name != configuration.name:
            return
        self._checked = None
        is_outdated = self._checked_at != self._tenants.ddl.count
        if checked.configuration.origin == configuration.origin and checked.opener.secret == secret and not is_outdated:
            tenant.knowledge.take_over(checked.knowledge)

    async def withdraw(self, name: str) -> Acknowledgement:
        tenant = self._tenants.get(name)
        version = tenant.configuration.version + 1 if tenant is not None else 1
        self._tenants.withdraw(name, version)
        return await self._acknowledged(name, version)

    async def restart(self, name: str) -> None:
        tenant = self._tenants.get(name)
        if tenant is None:
            raise UnknownConfigurationError
        tenant.retire(lambda origin: True)
        await trio.lowlevel.checkpoint()

    async def purge(self, name: str, table: str | None) -> int:
        if self._tenants.get(name) is None:
            raise UnknownConfigurationError
        self._tenants.purge(name, table)
        edges = {link.hello.node for link in self._links.links if link.is_welcome}
        await trio.lowlevel.checkpoint()
        return len(edges)

    def status(self) -> Status:
        now = time.monotonic()
        return Status(
            node=self._links.node,
            ready=self._links.is_open and not self._links.is_draining,
            up_s=now - self._since,
            links=tuple(_link_status(link, now) for link in self._links.links if link.is_welcome),
            pools=tuple(_pool_status(tenant, now) for tenant in self._tenants),
            caches=tuple(cache for cache in self._links.served.totals() if self._tenants.get(cache.configuration)),
            not_followed=self._tenants.followers.all_why_not(),
        )

    def edge_addresses(self) -> list[str]:
        links = [link for link in self._links.links if link.is_welcome]
        advertised = sorted({link.hello.advertise for link in links if link.hello.advertise})
        listening = sorted({_reachable(link.hello.address) for link in links if link.hello.address})
        return advertised + listening

    def learnt(self, tenant: Tenant) -> None:
        """The origin's parameters are news: keep them, so that edges can be told right after a restart."""
        self._nursery.start_soon(self._keep, tenant.configuration.name, dict(tenant.knowledge.parameters))

    async def _keep(self, name: str, parameters: dict[str, str]) -> None:
        try:
            configuration = await trio.to_thread.run_sync(self._vault.learn, name, parameters)
        except (StoreError, SecretError) as error:
            log.warning("what the origin reports was not kept", configuration=name, why=str(error))
            return
        tenant = self._tenants.get(name)
        if tenant is not None and configuration.version > tenant.configuration.version:
            tenant.learned(configuration)

    async def _acknowledged(self, name: str, version: int) -> Acknowledgement:
        linked, acknowledged = await call_host(self._links.acknowledged(name, version, ACKNOWLEDGE_TIMEOUT_S))
        return Acknowledgement(linked=linked, acknowledged=acknowledged)


def _reachable(address: str) -> str:
    """127.0.0.1 stands for a wildcard."""
    host, _, port = address.rpartition(":")
    return f"127.0.0.1:{port}" if host in WILDCARDS else address


def _link_status(link: EdgeLink, now: float) -> LinkStatus:
    mux = link.mux
    return LinkStatus(
        edge=link.hello.node,
        address=link.hello.address,
        advertise=link.hello.advertise or None,
        up_s=now - link.up_since,
        round_trip_s=mux.round_trip_s or None,
        channels=len(link.channels),
        received_bytes=mux.received_bytes,
        sent_bytes=mux.sent_bytes,
    )


def _pool_status(tenant: Tenant, now: float) -> PoolStatus:
    pool = tenant.pool
    return PoolStatus(
        configuration=tenant.configuration.name,
        cl_active=sum(channel.origin is not None for channel in tenant.channels.values()),
        cl_waiting=len(pool.waiters),
        sv_active=len(pool.leased) + len(pool.resetting),
        sv_idle=len(pool.idle),
        sv_login=pool.dialing,
        maxwait=pool.waited_s(now),
        size=pool.size,
        limit=pool.limits.max_size,
        bound=tenant.sizing.bound,
        bound_by=tenant.sizing.bound_by,
        total_leases=pool.total_leases,
        total_errors=tenant.total_errors,
    )
