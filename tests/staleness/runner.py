"""Plays: players at every edge at once, and the faults beside them, until so many actions have been done."""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

import attrs

from tests.staleness.knowledge import Knowledge
from tests.staleness.player import Ask, Player, Shared, versions_of

PROGRESS_S: Final = 5.0
PREPARED_S: Final = 0.5


class Ground(Protocol):
    """Where it is played."""

    ends: list[str]
    """How to connect, by edge."""

    @property
    def crossings_s(self) -> list[float]:
        """What a crossing takes, by edge."""

    def end_prepared(self) -> None:
        """Roll back what lost clients have prepared."""

    def complaints(self) -> list[str]:
        """What is wrong with the nodes themselves."""

    def faults(self, shared: Shared, chance: random.Random) -> Coroutine[Any, Any, None]:
        """Breaks things and mends them, until cancelled."""


@attrs.frozen
class Plan:
    """How much to play."""

    actions: int = 5000
    players: int = 4
    """At each edge."""
    watchers: int = 2
    """At each edge, beside the players."""
    seed: int = 1
    faults: bool = True


@attrs.frozen
class Report:
    """What came of it."""

    counts: dict[str, int]
    outcomes: dict[str, int]
    watched: int
    """Reads of watchers, beside the actions."""
    quick_reads: int
    oldest_s: dict[str, float]
    violations: list[str]
    seconds: float


async def play(
    ground: Ground, plan: Plan, say: Callable[[str], object] = lambda _: None, ask: Ask = versions_of
) -> Report:
    """Play, and say how it goes."""
    chance = random.Random(plan.seed)
    shared = Shared(Knowledge(ground.crossings_s), ground.ends, chance, ask)
    shared.look_elsewhere()
    begun = time.monotonic()
    budget = iter(range(plan.actions))
    players = [
        Player(shared, edge, f"{plan.seed}-{edge}-{number}")
        for edge in range(len(ground.ends))
        for number in range(plan.players)
    ]
    beside: list[Coroutine[Any, Any, None]] = [_end_prepared(ground), _watch(shared, plan, say)]
    beside += [
        Player(shared, edge, f"watcher-{plan.seed}-{edge}-{number}").watch()
        for edge in range(len(ground.ends))
        for number in range(plan.watchers)
    ]
    if plan.faults:
        beside.append(ground.faults(shared, random.Random(f"faults-{plan.seed}")))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in beside]
        await asyncio.wait([group.create_task(player.play(budget)) for player in players])
        for task in tasks:
            task.cancel()
    knowledge = shared.knowledge
    knowledge.violations += ground.complaints()
    return Report(
        dict(shared.counts), dict(shared.outcomes), shared.watched, shared.quick, knowledge.oldest_s,
        knowledge.violations, time.monotonic() - begun,
    )  # fmt: skip


async def _end_prepared(ground: Ground) -> None:
    while True:
        await asyncio.sleep(PREPARED_S)
        await asyncio.to_thread(ground.end_prepared)


async def _watch(shared: Shared, plan: Plan, say: Callable[[str], object]) -> None:
    while True:
        await asyncio.sleep(PROGRESS_S)
        done = sum(count for name, count in shared.counts.items() if not name.startswith("fault"))
        outcomes = ", ".join(f"{count} {what}" for what, count in sorted(shared.outcomes.items()))
        say(f"{done} of {plan.actions} actions; {outcomes}; {len(shared.knowledge.violations)} violations")
