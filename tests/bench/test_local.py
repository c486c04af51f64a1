"""The loopback table: medians of rounds, and ratios to PgBouncer in the same run."""

from bench.local import PGBOUNCER, PLAIN, POSTGRESQL, Figures, LocalOptions, tabulate


def figures(*rounds: float) -> Figures:
    return Figures(list(rounds), [1.0] * len(rounds), [10.0] * len(rounds))


def test_ratios_are_of_medians_at_the_same_number_of_clients() -> None:
    results = {
        (POSTGRESQL, 64): figures(300, 200, 100),
        (PGBOUNCER, 64): figures(100, 100, 5000),
        (PLAIN, 64): figures(35, 40, 30),
        (PGBOUNCER, 1): figures(1),
    }
    rows = tabulate(results, LocalOptions(clients=(1, 64))).rows
    assert [row[:5] for row in rows] == [
        (PGBOUNCER, "1", "1", "1.00", "-"),
        (POSTGRESQL, "64", "200", "2.00", "1.00"),
        (PGBOUNCER, "64", "100", "1.00", "0.50"),
        (PLAIN, "64", "35", "0.35", "0.17"),
    ]


def test_without_pgbouncer_there_is_no_ratio_to_it() -> None:
    row = tabulate({(PLAIN, 1): figures(35)}, LocalOptions(clients=(1,))).rows[0]
    assert row[3:5] == ("-", "-")
