"""What goes wrong while it is played: links that are cut or fall silent, nodes that are killed."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import attrs

from tests.staleness.moves import Fault
from tests.staleness.nodes import EdgeNode, PoolNode
from tests.staleness.player import Shared
from tests.staleness.relay import Relay

MAX_GONE_S: Final = 1.5


@attrs.define
class Faults:
    """Has them happen, one after the other."""

    edges: list[EdgeNode]
    pools: list[PoolNode]
    shared: Shared
    bury: Callable[[], Awaitable[None]]
    """A pool node is dead, and not missed any longer."""

    @property
    def relays(self) -> list[Relay]:
        return [relay for edge in self.edges for relay in edge.relays]

    async def happen(self, faults: Iterable[Fault]) -> None:
        """All of them, or until cancelled. What has been broken is mended then."""
        try:
            for fault in faults:
                await asyncio.sleep(fault.after_s)
                await self._happen(fault)
        finally:
            for relay in self.relays:
                relay.mend()
                relay.speak()

    async def _happen(self, fault: Fault) -> None:
        self.shared.counts[f"fault: {fault.kind.replace('_', ' ')}"] += 1
        span = self.shared.knowledge.begin_fault(time.monotonic())
        try:
            await getattr(self, fault.kind)(fault)
        finally:
            span[1] = time.monotonic()

    def _relay(self, fault: Fault) -> Relay:
        return self.relays[fault.which % len(self.relays)]

    async def cut_a_link(self, fault: Fault) -> None:
        relay = self._relay(fault)
        relay.cut()
        await asyncio.sleep(fault.lasts_s)
        relay.mend()

    async def silence_a_link(self, fault: Fault) -> None:
        await self._silence([self._relay(fault)], fault, to_edge=True, to_pool=True)

    async def silence_one_direction(self, fault: Fault) -> None:
        to_edge = fault.which // len(self.relays) % 2 == 0
        await self._silence([self._relay(fault)], fault, to_edge=to_edge, to_pool=not to_edge)

    async def silence_an_edge(self, fault: Fault) -> None:
        """Nothing comes to it from anywhere, so it can only tell by its clock."""
        await self._silence(self.edges[fault.which % len(self.edges)].relays, fault, to_edge=True, to_pool=False)

    async def _silence(self, relays: list[Relay], fault: Fault, *, to_edge: bool, to_pool: bool) -> None:
        for relay in relays:
            relay.silence(to_edge=to_edge, to_pool=to_pool)
        await asyncio.sleep(fault.lasts_s)
        for relay in relays:
            relay.speak()

    async def kill_an_edge(self, fault: Fault) -> None:
        """Its clients do not wait long: not as long as a link may be silent."""
        edge = self.edges[fault.which % len(self.edges)]
        edge.kill()
        try:
            await asyncio.sleep(min(fault.lasts_s, MAX_GONE_S))
        finally:
            edge.start()
        await edge.ready()

    async def kill_a_pool_node(self, fault: Fault) -> None:
        """When the others serve. It is back some time later: a node that joins others waits."""
        pool = self.pools[fault.which % len(self.pools)]
        for other in self.pools:
            await other.ready()
        pool.kill()
        try:
            await self.bury()
        finally:
            pool.start()
