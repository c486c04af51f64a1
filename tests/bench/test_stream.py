"""The streaming table's figures."""

from bench.report import Sample
from bench.stream import HEADS, Outcome

OUTCOME = Outcome(
    bulk_mbit_s=90.0,
    alone=Sample((80.0, 80.0)),
    beside=Sample((80.0, 88.0, 240.0)),
    grown_bytes=(1 << 20, 3 << 20),
)


def test_small_queries_are_shown_in_crossings_and_memory_in_mib() -> None:
    cells = OUTCOME.cells("way", round_trip_ms=80, bandwidth_mbit_s=100)
    assert cells == ("way", "90.0", "90%", "1.00", "1.10", "3.00", "3.00", "3.00", "3", "1.0 MiB", "3.0 MiB")
    assert len(cells) == len(HEADS)


def test_without_nodes_nothing_grows() -> None:
    straight = Outcome(90.0, OUTCOME.alone, OUTCOME.beside, ())
    assert len(straight.cells("way", 80, 100)) == len(HEADS)


def test_figures_for_keeping() -> None:
    figures = OUTCOME.figures(round_trip_ms=80)
    assert figures["median_crossings"] == 1.1
    assert figures["p99_crossings"] == 3
    assert figures["grown_bytes"] == [1 << 20, 3 << 20]
