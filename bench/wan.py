"""`python -m bench wan`: what a client far from its database pays, by which way it comes.

Theory of operation: the origin, and what stands beside it, run at one end of a long link; the measuring client, and
what stands near it, at the other. Each way in is measured alone: connect, first query, second query, in milliseconds
and in crossings (milliseconds divided by the link's measured round trip). "Cold" means that the pooler at the edge has
just been started for each sample; "warm" that it has served clients before. The queries are simple ones; "parameter" is
a statement with a parameter by the extended protocol, "connect + first" what a client that asks once pays.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final

import attrs

from bench import machine, pgbouncer, throughput
from bench.endpoint import Endpoint
from bench.longlink import ORIGIN_ADDRESS, LinkShape
from bench.onetrip import open_nodes
from bench.pgbouncer import Bouncer, open_bouncer
from bench.report import Sample, Table, save
from bench.scene import Scene, link_text, open_scene, transport_of
from bench.workspace import UnavailableError, say

HEADS: Final = (
    "way",
    *("connect ms", "crossings", "first ms", "crossings", "second ms", "crossings"),
    *("parameter", "connect + first"),
)
STEPS: Final = ("connect", "first", "second", "extended")
WARM_UP: Final = 3
# The command's minimum; a median of fewer says little.
MIN_REPEAT: Final = 30


@attrs.frozen(kw_only=True)
class WanOptions:
    """What to measure."""

    shape: LinkShape = attrs.field(factory=LinkShape)
    repeat: int = MIN_REPEAT
    scale: int = 10
    load: throughput.Plan = attrs.field(factory=throughput.Plan)
    json_file: str | None = None


@attrs.define
class Ways:
    """The table of ways, filled one by one; each is also kept in figures for --json."""

    scene: Scene
    repeat: int
    table: Table
    figures: dict[str, Any] = attrs.field(factory=dict)

    def measure(self, name: str, endpoint: Endpoint, before_each: Callable[[], None] | None = None) -> None:
        """Measure one way in; before_each makes it cold."""
        scene = self.scene
        say(f"{name}: {self.repeat} times")
        with scene.client() as client:
            request: dict[str, str] = {"timeline": endpoint.conninfo()}
            if before_each is None:
                for _ in range(WARM_UP):
                    scene.request(client, request)
            lines = []
            for _ in range(self.repeat):
                if before_each is not None:
                    before_each()
                lines.append(scene.request(client, request)["ms"])
        self.add(name, lines)

    def missing(self, name: str, reason: object) -> None:
        """A way that cannot be measured here."""
        say(f"{name}: not available: {reason}")
        self.table.add_missing(name, reason)
        self.figures[name] = {"not_available": str(reason)}

    def add(self, name: str, lines: list[list[float]]) -> None:
        """A row from the timelines of one way."""
        round_trip_ms = self.scene.link.round_trip_ms
        samples = {step: Sample(tuple(line[i] for line in lines)) for i, step in enumerate(STEPS)}
        both = Sample(tuple(line[0] + line[1] for line in lines))
        cells = [name]
        for step in STEPS[:3]:
            cells += [f"{samples[step].median_ms:.1f}", f"{samples[step].crossings(round_trip_ms):.2f}"]
        cells.append(f"{samples['extended'].crossings(round_trip_ms):.2f}")
        self.table.add(*cells, f"{both.crossings(round_trip_ms):.2f}")
        say(f"{name}: connect + first query {both.crossings(round_trip_ms):.2f} crossings")
        self.figures[name] = {
            "connect_and_first_crossings": both.crossings(round_trip_ms),
            **{f"{step}_ms": list(sample.values_ms) for step, sample in samples.items()},
            **{f"{step}_crossings": sample.crossings(round_trip_ms) for step, sample in samples.items()},
        }


def measure_ways(scene: Scene, repeat: int) -> Ways:
    """Every way in, one after the other."""
    title = f"Medians of {repeat}; a crossing is {scene.link.round_trip_ms:.1f} ms"
    ways = Ways(scene, repeat, Table(title, HEADS))
    ways.measure("straight to PostgreSQL, TLS", scene.origin.endpoint(ORIGIN_ADDRESS, sslmode="require"))
    _measure_bouncers(ways)
    _measure_onetrip(ways)
    return ways


def _measure_bouncers(ways: Ways) -> None:
    scene = ways.scene
    beside, at_edge = scene.bouncer_options()
    names = (
        "PgBouncer beside the database, TLS",
        "PgBouncer at the edge, cold",
        "PgBouncer at the edge, warm",
        "two PgBouncers in a chain, cold",
        "two PgBouncers in a chain, warm",
    )
    with ExitStack() as stack:
        try:
            pgbouncer.version(scene.workspace)
            far = stack.enter_context(open_bouncer(scene.workspace, scene.origin, beside))
            ways.measure(names[0], far.endpoint)
            near = stack.enter_context(open_bouncer(scene.workspace, scene.origin, at_edge))
            _cold_and_warm(ways, names[1:3], near)
            chained = attrs.evolve(at_edge, name="chain", server=far.endpoint)
            chain = stack.enter_context(open_bouncer(scene.workspace, scene.origin, chained))
            _cold_and_warm(ways, names[3:5], chain)
        except UnavailableError as error:
            for name in names:
                if name not in ways.figures:
                    ways.missing(name, error)


def _cold_and_warm(ways: Ways, names: tuple[str, ...], bouncer: Bouncer) -> None:
    ways.measure(names[0], bouncer.endpoint, bouncer.restart)
    ways.measure(names[1], bouncer.endpoint)


def _measure_onetrip(ways: Ways) -> None:
    names = ("Onetrip, client without TLS", "Onetrip, client with TLS", "Onetrip, TLS, scram_iterations 1")
    try:
        with open_nodes(ways.scene.workspace, ways.scene.nodes_options()) as nodes:
            ways.measure(names[0], nodes.endpoint)
            ways.measure(names[1], nodes.secured())
        quick = attrs.evolve(ways.scene.nodes_options(), name="quick", scram_iterations=1)
        with open_nodes(ways.scene.workspace, quick) as nodes:
            ways.measure(names[2], nodes.secured())
    except UnavailableError as error:
        for name in names:
            if name not in ways.figures:
                ways.missing(name, error)


def run(options: WanOptions) -> None:
    """Measure and print."""
    with open_scene(options.shape, options.scale) as scene:
        about = machine.describe(scene.workspace, scene.origin)
        transport = transport_of(scene)
        print(machine.text(about), link_text(scene.link), f"TLS         {transport}", "", sep="\n", flush=True)
        ways = measure_ways(scene, options.repeat)
        print(ways.table.text(), flush=True)
        load = throughput.measure(scene, options.load)
        print(load.table.text(), flush=True)
        counters = scene.link.counters()
        print(f"forwarder   {counters['cpu_s']:.1f} s of CPU in all, latest packet {counters['latest_ms']:.1f} ms late")
        figures = {
            "benchmark": "wan",
            "machine": about,
            "tls": transport,
            "link": {**attrs.asdict(scene.link.shape), "congestion": scene.link.congestion, **scene.link.measured},
            "forwarder": counters,
            "ways": ways.figures,
            "throughput": load.figures,
        }
        save(figures, options.json_file)
