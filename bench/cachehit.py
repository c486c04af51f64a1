"""What a hit takes one client: beside an echo of the recorded bytes on loopback, and in crossings over a link."""

import json
import statistics
import sys
from typing import Any, Final

import attrs

from bench.echo import record
from bench.endpoint import Endpoint
from bench.longlink import LongLink
from bench.lookup import PROTOCOLS
from bench.onetrip import Nodes
from bench.report import Sample, Table
from bench.scene import Scene, ask
from bench.workspace import Workspace, answer_of, say, stop

ECHO: Final = "echo of the recorded bytes"
HIT: Final = "Onetrip, hit"
LOCAL_HEADS: Final = ("what answers", "protocol", "median ms", "p99 ms", "more than the echo, ms")
LINK_HEADS: Final = ("read", "protocol", "median ms", "p99 ms", "crossings")
# Before what counts: a Python process and a branch predictor want to be warm.
WARM_UP: Final = 200


@attrs.frozen(kw_only=True)
class Plan:
    """How often to ask."""

    rounds: int = 5
    queries: int = 2000
    """In each round."""
    misses: int = 40
    """Of keys that nobody has asked for, one crossing each."""
    keys: int = 1000


@attrs.define
class Latency:
    """Samples by what answered and by which protocol."""

    samples: dict[tuple[str, str], list[float]] = attrs.field(factory=dict)

    def add(self, name: str, protocol: str, times_ms: list[float]) -> None:
        self.samples.setdefault((name, protocol), []).extend(times_ms)

    def sample(self, name: str, protocol: str) -> Sample:
        return Sample(tuple(self.samples[name, protocol]))

    def more_than_echo_ms(self, protocol: str) -> float:
        """What a hit takes beyond the echo, median beside median."""
        return self.sample(HIT, protocol).median_ms - self.sample(ECHO, protocol).median_ms

    def figures(self) -> list[dict[str, Any]]:
        """For --json."""
        return [
            {"what": name, "protocol": protocol, "median_ms": statistics.median(times), "ms": times}
            for (name, protocol), times in self.samples.items()
        ]


def beside_echo(workspace: Workspace, nodes: Nodes, plan: Plan) -> Latency:
    """The same client asks both in turn."""
    say("one client, beside an echo of the recorded bytes")
    key = [1]

    def listen_to(endpoint: Endpoint) -> None:
        # In a process of its own: libpq, while it connects, would keep this one's other threads from running.
        client = workspace.spawn("client", [sys.executable, "-m", "bench.lookup"])
        ask(workspace, client, {"open": endpoint.conninfo()})
        for protocol in PROTOCOLS:
            ask(workspace, client, {"ask": protocol, "keys": key})
        stop(client)

    listen_to(nodes.endpoint)
    recorded = {kind.decode(): answer.hex() for kind, answer in record(nodes.endpoint, listen_to).items()}
    echo = workspace.spawn("echo", [sys.executable, "-m", "bench.echo"])
    assert echo.stdin is not None
    echo.stdin.write(json.dumps(recorded) + "\n")
    echo.stdin.flush()
    port = json.loads(answer_of(workspace, "echo", echo))["port"]
    ends = {ECHO: attrs.evolve(nodes.endpoint, host="127.0.0.1", port=port), HIT: nodes.endpoint}
    latency = Latency()
    clients = {name: workspace.spawn("client", [sys.executable, "-m", "bench.lookup"]) for name in ends}
    for name, client in clients.items():
        ask(workspace, client, {"open": ends[name].conninfo()})
    for number in range(plan.rounds + 1):
        for protocol in PROTOCOLS:
            for name, client in clients.items():
                keys = key * (plan.queries if number else WARM_UP)
                times = ask(workspace, client, {"ask": protocol, "keys": keys})["ms"]
                if number:
                    latency.add(name, protocol, times)
    for process in (*clients.values(), echo):
        stop(process)
    return latency


def local_table(latency: Latency, plan: Plan) -> Table:
    """A hit beside the echo."""
    count = plan.rounds * plan.queries
    table = Table(f"Loopback, one client, {count} queries each in {plan.rounds} alternating rounds", LOCAL_HEADS)
    for protocol in PROTOCOLS:
        for name in (ECHO, HIT):
            sample = latency.sample(name, protocol)
            more = f"{latency.more_than_echo_ms(protocol):.3f}" if name == HIT else ""
            table.add(name, protocol, f"{sample.median_ms:.3f}", f"{sample.percentile_ms(0.99):.3f}", more)
    return table


def over_link(scene: Scene, nodes: Nodes, uncached: Nodes, plan: Plan) -> Latency:
    """Hits, reads of keys that are not there yet, and reads where caching is off."""
    latency = Latency()
    say("hits and misses over the link")
    warmed = list(range(1, plan.misses + 1))
    with scene.client("bench.lookup") as client:
        ask(scene.workspace, client, {"open": nodes.endpoint.conninfo()})
        for place, protocol in enumerate(PROTOCOLS):
            fresh = [key + (place + 1) * plan.misses for key in warmed]
            # The first is for what the session itself has to learn.
            ask(scene.workspace, client, {"ask": protocol, "keys": [plan.keys + place]})
            times = ask(scene.workspace, client, {"ask": protocol, "keys": fresh})["ms"]
            latency.add("first read of a key", protocol, times)
            times = ask(scene.workspace, client, {"ask": protocol, "keys": fresh * 5})["ms"]
            latency.add("the same again (hit)", protocol, times)
        ask(scene.workspace, client, {"open": uncached.endpoint.conninfo()})
        for protocol in PROTOCOLS:
            ask(scene.workspace, client, {"ask": protocol, "keys": [1]})
            times = ask(scene.workspace, client, {"ask": protocol, "keys": warmed})["ms"]
            latency.add("caching off", protocol, times)
    return latency


def link_table(latency: Latency, link: LongLink) -> Table:
    """In crossings of the link."""
    table = Table(f"Over the link, one client; a crossing is {link.round_trip_ms:.1f} ms", LINK_HEADS)
    for name, protocol in latency.samples:
        sample = latency.sample(name, protocol)
        crossings = f"{sample.crossings(link.round_trip_ms):.4f}"
        table.add(name, protocol, f"{sample.median_ms:.3f}", f"{sample.percentile_ms(0.99):.3f}", crossings)
    return table
