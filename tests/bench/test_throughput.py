"""The throughput table: its ceiling, and rows that cannot be measured."""

from pathlib import Path

from bench.report import Table
from bench.throughput import HEADS, Plan, Throughput
from bench.workspace import UnavailableError
from tests.bench.test_scene import make_scene


def test_clients_that_wait_cannot_exceed_one_query_a_crossing(tmp_path: Path) -> None:
    assert Throughput(make_scene(tmp_path), Plan(clients=256), Table("", HEADS)).ceiling == 3200


def test_a_way_that_is_missing_is_a_row_and_the_rest_goes_on(tmp_path: Path) -> None:
    result = Throughput(make_scene(tmp_path), Plan(), Table("", HEADS))
    with result.tried("PgBouncer"):
        raise UnavailableError("pgbouncer is not installed")
    assert result.table.rows[0][:2] == ("PgBouncer", "not available")
    assert result.figures == {"PgBouncer": {"not_available": "pgbouncer is not installed"}}
