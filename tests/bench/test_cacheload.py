"""The table of the load: ratios to PgBouncer by protocol and number of clients, and the rate of hits."""

from pathlib import Path

from bench.cacheload import HIT, MISS, PGBOUNCER, PGPOOL, Figures, Outcome, Plan, scripts, tabulate


def figures(rate: float, hits: int = 0) -> Figures:
    return Figures([rate], [1.0], [10.0], [0.5], hits=hits, queries=1000)


def test_ratios_are_to_pgbouncer_by_the_same_protocol() -> None:
    outcome = Outcome(missing={PGPOOL: "not installed"})
    outcome.results = {
        (PGBOUNCER, "simple", 64): figures(100),
        (PGBOUNCER, "prepared", 64): figures(200),
        (HIT, "simple", 64): figures(310, hits=999),
        (HIT, "prepared", 64): figures(500, hits=1000),
        (MISS, "simple", 64): figures(40),
    }
    table = tabulate(outcome, Plan(clients=(64,)))
    assert [row[:5] for row in table.rows] == [
        (PGBOUNCER, "simple", "64", "100", "1.00"),
        (HIT, "simple", "64", "310", "3.10"),
        (MISS, "simple", "64", "40", "0.40"),
        (PGBOUNCER, "prepared", "64", "200", "1.00"),
        (HIT, "prepared", "64", "500", "2.50"),
        (PGPOOL, "not available", "", "", ""),
    ]
    assert [row[6] for row in table.rows[:5]] == ["", "99.90%", "", "", "100.00%"]
    assert outcome.figures()[2]["of_pgbouncer"] == 3.1


def test_each_key_is_warmed_with_the_statement_that_is_loaded(tmp_path: Path) -> None:
    load, warm = (Path(name).read_text().splitlines() for name in scripts(tmp_path, 3))
    assert load[0] == "\\set aid random(1, 3)"
    assert warm[::2] == [f"\\set aid {key}" for key in (1, 2, 3)]
    assert set(warm[1::2]) == {load[1]}
