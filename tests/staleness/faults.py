"""What goes wrong while it is played: links that are cut or fall silent, nodes that are killed."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

import attrs

from tests.staleness.nodes import EdgeNode, PoolNode
from tests.staleness.player import Shared
from tests.staleness.relay import Relay

MIN_PAUSE_S: Final = 0.5
MAX_PAUSE_S: Final = 2.0
# Short of what makes a node give its link up, and longer.
MAX_SILENCE_S: Final = 5.0
MAX_CUT_S: Final = 1.5


@attrs.define
class Faults:
    """Deals them out, each kind as often as another."""

    edges: list[EdgeNode]
    pools: list[PoolNode]
    shared: Shared
    chance: random.Random

    @property
    def relays(self) -> list[Relay]:
        return [relay for edge in self.edges for relay in edge.relays]

    async def go_on(self) -> None:
        """Until cancelled. What has been broken is mended then."""
        kinds: list[Callable[[], Awaitable[None]]] = [
            self.cut_a_link, self.silence_a_link, self.silence_one_direction, self.silence_an_edge, self.kill_an_edge,
            self.kill_a_pool_node,
        ]  # fmt: skip
        try:
            while True:
                self.chance.shuffle(kinds)
                for kind in kinds:
                    await asyncio.sleep(self.chance.uniform(MIN_PAUSE_S, MAX_PAUSE_S))
                    await self._happen(kind)
        finally:
            for relay in self.relays:
                relay.mend()
                relay.speak()

    async def _happen(self, kind: Callable[[], Awaitable[None]]) -> None:
        self.shared.counts[f"fault: {kind.__name__.replace('_', ' ')}"] += 1
        fault = self.shared.knowledge.begin_fault(time.monotonic())
        try:
            await kind()
        finally:
            fault[1] = time.monotonic()

    async def cut_a_link(self) -> None:
        relay = self.chance.choice(self.relays)
        relay.cut()
        await asyncio.sleep(self.chance.uniform(0.0, MAX_CUT_S))
        relay.mend()

    async def silence_a_link(self) -> None:
        await self._silence(to_edge=True, to_pool=True)

    async def silence_one_direction(self) -> None:
        to_edge = self.chance.random() < 0.7
        await self._silence(to_edge=to_edge, to_pool=not to_edge)

    async def _silence(self, *, to_edge: bool, to_pool: bool) -> None:
        relay = self.chance.choice(self.relays)
        relay.silence(to_edge=to_edge, to_pool=to_pool)
        await asyncio.sleep(self.chance.uniform(0.2, MAX_SILENCE_S))
        relay.speak()

    async def silence_an_edge(self) -> None:
        """Nothing comes to it from anywhere, so it can only tell by its clock."""
        edge = self.chance.choice(self.edges)
        for relay in edge.relays:
            relay.silence(to_edge=True, to_pool=False)
        await asyncio.sleep(self.chance.uniform(0.2, MAX_SILENCE_S))
        for relay in edge.relays:
            relay.speak()

    async def kill_an_edge(self) -> None:
        await self._kill(self.chance.choice(self.edges))

    async def kill_a_pool_node(self) -> None:
        await self._kill(self.chance.choice(self.pools))

    async def _kill(self, node: EdgeNode | PoolNode) -> None:
        node.kill()
        await asyncio.sleep(self.chance.uniform(0.0, MAX_CUT_S))
        node.start()
        await node.ready()
