"""Where it is played, as processes: a PostgreSQL, pool nodes that share a store, edges, and a relay on each link.

Everything keeps its port when it is killed and started again, so that whoever knew it finds it. Edges prefer different
pool nodes.
"""

import asyncio
import base64
import random
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

import attrs
import psycopg

from bench.asker import LostError, connect
from tests.staleness.faults import Faults
from tests.staleness.nodes import EdgeNode, PoolNode, complaint_of
from tests.staleness.player import Shared
from tests.staleness.relay import HOST, Relay
from tests.support.cluster import Origin, open_origin
from tests.support.onetrip import Workplace, workplace
from tests.support.target import target_of

SCHEMA: Final = (Path(__file__).parent / "schema.sql").read_text()
DATABASE: Final = "staleness"
STORE: Final = "staleness_store"
KEY: Final = base64.b64encode(b"k" * 32).decode()
CONNECTIONS: Final = 10
KNOWN_S: Final = 20.0
# The first edge's part of the others' distance.
NEAR: Final = 0.5


@attrs.define
class Stage:
    """Everything runs."""

    origin: Origin
    pools: list[PoolNode]
    edges: list[EdgeNode]
    ends: list[str]
    """How to connect, by edge."""

    @property
    def crossings_s(self) -> list[float]:
        return [2 * edge.relays[0].delay_s for edge in self.edges]

    def end_prepared(self) -> None:
        end_prepared(self.origin)

    def complaints(self) -> list[str]:
        nodes: list[PoolNode | EdgeNode] = [*self.pools, *self.edges]
        return [complaint for node in nodes if (complaint := complaint_of(node))]

    async def faults(self, shared: Shared, chance: random.Random) -> None:
        await Faults(self.edges, self.pools, shared, chance).go_on()


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
            connection.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)".encode())
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
        nodes: list[PoolNode | EdgeNode] = [*pool_nodes, *edge_nodes]
        for node in nodes:
            node.start()
        for node in nodes:
            await node.ready()
        ends = await _configure(place, origin, pool_nodes[0], edge_nodes)
        await _all_know(ends)
        yield Stage(origin, pool_nodes, edge_nodes, ends)


async def _configure(place: Workplace, origin: Origin, pool: PoolNode, edges: list[EdgeNode]) -> list[str]:
    arguments = ["config", "create", "app", "--origin", "-", "--edge", f"{HOST}:{edges[0].port}", "--caching"]
    arguments += ["--origin-connection-limit", str(CONNECTIONS), "--admin", f"http://{HOST}:{pool.admin}"]
    url = origin.url(sslmode="disable", database=DATABASE)
    made = await asyncio.to_thread(lambda: place.run(*arguments, stdin=url))
    assert made.returncode == 0, made.stderr
    target = target_of(made.stdout.strip())
    return [attrs.evolve(target, port=edge.port).conninfo for edge in edges]


async def _all_know(ends: list[str]) -> None:
    """Wait until every edge has heard of the configuration, which a pool node has of another's."""
    async with asyncio.timeout(KNOWN_S):
        for end in ends:
            while True:
                try:
                    (await connect(end)).close()
                    break
                except LostError:
                    await asyncio.sleep(0.1)
