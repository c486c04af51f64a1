"""`python -m bench storm`: many connected clients ask at once, and no connection to the database is open.

Theory of operation: all clients log in first. Then every connection to the database is made to end, and one process at
the edge sends the first query of each client at once; its time runs from there to the end of its answer, so it holds
the opening of connections and the wait for one. Cold is made so: the clients that are connected have asked nothing yet
("never used": the nodes have just been started), or PostgreSQL has ended all its sessions (`pg_terminate_backend`). In
a chain the PgBouncer beside the database is started anew instead, which ends the near one's connections as well. That
PostgreSQL has no session left is looked up before each storm.

The second part is a rush: clients that are not connected connect and ask, all at once.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import attrs

from bench import machine, pgbouncer
from bench.endpoint import Endpoint
from bench.longlink import ORIGIN_ADDRESS, LinkShape
from bench.onetrip import NodesOptions, open_nodes
from bench.pgbouncer import open_bouncer
from bench.report import Sample, Table, save
from bench.scene import Scene, link_text, open_scene, transport_of
from bench.stormers import LIMIT_S
from bench.workspace import UnavailableError, say

HEADS: Final = ("way", "average ms", "crossings", "median", "max", "served", "failed")
# For a pooler to notice that its connections have ended, half a round trip later.
SETTLE_S: Final = 1.0
# What is not the clients' is PostgreSQL's own, ours, and what is kept for the superuser.
SPARE_CONNECTIONS: Final = 100
CHAIN: Final = "two PgBouncers in a chain"
DIRECT: Final = "straight to PostgreSQL"
AT_EDGE: Final = "PgBouncer at the edge"


@attrs.frozen(kw_only=True)
class StormOptions:
    """What to measure."""

    shape: LinkShape = attrs.field(factory=LinkShape)
    clients: int = 256
    rush: int = 1000
    connections: int = 20
    repeat: int = 3
    json_file: str | None = None


@attrs.define
class Outcome:
    """What became of the clients of one way, over all its storms."""

    ms: list[float] = attrs.field(factory=list)
    failed: int = 0
    why: set[str] = attrs.field(factory=set)

    def add(self, answer: dict[str, Any]) -> None:
        """What the clients' process says of one storm."""
        self.ms += answer["ms"]
        self.failed += answer["failed"]
        self.why |= set(answer["why"])

    def cells(self, name: str, round_trip_ms: float) -> tuple[str, ...]:
        """A row: times of those who were served, and how many were not."""
        if not self.ms:
            return (name, "-", "-", "-", "-", "0", str(self.failed))
        sample, average = Sample(tuple(self.ms)), sum(self.ms) / len(self.ms)
        figures = (f"{average:.0f}", f"{average / round_trip_ms:.2f}", f"{sample.median_ms:.0f}", f"{max(self.ms):.0f}")
        return (name, *figures, str(len(self.ms)), str(self.failed))

    def figures(self, round_trip_ms: float) -> dict[str, Any]:
        """For --json."""
        crossings = sum(self.ms) / len(self.ms) / round_trip_ms if self.ms else None
        return {"average_crossings": crossings, "failed": self.failed, "why": sorted(self.why), "ms": self.ms}


@attrs.define
class Storms:
    """A table, filled way by way."""

    scene: Scene
    options: StormOptions
    table: Table
    figures: dict[str, Any] = attrs.field(factory=dict)
    outcomes: dict[str, Outcome] = attrs.field(factory=dict)

    def storm(self, name: str, endpoint: Endpoint, cool: Callable[[], None] | None) -> None:
        """Clients connect, cool ends the connections behind them, and each asks."""
        clients = self.options.clients
        with self.scene.client("bench.stormers") as crowd:
            request = partial(self.scene.request, crowd, timeout_s=2 * LIMIT_S)
            gathered = request({"gather": endpoint.conninfo(), "count": clients})
            if gathered["failed"]:
                raise UnavailableError(f"{gathered['failed']} of {clients} clients not connected: {gathered['why']}")
            if cool is not None:
                cool()
                time.sleep(SETTLE_S)
                if sessions := self.scene.origin.sessions():
                    raise UnavailableError(f"{sessions} connections to the database are still open")
            self._took(name, request({"storm": ""}))

    def rush(self, name: str, endpoint: Endpoint, count: int) -> None:
        """Clients that are not connected yet connect and ask."""
        with self.scene.client("bench.stormers") as crowd:
            request: dict[str, str | int] = {"rush": endpoint.conninfo(), "count": count}
            self._took(name, self.scene.request(crowd, request, 2 * LIMIT_S))

    def _took(self, name: str, answer: dict[str, Any]) -> None:
        self.outcomes.setdefault(name, Outcome()).add(answer)
        average = sum(answer["ms"]) / max(1, len(answer["ms"]))
        say(f"{name}: {len(answer['ms'])} served, {average:.0f} ms on average, {answer['failed']} failed")

    @contextmanager
    def way(self, *names: str) -> Iterator[None]:
        """Rows that stand in the table whatever happens."""
        why: object = "nothing was measured"
        try:
            yield
        except UnavailableError as error:
            why = error
            say(f"{names[0]}: not available: {error}")
        round_trip_ms = self.scene.link.round_trip_ms
        for name in names:
            outcome = self.outcomes.get(name)
            if outcome is None:
                self.table.add_missing(name, why)
                self.figures[name] = {"not_available": str(why)}
                continue
            self.table.add(*outcome.cells(name, round_trip_ms))
            self.figures[name] = outcome.figures(round_trip_ms)
            if outcome.why:
                self.table.notes.append(f"{name}: {'; '.join(sorted(outcome.why))}")

    # --- the ways ---

    def direct(self, count: int, *, storms: bool) -> None:
        """There is no pool: the clients' own connections are open, or are what they open."""
        endpoint = self.scene.origin.endpoint(ORIGIN_ADDRESS, sslmode="require")
        connected, opening = f"{DIRECT}, connected", f"{DIRECT}, connect + query"
        with self.way(*([connected] if storms else []), opening):
            for _ in range(self.options.repeat if storms else 1):
                if storms:
                    self.storm(connected, endpoint, None)
                self.rush(opening, endpoint, count)

    def bouncer(self, act: Callable[[str, Endpoint, Callable[[], None]], None], times: int) -> None:
        """PgBouncer at the edge."""
        scene, name = self.scene, f"{AT_EDGE}, cold"
        options = attrs.evolve(scene.bouncer_options()[1], pool_size=self.options.connections, name=f"edge-{times}")
        with self.way(name):
            pgbouncer.version(scene.workspace)
            with open_bouncer(scene.workspace, scene.origin, options) as near:
                for _ in range(times):
                    act(name, near.endpoint, scene.origin.close_sessions)

    def chain(self, act: Callable[[str, Endpoint, Callable[[], None]], None], times: int, clients: int) -> None:
        """PgBouncer at the edge, with a connection for each client, in front of one beside the database."""
        scene, name = self.scene, f"{CHAIN}, cold"
        beside, at_edge = scene.bouncer_options()
        beside = attrs.evolve(beside, pool_size=self.options.connections, name=f"beside-{times}")
        with self.way(name):
            pgbouncer.version(scene.workspace)
            with open_bouncer(scene.workspace, scene.origin, beside) as far:
                at_edge = attrs.evolve(at_edge, name=f"chain-{times}", server=far.endpoint, pool_size=clients)
                with open_bouncer(scene.workspace, scene.origin, at_edge) as near:
                    for _ in range(times):
                        act(name, near.endpoint, far.restart)

    def nodes(self, name: str, scram_iterations: int | None = None) -> NodesOptions:
        """Onetrip with the pool's size of this run."""
        return attrs.evolve(
            self.scene.nodes_options(name),
            connection_limit=self.options.connections,
            scram_iterations=scram_iterations,
        )

    def onetrip_storms(self) -> None:
        """Nodes that have just been started; then, all connections ended, the same again."""
        scene = self.scene
        fresh, again = "Onetrip, never used", "Onetrip, connections closed"
        with self.way(fresh, again):
            for number in range(self.options.repeat):
                with open_nodes(scene.workspace, self.nodes(f"storm-{number}")) as nodes:
                    self.storm(fresh, nodes.endpoint, scene.origin.close_sessions)
                    self.storm(again, nodes.endpoint, scene.origin.close_sessions)

    def onetrip_rushes(self) -> None:
        """The second configuration spares each client its PBKDF2, which is most of what a rush costs this machine."""
        plain, secured, quick = "Onetrip", "Onetrip, clients with TLS", "Onetrip, scram_iterations 1"
        with self.way(plain, secured), open_nodes(self.scene.workspace, self.nodes("rush")) as nodes:
            self.scene.origin.close_sessions()
            self.rush(plain, nodes.endpoint, self.options.rush)
            self.scene.origin.close_sessions()
            self.rush(secured, nodes.secured(), self.options.rush)
        with self.way(quick), open_nodes(self.scene.workspace, self.nodes("rush-quick", 1)) as nodes:
            self.scene.origin.close_sessions()
            self.rush(quick, nodes.endpoint, self.options.rush)


def measure_storms(scene: Scene, options: StormOptions) -> Storms:
    """The first table."""
    title = (
        f"{options.clients} connected clients ask at once, {options.connections} origin connections, all closed; "
        f"{options.repeat} storms each, a crossing is {scene.link.round_trip_ms:.1f} ms"
    )
    storms = Storms(scene, options, Table(title, HEADS))
    storms.direct(options.clients, storms=True)
    storms.bouncer(storms.storm, options.repeat)
    storms.chain(storms.storm, options.repeat, options.clients)
    storms.onetrip_storms()
    return storms


def measure_rushes(scene: Scene, options: StormOptions) -> Storms:
    """The second table."""
    title = f"{options.rush} clients connect and ask at once, {options.connections} origin connections, all closed"
    rushes = Storms(scene, options, Table(title, HEADS))

    def rush(name: str, endpoint: Endpoint, cool: Callable[[], None]) -> None:
        cool()
        rushes.rush(name, endpoint, options.rush)

    rushes.direct(options.rush, storms=False)
    rushes.bouncer(rush, 1)
    rushes.chain(rush, 1, options.rush)
    rushes.onetrip_rushes()
    return rushes


def run(options: StormOptions) -> None:
    """Measure and print."""
    most = max(options.clients, options.rush) + SPARE_CONNECTIONS
    with open_scene(options.shape, scale=1, max_connections=most) as scene:
        about = machine.describe(scene.workspace, scene.origin)
        head = [machine.text(about), link_text(scene.link), f"TLS         {transport_of(scene)}"]
        print(*head, f"PostgreSQL  max_connections {most}, for those who come straight to it", "", sep="\n", flush=True)
        storms = measure_storms(scene, options)
        print(storms.table.text(), flush=True)
        rushes = measure_rushes(scene, options)
        print(rushes.table.text(), flush=True)
        figures = {
            "benchmark": "storm",
            "machine": about,
            "link": {**attrs.asdict(scene.link.shape), "congestion": scene.link.congestion, **scene.link.measured},
            "clients": options.clients,
            "rush": options.rush,
            "connections": options.connections,
            "storms": storms.figures,
            "rushes": rushes.figures,
        }
        save(figures, options.json_file)
