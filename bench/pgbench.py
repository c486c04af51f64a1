"""pgbench as the load: it is PostgreSQL's own, in C, and so never the bottleneck of what is compared.

Its clock starts before its clients connect, which on a busy machine or a long link may take seconds, so a run is given
a head start beside the seconds of load that were asked for. A rehearsal, in which each client asks a few queries and no
clock runs, warms a way in up and says how long connecting takes.
"""

import math
import re
from typing import Final

import attrs

from bench.endpoint import Endpoint
from bench.origin import find_program
from bench.workspace import Place, UnavailableError, Workspace

# Connecting hundreds of clients over a long link takes its time before the clock starts.
CONNECT_ALLOWANCE_S: Final = 180.0
REHEARSED_QUERIES: Final = 10


@attrs.frozen
class Load:
    """One result of pgbench."""

    queries_per_s: float
    latency_ms: float
    connect_ms: float
    """Until all clients were connected."""

    queries: int


@attrs.frozen(kw_only=True)
class LoadPlan:
    """What pgbench is asked for: a SELECT by key by the simple protocol, or what a script says."""

    clients: int
    seconds: float
    jobs: int = 2
    head_start_s: float = 1.0
    protocol: str = "simple"
    namespace: str | None = None
    script: str | None = None
    """A file."""


def parse_load(output: str) -> Load:
    """Read pgbench's summary."""
    return Load(
        queries_per_s=_number(output, r"tps = ([\d.]+) \(without initial connection time\)"),
        latency_ms=_number(output, r"latency average = ([\d.]+) ms"),
        connect_ms=_number(output, r"initial connection time = ([\d.]+) ms"),
        queries=round(_number(output, r"transactions actually processed: (\d+)")),
    )


def _number(output: str, pattern: str) -> float:
    found = re.search(pattern, output)
    if found is None:
        message = f"pgbench's output lacks {pattern!r}: {output.strip()[-200:]}"
        raise UnavailableError(message)
    return float(found[1])


def run_load(workspace: Workspace, endpoint: Endpoint, plan: LoadPlan) -> Load:
    """Load for the seconds of the plan."""
    return _run(workspace, endpoint, plan, ["-T", str(math.ceil(plan.head_start_s + plan.seconds))])


def rehearse(workspace: Workspace, endpoint: Endpoint, plan: LoadPlan) -> LoadPlan:
    """A few queries by each client; the plan with the head start that it needs."""
    load = _run(workspace, endpoint, plan, ["-t", str(REHEARSED_QUERIES)])
    return attrs.evolve(plan, head_start_s=load.connect_ms / 1000)


def run_once(workspace: Workspace, endpoint: Endpoint, plan: LoadPlan) -> Load:
    """Each client does the script once."""
    return _run(workspace, endpoint, plan, ["-t", "1"])


def _run(workspace: Workspace, endpoint: Endpoint, plan: LoadPlan, extent: list[str]) -> Load:
    what = ["-S"] if plan.script is None else ["-f", plan.script]
    argv = [find_program("pgbench"), "-n", *what, "-M", plan.protocol, "-c", str(plan.clients)]
    argv += ["-j", str(min(plan.jobs, plan.clients)), *extent, endpoint.database]
    place = Place(namespace=plan.namespace, environment=endpoint.environment())
    return parse_load(workspace.run(argv, place, timeout_s=plan.seconds + CONNECT_ALLOWANCE_S))
