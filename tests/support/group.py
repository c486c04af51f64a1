"""A real edge that is linked to the insides of two pool nodes, in the test's own process, in front of one PostgreSQL.

Each pool node has an edge of the test's own besides (`PoolSide.edge`), which is linked to that one only and passes
nothing on.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from edge.cache.answers import Answers
from edge.node import Edge
from edge.options import EdgeOptions
from edge.uplink import Uplink
from protos.link.link_pb2 import Frame
from protos.link.link_pb2 import Group as Members
from protos.runtime.clock import seconds
from regional.server import EdgeLink
from tests.support.beside import NAME, PoolSide, configuration_for, until
from tests.support.cluster import Origin
from tests.support.stage import USER, VERIFIER
from tests.support.two_tiers import Driver

NODES: Final = ("pool-1", "pool-2")


class Held:
    """One direction of a link: what a grpc.aio stream is to a LinkStream. Messages wait while `passes` is not set."""

    def __init__(self, incoming: "asyncio.Queue[bytes]", outgoing: "asyncio.Queue[bytes]") -> None:
        self.passes = asyncio.Event()
        self.passes.set()
        self._incoming = incoming
        self._outgoing = outgoing

    async def read(self) -> bytes:
        return await self._incoming.get()

    async def write(self, message: bytes, /) -> None:
        await self.passes.wait()
        self._outgoing.put_nowait(message)


class Link:
    """Between the edge and one of the pool nodes."""

    def __init__(self, node: str, side: PoolSide, uplink: Uplink) -> None:
        self.side = side
        self.uplink = uplink
        self.there = EdgeLink(side.tenants, node, "test")
        self.there.group = Members(nodes=NODES)
        to_pool, to_edge = asyncio.Queue[bytes](), asyncio.Queue[bytes]()
        self.to_pool, self.to_edge = Held(to_edge, to_pool), Held(to_pool, to_edge)
        self._tasks: list[asyncio.Task[None]] = []
        self._push, side.tenants.push = side.tenants.push, self._push_all

    def _push_all(self, frame: Frame) -> None:
        self._push(frame)
        self.there.push(frame)

    def run(self) -> None:
        streams = ((self.uplink.begin(), self.to_pool), (self.there.stream, self.to_edge))
        self._tasks = [asyncio.ensure_future(stream.run(wire)) for stream, wire in streams]

    def ping(self) -> None:
        assert self.uplink.stream is not None
        self.uplink.stream.mux.ping(seconds())

    def cut(self) -> None:
        for task in self._tasks:
            task.cancel()
        self.uplink.lost()
        self.there.lost()


class Group:
    """The edge, and its pool nodes in the order in which it prefers them."""

    def __init__(self, *sides: PoolSide) -> None:
        pools = tuple((node, 1) for node in NODES)
        self.edge = Edge(EdgeOptions(pools=pools), sides[0].pump, "127.0.0.1:6432", 1000)
        self.drivers: list[Driver] = []
        self.links = [Link(*each) for each in zip(NODES, sides, self.edge.uplinks, strict=True)]

    @property
    def answers(self) -> Answers:
        entry = self.edge.directory.get(NAME)
        assert entry is not None
        return entry.answers

    @property
    def is_vouched_for(self) -> bool:
        return seconds() < self.answers.vouched_until

    async def connect(self) -> Driver:
        """A client that has logged in."""
        driver = Driver(self)
        await driver.log_in({})
        return driver

    def close(self) -> None:
        for driver in self.drivers:
            driver.hang_up()
        for link in self.links:
            link.cut()


@asynccontextmanager
async def grouped(side: PoolSide, origin: Origin, **changes: Any) -> AsyncIterator[Group]:
    """Two pool nodes that know their origin, and an edge for which they vouch."""
    sides = side, PoolSide(side.pump, side.nursery)
    group = Group(*sides)
    made = msgspec.structs.replace(configuration_for(origin, **changes), user=USER, verifier=VERIFIER)
    try:
        for link in group.links:
            link.side.put(made)
            link.side.edge()
            link.run()
            await link.side.cached()
        await until(lambda: all(link.uplink.is_up for link in group.links))
        for link in group.links:
            link.ping()
        await until(lambda: group.is_vouched_for)
        yield group
    finally:
        group.close()
        sides[1].end()
