"""The leak test's runner: many sessions in all modes at once, until so many actions have been done.

A run is repeatable as far as concurrency allows: each session's choices follow from the seed and its slot.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Final

import attrs

from tests.leak.actions import AFTER_FAILURE, kinds_for
from tests.leak.client import LostError
from tests.leak.departures import DEPARTURES
from tests.leak.model import NAMES
from tests.leak.player import Player, Shared
from tests.leak.stage import MODES, Stage

# Of the five connections of `pin`; the others serve those who hold nothing.
PINNED_AT_ONCE: Final = 3
PART_KILLED: Final = 0.03
PART_PROBED: Final = 0.35
MAX_VIOLATIONS: Final = 30
"""After so many the run ends: there is enough to look at."""

SWEEP: Final = 2 * 5
PROGRESS_S: Final = 5.0


@attrs.frozen
class Plan:
    """How much to play."""

    sessions: int = 64
    actions: int = 20_000
    seed: int = 1
    modes: tuple[str, ...] = MODES


@attrs.frozen
class Report:
    """What came of it."""

    counts: dict[str, int]
    """Actions by kind."""
    outcomes: dict[str, int]
    violations: list[str]
    sessions: int
    """How many there were, one after the other."""
    seconds: float

    @property
    def actions(self) -> int:
        return sum(self.counts.values())


def play(stage: Stage, plan: Plan, say: Callable[[str], object] = lambda _: None) -> Report:
    """Play, and say how it goes."""
    return asyncio.run(_play(stage, plan, say))


def _bases(stage: Stage) -> dict[str, str]:
    """The settings of a connection that has just logged in."""
    with stage.origin.admin() as connection:
        (row,) = connection.execute(
            "SELECT " + ", ".join(f"coalesce(current_setting('{name}', true), '')" for name in NAMES)
        ).fetchall()
    return dict(zip(NAMES, map(str, row), strict=True)) | {"application_name": "Onetrip"}


async def _play(stage: Stage, plan: Plan, say: Callable[[str], object]) -> Report:
    shared = Shared(_bases(stage), asyncio.Semaphore(PINNED_AT_ONCE))
    players = [
        Player(shared, mode, slot, stage.targets[mode], f"{plan.seed}-{slot}")
        for slot in range(plan.sessions)
        for mode in [plan.modes[slot % len(plan.modes)]]
    ]
    began = time.monotonic()
    budget = iter(range(plan.actions))
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(_watch(shared, plan, say))
        tasks = [group.create_task(_session(player, budget)) for player in players]
        await asyncio.wait(tasks)
        watch.cancel()
    for mode in plan.modes:
        await _sweep(stage, shared, mode)
    _count_connections(stage, shared)
    seconds = time.monotonic() - began
    number = next(shared.numbers) - 1
    return Report(dict(shared.counts), dict(shared.outcomes), shared.violations, number, seconds)


async def _watch(shared: Shared, plan: Plan, say: Callable[[str], object]) -> None:
    while True:
        await asyncio.sleep(PROGRESS_S)
        done = sum(shared.counts.values())
        outcomes = ", ".join(f"{count} {what}" for what, count in sorted(shared.outcomes.items()))
        say(f"{done} of {plan.actions} actions; {outcomes}; {len(shared.violations)} violations")


async def _session(player: Player, budget: Iterator[int]) -> None:
    """Play until the budget is used up."""
    shared = player.shared
    begun = False
    for _ in budget:
        if len(shared.violations) >= MAX_VIOLATIONS:
            break
        try:
            if not begun:
                await player.begin()
                begun = True
            begun = await _act(player)
        except (LostError, TimeoutError) as error:
            player.violated(f"the connection was lost: {error!r}")
            player.vanished()
            begun = False
    if begun:
        await player.leave()


async def _act(player: Player) -> bool:
    """Do one thing; whether the session goes on."""
    shared, model, random = player.shared, player.model, player.random
    if random.random() < PART_KILLED:
        departure = random.choice(DEPARTURES)
        name = departure.__name__.replace("_", " ")
        shared.counts["killed " + name] += 1
        player.history.append(f"-- is killed {name}")
        await departure(player)
        player.vanished()
        return False
    if model.has_failed:
        choices = [act for act in AFTER_FAILURE if act is not AFTER_FAILURE[-1] or model.savepoint is not None]
        shared.counts["after a failure"] += 1
        await random.choice(choices)(player)
    else:
        kinds = kinds_for(model)
        (kind,) = random.choices(kinds, [kind.weight for kind in kinds])
        shared.counts[kind.name] += 1
        await kind.act(player)
    if not model.has_failed and random.random() < PART_PROBED:
        await player.probe()
    return True


async def _sweep(stage: Stage, shared: Shared, mode: str) -> None:
    """When all have gone, new sessions find nothing on any connection."""
    players = [Player(shared, mode, slot, stage.targets[mode], f"sweep-{slot}") for slot in range(SWEEP)]

    async def look(player: Player) -> None:
        try:
            await player.begin()
            await player.run("BEGIN", lambda model: model.begin())
            await player.probe()
            await asyncio.sleep(0.05)  # so that each has a connection to itself
            await player.run("SELECT pg_sleep(0.02)")
            await player.leave()
        except (LostError, TimeoutError) as error:
            player.violated(f"the connection was lost: {error!r}")

    await asyncio.gather(*(look(player) for player in players))


def _count_connections(stage: Stage, shared: Shared) -> None:
    """Nothing is held at the origin, and there are not more connections than allowed."""
    with stage.origin.admin() as connection:
        locks = connection.execute("SELECT pid, objid FROM pg_locks WHERE locktype = 'advisory'").fetchall()
        (count,) = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'leak_app'").fetchall()
    if locks:
        shared.violations.append(f"advisory locks are still held: {locks}")
    shared.outcomes["origin connections at the end"] = int(str(count[0]))
