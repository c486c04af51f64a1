"""No answer is older than the stated bound, and none mixes two versions: real nodes, three edges, links and nodes fail.

`python -m bench staleness` plays more.
"""

import asyncio
import time

import pytest

from bench.asker import Asker, connect
from tests.staleness.knowledge import LEASE_S, SLACK_S
from tests.staleness.runner import Plan, Report, play
from tests.staleness.stage import open_stage
from tests.support.cluster import Origin

pytestmark = pytest.mark.postgres


async def _play(origin: Origin, pools: int, plan: Plan) -> Report:
    async with open_stage(origin, edges=3, pools=pools) as stage:
        return await play(stage, plan)


def test_no_answer_is_older_than_the_bound_whatever_fails(origin: Origin) -> None:
    report = asyncio.run(_play(origin, 2, Plan(actions=1200, seed=2)))
    assert not report.violations, "\n".join(report.violations[:5])
    assert report.outcomes["acknowledged"] > 50
    assert any(name.startswith("fault") for name in report.counts)


READ = b"SELECT version FROM cell WHERE subject = 3"
WRITE = b"UPDATE cell SET version = version + 1 WHERE subject = 3"


def test_an_edge_that_hears_nothing_serves_for_no_longer_than_the_lease(origin: Origin) -> None:
    """With one pool node: it is then the only one that could be reached."""

    async def main() -> None:
        async with open_stage(origin, edges=2, pools=1) as stage:
            near, far = [await connect(end) for end in stage.ends]
            await far.ask(READ)
            await far.ask(READ)
            for relay in stage.edges[1].relays:
                relay.silence(to_edge=True, to_pool=False)
            await near.ask(WRITE)
            acknowledged = time.monotonic()
            reading = asyncio.ensure_future(_last_old(far))
            await asyncio.sleep(LEASE_S + 1.0)
            for relay in stage.edges[1].relays:
                relay.speak()
            assert await reading - acknowledged < LEASE_S + SLACK_S

    asyncio.run(main())


async def _last_old(far: Asker) -> float:
    """When the last read began that saw the old version."""
    last = 0.0
    while True:
        begun = time.monotonic()
        if await far.ask(READ) != [(b"1",)] * 4:
            return last
        last = begun
        await asyncio.sleep(0.01)
