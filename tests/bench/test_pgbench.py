"""pgbench's summary, as PostgreSQL 15 prints it."""

import pytest

from bench.pgbench import Load, parse_load
from bench.workspace import UnavailableError

SUMMARY = """\
transaction type: <builtin: select only>
scaling factor: 10
number of clients: 256
number of transactions actually processed: 2436
latency average = 1051.023 ms
initial connection time = 812.500 ms
tps = 243.571429 (without initial connection time)
"""


def test_the_summary_is_read() -> None:
    assert parse_load(SUMMARY) == Load(queries_per_s=243.571429, latency_ms=1051.023, connect_ms=812.5, queries=2436)


def test_a_summary_that_lacks_a_figure_is_no_result() -> None:
    with pytest.raises(UnavailableError, match="tps"):
        parse_load("pgbench: error: connection refused")
