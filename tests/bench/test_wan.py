"""The table of ways."""

from pathlib import Path

from bench.report import Table
from bench.wan import HEADS, Ways
from tests.bench.test_scene import make_scene


def make_ways(path: Path) -> Ways:
    return Ways(make_scene(path), 3, Table("", HEADS))


def test_a_way_is_shown_in_medians_and_crossings(tmp_path: Path) -> None:
    ways = make_ways(tmp_path)
    ways.add("way", [[560.0, 80.0, 80.0, 88.0], [568.0, 80.0, 88.0, 80.0], [560.0, 160.0, 80.0, 80.0]])
    assert ways.table.rows == [("way", "560.0", "7.00", "80.0", "1.00", "80.0", "1.00", "1.00", "8.10")]
    assert ways.figures["way"]["connect_and_first_crossings"] == 8.1
    assert ways.figures["way"]["second_ms"] == [80.0, 88.0, 80.0]


def test_a_missing_way_is_a_row_with_its_reason(tmp_path: Path) -> None:
    ways = make_ways(tmp_path)
    ways.missing("Onetrip", "not built yet")
    assert ways.table.rows[0][:2] == ("Onetrip", "not available")
    assert ways.table.notes == ["Onetrip: not available: not built yet"]
