"""The table of how old answers were."""

from bench.cachefresh import Fresh, tabulate
from bench.hitrate import Served


def fresh(late_hits: int | None = 0) -> Fresh:
    report = {
        "writes": 4,
        "seconds": 2.0,
        "lags_ms": [0.0, 0.0, 8.0, 40.0],
        "reads": {"near": 6, "far": 14},
        "stale_ms": {"near": [], "far": [8.0, 40.0]},
    }
    return Fresh(report, Served(hits=10, misses=10, late_hits=late_hits), 80.0)


def test_lags_are_shown_in_crossings() -> None:
    table = tabulate(fresh())
    assert table.title.startswith("4 acknowledged writes at edge A (2/s), 6 reads at A, 14 at B, 50.0% of them hits")
    assert table.rows[0][1:] == ("4", "4.00", "40.00", "40.00", "0.500", "0.500")
    assert [row[1] for row in table.rows] == ["4", "2", "0", "0"]


def test_hits_that_nobody_counts_are_not_called_none() -> None:
    assert tabulate(fresh(None)).rows[-1][1] == "not counted"
