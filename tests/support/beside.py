"""The inside of a pool node, and an edge's end of its link, in the test's own process: no gRPC, no client connections.

`@beside` turns a coroutine function into a test that runs under trio as a guest of asyncio, as the nodes do, with a
`PoolSide` as its first argument: real tenants that dial a real (or a scripted) PostgreSQL. `PoolSide.edge()` links an
edge: two real `LinkStream`s face to face over queues. `Edge.client()` is a session as an edge keeps it, so what a
driver sends goes in, with its own names of statements, and what a driver would read comes out.

Nothing happens by itself as time goes by: `PoolSide.tick` is the node's janitor, and may pretend that it is later.
"""

import asyncio
import functools
import inspect
import os
import signal
import time
from collections.abc import Awaitable, Callable
from functools import partial
from hashlib import blake2b
from typing import Any, Concatenate, Final, ParamSpec

import attrs
import trio

from edge.meaning import Statement
from edge.memos import Settings
from edge.session import Session
from protos.link.credit import Budget
from protos.link.dictionary import DictionarySender
from protos.link.lane import Lane
from protos.link.link_pb2 import (
    Ask,
    Begin,
    Cancel,
    Close,
    Frame,
    Hello,
    Open,
    Reason,
    Resolve,
    Resolved,
    Setting,
    State,
)
from protos.link.link_pb2 import Statement as StatementFrame
from protos.link.version import PROTOCOL_VERSION
from protos.pg.framer import BACKEND_LIMITS, Framer
from protos.pg.parsers import data_row_of, error_fields
from protos.pg.tags import Backend, TransactionStatus
from protos.runtime import guest
from protos.runtime.connection import Connection
from protos.runtime.link_stream import LinkStream
from protos.runtime.pump import Pump
from regional.configuration import Configuration, OriginSecret, SslMode, TargetSessionAttrs
from regional.configuration import Origin as Where
from regional.dial import Dialer
from regional.server import EdgeLink
from regional.tenant import Tenant
from regional.tenants import Tenants
from tests.regional.samples import configuration as sample
from tests.support.activity import wait_until_active
from tests.support.cluster import PASSWORD, Origin
from tests.support.forwarding import Forwarder
from tests.support.scripted import Scripted

TIMEOUT_S: Final = 25.0
NAME: Final = "app"

P = ParamSpec("P")


async def until(what: Callable[[], object], *, timeout_s: float = TIMEOUT_S) -> None:
    """Wait until WHAT is true; it is asked again and again, since callbacks of the host know no trio event."""
    deadline = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < deadline, inspect.getsource(what).strip()
        await trio.sleep(0.001)


async def active(origin: Origin, text: str, *, active: bool = True) -> None:
    """Wait until a statement that holds TEXT runs at the origin, or no longer runs."""
    await trio.to_thread.run_sync(partial(wait_until_active, origin, text, active=active))


async def turns(number: int = 20) -> None:
    """Let the host's loop turn, so that whatever is on its way without the network has arrived."""
    for _ in range(number):
        await guest.call_host(asyncio.sleep(0))


@attrs.frozen
class Message:
    """One message that a client got."""

    tag: int
    data: bytes

    @property
    def values(self) -> list[bytes | None]:
        return data_row_of(self.data)

    @property
    def fields(self) -> dict[str, str]:
        return error_fields(self.data)


@attrs.define
class Answer:
    """What a client got."""

    messages: list[Message]

    @property
    def tags(self) -> str:
        """The types of the messages, in order; many rows in a row count as one."""
        letters = "".join(chr(message.tag) for message in self.messages)
        while "DD" in letters:
            letters = letters.replace("DD", "D")
        return letters

    @property
    def rows(self) -> list[list[bytes | None]]:
        return [message.values for message in self.messages if message.tag == Backend.DATA_ROW]

    @property
    def value(self) -> bytes | None:
        """The one value of the one row."""
        ((value,),) = self.rows
        return value

    @property
    def errors(self) -> list[dict[str, str]]:
        return [message.fields for message in self.messages if message.tag == Backend.ERROR_RESPONSE]

    @property
    def error(self) -> dict[str, str]:
        """The fields of the one error."""
        (error,) = self.errors
        return error

    @property
    def code(self) -> str:
        return self.error["C"]

    @property
    def notices(self) -> list[str]:
        return [message.fields["M"] for message in self.messages if message.tag == Backend.NOTICE_RESPONSE]


class Client:
    """A session. `Session` is the edge's own core; what an edge does around it is done here in a few lines."""

    def __init__(self, edge: "Edge", settings: dict[str, str]) -> None:
        self.edge = edge
        self.session = Session(Settings((), repr(sorted(settings.items())).encode()[:64], b""))
        self.settings = settings
        self.process_id = int.from_bytes(os.urandom(3), "big")
        self.secret = os.urandom(4)
        self.present: list[Setting] = []
        self.channel = 0
        self.reads = True
        """Whether it takes what comes; otherwise the pool node gets no credit back."""
        self.received_bytes = 0
        self.keeps = True
        """Whether what comes is kept; a big result is not."""
        self.closed: Close | None = None
        self.refusals = 0
        self.on_settled: Callable[[], object] = lambda: None
        """Called at each ReadyForQuery, at once."""
        self.settled = 0
        self._unread = b""
        self._seen: list[Message] = []
        self._owed_credit = 0
        self._framer = Framer(BACKEND_LIMITS, frozenset(BACKEND_LIMITS), max_whole_bytes=1 << 30)

    # --- what a driver does ---

    def send(self, *messages: bytes) -> None:
        request = self.session.feed(b"".join(messages))
        needed, asides = self.session.statements.asides.take_needed(), self.session.statements.asides.take_frames()
        if request:
            if not self.channel:
                self.edge.open(self)
            self.edge.send(self, request, needed, asides)
        self._take(self.session.here.to_client)
        self.session.here.to_client = b""
        if self.session.terminated:
            self.leave(Reason.TERMINATED)

    async def ask(self, *messages: bytes) -> Answer:
        """Send, and wait until everything is answered."""
        self.send(*messages)
        return await self.answer()

    async def answer(self) -> Answer:
        """What comes until nothing is owed, or the session is over."""
        await until(lambda: self.is_over or not self.session.owed)
        return self.take()

    async def ended(self) -> Answer:
        """What comes until the pool node ends the session."""
        await until(lambda: self.is_over)
        return self.take()

    async def more(self, tag: str) -> Answer:
        """What comes up to a message of this type, with what else has come then."""
        await until(lambda: ord(tag) in [message.tag for message in self._peek()])
        return self.take()

    def take(self) -> Answer:
        """What has come."""
        messages, self._seen = self._peek(), []
        return Answer(messages)

    def _peek(self) -> list[Message]:
        data, self._unread = self._unread, b""
        self._seen += [Message(piece.tag, piece.data) for piece in self._framer.feed(data)]
        return self._seen

    def leave(self, reason: Reason = Reason.LOST) -> None:
        """The edge says that the client is gone: by default without a Terminate."""
        self.edge.close(self, reason)

    def cancel(self) -> None:
        self.edge.stream.mux.send_control(Frame(cancel=Cancel(process_id=self.process_id, secret_key=self.secret)))

    # --- what the edge hears ---

    @property
    def is_over(self) -> bool:
        return self.closed is not None

    @property
    def is_inside_message(self) -> bool:
        self._peek()
        return not self._framer.is_at_boundary

    @property
    def status(self) -> int:
        return self.session.status

    @property
    def is_in_transaction(self) -> bool:
        return self.session.status != TransactionStatus.IDLE

    def on_frame(self, frame: Frame) -> None:
        if frame.HasField("close"):
            self.channel = 0
            if frame.close.reason == Reason.REFUSED:
                self.refusals += 1
                self._take(self.session.refuse(frame.close.error))
            else:
                self.closed = frame.close
                self._take(frame.close.error)
            return
        self.received_bytes += len(frame.data)
        self._take(frame.data)
        self._owed_credit += len(frame.data)
        self.read()
        if frame.settled:
            self.settled += frame.settled
            self.session.answered(frame.settled, frame.status)
            self.on_settled()

    def read(self) -> None:
        """Hand on what has come, if this client takes it."""
        if self.reads and self._owed_credit and self.channel:
            self.edge.consumed(self, self._owed_credit)
            self._owed_credit = 0

    def _take(self, data: bytes) -> None:
        if self.keeps:
            self._unread += data


class Edge:
    """An edge's end of a link, and the pool node's."""

    def __init__(self, tenants: Tenants) -> None:
        self.tenants = tenants
        self.stream = LinkStream(budget=Budget(64 << 20), on_frame=self._on_frame)
        self.link = EdgeLink(tenants, "pool-test", "test")
        self.clients: dict[int, Client] = {}
        self.frames: list[Frame] = []
        """Control frames of the link that this end got."""
        self.heard: list[Frame] = []
        """All frames, in order."""
        self._dictionary = DictionarySender()
        self._lanes: dict[int, Lane] = {}
        to_pool, to_edge = asyncio.Queue[bytes](), asyncio.Queue[bytes]()
        self._tasks = [
            asyncio.ensure_future(self.stream.run(_Wire(to_edge, to_pool))),
            asyncio.ensure_future(self.link.stream.run(_Wire(to_pool, to_edge))),
        ]
        hello = Hello(version=PROTOCOL_VERSION, node="edge-test", release="test", address="192.0.2.1:6432")
        self.stream.mux.send_control(Frame(hello=hello))

    def client(self, **settings: str) -> Client:
        """A session; SETTINGS are its startup parameters."""
        return Client(self, settings)

    def cut(self) -> None:
        """The link breaks."""
        for task in self._tasks:
            task.cancel()
        self.link.lost()

    async def resolve(self, name: str = NAME, **settings: str) -> Resolved:
        number = len(self.frames) + 1_000
        question = Resolve(id=number, configuration=name, settings=_wire(settings))
        self.stream.mux.send_control(Frame(resolve=question))

        def answers() -> list[Resolved]:
            return [f.resolved for f in self.frames if f.HasField("resolved") and f.resolved.id == number]

        await until(answers)
        return answers()[0]

    def open(self, client: Client) -> None:
        client.channel = len(self._lanes) + 1
        self.clients[client.channel] = client
        tenant = self.tenants.get(NAME)
        version = tenant.configuration.credentials_version if tenant is not None else 1
        opening = Open(
            configuration=NAME, credentials_version=version, settings=_wire(client.settings),
            process_id=client.process_id, secret_key=client.secret, present=client.present,
        )  # fmt: skip
        self._lanes[client.channel] = self.stream.mux.open_lane(client.channel, opening)

    def send(self, client: Client, request: bytes, needed: list[Statement], asides: list[Frame]) -> None:
        """As `Client` and `Uplink` do it."""
        mux, lane = self.stream.mux, self._lanes[client.channel]
        for aside in asides:
            aside.channel = lane.id
            mux.send_in_order(lane, aside)
        prompt = mux.is_prompt(lane, len(request))
        for statement in needed:
            slot, text = 0, statement.parse
            if prompt:
                slot, text = self._dictionary.slot_for(statement.name, statement.parse)
            mux.send_in_order(lane, Frame(channel=lane.id, statement=StatementFrame(slot=slot, parse=text)))
        mux.send(lane, request, last=not client.session.has_unsynced)

    def begin(self, client: Client, begin: Begin) -> None:
        """The client's next request is in a transaction that began at the edge."""
        if not client.channel:
            self.open(client)
        self.stream.mux.send_in_order(self._lanes[client.channel], Frame(channel=client.channel, begin=begin))

    def ask(self, client: Client) -> None:
        """May the answer to the client's next request be kept?"""
        if not client.channel:
            self.open(client)
        self.stream.mux.send_in_order(self._lanes[client.channel], Frame(channel=client.channel, ask=Ask()))

    def consumed(self, client: Client, size: int) -> None:
        self.stream.mux.consumed(self._lanes[client.channel], size, time.monotonic())

    def close(self, client: Client, reason: Reason) -> None:
        if self.clients.pop(client.channel, None) is not None:
            self.stream.mux.close_lane(self._lanes[client.channel], Close(reason=reason))
        client.channel = 0

    def _on_frame(self, frame: Frame) -> None:
        self.heard.append(frame)
        client = self.clients.get(frame.channel)
        if not frame.channel:
            self.frames.append(frame)
        elif client is not None:
            if frame.HasField("state"):
                client.present = list(frame.state.settings)
                raw = repr([(one.name, one.value) for one in client.present]).encode()
                scope = blake2b(raw, digest_size=16).digest()
                client.session.state_known(Settings(client.present, scope, scope), is_pinned=frame.state.pinned)
                self.stream.mux.send_in_order(self._lanes[frame.channel], Frame(channel=frame.channel, state=State()))
                return
            if frame.HasField("failed"):
                client.session.statements.failed(frame.failed)
                return
            if frame.HasField("worded"):
                client._take(client.session.statements.asides.worded(frame.worded))
                return
            if frame.HasField("close"):
                del self.clients[frame.channel]
                self.stream.mux.forget_lane(frame.channel)
            client.on_frame(frame)


class _Wire:
    """What a grpc.aio stream is to a LinkStream."""

    def __init__(self, incoming: "asyncio.Queue[bytes]", outgoing: "asyncio.Queue[bytes]") -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    async def read(self) -> bytes:
        return await self._incoming.get()

    async def write(self, message: bytes, /) -> None:
        await self._outgoing.put(message)


class PoolSide:
    """A pool node without its server: one configuration, NAME."""

    def __init__(self, pump: Pump, nursery: trio.Nursery) -> None:
        self.pump = pump
        self.nursery = nursery
        self.tenants = Tenants(Dialer(pump), nursery, b"mock")
        self.edges: list[Edge] = []
        self._forwarders: list[Forwarder | Scripted] = []
        self.tenants.push = self._push

    def _push(self, frame: Frame) -> None:
        for edge in self.edges:
            edge.link.push(frame)

    @property
    def tenant(self) -> Tenant:
        tenant = self.tenants.get(NAME)
        assert tenant is not None
        return tenant

    def put(self, configuration: Configuration, password: str = PASSWORD) -> Tenant:
        self.tenants.put(configuration, OriginSecret(password=password))
        return self.tenant

    def edge(self) -> Edge:
        edge = Edge(self.tenants)
        self.edges.append(edge)
        return edge

    def serve(self, origin: Origin, **changes: Any) -> Edge:
        """Put a configuration for ORIGIN, and link an edge."""
        self.put(configuration_for(origin, **changes))
        return self.edge()

    def tick(self, later_s: float = 0.0) -> None:
        self.tenants.tick(time.monotonic() + later_s)

    async def quiet(self) -> None:
        """Wait until what was sent has arrived and come to its end: all is idle, what was read is known."""
        await turns()
        await until(lambda: not self.tenant.is_busy and not self.tenant.pool.resetting and not self.tenant.pool.dialing)
        await until(lambda: not self.tenant.knowledge._is_loading)

    async def settled(self) -> None:
        """Wait until nothing is being opened."""
        await until(lambda: not self.tenant.pool.dialing)
        await turns()

    async def known(self) -> None:
        """Wait until the origin's catalogue is known, so that plain statements are proven clean."""
        if self.tenant.knowledge.judge.catalog is None:
            await self.edges[0].resolve()
            await self.quiet()  # it is read on an idle connection
            self.tick()
            await until(lambda: self.tenant.knowledge.judge.catalog is not None)
        await self.quiet()

    async def cached(self) -> None:
        """Wait until answers may be kept, too."""
        await self.known()
        await until(lambda: self.tenant.publishing.in_doubt is not None)
        await self.quiet()

    async def alone(self) -> None:
        """Wait until everything is known and idle, and leave one connection, the one used last."""
        await self.known()
        for origin in self.tenant.pool.idle[:-1]:
            self.tenant.discard(origin, "the test wants one")
        assert self.tenant.pool.size == 1

    async def forwarder(self, origin: Origin) -> Forwarder:
        """A forwarder in front of ORIGIN, for `serve(port=...)`."""
        forwarder = Forwarder(origin)
        await forwarder.start()
        self._forwarders.append(forwarder)
        return forwarder

    async def scripted(self) -> Scripted:
        """An origin that is none, for `serve(port=...)`."""
        scripted = Scripted()
        await scripted.start()
        self._forwarders.append(scripted)
        return scripted

    def end(self) -> None:
        """End everything. What a test leaves running is none of its business any more."""
        for edge in self.edges:
            edge.cut()
        self.tenants.close()

    async def close(self) -> None:
        """Close what is open, when no task is left that may open more."""
        for forwarder in self._forwarders:
            forwarder.stop()
        for connection in list(self.pump._pumped.values()):
            assert isinstance(connection, Connection)
            connection.close()
        await turns()
        self.pump.close()


def configuration_for(
    origin: Origin, *, port: int = 0, user: str = "by_scram", sslmode: SslMode = "disable", **changes: Any
) -> Configuration:
    """The configuration of ORIGIN, at its own port or that of a forwarder before it."""
    # An older server does not say that it is no standby, so nothing would be kept.
    wanted: TargetSessionAttrs = "primary" if origin.major < 14 and not port else "any"
    where = Where(
        host=origin.host, port=port or origin.port, database=origin.database, user=user, sslmode=sslmode,
        target_session_attrs=wanted,
    )  # fmt: skip
    return sample(NAME, origin=where, **changes)


def _wire(settings: dict[str, str]) -> list[Setting]:
    return [
        Setting(name=name.encode(), value=value.encode("utf-8", "surrogateescape")) for name, value in settings.items()
    ]


def beside(test: Callable[Concatenate[PoolSide, P], Awaitable[None]]) -> Callable[P, None]:
    """Run TEST as a node runs, with a PoolSide as its first argument; the others are its fixtures."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def main() -> None:
            pump = Pump()
            failure: BaseException | None = None
            async with trio.open_nursery() as nursery:
                side = PoolSide(pump, nursery)
                try:
                    with trio.fail_after(2 * TIMEOUT_S):
                        await test(side, *args, **kwargs)
                except BaseException as error:  # noqa: BLE001 - raised outside of the nursery, so not in a group
                    failure = error
                side.end()
                nursery.cancel_scope.cancel()
            await side.close()
            if failure is not None:
                raise failure

        before = signal.getsignal(signal.SIGINT)
        try:
            guest.run(main)
        finally:
            signal.signal(signal.SIGINT, before)

    signature = inspect.signature(test)
    parameters = list(signature.parameters.values())[1:]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    del run.__wrapped__  # it would be taken for a coroutine function
    return run
