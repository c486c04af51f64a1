"""The statement of the bulk flow."""

import pytest

from bench.bulk import ROW_BYTES, query


@pytest.mark.parametrize("size", [1, 10_000_000, 1 << 30])
def test_the_result_is_about_as_large_as_asked(size: int) -> None:
    rows = int(query(size).partition("generate_series(1, ")[2].partition(")")[0])
    assert abs(rows * (ROW_BYTES + 1) - size) <= ROW_BYTES + 1
