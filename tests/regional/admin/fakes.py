"""A node that remembers what it was asked, and a caller that speaks real HTTP to the application."""

import http.client
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import attrs
import msgspec
import trio

from protos.errors import ServiceError
from regional.admin.app import make_app
from regional.admin.server import bind, serve
from regional.configuration import Configuration, OriginSecret
from regional.control import Acknowledgement, CacheStatus, LinkStatus, PoolStatus, Status, UnknownTableError
from regional.secrets import SecretBox
from regional.store import open_store
from regional.vault import Vault

TOKEN: Final = "the-token"
STATUS: Final = Status(
    node="pool-1",
    up_s=12.5,
    links=(LinkStatus(edge="edge-1", address='10.0.0.1:5"', up_s=3.0, round_trip_s=0.08, channels=2),),
    pools=(
        PoolStatus(
            configuration="demo",
            cl_active=1,
            cl_waiting=2,
            sv_active=3,
            sv_idle=4,
            sv_login=5,
            maxwait=0.25,
            size=12,
            limit=20,
            bound=12,
            bound_by="slow",
        ),
    ),
    caches=(
        CacheStatus(
            configuration="demo",
            entries=7,
            bytes=2048,
            hits=90,
            stale=5,
            misses=5,
            hit_rate=0.95,
            uncacheable=4,
            disabled=1,
            transaction=2,
            bypassed=3,
            renewals=6,
            reasons={"volatile function": 3, 'a "new" one': 1},
        ),
    ),
)


@attrs.define
class FakeControl:
    """A Control whose answers a test sets."""

    published: list[tuple[Configuration, OriginSecret]] = attrs.field(factory=list)
    checked: list[tuple[Configuration, OriginSecret]] = attrs.field(factory=list)
    withdrawn: list[str] = attrs.field(factory=list)
    restarted: list[str] = attrs.field(factory=list)
    purged: list[tuple[str, str | None]] = attrs.field(factory=list)
    refusal: Exception | None = None
    edges: list[str] = attrs.field(factory=list)
    acknowledgement: Acknowledgement = attrs.field(default=Acknowledgement(linked=2, acknowledged=1))
    present: Status = STATUS
    during_check: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint

    async def check(self, configuration: Configuration, secret: OriginSecret) -> dict[str, str]:
        await self.during_check()
        self.checked.append((configuration, secret))
        if self.refusal is not None:
            raise self.refusal
        return {"server_version": "17.2"}

    async def publish(self, configuration: Configuration, secret: OriginSecret) -> Acknowledgement:
        self.published.append((configuration, secret))
        await trio.lowlevel.checkpoint()
        return self.acknowledgement

    async def withdraw(self, name: str) -> Acknowledgement:
        self.withdrawn.append(name)
        await trio.lowlevel.checkpoint()
        return self.acknowledgement

    async def restart(self, name: str) -> None:
        await trio.lowlevel.checkpoint()
        if isinstance(self.refusal, ServiceError):
            raise self.refusal
        self.restarted.append(name)

    async def purge(self, name: str, table: str | None) -> int:
        await trio.lowlevel.checkpoint()
        if table == "nowhere":
            raise UnknownTableError(name, table)
        self.purged.append((name, table))
        return self.acknowledgement.linked

    def status(self) -> Status:
        return self.present

    def edge_addresses(self) -> list[str]:
        return self.edges


@attrs.frozen
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.content)

    @property
    def error(self) -> Any:
        return self.json["error"]


@attrs.frozen
class Caller:
    """Speaks to a served application."""

    port: int
    control: FakeControl
    vault: Vault
    tls: ssl.SSLContext | None = None

    async def request(
        self, method: str, path: str, body: object = None, *, token: str | None = TOKEN, headers: Mapping[str, str] = {}
    ) -> Answer:
        """Send a request and wait for its answer. A body of bytes goes as it is, anything else as JSON."""
        sent = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
        all_headers = ({"Authorization": f"Bearer {token}"} if token is not None else {}) | dict(headers)
        return await trio.to_thread.run_sync(partial(self._request, method, path, sent, all_headers))

    def _request(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        connection = (
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            if self.tls is None
            else http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=self.tls)
        )
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return Answer(response.status, {n.lower(): v for n, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    async def create(self, name: str = "demo", **fields: object) -> Answer:
        """Make a configuration whose origin is at db.internal."""
        body = {"name": name, "origin": "postgres://app:hunter2@db.internal/shop", **fields}
        return await self.request("POST", "/v1/configurations", body)


@asynccontextmanager
async def serving(
    *, server_tls: ssl.SSLContext | None = None, client_tls: ssl.SSLContext | None = None
) -> AsyncIterator[Caller]:
    """Serve the application over a store in memory, on a port of its own."""
    control, vault = FakeControl(), Vault(open_store("sqlite://:memory:"), SecretBox(bytes(32)))
    bound = bind(("127.0.0.1", 0), secured=server_tls is not None)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve, make_app(vault, control, TOKEN), bound, ssl_context=server_tls))
        yield Caller(bound.getsockname()[1], control, vault, client_tls)
        nursery.cancel_scope.cancel()
    vault.close()
