"""`python -m bench local`: what the poolers cost where there is no distance at all.

All on loopback and one machine, in alternating rounds: PostgreSQL itself, PgBouncer in transaction mode, Onetrip with
a plain link and with TLS on it, each with the same number of origin connections, under pgbench's SELECT by key. Ratios
are to PgBouncer in the same run, since absolute figures say more about the machine than about the pooler.
"""

import statistics
from contextlib import ExitStack
from typing import Final

import attrs

from bench import machine, pgbouncer
from bench.endpoint import Endpoint
from bench.onetrip import NodesOptions, open_nodes
from bench.origin import Origin, open_origin
from bench.pgbench import LoadPlan, rehearse, run_load
from bench.pgbouncer import BouncerOptions, open_bouncer
from bench.processes import CpuMeter
from bench.report import Table, ratio, save, spread
from bench.workspace import UnavailableError, Workspace, open_workspace, say

POSTGRESQL: Final = "PostgreSQL"
PGBOUNCER: Final = "PgBouncer"
PLAIN: Final = "Onetrip, plain link"
TLS: Final = "Onetrip, TLS link"
HEADS: Final = ("way", "clients", "queries/s", "of PgBouncer", "of PostgreSQL", "average ms", "CPU µs/query", "rounds")


@attrs.frozen(kw_only=True)
class LocalOptions:
    """What to measure."""

    clients: tuple[int, ...] = (1, 16, 64, 200)
    seconds: float = 5.0
    rounds: int = 3
    connections: int = 20
    scale: int = 10
    protocol: str = "simple"
    json_file: str | None = None


@attrs.frozen
class Way:
    """One way to the origin, and the processes of its poolers."""

    name: str
    endpoint: Endpoint
    pids: list[int]


@attrs.define
class Figures:
    """The rounds of one way at one number of clients."""

    queries_per_s: list[float] = attrs.field(factory=list)
    latency_ms: list[float] = attrs.field(factory=list)
    cpu_us_per_query: list[float] = attrs.field(factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.queries_per_s) if self.queries_per_s else 0.0


Results = dict[tuple[str, int], Figures]


def run(options: LocalOptions) -> None:
    """Measure and print."""
    with open_workspace() as workspace:
        hosts = ["127.0.0.1"]
        with open_origin(workspace, hosts=hosts, namespace=None, scale=options.scale) as origin, ExitStack() as stack:
            about = machine.describe(workspace, origin)
            print(machine.text(about), "", sep="\n", flush=True)
            ways, missing = _open_ways(workspace, origin, options, stack)
            results = _measure(workspace, ways, options)
    table = tabulate(results, options)
    for name, reason in missing.items():
        table.add_missing(name, reason)
    print(table.text())
    figures = {
        "benchmark": "local",
        "machine": about,
        "options": attrs.asdict(options),
        "rows": [_figures(results, way, count) for way, count in results],
        "not_available": missing,
    }
    save(figures, options.json_file)


def _open_ways(
    workspace: Workspace, origin: Origin, options: LocalOptions, stack: ExitStack
) -> tuple[list[Way], dict[str, str]]:
    """Start every pooler; what cannot be started is named with its reason."""
    target = origin.endpoint("127.0.0.1", sslmode="disable")
    ways = [Way(POSTGRESQL, target, [])]
    missing: dict[str, str] = {}
    try:
        pgbouncer.version(workspace)
        settings = BouncerOptions(name="local", listen="127.0.0.1", server=target, pool_size=options.connections)
        bouncer = stack.enter_context(open_bouncer(workspace, origin, settings))
        ways.append(Way(PGBOUNCER, bouncer.endpoint, [bouncer.pid]))
    except UnavailableError as error:
        missing[PGBOUNCER] = str(error)
    for name, short, link_tls in ((PLAIN, "plain", False), (TLS, "secured", True)):
        settings_of = NodesOptions(
            name=short, origin=target, link_tls=link_tls, client_tls=False, connection_limit=options.connections
        )
        try:
            nodes = stack.enter_context(open_nodes(workspace, settings_of))
            ways.append(Way(name, nodes.endpoint, [nodes.edge_pid, nodes.pool_pid]))
        except UnavailableError as error:
            missing[name] = str(error)
    return ways, missing


def _measure(workspace: Workspace, ways: list[Way], options: LocalOptions) -> Results:
    """All rounds; within a round each way is loaded in turn, so that a slow minute hits all of them."""
    results: Results = {}
    say(f"warming up {', '.join(way.name for way in ways)}")
    plans = {}
    for way in ways:
        for clients in options.clients:
            plan = LoadPlan(clients=clients, seconds=options.seconds, protocol=options.protocol)
            plans[way.name, clients] = rehearse(workspace, way.endpoint, plan)
    for number in range(1, options.rounds + 1):
        for clients in options.clients:
            say(f"round {number} of {options.rounds}, {clients} clients")
            for way in ways:
                meter = CpuMeter(way.pids)
                load = run_load(workspace, way.endpoint, plans[way.name, clients])
                figures = results.setdefault((way.name, clients), Figures())
                figures.queries_per_s.append(load.queries_per_s)
                figures.latency_ms.append(load.latency_ms)
                figures.cpu_us_per_query.append(meter.seconds() * 1e6 / load.queries)
    return results


def _figures(results: Results, way: str, clients: int) -> dict[str, object]:
    """One row for --json: every round, the median and the ratio to the peer."""
    row, peer = results[way, clients], results.get((PGBOUNCER, clients), Figures()).median
    of_peer = row.median / peer if peer else None
    return {"way": way, "clients": clients, "median": row.median, "of_pgbouncer": of_peer, **attrs.asdict(row)}


def tabulate(results: Results, options: LocalOptions) -> Table:
    """Medians, and ratios to the peers in the same run."""
    title = (
        f"Loopback, pgbench -S -M {options.protocol}, {options.connections} origin connections, "
        f"medians of {options.rounds} alternating rounds of {options.seconds:g} s"
    )
    table = Table(title, HEADS)
    for clients in options.clients:
        peer, origin = (results.get((name, clients), Figures()).median for name in (PGBOUNCER, POSTGRESQL))
        for name in (POSTGRESQL, PGBOUNCER, PLAIN, TLS):
            if (figures := results.get((name, clients))) is not None:
                table.add(*_row(name, clients, figures, (peer, origin)))
    return table


def _row(name: str, clients: int, figures: Figures, peers: tuple[float, float]) -> tuple[str, ...]:
    return (
        name,
        str(clients),
        f"{figures.median:.0f}",
        ratio(figures.median, peers[0]),
        ratio(figures.median, peers[1]),
        f"{statistics.median(figures.latency_ms):.2f}",
        f"{statistics.median(figures.cpu_us_per_query):.0f}" if name != POSTGRESQL else "",
        spread(figures.queries_per_s),
    )
