"""Many clients on few origin connections over the long link, by each way in: queries a second.

Whoever carries them, N clients that wait for each answer cannot exceed N divided by the round trip; a pooler at the
edge cannot exceed its connections divided by the round trip. pgbench runs at the edge. Each way is warmed up before it
is measured, but for the one that is about being cold.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import attrs

from bench import pgbouncer
from bench.endpoint import Endpoint
from bench.onetrip import open_nodes
from bench.pgbench import LoadPlan, run_load
from bench.pgbouncer import BouncerOptions, open_bouncer
from bench.processes import CpuMeter
from bench.report import Table
from bench.scene import Scene
from bench.workspace import UnavailableError, say

HEADS: Final = ("way", "queries/s", "of the ceiling", "average ms", "connect all s", "CPU µs/query", "forwarder CPU")
# PgBouncer opens one server connection after the other; with TLS and SCRAM each takes six or seven crossings.
OPENING_CROSSINGS: Final = 8
# Warming up a chain: it is over when some slices in a row were not this much faster than the best before.
SLICE_S: Final = 20.0
STILL_FASTER: Final = 1.02
PATIENT_SLICES: Final = 2
MAX_SLICES: Final = 30


@attrs.frozen(kw_only=True)
class Plan:
    """How much load, for how long."""

    clients: int = 256
    connections: int = 20
    seconds: float = 10.0
    warm_up_s: float = 4.0
    jobs: int = 8
    warm_chain: bool = False
    """Also wait until a chain of two PgBouncers is warm: it opens its connections over the link one at a time."""


@attrs.define
class Throughput:
    """The table, filled way by way."""

    scene: Scene
    plan: Plan
    table: Table
    figures: dict[str, Any] = attrs.field(factory=dict)

    def measure(self, name: str, endpoint: Endpoint, pids: list[int], warm_up_s: float) -> None:
        """Load one way in; pids are the poolers whose CPU is counted."""
        say(f"{name}: {self.plan.clients} clients for {self.plan.seconds:g} s after {warm_up_s:g} s")
        plan = self._load(self.plan.seconds)
        if warm_up_s > 0:
            warm = run_load(self.scene.workspace, endpoint, self._load(warm_up_s))
            plan = attrs.evolve(plan, head_start_s=warm.connect_ms / 1000)
        meter = CpuMeter(pids)
        forwarder = CpuMeter([self.scene.link.pid])
        load = run_load(self.scene.workspace, endpoint, plan)
        figures = {
            "queries_per_s": load.queries_per_s,
            "latency_ms": load.latency_ms,
            "connect_ms": load.connect_ms,
            "pooler_cpu_us_per_query": meter.seconds() * 1e6 / load.queries,
            "forwarder_cpu_share": forwarder.share(),
        }
        self.figures[name] = figures
        say(f"{name}: {load.queries_per_s:.0f} queries/s")
        self.table.add(
            name,
            f"{load.queries_per_s:.0f}",
            f"{load.queries_per_s / self.ceiling:.0%}",
            f"{load.latency_ms:.0f}",
            f"{load.connect_ms / 1000:.1f}",
            f"{figures['pooler_cpu_us_per_query']:.0f}",
            f"{figures['forwarder_cpu_share']:.0%}",
        )

    def warm_up(self, endpoint: Endpoint) -> None:
        """Load a way in until it gets no faster: its pool is full then."""
        best, idle_slices = 0.0, 0
        for number in range(MAX_SLICES):
            load = run_load(self.scene.workspace, endpoint, self._load(SLICE_S))
            say(f"warming up, {(number + 1) * SLICE_S:.0f} s: {load.queries_per_s:.0f} queries/s")
            idle_slices = idle_slices + 1 if load.queries_per_s < best * STILL_FASTER else 0
            if idle_slices == PATIENT_SLICES:
                return
            best = max(best, load.queries_per_s)

    def missing(self, name: str, reason: object) -> None:
        """A way that cannot be measured here."""
        say(f"{name}: not available: {reason}")
        self.table.add_missing(name, reason)
        self.figures[name] = {"not_available": str(reason)}

    @contextmanager
    def tried(self, name: str) -> Iterator[ExitStack]:
        """A way whose absence or failure is a row that says so."""
        try:
            with ExitStack() as stack:
                yield stack
        except UnavailableError as error:
            self.missing(name, error)

    @property
    def ceiling(self) -> float:
        """Queries a second that this many waiting clients can reach at all."""
        return self.plan.clients * 1000 / self.scene.link.round_trip_ms

    def _load(self, seconds: float) -> LoadPlan:
        return LoadPlan(
            clients=self.plan.clients,
            seconds=seconds,
            jobs=self.plan.jobs,
            namespace=self.scene.link.edge_namespace,
        )


def measure(scene: Scene, plan: Plan) -> Throughput:
    """Every way in, one after the other."""
    table = Table("", HEADS)
    result = Throughput(scene, plan, table)
    table.title = (
        f"{plan.clients} clients on {plan.connections} origin connections, one SELECT by key at a time; "
        f"no way can exceed {result.ceiling:.0f} queries/s"
    )
    beside, at_edge = (attrs.evolve(options, pool_size=plan.connections) for options in scene.bouncer_options())
    with result.tried("PgBouncer at the edge") as stack:
        pgbouncer.version(scene.workspace)
        near = stack.enter_context(open_bouncer(scene.workspace, scene.origin, attrs.evolve(at_edge, name="load-edge")))
        opening_s = plan.connections * OPENING_CROSSINGS * scene.link.round_trip_ms / 1000
        result.measure("PgBouncer at the edge", near.endpoint, [near.pid], opening_s + plan.warm_up_s)
    _measure_chain(result, attrs.evolve(beside, name="load-beside"), at_edge)
    name = "Onetrip, TLS on the link"
    with result.tried(name) as stack:
        options = attrs.evolve(scene.nodes_options("load"), connection_limit=plan.connections)
        nodes = stack.enter_context(open_nodes(scene.workspace, options))
        result.measure(name, nodes.endpoint, [nodes.edge_pid, nodes.pool_pid], plan.warm_up_s)
    return result


def _measure_chain(result: Throughput, beside: BouncerOptions, at_edge: BouncerOptions) -> None:
    """The chain at its best: the origin connections have pgbench's name from the start.

    PgBouncer 1.18 sets a client's application_name on a connection that has another one and waits for PostgreSQL to
    report the change. In a chain that report is missing when the connection behind the far PgBouncer has the name
    already, so the near one sends its SET again before each query: two crossings a query, for ever.
    """
    scene, plan = result.scene, result.plan
    # The same verifier: PgBouncer logs in with the keys that its client's login showed it.
    scene.origin.ask(f"CREATE ROLE named SUPERUSER LOGIN PASSWORD '{scene.origin.verifier()}'")
    scene.origin.ask("ALTER ROLE named SET application_name = 'pgbench'")
    beside = attrs.evolve(beside, server=attrs.evolve(beside.server, user="named"))
    cold, warm = "two PgBouncers in a chain, cold", "two PgBouncers in a chain, warm"
    with result.tried(cold) as stack:
        far = stack.enter_context(open_bouncer(scene.workspace, scene.origin, beside))
        options = attrs.evolve(at_edge, name="load-chain", server=far.endpoint, pool_size=plan.clients)
        near = stack.enter_context(open_bouncer(scene.workspace, scene.origin, options))
        result.measure(cold, near.endpoint, [near.pid, far.pid], 0)
        if plan.warm_chain:
            with result.tried(warm):
                result.warm_up(near.endpoint)
                result.measure(warm, near.endpoint, [near.pid, far.pid], plan.warm_up_s)
