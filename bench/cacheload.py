"""Reads of a thousand warmed keys on loopback, by pgbench: what answers them how fast.

Ways: PgBouncer in front of PostgreSQL, Pgpool-II with its memory cache, Onetrip with caching (one edge process) and
without. Rounds alternate, medians are shown. pgbench takes its share of the same cores, which the faster a way is the
more it is what is measured: so its own CPU stands in the table. PgBouncer 1.18 knows no prepared statements between
transactions; where pgbench prepares, it lends a connection for a session, and has as many as there are clients.
"""

import resource
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import attrs

from bench import hitrate, pgbouncer
from bench.endpoint import Endpoint
from bench.hitrate import Served
from bench.lookup import SELECT
from bench.onetrip import Nodes, NodesOptions, open_nodes
from bench.origin import Origin
from bench.pgbench import LoadPlan, rehearse, run_load, run_once
from bench.pgbouncer import BouncerOptions, open_bouncer
from bench.pgpool import PgpoolOptions, open_pgpool
from bench.processes import CpuMeter
from bench.report import Table, ratio, spread
from bench.workspace import UnavailableError, Workspace, say

PGBOUNCER: Final = "PgBouncer"
PGPOOL: Final = "Pgpool-II, memory cache"
HIT: Final = "Onetrip, hit"
MISS: Final = "Onetrip, caching off"
WAYS: Final = (PGBOUNCER, PGPOOL, HIT, MISS)
HEADS: Final = (
    *("way", "protocol", "clients", "queries/s", "of PgBouncer", "average ms", "hit rate"),
    *("CPU µs/query", "pgbench CPU", "rounds"),
)
SPARE_CONNECTIONS: Final = 40


@attrs.frozen(kw_only=True)
class Plan:
    """What to load."""

    keys: int = 1000
    clients: tuple[int, ...] = (1, 16, 64)
    protocols: tuple[str, ...] = ("simple", "prepared")
    seconds: float = 5.0
    rounds: int = 3
    connections: int = 20
    jobs: int = 1
    """pgbench's threads: it has two cores to share with what it loads."""

    @property
    def max_connections(self) -> int:
        """What the origin needs: Pgpool-II and PgBouncer by session have a connection for each client."""
        return 2 * max(self.clients) + 3 * self.connections + SPARE_CONNECTIONS


@attrs.frozen
class Way:
    """One way to the rows."""

    name: str
    endpoints: dict[str, Endpoint]
    """By protocol."""
    pids: list[int]
    status: Callable[[], dict[str, Any]] | None = None


@attrs.define
class Figures:
    """The rounds of one way, by one protocol, at one number of clients."""

    queries_per_s: list[float] = attrs.field(factory=list)
    latency_ms: list[float] = attrs.field(factory=list)
    cpu_us_per_query: list[float] = attrs.field(factory=list)
    pgbench_cpu_share: list[float] = attrs.field(factory=list)
    hits: int = 0
    queries: int = 0

    @property
    def median(self) -> float:
        return statistics.median(self.queries_per_s) if self.queries_per_s else 0.0

    @property
    def hit_rate(self) -> float:
        return Served(hits=self.hits).rate(self.queries)


Results = dict[tuple[str, str, int], Figures]


@attrs.define
class Outcome:
    """What came of it."""

    results: Results = attrs.field(factory=dict)
    missing: dict[str, str] = attrs.field(factory=dict)

    def figures(self) -> list[dict[str, Any]]:
        """Every round, for --json."""
        rows = []
        for (way, protocol, clients), one in self.results.items():
            peer = self.results.get((PGBOUNCER, protocol, clients), Figures()).median
            head = {"way": way, "protocol": protocol, "clients": clients, "median": one.median}
            more = {"of_pgbouncer": one.median / peer if peer else None, "hit_rate": one.hit_rate}
            rows.append({**head, **more, **attrs.asdict(one)})
        return rows


def scripts(directory: Path, keys: int) -> tuple[str, str]:
    """Files for pgbench: one random key a transaction; and each key once, which warms a cache up."""
    load, warm = directory / "load.sql", directory / "warm.sql"
    select = SELECT.format(":aid")
    load.write_text(f"\\set aid random(1, {keys})\n{select}\n")
    warm.write_text("".join(f"\\set aid {key}\n{select}\n" for key in range(1, keys + 1)))
    return str(load), str(warm)


def nodes_options(origin: Origin, connections: int, *, caching: bool) -> NodesOptions:
    """Onetrip on loopback with a plain link; with caching it has a second edge, for who compares the two."""
    return NodesOptions(
        name="caching" if caching else "crossing",
        origin=origin.endpoint("127.0.0.1", sslmode="disable"),
        link_tls=False,
        client_tls=False,
        connection_limit=connections,
        caching=caching,
        edges=2 if caching else 1,
    )


@attrs.frozen
class Stage:
    """What is there before any way is opened: the caching nodes outlive the load."""

    workspace: Workspace
    origin: Origin
    caching: Nodes
    stack: ExitStack


def open_ways(stage: Stage, plan: Plan) -> tuple[list[Way], dict[str, str]]:
    """Start them; what cannot be started is named with its reason."""
    ways: list[Way] = []
    missing: dict[str, str] = {}
    openers: dict[str, Callable[[], Way]] = {
        PGBOUNCER: lambda: _bouncers(stage, plan),
        PGPOOL: lambda: _pgpool(stage, plan),
        HIT: lambda: _onetrip(HIT, stage.caching, plan),
        MISS: lambda: _onetrip(MISS, _uncached(stage, plan), plan),
    }
    for name, opener in openers.items():
        try:
            ways.append(opener())
        except UnavailableError as error:
            say(f"{name}: not available: {error}")
            missing[name] = str(error)
    return ways, missing


def _bouncers(stage: Stage, plan: Plan) -> Way:
    pgbouncer.version(stage.workspace)
    target = stage.origin.endpoint("127.0.0.1", sslmode="disable")
    endpoints, pids = {}, []
    for protocol in plan.protocols:
        options = BouncerOptions(name=f"bouncer-{protocol}", listen="127.0.0.1", server=target)
        if protocol == "prepared":
            options = attrs.evolve(options, pool_mode="session", pool_size=max(plan.clients))
        else:
            options = attrs.evolve(options, pool_size=plan.connections)
        bouncer = stage.stack.enter_context(open_bouncer(stage.workspace, stage.origin, options))
        endpoints[protocol] = bouncer.endpoint
        pids.append(bouncer.pid)
    return Way(PGBOUNCER, endpoints, pids)


def _pgpool(stage: Stage, plan: Plan) -> Way:
    target = stage.origin.endpoint("127.0.0.1", sslmode="disable")
    options = PgpoolOptions(name="pgpool", server=target, clients=max(plan.clients))
    running = stage.stack.enter_context(open_pgpool(stage.workspace, options))
    return Way(PGPOOL, dict.fromkeys(plan.protocols, running.endpoint), [running.pid])


def _uncached(stage: Stage, plan: Plan) -> Nodes:
    options = nodes_options(stage.origin, plan.connections, caching=False)
    return stage.stack.enter_context(open_nodes(stage.workspace, options))


def _onetrip(name: str, nodes: Nodes, plan: Plan) -> Way:
    pids = [nodes.edge_pid, nodes.pool_pid]
    return Way(name, dict.fromkeys(plan.protocols, nodes.endpoint), pids, nodes.status)


def measure(workspace: Workspace, origin: Origin, caching: Nodes, plan: Plan) -> Outcome:
    """All rounds; within a round each way is loaded in turn, so that a slow minute hits all of them."""
    load, warm = scripts(workspace.directory("scripts"), plan.keys)
    with ExitStack() as stack:
        ways, missing = open_ways(Stage(workspace, origin, caching, stack), plan)
        outcome = Outcome(missing=missing)
        plans = {}
        for way in ways:
            say(f"warming up {way.name}")
            for protocol in plan.protocols:
                one = LoadPlan(clients=1, seconds=0, jobs=plan.jobs, protocol=protocol, script=warm)
                run_once(workspace, way.endpoints[protocol], one)
                for clients in plan.clients:
                    one = attrs.evolve(one, clients=clients, seconds=plan.seconds, script=load)
                    plans[way.name, protocol, clients] = rehearse(workspace, way.endpoints[protocol], one)
        kinds = [(protocol, clients) for protocol in plan.protocols for clients in plan.clients]
        for number in range(1, plan.rounds + 1):
            for kind in kinds:
                say(f"round {number} of {plan.rounds}: {kind[0]}, {kind[1]} clients")
                for way in ways:
                    key = (way.name, *kind)
                    _load(workspace, way, plans[key], outcome.results.setdefault(key, Figures()))
    return outcome


def _load(workspace: Workspace, way: Way, plan: LoadPlan, figures: Figures) -> None:
    """One round of one way."""
    before = hitrate.settled(way.status) if way.name == HIT and way.status is not None else Served()
    meter, pgbench = CpuMeter(way.pids), _pgbench_cpu_s()
    load = run_load(workspace, way.endpoints[plan.protocol], plan)
    figures.queries_per_s.append(load.queries_per_s)
    figures.latency_ms.append(load.latency_ms)
    figures.cpu_us_per_query.append(meter.seconds() * 1e6 / load.queries)
    figures.pgbench_cpu_share.append((_pgbench_cpu_s() - pgbench) / (load.queries / load.queries_per_s))
    figures.queries += load.queries
    if way.name == HIT and way.status is not None:
        figures.hits += hitrate.settled(way.status).since(before).hits


def _pgbench_cpu_s() -> float:
    """CPU of the children that have ended: between two readings that is pgbench."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tabulate(outcome: Outcome, plan: Plan) -> Table:
    """Medians, and the ratio to PgBouncer in the same run."""
    title = (
        f"Loopback, SELECT by key of {plan.keys} warmed keys, {plan.connections} origin connections, "
        f"medians of {plan.rounds} alternating rounds of {plan.seconds:g} s, pgbench with {plan.jobs} thread"
    )
    table = Table(title, HEADS)
    for protocol in plan.protocols:
        for clients in plan.clients:
            peer = outcome.results.get((PGBOUNCER, protocol, clients), Figures()).median
            for name in WAYS:
                if (figures := outcome.results.get((name, protocol, clients))) is not None:
                    table.add(*_row((name, protocol, str(clients)), figures, peer))
    for name, reason in outcome.missing.items():
        table.add_missing(name, reason)
    return table


def _row(head: tuple[str, str, str], figures: Figures, peer: float) -> tuple[str, ...]:
    return (
        *head,
        f"{figures.median:.0f}",
        ratio(figures.median, peer),
        f"{statistics.median(figures.latency_ms):.2f}",
        f"{figures.hit_rate:.2%}" if head[0] == HIT else "",
        f"{statistics.median(figures.cpu_us_per_query):.0f}",
        f"{statistics.median(figures.pgbench_cpu_share):.0%}",
        spread(figures.queries_per_s),
    )
