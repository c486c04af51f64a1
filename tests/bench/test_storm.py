"""The table of storms."""

import contextlib
from pathlib import Path

from bench.report import Table
from bench.storm import HEADS, Outcome, StormOptions, Storms
from bench.workspace import UnavailableError
from tests.bench.test_scene import make_scene


def make_storms(path: Path) -> Storms:
    return Storms(make_scene(path), StormOptions(), Table("", HEADS))


def test_an_outcome_is_the_average_over_all_storms() -> None:
    outcome = Outcome()
    outcome.add({"ms": [80.0, 160.0], "failed": 0, "why": []})
    outcome.add({"ms": [240.0], "failed": 1, "why": ["too many"]})
    assert outcome.cells("way", 80.0) == ("way", "160", "2.00", "160", "240", "3", "1")
    figures = outcome.figures(80.0)
    assert (figures["average_crossings"], figures["failed"], figures["why"]) == (2.0, 1, ["too many"])


def test_a_way_that_served_nobody_has_no_times() -> None:
    outcome = Outcome()
    outcome.add({"ms": [], "failed": 2, "why": ["refused"]})
    assert outcome.cells("way", 80.0) == ("way", "-", "-", "-", "-", "0", "2")
    assert outcome.figures(80.0)["average_crossings"] is None


def test_why_some_failed_stands_below_the_table(tmp_path: Path) -> None:
    storms = make_storms(tmp_path)
    with storms.way("way"):
        storms._took("way", {"ms": [80.0], "failed": 1, "why": ["too many clients"]})
    assert storms.table.rows == [("way", "80", "1.00", "80", "80", "1", "1")]
    assert storms.table.notes == ["way: too many clients"]


def test_a_way_that_is_missing_is_a_row_with_its_reason(tmp_path: Path) -> None:
    storms = make_storms(tmp_path)
    with contextlib.suppress(UnavailableError), storms.way("measured", "missing"):
        storms._took("measured", {"ms": [80.0], "failed": 0, "why": []})
        raise UnavailableError("not installed")
    assert [row[:2] for row in storms.table.rows] == [("measured", "80"), ("missing", "not available")]
    assert storms.figures["missing"] == {"not_available": "not installed"}
