"""The tables of sizes: what is compared with the best fixed pool, and the readers with themselves."""

from bench.size import Figures, SizeOptions, tabulate_loads, tabulate_locks


def figures(name: str, queries_per_s: float, *connections: int) -> Figures:
    return Figures(name, [queries_per_s, 1.0, 9999.0], list(connections))


def test_the_pool_left_to_itself_is_compared_with_the_best_fixed_one() -> None:
    rows = [figures("5", 100, 5, 5), figures("10", 200, 10), figures("20", 150, 20), figures("itself", 190, 20, 12, 12)]
    shown = tabulate_loads(rows, SizeOptions()).rows
    assert shown[1][2] == "1.00"
    assert shown[3] == ("itself", "190", "0.95", "12", "20", "1.20", "1-9999")


def test_the_readers_are_compared_with_themselves_alone() -> None:
    shown = tabulate_locks([figures("alone", 200, 8), figures("beside", 150, 70, 80)], SizeOptions()).rows
    assert shown[1] == ("beside", "150", "0.75", "75", "80", "1-9999")
