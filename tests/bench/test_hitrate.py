"""Counts of the caches, from a pool node's status."""

from typing import Any

import pytest

from bench import hitrate
from bench.hitrate import Served


def status(hits: int, misses: int = 0, **more: int) -> dict[str, Any]:
    return {"caches": [{"configuration": "app", "hits": hits, "misses": misses, **more}], "links": [{"edge": "e"}]}


def test_without_a_cache_every_count_is_zero() -> None:
    nothings: list[dict[str, Any]] = [{}, {"caches": []}, {"caches": None, "links": []}]
    for nothing in nothings:
        served = Served.of(nothing)
        assert (served.hits, served.misses, served.late_hits) == (0, 0, None)
        assert served.rate(100) == 0.0
        assert hitrate.settled(lambda answer=nothing: answer) == served  # type: ignore[misc]


def test_counts_are_taken_between_two_readings() -> None:
    before, after = Served.of(status(10, 5, stale=2, late_hits=1)), Served.of(status(100, 9, stale=2, late_hits=4))
    assert after.since(before) == Served(hits=90, misses=4, late_hits=3)
    assert after.since(before).rate(100) == 0.9


def test_late_hits_may_stand_with_the_links() -> None:
    assert Served.of({"links": [{"late_hits": 2}, {"late_hits": 1}, {}]}).late_hits == 3


def test_a_count_is_read_when_it_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hitrate, "REST_S", 0.0)
    answers = iter([status(1), status(2), status(3), status(3), status(9)])
    assert hitrate.settled(lambda: next(answers)).hits == 3
