"""No answer is older than the stated bound, and none mixes two versions: real nodes, three edges, links and nodes fail.

The nodes are shared by all scripts. `python -m bench staleness` plays more of them.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack

import attrs
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from bench.asker import Asker, connect
from tests.staleness.judge import Judge
from tests.staleness.knowledge import LEASE_S, SLACK_S
from tests.staleness.moves import BRIEF, Change, Ending, Fault, Look, LookTwice, Move, Pause, Script, scripts
from tests.staleness.runner import Game
from tests.staleness.stage import AGE_S, Stage, open_stage
from tests.staleness.subjects import PILES, ROWS
from tests.support.cluster import Origin

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(300)]

QUIET_SCRIPTS = 3
FAULTY_SCRIPTS = 2
DELAY_S = 0.005


@attrs.define
class Hall:
    """Where all is played, and the loop in which its relays live."""

    runner: asyncio.Runner
    stage: Stage
    game: Game

    def play(self, script: Script) -> list[str]:
        violations = self.runner.run(self.game.play(script))
        if violations:
            self.stage.forget()
        return violations


@pytest.fixture(scope="module")
def hall(origin: Origin) -> Iterator[Hall]:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        stage = runner.run(stack.enter_async_context(open_stage(origin, edges=3, pools=2, delay_s=DELAY_S)))
        try:
            yield Hall(runner, stage, Game(stage))
        finally:
            runner.run(stack.aclose())


@pytest.fixture(scope="module")
def judge(hall: Hall) -> Judge:
    return Judge(hall.play)


# Nothing is explained: that would be many more plays.
real = settings(
    deadline=None, phases=[Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip

PILE, CELL = PILES[0], ROWS[0]
FOCUS = ((PILE, PILE.reads[0]), (CELL, CELL.reads[0]), (PILE, PILE.reads[1]))
BY_COPY = next(way for way, write in enumerate(CELL.writes) if write.name == "delete and copy")


def _copies(*endings: Ending, pause_s: float = 0.05) -> tuple[Move, ...]:
    """Each between two reads, of one table alone and of another in a transaction."""
    moves: list[Move] = []
    for way, ending in enumerate(endings):
        moves += [Look(0, 2), Change(0, way, ending, pause_s=pause_s), Change(1, BY_COPY, ending, pause_s=pause_s)]
    return tuple(moves)


#: Copies end in every way, and others read meanwhile; in transactions too.
COPIES = Script(
    FOCUS,
    (
        _copies(Ending.COMMIT, Ending.FAIL, Ending.COMMIT),
        _copies(Ending.ROLL_BACK, Ending.VANISH_HALFWAY, Ending.LEAVE),
        _copies(Ending.LEAVE_HALFWAY, Ending.VANISH),
        (Look(0, 8), LookTwice(0), Look(1, 8), LookTwice(1), Pause(0.1), LookTwice(1), Look(1), LookTwice(2)),
        (LookTwice(0), LookTwice(1), LookTwice(0, repeatable=True), LookTwice(1, repeatable=True)),
        (Look(2, 8), LookTwice(2), Pause(0.1), Look(2, 2), LookTwice(0)),
    ),
)
AGED_S = 2 * float(AGE_S)
#: Answers get older than they may; of some, others write meanwhile.
AGED = Script(
    FOCUS,
    (
        (Pause(AGED_S / 4), Change(0, 0), Change(2, 2)),
        (),
        (),
        *[(Look(0), Look(1), Pause(AGED_S), Look(0), Look(1), LookTwice(1), LookTwice(0))] * 3,
    ),
)
#: The same, and the nodes that copies go through die in their middle.
KILLED = Script(
    FOCUS,
    (
        (Look(0), Change(0, 0, pause_s=1.0), Look(0)),
        (Look(1), Change(1, BY_COPY, pause_s=1.0), Look(1), Pause(1.5), Change(1, BY_COPY)),
        (Look(0), Look(1), Change(0, 2, pause_s=1.0), Look(2), Pause(1.5), Look(0)),
    ),
    (Fault("kill_an_edge", 1, 0.2, 0.1), Fault("kill_a_pool_node", 0, 0.0, 0.1)),
)


def test_copies_in_every_way_beside_reads_in_every_way(hall: Hall) -> None:
    assert not hall.play(COPIES)
    report = hall.game.report(0.0)
    assert {"hit", "miss"} <= report.statuses.keys()
    assert {"acknowledged", "copy given up", "vanished"} <= report.outcomes.keys()


def test_an_answer_past_its_age_is_served_unless_somebody_has_written(hall: Hall) -> None:
    before = hall.game.report(0.0).statuses.get("stale", 0)
    for _ in range(5):  # whether an answer is asked for between its age and its renewal is a matter of time
        assert not hall.play(AGED)
        if hall.game.report(0.0).statuses.get("stale", 0) > before:
            return
    raise AssertionError("no answer was served past its age")


@settings(real, max_examples=QUIET_SCRIPTS)
@given(script=scripts())
def test_no_answer_is_older_than_the_bound(judge: Judge, script: Script) -> None:
    verdict = judge.verdict(script)
    assert not verdict, verdict


@settings(real, max_examples=FAULTY_SCRIPTS)
@given(script=scripts(faults=1, kinds=BRIEF))
def test_no_answer_is_older_than_the_bound_whatever_fails(judge: Judge, script: Script) -> None:
    verdict = judge.verdict(script)
    assert not verdict, verdict


READ = b"SELECT version FROM cell WHERE subject = 3"
WRITE = b"UPDATE cell SET version = version + 1 WHERE subject = 3 RETURNING version"


def test_an_edge_that_hears_nothing_serves_for_no_longer_than_the_lease(hall: Hall) -> None:
    async def main() -> None:
        stage = hall.stage
        near, far = [await connect(stage.doors[edge][0]) for edge in (0, 1)]
        old = await far.ask(READ)
        await far.ask(READ)
        for relay in stage.edges[1].relays:
            relay.silence(to_edge=True, to_pool=False)
        try:
            await near.ask(WRITE)
            acknowledged = time.monotonic()
            reading = asyncio.ensure_future(_last_old(far, old))
            await asyncio.sleep(LEASE_S + 1.0)
        finally:
            for relay in stage.edges[1].relays:
                relay.speak()
        assert 0.5 < await reading - acknowledged < LEASE_S + SLACK_S
        near.close()
        far.close()

    hall.runner.run(main())


async def _last_old(far: Asker, old: object) -> float:
    """When the last read began that saw the old version."""
    last = 0.0
    while True:
        begun = time.monotonic()
        if await far.ask(READ) != old:
            return last
        last = begun
        await asyncio.sleep(0.01)


def test_copies_through_nodes_that_die(hall: Hall) -> None:
    """Last: the pool node that comes back waits before it serves."""
    assert not hall.play(KILLED)
