"""`python -m bench size`: does the pool find its size by itself?

Two proofs, with pgbench's clients at an edge on loopback and a PostgreSQL of the run's own:

- **Load on the CPU.** Many clients ask for sums that cost some milliseconds of CPU each. Pools of fixed sizes (as many
  connections kept warm as the limit allows, so that the concurrency control has nothing to decide) against one with a
  high limit that is left to the control: its throughput and its connections, as parts of the best fixed pool's.
- **One locked row.** Many clients update one row and hold its lock for some milliseconds of sleep; a few others read by
  key. The readers' throughput alone, and beside the lockers, where the pool may be large enough for all of them.

The pools that are compared run side by side and are loaded in turn, round by round; the control has time to find its
size before that. Each pool has a database of its own, by which its connections are counted at the origin.
"""

import statistics
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import attrs

from bench import machine
from bench.endpoint import Endpoint
from bench.onetrip import NodesOptions, open_nodes
from bench.origin import DATABASE, Origin, open_origin
from bench.pgbench import LoadPlan, run_load
from bench.report import Table, ratio, save, spread
from bench.workspace import Workspace, open_workspace, say

SUM: Final = "select sum(i) from generate_series(1, {rows}) i;\n"
LOCKER: Final = "begin\\; update hot set n = n + 1\\; select pg_sleep({seconds})\\; commit;\n"
READER: Final = "\\set aid random(1, 100000 * :scale)\nselect abalance from pgbench_accounts where aid = :aid;\n"
COUNT: Final = "select count(*) from pg_stat_activity where datname = '{database}'"
COUNT_EVERY_S: Final = 0.5
WARM_UP_S: Final = 2.0
LOAD_HEADS: Final = ("pool", "queries/s", "of the best fixed", "connections", "at most", "of the best's", "rounds")
LOCK_HEADS: Final = ("readers", "queries/s", "of alone", "connections", "at most", "rounds")


@attrs.frozen(kw_only=True)
class SizeOptions:
    """What to measure."""

    clients: int = 64
    sizes: tuple[int, ...] = (5, 10, 20, 40)
    limit: int = 60
    rows: int = 20_000
    """Of a sum: how much CPU it costs."""
    readers: int = 8
    locked_ms: float = 20.0
    locked_limit: int = 90
    seconds: float = 5.0
    rounds: int = 3
    settle: float = 60.0
    """Seconds of load for a pool to find its size."""
    json_file: str | None = None


@attrs.define
class Figures:
    """The rounds of one load, and the connections that the origin had meanwhile."""

    name: str
    queries_per_s: list[float] = attrs.field(factory=list)
    connections: list[int] = attrs.field(factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.queries_per_s)

    @property
    def typical(self) -> float:
        return statistics.median(self.connections)

    @property
    def most(self) -> int:
        return max(self.connections)


def run(options: SizeOptions) -> None:
    """Measure and print."""
    with (
        open_workspace() as workspace,
        open_origin(workspace, hosts=["127.0.0.1"], namespace=None, scale=10) as origin,
    ):
        about = machine.describe(workspace, origin)
        print(machine.text(about), "", sep="\n", flush=True)
        bench = Bench(workspace, origin, options)
        loads = bench.under_load()
        print(tabulate_loads(loads, options).text(), flush=True)
        locks = bench.beside_lockers()
        print(tabulate_locks(locks, options).text())
    figures = {
        "benchmark": "size",
        "machine": about,
        "options": attrs.asdict(options),
        "under_load": [attrs.asdict(row) for row in loads],
        "beside_lockers": [attrs.asdict(row) for row in locks],
    }
    save(figures, options.json_file)


@attrs.frozen
class Way:
    """A pool with its edge, and the database that is its own."""

    database: str
    endpoint: Endpoint


class Bench:
    """One run."""

    def __init__(self, workspace: Workspace, origin: Origin, options: SizeOptions) -> None:
        self._workspace = workspace
        self._origin = origin
        self._options = options
        origin.ask("create table hot as select 0 as n")

    def under_load(self) -> list[Figures]:
        """Each fixed size, and the control last."""
        options = self._options
        script = self._script("sum", SUM.format(rows=options.rows))
        plan = LoadPlan(clients=options.clients, seconds=options.seconds, script=script)
        with ExitStack() as stack:
            ways = [
                (Figures(f"fixed at {size}"), stack.enter_context(self._pool(f"fixed_{size}", size, size)))
                for size in options.sizes
            ]
            control = stack.enter_context(self._pool("control", options.limit))
            for _, way in ways:
                self._load(way, plan, WARM_UP_S)
            ways.append((Figures(f"limit {options.limit}, by itself"), control))
            self._load(control, plan, options.settle)
            for number in range(1, options.rounds + 1):
                say(f"round {number} of {options.rounds}")
                for figures, way in ways:
                    self._measure(figures, way, plan)
        return [figures for figures, _ in ways]

    def beside_lockers(self) -> list[Figures]:
        """The readers without and with the lockers."""
        options = self._options
        reader = self._script("reader", READER)
        locker = self._script("locker", LOCKER.format(seconds=options.locked_ms / 1000))
        reads = LoadPlan(clients=options.readers, seconds=options.seconds, script=reader)
        settle_s = options.settle / 2
        locks = LoadPlan(
            clients=options.clients, seconds=settle_s + options.rounds * (options.seconds + 2), script=locker
        )
        alone, beside = Figures("alone"), Figures(f"beside {options.clients} lockers")
        with self._pool("locked", options.locked_limit) as way:
            self._load(way, reads, WARM_UP_S)
            for _ in range(options.rounds):
                self._measure(alone, way, reads)
            lockers = threading.Thread(target=run_load, args=(self._workspace, way.endpoint, locks))
            lockers.start()
            try:
                self._load(way, reads, settle_s)
                for _ in range(options.rounds):
                    self._measure(beside, way, reads)
            finally:
                say("waiting for the lockers to end")
                lockers.join()
        return [alone, beside]

    def _script(self, name: str, text: str) -> str:
        path = self._workspace.path / f"{name}.sql"
        path.write_text(text)
        return str(path)

    @contextmanager
    def _pool(self, name: str, limit: int, connection_min: int = 0) -> Iterator[Way]:
        database = f"of_{name}"
        self._origin.ask(f"create database {database} template {DATABASE}", database="postgres")
        origin = attrs.evolve(self._origin.endpoint("127.0.0.1", sslmode="disable"), database=database)
        nodes_options = NodesOptions(
            name=name.replace("_", "-"), origin=origin, link_tls=False, client_tls=False,
            connection_limit=limit, connection_min=connection_min,
        )  # fmt: skip
        with open_nodes(self._workspace, nodes_options) as nodes:
            yield Way(database, nodes.endpoint)

    def _load(self, way: Way, plan: LoadPlan, seconds: float) -> None:
        """Load without measuring."""
        say(f"{way.database}: {seconds:g} s of load")
        run_load(self._workspace, way.endpoint, attrs.evolve(plan, seconds=seconds, head_start_s=0.0))

    def _measure(self, figures: Figures, way: Way, plan: LoadPlan) -> None:
        with self._counted(way.database) as counts:
            load = run_load(self._workspace, way.endpoint, plan)
        figures.queries_per_s.append(load.queries_per_s)
        figures.connections += counts

    @contextmanager
    def _counted(self, database: str) -> Iterator[list[int]]:
        """Count the origin's connections now and again."""
        counts: list[int] = []
        done = threading.Event()

        def count() -> None:
            while not done.wait(COUNT_EVERY_S):
                counts.append(int(str(self._origin.ask(COUNT.format(database=database), database="postgres")[0][0])))

        counter = threading.Thread(target=count)
        counter.start()
        try:
            yield counts
        finally:
            done.set()
            counter.join()


def tabulate_loads(rows: list[Figures], options: SizeOptions) -> Table:
    """The pool left to itself beside the fixed ones."""
    title = f"{options.clients} clients, each a sum over {options.rows} rows; {_rounds(options)}"
    table = Table(title, LOAD_HEADS)
    best = max(rows[:-1], key=lambda row: row.median)
    for row in rows:
        table.add(
            row.name, f"{row.median:.0f}", ratio(row.median, best.median), f"{row.typical:.0f}", str(row.most),
            ratio(row.typical, best.typical), spread(row.queries_per_s),
        )  # fmt: skip
    return table


def tabulate_locks(rows: list[Figures], options: SizeOptions) -> Table:
    """The readers without and with the lockers."""
    title = (
        f"{options.readers} readers by key, and {options.clients} clients that each hold one row's lock for "
        f"{options.locked_ms:g} ms; limit {options.locked_limit}; {_rounds(options)}"
    )
    table = Table(title, LOCK_HEADS)
    for row in rows:
        table.add(
            row.name, f"{row.median:.0f}", ratio(row.median, rows[0].median), f"{row.typical:.0f}", str(row.most),
            spread(row.queries_per_s),
        )  # fmt: skip
    return table


def _rounds(options: SizeOptions) -> str:
    return f"medians of {options.rounds} rounds of {options.seconds:g} s"
