"""Tables and statistics."""

import json
from pathlib import Path

import pytest

from bench.report import Sample, Table, ratio, save, spread


def test_a_table_is_markdown_with_aligned_columns() -> None:
    table = Table("Ways", ("way", "ms"))
    table.add("straight", "580.1")
    table.add("edge", "3.2")
    assert table.text().splitlines() == [
        "Ways",
        "",
        "| way      |    ms |",
        "| -------- | ----: |",
        "| straight | 580.1 |",
        "| edge     |   3.2 |",
    ]


def test_a_missing_row_stays_and_its_reason_stands_below_in_one_line() -> None:
    table = Table("Ways", ("way", "ms", "crossings"))
    table.add_missing("PgBouncer", "pgbouncer is\nnot installed")
    lines = table.text().splitlines()
    assert lines[4] == "| PgBouncer | not available |           |"
    assert lines[6] == "PgBouncer: not available: pgbouncer is not installed"


def test_a_row_of_the_wrong_width_is_our_mistake() -> None:
    with pytest.raises(AssertionError):
        Table("Ways", ("way", "ms")).add("straight")


def test_a_percentile_is_a_measured_value() -> None:
    sample = Sample(tuple(float(number) for number in range(100, 0, -1)))
    assert sample.percentile_ms(0.99) == 99
    assert sample.percentile_ms(0.5) == 50
    assert sample.percentile_ms(1.0) == 100
    assert Sample((7.0,)).percentile_ms(0.99) == 7


def test_crossings_are_the_median_in_round_trips() -> None:
    assert Sample((80.0, 160.0, 900.0)).crossings(80) == 2


def test_ratios_and_spreads() -> None:
    assert ratio(35, of=100) == "0.35"
    assert ratio(35, of=0) == "-"
    assert spread([10.4, 12.6, 11]) == "10-13"


def test_figures_are_kept_only_if_asked(tmp_path: Path) -> None:
    save({"a": 1}, None)
    path = tmp_path / "figures.json"
    save({"a": 1}, str(path))
    assert json.loads(path.read_text()) == {"a": 1}
