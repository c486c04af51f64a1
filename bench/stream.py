"""`python -m bench stream`: one large result on the link, and what it does to everybody else there.

One client takes a result of 1 GiB over a long link of stated bandwidth, while a second asks small queries one after
the other. Shown are the rate of the bulk flow, the small queries' median and 99th percentile in crossings, and how much
both nodes grew. For comparison the same is measured straight to PostgreSQL, where the two have TCP connections of their
own but share the queue at the bottleneck.
"""

import json
import subprocess
import sys
import time
from typing import Any, Final

import attrs

from bench import machine
from bench.endpoint import Endpoint
from bench.longlink import ORIGIN_ADDRESS, LinkShape
from bench.onetrip import open_nodes
from bench.processes import resident_bytes
from bench.report import Sample, Table, save
from bench.scene import Scene, link_text, open_scene
from bench.workspace import Place, UnavailableError, answer_of, say, stop

MIB: Final = 1 << 20
HEADS: Final = (
    "way",
    "bulk Mbit/s",
    "of the link",
    "alone",
    "median",
    "p95",
    "p99",
    "worst",
    "queries",
    "edge grew",
    "pool grew",
)
ALONE_QUERIES: Final = 20
WARM_UP_QUERIES: Final = 5
PROGRESS_EVERY_S: Final = 10.0
# A bulk flow this much slower than the link is given up.
PATIENCE: Final = 6.0


@attrs.frozen(kw_only=True)
class StreamOptions:
    """What to measure."""

    shape: LinkShape = attrs.field(factory=LinkShape)
    mib: int = 1024
    direct: bool = True
    json_file: str | None = None


@attrs.frozen
class Outcome:
    """What one way gave."""

    bulk_mbit_s: float
    alone: Sample
    beside: Sample
    grown_bytes: tuple[int, ...]

    def figures(self, round_trip_ms: float) -> dict[str, Any]:
        """For --json."""
        return {
            "bulk_mbit_s": self.bulk_mbit_s,
            "alone_median_crossings": self.alone.crossings(round_trip_ms),
            "median_crossings": self.beside.crossings(round_trip_ms),
            "p99_crossings": self.beside.percentile_ms(0.99) / round_trip_ms,
            "small_ms": list(self.beside.values_ms),
            "grown_bytes": list(self.grown_bytes),
        }

    def cells(self, name: str, round_trip_ms: float, bandwidth_mbit_s: float) -> tuple[str, ...]:
        """For the table; small queries in crossings."""
        parts = [self.beside.percentile_ms(part) / round_trip_ms for part in (0.95, 0.99, 1.0)]
        grown = [f"{size / MIB:.1f} MiB" for size in self.grown_bytes] or ["", ""]
        return (
            name,
            f"{self.bulk_mbit_s:.1f}",
            f"{self.bulk_mbit_s / bandwidth_mbit_s:.0%}",
            f"{self.alone.crossings(round_trip_ms):.2f}",
            f"{self.beside.crossings(round_trip_ms):.2f}",
            *[f"{part:.2f}" for part in parts],
            str(len(self.beside.values_ms)),
            *grown,
        )


class SmallQueries:
    """A second client that asks one small query after the other."""

    def __init__(self, scene: Scene, client: "subprocess.Popen[str]", endpoint: Endpoint) -> None:
        self._scene = scene
        self._client = client
        scene.request(client, {"open": endpoint.conninfo()})

    def ask(self) -> float:
        """Milliseconds of one query."""
        answer = self._scene.request(self._client, {"query": ""})
        return float(answer["ms"])


def measure(scene: Scene, endpoint: Endpoint, pids: list[int], mib: int) -> Outcome:
    """One bulk flow and one client of small queries by the same way."""
    with scene.client() as client:
        small = SmallQueries(scene, client, endpoint)
        for _ in range(WARM_UP_QUERIES):
            small.ask()
        alone = [small.ask() for _ in range(ALONE_QUERIES)]
        before = [resident_bytes(pid) for pid in pids]
        peaks = list(before)
        bulk = _start_bulk(scene, endpoint, mib)
        try:
            answer_of(scene.workspace, "bulk", bulk)
            beside = _ask_until_end(scene, small, bulk, (pids, peaks))
            total = json.loads(answer_of(scene.workspace, "bulk", bulk))
        finally:
            stop(bulk)
    grown = tuple(peak - size for peak, size in zip(peaks, before, strict=True))
    rate = total["bytes"] * 8 / total["seconds"] / 1e6
    return Outcome(rate, Sample(tuple(alone)), Sample(tuple(beside)), grown)


def _start_bulk(scene: Scene, endpoint: Endpoint, mib: int) -> "subprocess.Popen[str]":
    argv = [sys.executable, "-m", "bench.bulk", str(mib * MIB)]
    bulk = scene.workspace.spawn("bulk", argv, Place(namespace=scene.link.edge_namespace))
    assert bulk.stdin is not None
    bulk.stdin.write(endpoint.conninfo() + "\n")
    bulk.stdin.flush()
    return bulk


def _ask_until_end(
    scene: Scene, small: SmallQueries, bulk: "subprocess.Popen[str]", memory: tuple[list[int], list[int]]
) -> list[float]:
    """Small queries while the bulk flow lasts; the peaks of the nodes' memory are kept up to date."""
    pids, peaks = memory
    begun = told = time.monotonic()
    deadline = begun + 30 + PATIENCE * _expected_s(scene, bulk)
    taken = []
    while bulk.poll() is None:
        taken.append(small.ask())
        for i, pid in enumerate(pids):
            peaks[i] = max(peaks[i], resident_bytes(pid))
        now = time.monotonic()
        if now > deadline:
            message = f"the large result was not through after {now - begun:.0f} s"
            raise UnavailableError(message)
        if now - told > PROGRESS_EVERY_S:
            told = now
            say(f"{now - begun:.0f} s, {len(taken)} small queries")
    return taken[:-1] or taken  # the last may have run alone


def _expected_s(scene: Scene, bulk: "subprocess.Popen[str]") -> float:
    assert isinstance(bulk.args, list)
    return float(int(str(bulk.args[-1])) / scene.link.shape.rate_bytes_per_s)


def run(options: StreamOptions) -> None:
    """Measure and print."""
    with open_scene(options.shape, scale=1) as scene:
        about = machine.describe(scene.workspace, scene.origin)
        print(machine.text(about), link_text(scene.link), "", sep="\n", flush=True)
        round_trip_ms, bandwidth = scene.link.round_trip_ms, scene.link.measured["bandwidth_mbit_s"]
        table = Table(f"A result of {options.mib} MiB beside small queries; small queries in crossings", HEADS)
        figures: dict[str, Any] = {}
        for name in ("straight to PostgreSQL, TLS", "Onetrip, TLS on the link")[0 if options.direct else 1 :]:
            say(f"{name}: {options.mib} MiB, about {options.mib * MIB / options.shape.rate_bytes_per_s:.0f} s")
            try:
                outcome = _by_way(scene, name, options.mib)
            except UnavailableError as error:
                table.add_missing(name, error)
                figures[name] = {"not_available": str(error)}
            else:
                table.add(*outcome.cells(name, round_trip_ms, bandwidth))
                figures[name] = outcome.figures(round_trip_ms)
        print(table.text())
        link = {**attrs.asdict(scene.link.shape), "congestion": scene.link.congestion, **scene.link.measured}
        counters = scene.link.counters()
    figures_of = {"benchmark": "stream", "machine": about, "link": link, "mib": options.mib, "forwarder": counters}
    save({**figures_of, "rows": figures}, options.json_file)


def _by_way(scene: Scene, name: str, mib: int) -> Outcome:
    if not name.startswith("Onetrip"):
        return measure(scene, scene.origin.endpoint(ORIGIN_ADDRESS, sslmode="require"), [], mib)
    with open_nodes(scene.workspace, scene.nodes_options("stream")) as nodes:
        return measure(scene, nodes.endpoint, [nodes.edge_pid, nodes.pool_pid], mib)
