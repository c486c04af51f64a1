"""`python -m bench cache`: what a cached read costs, and how old it can be.

Theory of operation: four parts, each a table. On loopback: reads of a thousand warmed keys by each way
(bench/cacheload.py), and one client beside an echo of the recorded bytes (bench/cachehit.py). Over the long link: what
a hit and a miss cost in crossings; then two edges, where all that is written at one is read at both
(bench/cachefresh.py). Where no long link can be laid the last two are left out, and it says so. In a tree without a
query cache every read crosses: the rate of hits is 0, and nothing is stale.
"""

from contextlib import ExitStack
from typing import Any

import attrs

from bench import cachefresh, cachehit, cacheload, machine
from bench.longlink import LinkShape, refuse_without_means
from bench.onetrip import open_nodes
from bench.origin import open_origin
from bench.report import Table, save
from bench.scene import link_text, open_scene
from bench.workspace import Place, UnavailableError, open_workspace, say


@attrs.frozen(kw_only=True)
class CacheOptions:
    """What to measure."""

    shape: LinkShape = attrs.field(factory=LinkShape)
    load: cacheload.Plan = attrs.field(factory=cacheload.Plan)
    hit: cachehit.Plan = attrs.field(factory=cachehit.Plan)
    writes: int = 10_000
    pairs: int = 32
    scale: int = 10
    local: bool = True
    link: bool = True
    json_file: str | None = None

    @property
    def freshness(self) -> dict[str, int]:
        """What bench/freshness.py is told beside where to connect."""
        return {"writes": self.writes, "pairs": self.pairs, "keys": self.load.keys}


def run(options: CacheOptions) -> None:
    """Measure and print."""
    figures: dict[str, Any] = {"benchmark": "cache", "options": attrs.asdict(options)}
    if options.local:
        figures |= measure_here(options)
    if options.link:
        try:
            refuse_without_means()
            figures |= _measure_link(options)
        except UnavailableError as error:
            say(f"skipped: {error}")
            figures["link"] = {"not_available": str(error)}
    save(figures, options.json_file)


def measure_here(options: CacheOptions, *, fresh: bool = False) -> dict[str, Any]:
    """On loopback: the load, one client; and, if asked, two edges without a link to speak of."""
    with open_workspace() as workspace:
        most = options.load.max_connections
        origin_options: dict[str, Any] = {"hosts": ["127.0.0.1"], "namespace": None, "scale": options.scale}
        with open_origin(workspace, **origin_options, max_connections=most) as origin, ExitStack() as stack:
            about = machine.describe(workspace, origin)
            print(machine.text(about), "", sep="\n", flush=True)
            caching = cacheload.nodes_options(origin, options.load.connections, caching=True)
            nodes = stack.enter_context(open_nodes(workspace, caching))
            outcome = cacheload.measure(workspace, origin, nodes, options.load)
            _show(cacheload.tabulate(outcome, options.load))
            latency = cachehit.beside_echo(workspace, nodes, options.hit)
            _show(cachehit.local_table(latency, options.hit))
            figures: dict[str, Any] = {"machine": about, "load": outcome.figures(), "echo": latency.figures()}
            figures["not_available"] = outcome.missing
            if fresh:
                cachefresh.make_tables(origin, options.load.keys)
                plan = cachefresh.plan_for(nodes, options.freshness)
                seen = cachefresh.measure(workspace, nodes, plan, 0.0)
                _show(cachefresh.tabulate(seen))
                figures["freshness"] = seen.figures()
    return figures


def _measure_link(options: CacheOptions) -> dict[str, Any]:
    """Over the long link: hits and misses, and the two edges."""
    with open_scene(options.shape, options.scale) as scene, ExitStack() as stack:
        link = scene.link
        print(machine.text(machine.describe(scene.workspace, scene.origin)), link_text(link), "", sep="\n", flush=True)
        cachefresh.make_tables(scene.origin, options.load.keys)
        caching = attrs.evolve(scene.nodes_options("caching"), caching=True, edges=2)
        nodes = stack.enter_context(open_nodes(scene.workspace, caching))
        crossing = stack.enter_context(open_nodes(scene.workspace, scene.nodes_options("crossing")))
        latency = cachehit.over_link(scene, nodes, crossing, options.hit)
        _show(cachehit.link_table(latency, link))
        place = Place(namespace=link.edge_namespace)
        plan = cachefresh.plan_for(nodes, options.freshness)
        fresh = cachefresh.measure(scene.workspace, nodes, plan, link.round_trip_ms, place)
        _show(cachefresh.tabulate(fresh))
        return {
            "link": {**attrs.asdict(link.shape), "congestion": link.congestion, **link.measured},
            "forwarder": link.counters(),
            "latency": latency.figures(),
            "freshness": fresh.figures(),
        }


def _show(table: Table) -> None:
    print(table.text(), flush=True)
