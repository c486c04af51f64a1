"""The checker itself, straight at PostgreSQL: it finds nothing there, and finds what a bad cache does."""

import asyncio
import time
from collections.abc import Coroutine, Iterable
from typing import Any

import attrs
import pytest

from bench.asker import Asker
from tests.staleness.moves import Change, Ending, Fault, Look, Rest, Script, drawn
from tests.staleness.player import Ask, Shared, versions_of
from tests.staleness.runner import Game, Plan, Report
from tests.staleness.stage import DATABASE, end_prepared, fill, straight_to
from tests.staleness.subjects import PILES, ROWS, Read
from tests.support.cluster import Origin

pytestmark = pytest.mark.postgres
ACTIONS = 400
PLAYERS = 6


@attrs.define
class Straight:
    """PostgreSQL in the place of two edges."""

    origin: Origin
    doors: list[tuple[str, ...]]
    straight: str
    crossings_s: list[float] = attrs.field(factory=lambda: [0.0, 0.0])

    def end_prepared(self) -> None:
        end_prepared(self.origin)

    def complaints(self) -> list[str]:
        return []

    def faults(self, shared: Shared, faults: Iterable[Fault]) -> Coroutine[Any, Any, None]:
        raise NotImplementedError


@pytest.fixture(scope="module")
def ground(origin: Origin) -> Straight:
    fill(origin, DATABASE)
    straight = straight_to(origin)
    return Straight(origin, [(straight,)] * 2, straight)


def long_game(ground: Straight, ask: Ask = versions_of) -> Report:
    return asyncio.run(Game(ground, ask).play_on(drawn(ACTIONS, 1), Plan(ACTIONS, players=PLAYERS, faults=False)))


class BadCache:
    """Keeps each answer for so long, whatever is written; one memory for each edge."""

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._kept: dict[tuple[int, Read], tuple[float, set[int]]] = {}

    async def ask(self, asker: Asker, edge: int, read: Read) -> set[int]:
        until, versions = self._kept.get((edge, read), (0.0, set()))
        if time.monotonic() > until:
            versions = await versions_of(asker, edge, read)
            self._kept[edge, read] = (time.monotonic() + self._keep_s, versions)
        return versions


def test_straight_at_postgresql_nothing_is_found(ground: Straight) -> None:
    report = long_game(ground)
    assert not report.violations, "\n".join(report.violations[:5])
    assert report.outcomes["acknowledged"] > 50
    for outcome in ("rolled back", "vanished", "copy given up"):
        assert report.outcomes[outcome]
    assert len([name for name in report.counts if name.startswith("write")]) > 12


def test_a_cache_that_no_write_invalidates_is_found_out(ground: Straight) -> None:
    report = long_game(ground, BadCache(1.0).ask)
    assert any("own edge" in violation for violation in report.violations)
    assert any(violation.startswith("stale") and "other edge" in violation for violation in report.violations)


def test_what_nobody_has_heard_of_is_found_in_the_end(ground: Straight) -> None:
    """The client that wrote has vanished, and what was kept before is never looked at while it is played."""
    (subject, _) = PILES
    focus = ((subject, subject.reads[0]),) * 3
    script = Script(focus, ((Look(0), Change(0, 0, Ending.VANISH), Rest()),))
    violations = asyncio.run(Game(ground, BadCache(60.0).ask).play(script))
    assert violations
    assert all("other edge" in violation for violation in violations)


def test_a_script_is_told_in_words() -> None:
    subject = ROWS[0]
    focus = ((subject, subject.reads[0]),) * 3
    script = Script(focus, ((Rest(),), (Look(2, 3), Rest(), Change(1, 0))), (Fault("kill_an_edge", 1, 0.5, 1.5),))
    first, _, _, second, third = repr(script).splitlines()
    assert first == "focus 0: subject 0, SELECT version FROM cell WHERE subject = 0"
    assert second.startswith("client 1: Look(place=2, times=3); Change(place=1")
    assert second.endswith("(update)")
    assert "kill_an_edge" in third
