"""Where it is played, as processes: a PostgreSQL, pool nodes that share a store, edges, and a relay on each link.

Everything keeps its port when it is killed and started again, so that whoever knew it finds it. Edges prefer different
pool nodes. There are two configurations: one by the defaults, and one whose answers are soon too old, and are served in
transactions too.
"""

import asyncio
import base64
import tempfile
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Final
from urllib.parse import quote

import attrs
import psycopg
from psycopg.conninfo import make_conninfo

from bench.asker import LostError, connect
from tests.staleness.faults import Faults
from tests.staleness.membership import STORE, bury, hide_from_each_other
from tests.staleness.moves import Fault
from tests.staleness.nodes import EdgeNode, PoolNode, complaint_of
from tests.staleness.player import Shared
from tests.staleness.relay import HOST, Relay
from tests.support.cluster import Origin, open_origin
from tests.support.onetrip import Workplace, workplace
from tests.support.target import target_of

SCHEMA: Final = (Path(__file__).parent / "schema.sql").read_text()
DATABASE: Final = "staleness"
KEY: Final = base64.b64encode(b"k" * 32).decode()
CONNECTIONS: Final = 10
KNOWN_S: Final = 20.0
# The first edge's part of the others' distance.
NEAR: Final = 0.5
#: In the second configuration; long ago in a script, and seldom over before somebody reads again.
AGE_S: Final = "0.3"
#: By name.
CONFIGURATIONS: Final = {
    "app": (),
    "brief": ("--cache-in-transactions", "--max-age", AGE_S, "--swr", "60"),
}
# Who uses the second is told what came of each read.
TOLD: Final = {"brief": "-c onetrip.cache_status=on"}


@attrs.define
class Stage:
    """Everything runs."""

    origin: Origin
    pools: list[PoolNode]
    edges: list[EdgeNode]
    place: Workplace
    doors: list[tuple[str, ...]]
    """How to connect, by edge: one way for each configuration."""

    @property
    def straight(self) -> str:
        return straight_to(self.origin)

    @property
    def crossings_s(self) -> list[float]:
        return [2 * edge.relays[0].delay_s for edge in self.edges]

    def end_prepared(self) -> None:
        end_prepared(self.origin)

    def complaints(self) -> list[str]:
        nodes: list[PoolNode | EdgeNode] = [*self.pools, *self.edges]
        return [complaint for node in nodes if (complaint := complaint_of(node))]

    def forget(self) -> None:
        """Drop what the edges keep, so that what was wrong with it is not found again."""
        for name in CONFIGURATIONS:
            for pool in self.pools:
                self.place.run("config", "purge", name, "--admin", f"http://{HOST}:{pool.admin}")

    async def faults(self, shared: Shared, faults: Iterable[Fault]) -> None:
        await Faults(self.edges, self.pools, shared, self._bury).happen(faults)

    async def _bury(self) -> None:
        await asyncio.to_thread(bury, self.origin, DATABASE)


def straight_to(origin: Origin) -> str:
    """How who owns the tables connects to PostgreSQL itself."""
    return make_conninfo(host=origin.host, port=origin.port, user="by_scram", password=origin.password, dbname=DATABASE)


def end_prepared(origin: Origin) -> None:
    """Roll back what a lost client has prepared."""
    with origin.connect(DATABASE) as connection:
        for (name,) in connection.execute(
            "SELECT gid FROM pg_prepared_xacts WHERE database = current_database() "
            "AND prepared < clock_timestamp() - interval '0.5 s'"
        ).fetchall():
            with suppress(psycopg.Error):  # its client was not lost after all
                connection.execute(f"ROLLBACK PREPARED '{name}'".encode())


def fill(origin: Origin, *databases: str) -> None:
    """New databases; the first has the schema."""
    with origin.connect("postgres") as connection:
        for database in databases:
            origin.drop(database)
            connection.execute(f"CREATE DATABASE {database} OWNER by_scram".encode())
    with origin.connect(databases[0]) as connection:
        connection.execute(b"GRANT CREATE ON SCHEMA public TO by_scram")
        connection.execute(b"SET ROLE by_scram")
        connection.execute(SCHEMA.encode())


@asynccontextmanager
async def open_stage(
    origin: Origin | None = None, *, edges: int = 3, pools: int = 2, delay_s: float = 0.02
) -> AsyncIterator[Stage]:
    """Start everything; it is gone at the end."""
    async with AsyncExitStack() as stack:
        directory = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="onetrip-", ignore_cleanup_errors=True))
        )
        if origin is None:
            origin = stack.enter_context(open_origin(directory))
        fill(origin, DATABASE, STORE)
        place = stack.enter_context(workplace(directory))
        store = f"postgresql://{origin.superuser}:{quote(origin.password, safe='')}@{HOST}:{origin.port}/{STORE}"
        key = directory / "store.key"
        key.touch(mode=0o600)
        key.write_text(KEY)
        pool_nodes = [PoolNode(place, store, key) for _ in range(pools)]
        edge_nodes = []
        for number in range(edges):
            # What is written at a near edge is acknowledged before those far away have heard of it.
            delay = delay_s if number else delay_s * NEAR
            relays = [Relay(pool_nodes[(number + i) % pools].port, delay) for i in range(pools)]
            for relay in relays:
                await relay.start()
                stack.push_async_callback(relay.close)
            edge_nodes.append(EdgeNode(place, relays))
        await _start(origin, [*pool_nodes, *edge_nodes])
        ways = [await _configure(name, place, origin, pool_nodes[0], edge_nodes) for name in CONFIGURATIONS]
        doors = list(zip(*ways, strict=True))
        await _all_know(doors)
        yield Stage(origin, pool_nodes, edge_nodes, place, doors)


async def _start(origin: Origin, nodes: list[PoolNode | EdgeNode]) -> None:
    are_ready = threading.Event()
    hiding = asyncio.get_running_loop().run_in_executor(None, hide_from_each_other, origin, are_ready)
    try:
        for node in nodes:
            node.start()
        for node in nodes:
            await node.ready()
    finally:
        are_ready.set()
        await hiding


async def _configure(name: str, place: Workplace, origin: Origin, pool: PoolNode, edges: list[EdgeNode]) -> list[str]:
    """Make a configuration; how to connect to it, by edge."""
    arguments = ["config", "create", name, "--origin", "-", "--edge", f"{HOST}:{edges[0].port}", "--caching"]
    arguments += ["--origin-connection-limit", str(CONNECTIONS), "--admin", f"http://{HOST}:{pool.admin}"]
    arguments += CONFIGURATIONS[name]
    url = origin.url(sslmode="disable", database=DATABASE)
    made = await asyncio.to_thread(lambda: place.run(*arguments, stdin=url))
    assert made.returncode == 0, made.stderr
    target = target_of(made.stdout.strip())
    words = {"options": TOLD[name]} if name in TOLD else {}
    return [make_conninfo(attrs.evolve(target, port=edge.port).conninfo, **words) for edge in edges]


async def _all_know(doors: list[tuple[str, ...]]) -> None:
    """Wait until every edge has heard of the configurations, which a pool node has of another's."""
    async with asyncio.timeout(KNOWN_S):
        for end in chain.from_iterable(doors):
            while True:
                try:
                    (await connect(end)).close()
                    break
                except LostError:
                    await asyncio.sleep(0.1)
