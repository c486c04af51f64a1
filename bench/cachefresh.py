"""Two edges and one pool node: how long after a write at one of them the other still has an older answer.

`bench/freshness.py` writes and reads; here it is given its table and its edges, and what it saw becomes a table.
"""

import sys
from collections.abc import Sequence
from typing import Any, Final

import attrs

from bench import freshness, hitrate
from bench.hitrate import Served
from bench.onetrip import Nodes
from bench.origin import Origin
from bench.report import Sample, Table
from bench.scene import ask
from bench.workspace import HERE, Place, Workspace, say, stop

HEADS: Final = ("what", "count", "median ms", "p99 ms", "max ms", "p99 crossings", "max crossings")
TIMEOUT_S: Final = 3600.0


@attrs.frozen
class Fresh:
    """What was seen, and what the edges counted meanwhile."""

    report: dict[str, Any]
    served: Served
    round_trip_ms: float

    def figures(self) -> dict[str, Any]:
        """For --json."""
        return {**self.report, "served": attrs.asdict(self.served), "round_trip_ms": self.round_trip_ms}

    @property
    def reads(self) -> int:
        return sum(self.report["reads"].values())


def make_tables(origin: Origin, keys: int) -> None:
    """The rows, each in a table of its own."""
    for statement in freshness.statements(keys):
        origin.ask(statement)


def measure(
    workspace: Workspace, nodes: Nodes, plan: freshness.Plan, round_trip_ms: float, place: Place = HERE
) -> Fresh:
    """Write at the first edge, read at both; round_trip_ms is 0 where there is no link to speak of."""
    say(f"{plan.writes} writes at one edge, reads at two")
    before = hitrate.settled(nodes.status)
    client = workspace.spawn("client", [sys.executable, "-m", "bench.freshness"], place)
    try:
        report = ask(workspace, client, attrs.asdict(plan), TIMEOUT_S)
    finally:
        stop(client)
    return Fresh(report, hitrate.settled(nodes.status).since(before), round_trip_ms)


def plan_for(nodes: Nodes, sizes: dict[str, int]) -> freshness.Plan:
    """Writers at the first edge, the second is the other."""
    return freshness.Plan(near=nodes.endpoint.conninfo(), far=nodes.others[0].conninfo(), **sizes)


def tabulate(fresh: Fresh) -> Table:
    """The distribution over all writes, and the counts that are to be 0."""
    report = fresh.report
    per_second = report["writes"] / report["seconds"]
    title = (
        f"{report['writes']} acknowledged writes at edge A ({per_second:.0f}/s), {report['reads']['near']} reads at A, "
        f"{report['reads']['far']} at B, {fresh.served.rate(fresh.reads):.1%} of them hits"
    )
    table = Table(title, HEADS)
    stale = report["stale_ms"]
    table.add(*_row("B still had an older answer, over all writes", report["lags_ms"], fresh.round_trip_ms))
    table.add(*_row("stale reads at B", stale[freshness.FAR], fresh.round_trip_ms))
    table.add(*_row("stale reads at A, the writer's own edge", stale[freshness.NEAR], fresh.round_trip_ms))
    late = fresh.served.late_hits
    table.add("hits after the invalidation's frame", "not counted" if late is None else str(late), *[""] * 5)
    return table


def _row(name: str, values_ms: Sequence[float], round_trip_ms: float) -> tuple[str, ...]:
    if not values_ms:
        return (name, "0", *[""] * 5)
    sample = Sample(tuple(values_ms))
    p99, most = sample.percentile_ms(0.99), max(values_ms)
    crossings = [f"{ms / round_trip_ms:.3f}" if round_trip_ms else "-" for ms in (p99, most)]
    return (name, str(len(values_ms)), f"{sample.median_ms:.2f}", f"{p99:.2f}", f"{most:.2f}", *crossings)
