"""The table of the statements."""

from bench.statements import HEADS, cells


def test_a_row_has_a_cell_for_each_head() -> None:
    sample = {
        "statements": 1000, "sessions": 20, "edge_bytes": 50 << 20, "pool_bytes": 60 << 20, "origin_bytes": 70 << 20,
        "seconds": 0.5,
    }  # fmt: skip
    assert cells(sample) == ["1000", "20", "50.0", "60.0", "70.0", "2000"]
    assert len(HEADS) == len(cells(sample))
    assert cells({**sample, "seconds": 0.0})[-1] == "0"
