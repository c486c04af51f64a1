"""`python -m bench statements`: what a great many distinct prepared statements cost, in memory.

Sessions prepare named statements that nobody has prepared before, each a text of its own, and run some of them; a
session that has its share leaves, and another comes. Resident memory of both nodes and of PostgreSQL's processes is
read all along, and how many statements an origin connection holds at the end: what is kept must not follow how many
there have been, but how many live sessions have, and on an origin connection the bound of the pool node.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from time import monotonic
from typing import Any, Final

import attrs
import psycopg
from psycopg import pq

from bench import machine
from bench.endpoint import Endpoint
from bench.onetrip import Nodes, NodesOptions, open_nodes
from bench.origin import Origin, open_origin
from bench.processes import resident_bytes
from bench.report import Table, save
from bench.workspace import UnavailableError, open_workspace, say

MIB: Final = 1 << 20
BATCH: Final = 100
RUN_ONE_IN: Final = 10
SAMPLES: Final = 10
TEXT: Final = "select %d::int + $1::int as statement_%d"
HEADS: Final = ("statements", "sessions so far", "edge MiB", "pool node MiB", "PostgreSQL MiB", "statements/s")


@attrs.frozen(kw_only=True)
class StatementsOptions:
    """How many, and whose."""

    statements: int = 1_000_000
    sessions: int = 20
    """At once."""
    each: int = 2_000
    """Statements of one session."""
    connections: int = 5
    """Of the pool to the origin."""
    json_file: str | None = None


def run(options: StatementsOptions) -> None:
    """Prepare, sample and print."""
    table = Table(f"{options.statements} distinct statements, {options.sessions} sessions at once", HEADS)
    with open_workspace() as workspace, open_origin(workspace, hosts=["127.0.0.1"], namespace=None, scale=1) as origin:
        about = machine.describe(workspace, origin)
        print(machine.text(about), "", sep="\n", flush=True)
        target = origin.endpoint("127.0.0.1", sslmode="disable")
        nodes_options = NodesOptions(name="statements", origin=target, connection_limit=options.connections)
        with open_nodes(workspace, nodes_options) as nodes:
            samples = list(_samples(options, nodes, origin))
            held = most_held(nodes.endpoint, options.connections)
    for sample in samples:
        table.add(*cells(sample))
    print(table.text())
    print(f"\nan origin connection holds {held} of them at the most")
    save({"benchmark": "statements", "machine": about, "samples": samples, "most_held": held}, options.json_file)


def _samples(options: StatementsOptions, nodes: Nodes, origin: Origin) -> Iterator[dict[str, float]]:
    """Memory before, and after each tenth of the statements."""

    def sample(done: int, sessions: int) -> dict[str, float]:
        return {
            "statements": done,
            "sessions": sessions,
            "edge_bytes": resident_bytes(nodes.edge_pid),
            "pool_bytes": resident_bytes(nodes.pool_pid),
            "origin_bytes": resident_bytes(origin.pid),
            "seconds": monotonic() - begun,
        }

    begun = monotonic()
    done = sessions = 0
    due = step = max(options.statements // SAMPLES, 1)
    yield sample(0, 0)
    while done < options.statements:
        with ExitStack() as stack:
            crowd = [stack.enter_context(_connect(nodes.endpoint)) for _ in range(options.sessions)]
            sessions += len(crowd)
            for start in range(0, options.each, BATCH):
                for connection in crowd:
                    prepare(connection, done, min(BATCH, options.each - start))
                    done += BATCH
                if done >= due:
                    say(f"{done} of {options.statements} statements")
                    yield sample(done, sessions)
                    due += step
                if done >= options.statements:
                    break


def _connect(endpoint: Endpoint) -> psycopg.Connection[Any]:
    return psycopg.connect(endpoint.conninfo(), autocommit=True)


def prepare(connection: psycopg.Connection[Any], first: int, count: int) -> None:
    """Prepare so many statements in one flight, and run some of them."""
    pgconn = connection.pgconn
    numbers = range(first, first + count)
    pgconn.enter_pipeline_mode()
    for number in numbers:
        pgconn.send_prepare(b"s%d" % number, (TEXT % (number, number)).encode())
        if number % RUN_ONE_IN == 0:
            pgconn.send_query_prepared(b"s%d" % number, [b"1"])
    pgconn.pipeline_sync()
    pgconn.flush()
    while True:
        result = pgconn.get_result()
        if result is None:
            continue
        if result.status == pq.ExecStatus.PIPELINE_SYNC:
            break
        if result.status == pq.ExecStatus.FATAL_ERROR:
            message = f"a statement failed: {result.error_message.decode()}"
            raise UnavailableError(message)
    pgconn.get_result()
    pgconn.exit_pipeline_mode()


def most_held(endpoint: Endpoint, connections: int) -> int:
    """The most prepared statements that any of the pool's connections has: each is asked in a transaction."""
    with ExitStack() as stack:
        counts = []
        for _ in range(connections):
            connection = stack.enter_context(psycopg.connect(endpoint.conninfo()))
            row = connection.execute("select count(*) from pg_prepared_statements").fetchone()
            counts.append(int(row[0]) if row is not None else 0)
    return max(counts)


def cells(sample: dict[str, float]) -> list[str]:
    """A row of the table."""
    per_second = sample["statements"] / sample["seconds"] if sample["seconds"] else 0.0
    sizes = (sample[name] / MIB for name in ("edge_bytes", "pool_bytes", "origin_bytes"))
    return [
        f"{sample['statements']:.0f}",
        f"{sample['sessions']:.0f}",
        *(f"{size:.1f}" for size in sizes),
        f"{per_second:.0f}",
    ]
