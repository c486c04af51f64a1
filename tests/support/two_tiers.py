"""Both tiers in the test's own process: a real `Edge` and the real inside of a pool node, and every message between.

`PoolSide` (see `beside`) is the pool node, in front of a real PostgreSQL. The link's two `LinkStream`s stand face to
face over queues, and each message that passes is written down by what it carries: a crossing is counted, not timed.
Clients are drivers on loopback (`listen`) or bytes of the test's own (`Wire` in hand).
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, Protocol, TypeVar

import msgspec
import trio
from grpc import aio

from edge.listener import Listener, open_listeners
from edge.node import Edge
from edge.options import EdgeOptions
from protos.link.link_pb2 import Batch
from protos.link.mux import UPKEEP
from protos.pg.framer import BACKEND_LIMITS, Framer
from protos.pg.login import LoggedIn, Send
from protos.pg.messages import query, ready_for_query
from protos.pg.parsers import data_row_of
from regional.configuration import Caching
from regional.server import EdgeLink
from tests.support.beside import PoolSide, configuration_for, until
from tests.support.cluster import Origin
from tests.support.stage import PASSWORD, USER, VERIFIER, make_login
from tests.support.target import Target

T = TypeVar("T")

TO_POOL: Final = "to the pool node"
TO_EDGE: Final = "to the edge"
#: A request and its answer, the session's channel open already.
ONE: Final = [(TO_POOL, frozenset({"data"})), (TO_EDGE, frozenset({"data"}))]
#: The first one of a session: its channel travels with it.
FIRST: Final = [(TO_POOL, frozenset({"open", "data"})), (TO_EDGE, frozenset({"data"}))]
READY: Final = ready_for_query(ord("I"))


class Wire:
    """One end of the link: what a grpc.aio stream is to a LinkStream."""

    def __init__(self, tiers: "TwoTiers", direction: str) -> None:
        self.incoming: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.peer = self
        self._tiers = tiers
        self._direction = direction

    async def read(self) -> bytes | object:
        message = await self.incoming.get()
        return aio.EOF if message is None else message

    async def write(self, message: bytes, /) -> None:
        tiers = self._tiers
        tiers.note(self._direction, message)
        await tiers.passes.wait()
        if tiers.split_bytes and self._direction == TO_POOL:
            message, rest = split(message, tiers.split_bytes)
            self.peer.incoming.put_nowait(message)
            await tiers.rest_passes.wait()
            message = rest
        self.peer.incoming.put_nowait(message)


def split(message: bytes, size: int) -> tuple[bytes, bytes]:
    """The same in two messages: a sender may cut a session's bytes wherever it likes."""
    first, rest = Batch.FromString(message), Batch()
    for frame in first.frames:
        if len(frame.data) > size:
            rest.frames.add(channel=frame.channel, data=frame.data[size:])
            frame.data = frame.data[:size]
    return first.SerializeToString(), rest.SerializeToString()


class TwoTiers:
    """An edge, linked to the pool node."""

    def __init__(self, side: PoolSide) -> None:
        self.side = side
        self.edge = Edge(EdgeOptions(pools=(("pool", 1),)), side.pump, "127.0.0.1:6432", 1000)
        (self.uplink,) = self.edge.uplinks
        self.passes = asyncio.Event()
        """Cleared, messages get stuck on their way."""
        self.passes.set()
        self.split_bytes = 0
        """Cuts each chunk on its way to the pool node after so many bytes; the rest goes when `rest_passes`."""
        self.rest_passes = asyncio.Event()
        self.crossed: list[tuple[str, frozenset[str]]] = []
        """Each message that was more than upkeep: its direction, and the kinds of its frames."""
        self.port = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._listeners: list[Listener] = []
        self.drivers: list[Driver] = []
        self._link: EdgeLink | None = None

    # --- the link ---

    async def link(self) -> None:
        """Make a link, and wait until it is up."""
        there, here = Wire(self, TO_POOL), Wire(self, TO_EDGE)
        there.peer, here.peer = here, there
        link = self._link = EdgeLink(self.side.tenants, "pool-test", "test")
        self.side.tenants.push = link.push
        self.side.tenant.knowledge.tell = link.push
        self._tasks = [
            asyncio.ensure_future(self.uplink.begin().run(there)),
            asyncio.ensure_future(link.stream.run(here)),
        ]
        await until(lambda: self.uplink.is_up)

    def cut(self) -> None:
        """The link breaks, and both ends notice."""
        for task in self._tasks:
            task.cancel()
        self.uplink.lost()
        if self._link is not None:
            self._link.lost()

    def note(self, direction: str, message: bytes) -> None:
        kinds = {frame.WhichOneof("control") or "data" for frame in Batch.FromString(message).frames} - UPKEEP
        if direction == TO_POOL:
            kinds.discard("close")  # a client has left, and waits for nothing
        if kinds:
            self.crossed.append((direction, frozenset(kinds)))

    @property
    def counts(self) -> tuple[int, int]:
        """How many messages with session frames the edge has sent and received on this link."""
        assert self.uplink.stream is not None
        mux = self.uplink.stream.mux
        return mux.data_batches_out, mux.data_batches_in

    async def crossings(self, work: Callable[[], Awaitable[T]]) -> tuple[T, list[tuple[str, frozenset[str]]]]:
        """What work gives, and the messages that crossed for it."""
        self.crossed.clear()
        result = await work()
        return result, list(self.crossed)

    # --- clients ---

    def listen(self) -> Target:
        """Listen for drivers on loopback."""
        (sock,) = open_listeners(("127.0.0.1", 0))
        self._listeners.append(Listener(self.side.pump, sock, self.edge.accepted))
        return Target(port=sock.getsockname()[1], user=USER, password=PASSWORD, database="app")

    async def connect(self, **parameters: str) -> "Driver":
        """A client that has logged in."""
        driver = Driver(self)
        await driver.log_in(parameters)
        return driver

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()
        for driver in self.drivers:
            driver.hang_up()
        self.cut()


class WithEdge(Protocol):
    """What has an edge, and closes the drivers that are connected to it."""

    edge: Edge
    drivers: "list[Driver]"


class Driver:
    """A client that says what the test says."""

    def __init__(self, tiers: WithEdge) -> None:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self.socket = trio.socket.from_stdlib_socket(ours)
        self._framer = Framer(BACKEND_LIMITS, frozenset(BACKEND_LIMITS), max_whole_bytes=1 << 30)
        self._seen: list[bytes] = []
        self.is_closed = False
        tiers.drivers.append(self)
        tiers.edge.accepted(theirs, "192.0.2.1")

    async def log_in(self, parameters: dict[str, str]) -> LoggedIn:
        login = make_login(parameters)
        await self.send(login.start())
        while True:
            for event in login.receive(await self.socket.recv(1 << 16)):
                match event:
                    case Send(data):
                        await self.send(data)
                    case LoggedIn():
                        return event
                    case _:
                        raise AssertionError(event)

    async def send(self, *messages: bytes) -> None:
        data = memoryview(b"".join(messages))
        while data:
            data = data[await self.socket.send(data) :]

    async def until_ready(self, number: int = 1) -> list[bytes]:
        """Messages up to so many ReadyForQuery, or to the end of the connection."""
        while sum(message[:1] == b"Z" for message in self._seen) < number and await self._receive():
            pass
        seen, self._seen = self._seen, []
        return seen

    async def until_closed(self) -> list[bytes]:
        """Everything up to the end of the connection."""
        while await self._receive():
            pass
        seen, self._seen = self._seen, []
        return seen

    async def ask(self, *messages: bytes, number: int = 1) -> list[bytes]:
        await self.send(*messages)
        return await self.until_ready(number)

    async def _receive(self) -> bool:
        try:
            data = await self.socket.recv(1 << 20)
        except OSError:
            data = b""
        self._seen += [piece.data for piece in self._framer.feed(data)]
        self.is_closed = not data
        return bool(data)

    def hang_up(self) -> None:
        self.socket.close()


@asynccontextmanager
async def two_tiers(side: PoolSide, origin: Origin, **changes: Any) -> AsyncIterator[TwoTiers]:
    """An edge linked to this pool node, whose one configuration is for origin; it caches if that is asked for."""
    made = configuration_for(origin, **({"caching": Caching(disabled=True)} | changes))
    side.put(msgspec.structs.replace(made, user=USER, verifier=VERIFIER))
    tiers = TwoTiers(side)
    await tiers.link()
    try:
        yield tiers
    finally:
        tiers.close()


async def in_thread(function: Callable[[], T]) -> T:
    """Run what a blocking driver does, while the nodes go on."""
    return await trio.to_thread.run_sync(partial(function))


async def warm(tiers: TwoTiers) -> None:
    """Let the pool node open a connection and learn what it needs; that is local, but not what is counted here."""
    driver = await tiers.connect()
    await driver.ask(query(b"select 1"))
    driver.hang_up()
    tiers.side.tick()
    await until(lambda: tiers.side.tenant.knowledge.judge.catalog is not None)
    await tiers.side.quiet()


def tags(messages: list[bytes]) -> str:
    return "".join(chr(message[0]) for message in messages)


def rows(messages: list[bytes]) -> list[list[bytes | None]]:
    return [data_row_of(message) for message in messages if message[:1] == b"D"]
