"""The tables of one client's hits."""

from types import SimpleNamespace
from typing import cast

from bench.cachehit import ECHO, HIT, Latency, Plan, link_table, local_table
from bench.longlink import LongLink


def test_a_hit_is_shown_beside_the_echo() -> None:
    latency = Latency()
    for protocol in ("simple", "prepared"):
        latency.add(ECHO, protocol, [0.02, 0.02, 0.5])
        latency.add(HIT, protocol, [0.10, 0.11, 0.9])
    rows = local_table(latency, Plan()).rows
    assert [row[0] for row in rows] == [ECHO, HIT, ECHO, HIT]
    assert rows[1][2:] == ("0.110", "0.900", "0.090")


def test_over_a_link_reads_are_counted_in_crossings() -> None:
    latency = Latency()
    latency.add("hit", "simple", [0.4, 0.8, 0.8])
    link = cast(LongLink, SimpleNamespace(round_trip_ms=80.0))
    assert link_table(latency, link).rows == [("hit", "simple", "0.800", "0.800", "0.0100")]
