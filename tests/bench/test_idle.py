"""The idle table's cells."""

from bench.idle import HEADS, figures_of


def test_the_cost_of_one_client_is_the_growth_divided() -> None:
    figures = figures_of(1000, (50 << 20, 60 << 20, 70 << 20), seconds=10, cpu_s=2)
    assert figures["connected_kib_each"] == 10.24
    assert figures["queried_kib_each"] == 20.48
    assert figures["logins_per_s"] == 100
    assert figures["edge_cpu_ms_per_login"] == 2
    assert len(HEADS) == 10
