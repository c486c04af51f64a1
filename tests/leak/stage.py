"""The stage of the leak tests: a PostgreSQL that can be restarted, a pool node, two edges, one configuration a mode.

The origin is made so that what it has acknowledged survives its restart (synchronous_commit is on for its database).
"""

import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs
import psycopg
from psycopg import sql

from deploy.postgres import HOST, SUPERUSER, Cluster, open_cluster
from tests.support.onetrip import House, open_house
from tests.support.target import Target, target_of

MODES: Final = ("track", "reset", "pin")
CONNECTIONS: Final = 5
SLOTS: Final = 128
"""How many sessions at most have a schema and a role of their own."""

PASSWORD: Final = "leak-secret"
SCHEMA: Final = (Path(__file__).parent / "schema.sql").read_text()
START_TIMEOUT_S: Final = 60.0
WAIT_TIMEOUT_S: Final = "5"


@attrs.define
class Origin:
    """The PostgreSQL."""

    cluster: Cluster
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, on its port of before if it had one, and wait until it takes connections."""
        cluster = self.cluster
        self.process = cluster.spawn_server(port=cluster.port)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not cluster.is_ready():
            assert time.monotonic() < deadline, cluster.log_tail()
            time.sleep(0.02)

    def stop(self, how: signal.Signals) -> None:
        """SIGINT ends sessions in order, SIGQUIT at once."""
        if self.process is not None:
            self.cluster.end(how)
            self.process.wait(START_TIMEOUT_S)

    def admin(self, database: str = "leak") -> psycopg.Connection[tuple[object, ...]]:
        """A superuser's connection."""
        return psycopg.connect(
            host=HOST,
            port=self.cluster.port,
            user=SUPERUSER,
            password=PASSWORD,
            dbname=database,
            autocommit=True,
        )


@attrs.define
class Stage:
    """Everything runs."""

    origin: Origin
    house: House
    targets: dict[str, list[Target]]
    """By mode, the ways in: one for each edge."""


@contextmanager
def _open_origin(directory: Path) -> Iterator[Origin]:
    cluster = open_cluster(directory / "data", PASSWORD, durable=False)
    cluster.finish_initdb(cluster.spawn_initdb().wait())
    origin = Origin(cluster)
    try:
        origin.start()
        _fill(origin)
        yield origin
    finally:
        origin.stop(signal.SIGQUIT)


def _fill(origin: Origin) -> None:
    with origin.admin("postgres") as connection:
        connection.execute(sql.SQL("CREATE ROLE leak_app LOGIN PASSWORD {}").format(sql.Literal(PASSWORD)))
        connection.execute("CREATE DATABASE leak OWNER leak_app")
        connection.execute("ALTER DATABASE leak SET synchronous_commit = on")
    with origin.admin() as connection:
        connection.execute(SCHEMA.encode())
        for slot in range(SLOTS):
            connection.execute(
                f"CREATE ROLE leak_r{slot}; GRANT leak_r{slot} TO leak_app; CREATE SCHEMA leak_s{slot};"
                f"CREATE TABLE leak_s{slot}.mine (number int); INSERT INTO leak_s{slot}.mine VALUES ({slot});"
                f"GRANT USAGE ON SCHEMA leak_s{slot} TO PUBLIC; GRANT SELECT ON leak_s{slot}.mine TO PUBLIC".encode()
            )


@contextmanager
def open_stage(modes: tuple[str, ...] = MODES) -> Iterator[Stage]:
    """Start everything; it is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="onetrip-leak-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        with _open_origin(directory) as origin, open_house(directory) as house:
            yield Stage(origin, house, {mode: _configure(origin, house, mode) for mode in modes})


def _configure(origin: Origin, house: House, mode: str) -> list[Target]:
    url = f"postgres://leak_app:{PASSWORD}@{HOST}:{origin.cluster.port}/leak?sslmode=disable"
    options = ["--session-state", mode, "--origin-connection-limit", str(CONNECTIONS), "--no-caching"]
    options += ["--wait-timeout", WAIT_TIMEOUT_S]
    made = house.create(f"leak-{mode}", url, *options)
    return [target_of(made, port=house.edge_port), target_of(made, port=house.tls_edge_port)]
