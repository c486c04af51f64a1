"""`python -m bench idle`: what a client that does nothing costs an edge node.

Thousands of clients connect over loopback, each asks one query, and all stay. The edge's resident memory before and
after, divided by their number, is the cost of one; the same with TLS from the client to the edge. A first crowd comes
and goes before the clock starts, so that what the process allocates once is not counted. "Later half" is the growth by
the second half of the clients alone: were it much more, memory that was free at the start would have hidden the cost.
"""

import json
import sys
import time
from typing import Any, Final

import attrs

from bench import machine
from bench.endpoint import Endpoint
from bench.onetrip import Nodes, NodesOptions, open_nodes
from bench.origin import open_origin
from bench.processes import CpuMeter, resident_bytes
from bench.report import Table, save
from bench.workspace import UnavailableError, Workspace, answer_of, open_workspace, say, stop

KIB: Final = 1024
FIRST_CROWD: Final = 50
STEP: Final = 500
STEP_TIMEOUT_S: Final = 180.0
# What the nodes still have to do after the last answer: credit, timers, garbage.
SETTLE_S: Final = 2.0
HEADS: Final = (
    *("clients", "number", "before MiB", "connected MiB", "KiB each", "later half", "queried MiB", "KiB each"),
    *("logins/s", "CPU a login"),
)


@attrs.frozen(kw_only=True)
class IdleOptions:
    """What to measure."""

    clients: int = 5000
    json_file: str | None = None


class Crowd:
    """A process that holds clients."""

    def __init__(self, workspace: Workspace, endpoint: Endpoint) -> None:
        self._workspace = workspace
        self._endpoint = endpoint
        self._process = workspace.spawn("crowd", [sys.executable, "-m", "bench.crowd"])

    def grow(self, count: int) -> None:
        """Let some more clients connect."""
        self._request({"open": self._endpoint.conninfo(), "count": count})

    def query(self) -> None:
        """One query by each."""
        self._request({"query": ""})

    def leave(self) -> None:
        """All go."""
        stop(self._process)

    def _request(self, request: dict[str, object]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(answer_of(self._workspace, "crowd", self._process, STEP_TIMEOUT_S))
        if "refused" in answer:
            raise UnavailableError(answer["refused"])


def measure(workspace: Workspace, nodes: Nodes, endpoint: Endpoint, clients: int) -> dict[str, float]:
    """One crowd: memory of the edge before, with all connected, and after one query by each."""
    crowd = Crowd(workspace, endpoint)
    crowd.grow(FIRST_CROWD)
    crowd.query()
    crowd.leave()
    time.sleep(SETTLE_S)
    crowd = Crowd(workspace, endpoint)
    try:
        before = resident_bytes(nodes.edge_pid)
        begun, meter = time.monotonic(), CpuMeter([nodes.edge_pid])
        step = max(1, min(STEP, clients // 2))
        half = (0, before)
        for held in range(0, clients, step):
            say(f"{held} of {clients} clients")
            if held <= clients / 2:
                half = (held, resident_bytes(nodes.edge_pid))
            crowd.grow(min(step, clients - held))
        seconds, cpu_s = time.monotonic() - begun, meter.seconds()
        time.sleep(SETTLE_S)
        connected = resident_bytes(nodes.edge_pid)
        crowd.query()
        time.sleep(SETTLE_S)
        queried = resident_bytes(nodes.edge_pid)
    finally:
        crowd.leave()
    figures = figures_of(clients, (before, connected, queried), seconds=seconds, cpu_s=cpu_s)
    figures["later_half_kib_each"] = (connected - half[1]) / (clients - half[0]) / KIB
    return figures


def figures_of(clients: int, resident: tuple[int, int, int], *, seconds: float, cpu_s: float) -> dict[str, float]:
    """What one crowd gave: resident bytes before, with all connected, and after a query by each."""
    before, connected, queried = resident
    return {
        "clients": clients,
        "before_bytes": before,
        "connected_bytes": connected,
        "queried_bytes": queried,
        "connected_kib_each": (connected - before) / clients / KIB,
        "queried_kib_each": (queried - before) / clients / KIB,
        "logins_per_s": clients / seconds,
        "edge_cpu_ms_per_login": cpu_s * 1000 / clients,
    }


def run(options: IdleOptions) -> None:
    """Measure and print."""
    table = Table(f"Resident memory of the edge node with {options.clients} idle clients, loopback", HEADS)
    rows: dict[str, Any] = {}
    with open_workspace() as workspace, open_origin(workspace, hosts=["127.0.0.1"], namespace=None, scale=1) as origin:
        about = machine.describe(workspace, origin)
        print(machine.text(about), "", sep="\n", flush=True)
        for name in ("without TLS", "with TLS"):
            # A node of its own for each, since memory that one crowd has freed would hide what the next one takes.
            target = origin.endpoint("127.0.0.1", sslmode="disable")
            try:
                with open_nodes(workspace, NodesOptions(name=f"idle-{len(rows)}", origin=target)) as nodes:
                    endpoint = nodes.secured() if name == "with TLS" else nodes.endpoint
                    rows[name] = measure(workspace, nodes, endpoint, options.clients)
                    table.add(name, *_cells(rows[name]))
            except UnavailableError as error:
                rows[name] = {"not_available": str(error)}
                table.add_missing(name, error)
    print(table.text())
    save({"benchmark": "idle", "machine": about, "rows": rows}, options.json_file)


def _cells(row: dict[str, float]) -> list[str]:
    mib = KIB * KIB
    return [
        f"{row['clients']:.0f}",
        f"{row['before_bytes'] / mib:.1f}",
        f"{row['connected_bytes'] / mib:.1f}",
        f"{row['connected_kib_each']:.1f}",
        f"{row['later_half_kib_each']:.1f}",
        f"{row['queried_bytes'] / mib:.1f}",
        f"{row['queried_kib_each']:.1f}",
        f"{row['logins_per_s']:.0f}",
        f"{row['edge_cpu_ms_per_login']:.2f} ms",
    ]
