"""The table of crossings, and one driver by every way."""

import json
from pathlib import Path

import pytest

from bench import drivers
from bench.drivers import ONETRIP, PGBOUNCER, STRAIGHT, DriversOptions, failed, summarize, tabulate
from bench.played import Count, Failure


def test_a_cell_has_the_steps_and_a_failure_its_reason_below() -> None:
    options = DriversOptions(drivers=("asyncpg",), scripts=("cold", "orm"))
    results: drivers.Results = {
        ("asyncpg", STRAIGHT): {"cold": Count(7, 2, 0)},
        ("asyncpg", PGBOUNCER): {"cold": Failure("no such statement")},
    }
    table = tabulate(results, options, {"pgx": "Go is not installed"})
    assert table.rows == [
        ("asyncpg", STRAIGHT, "7 + 2", ""),
        ("asyncpg", PGBOUNCER, "fails", ""),
        ("pgx", "not available", "", ""),
    ]
    assert table.notes == [
        f"asyncpg, {PGBOUNCER}, cold: fails: no such statement",
        "pgx: not available: Go is not installed",
    ]


def test_a_failure_is_ours_unless_it_is_pgbouncer_s() -> None:
    failure = Failure("no such statement")
    results: drivers.Results = {("asyncpg", way): {"cold": failure} for way in (STRAIGHT, PGBOUNCER, ONETRIP)}
    assert failed(results) == [f"asyncpg cold ({STRAIGHT})", f"asyncpg cold ({ONETRIP})"]


def test_the_summary_has_one_row_for_a_driver() -> None:
    options = DriversOptions(drivers=("asyncpg",), scripts=("cold", "orm"))
    results: drivers.Results = {
        ("asyncpg", STRAIGHT): {"cold": Count(7, 2, 1)},
        ("asyncpg", PGBOUNCER): {"cold": Failure("no such statement")},
        ("asyncpg", ONETRIP): {"cold": Count(0, 1, 0)},
    }
    assert summarize(results, options).rows == [("asyncpg", "9 / fails / 1", "")]


@pytest.mark.postgres
def test_psycopg2_by_every_way(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    drivers.run(DriversOptions(drivers=("psycopg2",), scripts=("cold",), json_file=str(figures)))
    kept = json.loads(figures.read_text())
    connect = {row["way"]: row["connect"] for row in kept["rows"]}
    work = {row["way"]: row["work"] for row in kept["rows"]}
    assert set(connect) | set(kept["not_available"]) == {STRAIGHT, PGBOUNCER, ONETRIP}
    assert connect.pop(STRAIGHT) >= 6, "TCP, SSLRequest, TLS, startup and SCRAM's two"
    assert set(connect.values()) == {0}, "a pooler near by answers all of that"
    assert work[STRAIGHT] == 2, "BEGIN and the query"
