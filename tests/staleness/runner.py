"""Plays: clients at every edge at once, and the faults beside them.

One script is played to its end, and then everything that it has read is read once more, when no bound allows an old
answer any longer. Many scripts are played as one long game: whoever is free makes the next move, and nobody waits.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Iterator
from itertools import cycle, islice
from typing import Any, Final, Protocol

import attrs

from bench.asker import connect
from tests.staleness.knowledge import LEASE_S, Knowledge
from tests.staleness.moves import Fault, Move, Rest, Script
from tests.staleness.player import Ask, Player, Shared, versions_of
from tests.staleness.subjects import Read, Subject
from tests.support.cluster import Origin

PROGRESS_S: Final = 5.0
PREPARED_S: Final = 0.5
# For what is under way when a script has ended.
MARGIN_S: Final = 0.1


class Ground(Protocol):
    """Where it is played."""

    doors: list[tuple[str, ...]]
    """How to connect, by edge: one way for each configuration."""

    @property
    def origin(self) -> Origin:
        """PostgreSQL itself."""

    @property
    def straight(self) -> str:
        """How to connect to it."""

    @property
    def crossings_s(self) -> list[float]:
        """What a crossing takes, by edge."""

    def end_prepared(self) -> None:
        """Roll back what lost clients have prepared."""

    def complaints(self) -> list[str]:
        """What is wrong with the nodes themselves."""

    def faults(self, shared: Shared, faults: Iterable[Fault]) -> Coroutine[Any, Any, None]:
        """Breaks things and mends them."""


@attrs.frozen
class Plan:
    """How a long game is played."""

    actions: int
    """Moves, and no more."""
    players: int = 4
    """At each edge."""
    watchers: int = 2
    """At each edge, beside the players."""
    faults: bool = True


@attrs.frozen
class Report:
    """What came of it."""

    counts: dict[str, int]
    outcomes: dict[str, int]
    statuses: dict[str, int]
    watched: int
    """Reads of watchers, beside the moves."""
    quick_reads: int
    oldest_s: dict[str, float]
    violations: list[str]
    seconds: float


class Game:
    """What is known lasts from one script to the next: so does the database."""

    def __init__(self, ground: Ground, ask: Ask = versions_of) -> None:
        self.shared = Shared(Knowledge(ground.crossings_s), ground.doors, ask, ground.origin.major)
        self._ground = ground

    async def play(self, script: Script) -> list[str]:
        """Play one script; what was seen that must not be."""
        shared, knowledge = self.shared, self.shared.knowledge
        before = len(knowledge.violations)
        shared.focus = script.focus
        shared.asked.clear()
        edges = len(shared.doors)
        tracks = [
            Player(shared, number % edges, number // edges).play(track) for number, track in enumerate(script.tracks)
        ]
        watching = [Player(shared, edge, edge).watch() for edge in range(edges)]
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(work) for work in (_end_prepared(self._ground), *watching)]
            played = [group.create_task(track) for track in tracks]
            if script.faults:
                played.append(group.create_task(self._ground.faults(shared, script.faults)))
            await asyncio.wait(played)
            for task in beside:
                task.cancel()
        await asyncio.sleep(MARGIN_S)
        await self._learn({subject for _, _, subject, _ in shared.asked})
        bound = max(knowledge.crossings_s) + knowledge.slack_s + (LEASE_S if script.faults else 0.0)
        await asyncio.sleep(max(0.0, knowledge.last_write + bound + MARGIN_S - time.monotonic()))
        await self._read_all_again()
        return knowledge.violations[before:] + self._ground.complaints()

    async def _learn(self, subjects: set[Subject]) -> None:
        """Ask PostgreSQL what is so by now: some may have vanished before they heard that their write is done."""
        asker = await connect(self._ground.straight)
        for subject in subjects:
            versions = await versions_of(asker, 0, subject.reads[0])
            self.shared.knowledge.learnt(subject.number, max(versions, default=0), time.monotonic())
        asker.close()

    async def _read_all_again(self) -> None:
        by_door: dict[tuple[int, int], list[tuple[Subject, Read]]] = defaultdict(list)
        for edge, door, subject, read in sorted(self.shared.asked, key=str):
            by_door[edge, door].append((subject, read))
        async with asyncio.TaskGroup() as group:
            for (edge, door), pairs in by_door.items():
                group.create_task(Player(self.shared, edge, door).check(pairs))

    async def play_on(
        self, scripts: Iterable[Script], plan: Plan, say: Callable[[str], object] = lambda _: None
    ) -> Report:
        """Play many as one long game, and say how it goes."""
        shared, edges = self.shared, len(self.shared.doors)
        scripts = list(scripts)
        begun = time.monotonic()
        moves = islice(self._dealt(scripts), plan.actions)
        shared.focus = scripts[0].focus
        players = [Player(shared, edge, number) for edge in range(edges) for number in range(plan.players)]
        beside: list[Coroutine[Any, Any, None]] = [_end_prepared(self._ground), _tell(shared, plan, say)]
        beside += [Player(shared, edge, number).watch() for edge in range(edges) for number in range(plan.watchers)]
        faults = [fault for script in scripts for fault in script.faults]
        if plan.faults and faults:
            beside.append(self._ground.faults(shared, cycle(faults)))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in beside]
            await asyncio.wait([group.create_task(player.play(moves)) for player in players])
            for task in tasks:
                task.cancel()
        shared.knowledge.violations += self._ground.complaints()
        return self.report(time.monotonic() - begun)

    def _dealt(self, scripts: Iterable[Script]) -> Iterator[Move]:
        for script in scripts:
            self.shared.focus = script.focus
            for moves in zip(*script.tracks, strict=True):
                yield from (move for move in moves if not isinstance(move, Rest))

    def report(self, seconds: float) -> Report:
        """What came of it so far."""
        shared, knowledge = self.shared, self.shared.knowledge
        return Report(
            dict(shared.counts), dict(shared.outcomes), dict(shared.statuses), shared.watched, shared.quick,
            knowledge.oldest_s, knowledge.violations, seconds,
        )  # fmt: skip


async def _end_prepared(ground: Ground) -> None:
    while True:
        await asyncio.sleep(PREPARED_S)
        await asyncio.to_thread(ground.end_prepared)


async def _tell(shared: Shared, plan: Plan, say: Callable[[str], object]) -> None:
    while True:
        await asyncio.sleep(PROGRESS_S)
        done = sum(count for name, count in shared.counts.items() if not name.startswith("fault"))
        outcomes = ", ".join(f"{count} {what}" for what, count in sorted(shared.outcomes.items()))
        say(f"{done} of {plan.actions} actions; {outcomes}; {len(shared.knowledge.violations)} violations")
