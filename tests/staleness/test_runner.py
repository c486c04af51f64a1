"""The checker itself, straight at PostgreSQL: it finds nothing there, and finds what a bad cache does."""

import asyncio
import random
import time
from collections.abc import Coroutine
from typing import Any

import attrs
import pytest

from bench.asker import Asker
from tests.bench.test_asker import conninfo_of
from tests.staleness.player import Ask, Shared, versions_of
from tests.staleness.runner import Plan, Report, play
from tests.staleness.stage import DATABASE, end_prepared, fill
from tests.staleness.subjects import Read
from tests.support.cluster import Origin

pytestmark = pytest.mark.postgres
ACTIONS = 4000


@attrs.define
class Straight:
    """PostgreSQL in the place of two edges."""

    origin: Origin
    ends: list[str]
    crossings_s: list[float] = attrs.field(factory=lambda: [0.0, 0.0])

    def end_prepared(self) -> None:
        end_prepared(self.origin)

    def complaints(self) -> list[str]:
        return []

    def faults(self, shared: Shared, chance: random.Random) -> Coroutine[Any, Any, None]:
        raise NotImplementedError


def straight(origin: Origin, actions: int, ask: Ask = versions_of) -> Report:
    fill(origin, DATABASE)
    conninfo = conninfo_of(attrs.evolve(origin, database=DATABASE, superuser="by_scram"))
    plan = Plan(actions=actions, faults=False)
    return asyncio.run(play(Straight(origin, [conninfo] * 2), plan, ask=ask))


class BadCache:
    """Keeps each answer for so long, whatever is written; one memory for each edge, or one for all."""

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._kept: dict[tuple[int, Read], tuple[float, set[int]]] = {}

    async def ask(self, asker: Asker, edge: int, read: Read) -> set[int]:
        until, versions = self._kept.get((edge, read), (0.0, set()))
        if time.monotonic() > until:
            versions = await versions_of(asker, edge, read)
            self._kept[edge, read] = (time.monotonic() + self._keep_s, versions)
        return versions


def test_straight_at_postgresql_nothing_is_found(origin: Origin) -> None:
    report = straight(origin, ACTIONS)
    assert not report.violations, "\n".join(report.violations[:5])
    assert report.outcomes["acknowledged"] > 50
    assert report.outcomes["rolled back"]
    assert report.outcomes["vanished"]
    assert len([name for name in report.counts if name.startswith("write")]) > 12


def test_a_cache_that_no_write_invalidates_is_found_out(origin: Origin) -> None:
    report = straight(origin, 3 * ACTIONS, BadCache(1.0).ask)
    assert any("own edge" in violation for violation in report.violations)
    assert any(violation.startswith("stale") and "other edge" in violation for violation in report.violations)
