"""A real PostgreSQL, one for the whole run, as an origin: with TLS, and a user for every way to log in.

It is found, made and started the way `onetrip dev` does it (`deploy/postgres.py`), so root and a clone below root's
home are no obstacle. What is added here are the users, and rules about who logs in how.
"""

import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import attrs
import psycopg
import pytest
from psycopg import sql

from deploy.children import unprivileged_account
from deploy.postgres import HOST, SUPERUSER, Cluster, open_cluster
from deploy.private_files import write_private

# Odd on purpose: what quotes it wrongly fails, and a log that holds it is found by searching for it.
PASSWORD: Final = "ori gin%/:@'\\secret"
DATABASE: Final = "app"
START_TIMEOUT_S: Final = 30.0
END_TIMEOUT_S: Final = 5.0
END_SLEEPERS: Final = """
    select pg_terminate_backend(pid) from pg_stat_activity
    where state = 'active' and wait_event = 'PgSleep' and pid <> pg_backend_pid()
"""

HBA: Final = """
hostssl all by_password 127.0.0.1/32 password
hostssl all by_md5      127.0.0.1/32 md5
host    all unwelcome   127.0.0.1/32 reject
host    all all         127.0.0.1/32 scram-sha-256
"""

SETTINGS: Final = """
max_prepared_transactions = 4
shared_buffers = 32MB
log_min_messages = warning
"""

SETUP: Final = (
    "create role by_scram login password {password}",
    "set password_encryption = 'md5'",
    "create role by_md5 login password {password}",
    "reset password_encryption",
    "create role by_password login password {password}",
    "create role unwelcome login password {password}",
    "create database {database} owner by_scram encoding 'UTF8' template template0",
)


@attrs.frozen
class Origin:
    """A running PostgreSQL. Users, one password for all: `by_scram` (owns the database), `by_md5`, `by_password`,
    `unwelcome` (refused by a rule)."""

    port: int
    certificate: Path
    """Its own certificate, and the CA file for `verify-full`."""

    bin_dir: Path
    major: int
    host: str = HOST
    database: str = DATABASE
    superuser: str = SUPERUSER
    password: str = PASSWORD

    def url(self, user: str = "by_scram", *, sslmode: str = "verify-full", database: str | None = None) -> str:
        """An origin URL, as `--origin` takes it."""
        ca = f"&sslrootcert={quote(str(self.certificate))}" if sslmode.startswith("verify") else ""
        place = f"{self.host}:{self.port}/{database or self.database}"
        # An older server does not say that it is no standby, so nothing would be kept.
        wanted = "&target_session_attrs=primary" if self.major < 14 else ""
        return f"postgres://{user}:{quote(self.password, safe='')}@{place}?sslmode={sslmode}{ca}{wanted}"

    def connect(self, database: str | None = None) -> psycopg.Connection[tuple[Any, ...]]:
        """A superuser's connection that commits by itself."""
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=self.superuser,
            password=self.password,
            dbname=database or self.database,
            autocommit=True,
        )

    def drop(self, database: str) -> None:
        """Drop a database if it is there, whoever is connected to it; PostgreSQL 12 has no WITH (FORCE)."""
        with self.connect("postgres") as connection:
            end = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s"
            deadline = time.monotonic() + END_TIMEOUT_S
            while connection.execute(end, [database]).rowcount and time.monotonic() < deadline:
                time.sleep(0.01)
            connection.execute(sql.SQL("drop database if exists {}").format(sql.Identifier(database)))


@contextmanager
def open_origin(directory: Path, **settings: str) -> Iterator[Origin]:
    """Make a cluster in DIRECTORY, start it, perhaps with other settings, and stop it at the end."""
    cluster = open_cluster(directory / "data", PASSWORD, durable=False)
    cluster.finish_initdb(cluster.spawn_initdb().wait())
    account = unprivileged_account()
    write_private(cluster.directory / "pg_hba.conf", HBA.encode(), account)
    write_private(cluster.directory / "postgresql.auto.conf", SETTINGS.encode(), account)
    server = cluster.spawn_server(changes=settings)
    try:
        _wait(cluster)
        certificate = directory / "server.crt"
        certificate.write_bytes((cluster.directory / "server.crt").read_bytes())
        origin = Origin(cluster.port, certificate, cluster.programs.directory, cluster.programs.major)
        _make_users(origin)
        yield origin
    finally:
        cluster.end(signal.SIGQUIT)  # at once: it is thrown away, and what still runs there must not hold us up
        server.wait()


def _wait(cluster: Cluster) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not cluster.is_ready():
        assert time.monotonic() < deadline, cluster.log_tail()
        time.sleep(0.02)


def _make_users(origin: Origin) -> None:
    words = {"password": sql.Literal(origin.password), "database": sql.Identifier(origin.database)}
    with origin.connect("postgres") as connection:
        for statement in SETUP:
            connection.execute(sql.SQL(statement).format(**words))


@pytest.fixture(scope="session")
def _cluster() -> Iterator[Origin]:
    # Not pytest's own directory: it keeps those of the last runs, and a cluster is 40 MB.
    place = tempfile.TemporaryDirectory(prefix="onetrip-", ignore_cleanup_errors=True)
    with place as directory, open_origin(Path(directory)) as running:
        yield running


@pytest.fixture(scope="session")
def origin(_cluster: Origin) -> Origin:
    """The PostgreSQL of this run."""
    return _cluster


@pytest.fixture(scope="session")
def _supervisor(_cluster: Origin) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with _cluster.connect("postgres") as connection:
        yield connection


@pytest.fixture(autouse=True)
def _nothing_left_running(request: pytest.FixtureRequest) -> Iterator[None]:
    """End what a test has left asleep at the origin: it goes on when its client is gone, and the next pool node waits
    for it before any answer is kept."""
    if "_cluster" not in request.fixturenames:
        yield
        return
    supervisor: psycopg.Connection[tuple[Any, ...]] = request.getfixturevalue("_supervisor")
    yield
    deadline = time.monotonic() + END_TIMEOUT_S
    while supervisor.execute(END_SLEEPERS).rowcount and time.monotonic() < deadline:
        time.sleep(0.01)
