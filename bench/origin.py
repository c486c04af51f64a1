"""The origin: a real PostgreSQL of the run's own, with TLS and SCRAM, filled by pgbench.

Theory of operation: it listens on the addresses it is told and on a Unix socket in the run's directory, by which it is
set up from outside its namespace. It is tuned for reading only (nothing is synced to disk), so that the pooler and the
link are what is measured.
"""

import os
import secrets
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg

from bench.endpoint import Endpoint
from bench.workspace import Place, UnavailableError, Workspace, give, say, stop
from deploy.certificates import make_self_signed
from deploy.children import Account, unprivileged_account
from deploy.complaint import CommandError
from deploy.postgres import free_port
from deploy.postgres_programs import find_programs, readable_by

USER: Final = "bench"
DATABASE: Final = "bench"
MAX_CONNECTIONS: Final = 600
START_TIMEOUT_S: Final = 30.0
CLOSE_TIMEOUT_S: Final = 10.0
OTHERS: Final = "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
HBA: Final = "local all all scram-sha-256\nhost all all all scram-sha-256\n"
SETTINGS: Final = """
shared_buffers = '256MB'
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
max_wal_size = '4GB'
password_encryption = 'scram-sha-256'
ssl = on
ssl_cert_file = 'server.crt'
ssl_key_file = 'server.key'
"""


class Origin:
    """A running PostgreSQL."""

    def __init__(self, socket_directory: Path, port: int, password: str, pid: int) -> None:
        self.port = port
        self.password = password
        self.pid = pid
        self._socket_directory = socket_directory

    def endpoint(self, host: str, *, sslmode: str) -> Endpoint:
        """The origin as a client at an address reaches it."""
        return Endpoint(
            host=host, port=self.port, user=USER, password=self.password, database=DATABASE, sslmode=sslmode
        )

    def ask(self, sql: str, database: str = DATABASE) -> list[tuple[object, ...]]:
        """Run one statement by the Unix socket."""
        endpoint = self.endpoint(str(self._socket_directory), sslmode="disable")
        with psycopg.connect(endpoint.conninfo() + f" dbname={database}", autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def sessions(self) -> int:
        """How many clients are connected, but for who asks."""
        return int(str(self.ask(f"SELECT count(*) {OTHERS}")[0][0]))

    def close_sessions(self) -> None:
        """Close all connections of clients, and return when they are gone."""
        deadline = time.monotonic() + CLOSE_TIMEOUT_S
        self.ask(f"SELECT pg_terminate_backend(pid) {OTHERS}")
        while self.sessions():
            if time.monotonic() > deadline:
                message = "PostgreSQL does not close its connections, or somebody opens them again"
                raise UnavailableError(message)
            time.sleep(0.02)

    def verifier(self) -> str:
        """The SCRAM verifier of its user, as PostgreSQL keeps it."""
        return str(self.ask(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{USER}'")[0][0])

    def version(self) -> str:
        """The server's version, as it says it."""
        return str(self.ask("SHOW server_version")[0][0])


@contextmanager
def open_origin(
    workspace: Workspace, *, hosts: list[str], namespace: str | None, scale: int, max_connections: int = MAX_CONNECTIONS
) -> Iterator[Origin]:
    """Run PostgreSQL with pgbench's tables of a scale."""
    place = Place(namespace=namespace, user=unprivileged_account())
    data = workspace.directory("origin", owner=place.user)
    password = secrets.token_hex(16)
    _initialise(workspace, place, data, password)
    port = free_port()
    argv = [find_program("postgres"), "-D", str(data / "pgdata"), "-p", str(port), "-k", str(data)]
    argv += ["-c", f"listen_addresses={','.join(hosts)}", "-c", f"max_connections={max_connections}"]
    server = workspace.spawn("postgres", argv, place)
    origin = Origin(data, port, password, server.pid)
    try:
        _await_ready(workspace, origin)
        origin.ask(f"CREATE DATABASE {DATABASE}", database="postgres")
        say(f"PostgreSQL {origin.version()} runs; filling pgbench's tables (scale {scale})")
        environment = origin.endpoint(str(data), sslmode="disable").environment()
        filling = [find_program("pgbench"), "-i", "-q", "-s", str(scale), DATABASE]
        workspace.run(filling, Place(environment=environment), timeout_s=300)
        yield origin
    finally:
        stop(server, signal.SIGINT)


def find_program(name: str) -> str:
    """One of PostgreSQL's programs, where the unprivileged user can run it: of the newest PostgreSQL, or on PATH."""
    try:
        path = readable_by(find_programs(), unprivileged_account()).path(name)
    except CommandError as error:
        raise UnavailableError(str(error)) from error
    found = path if os.access(path, os.X_OK) else shutil.which(name)
    if found is None:
        message = f"{name} is not installed (package postgresql)"
        raise UnavailableError(message)
    return found


def _initialise(workspace: Workspace, place: Place, data: Path, password: str) -> None:
    password_file = data / "password"
    password_file.write_text(password)
    give(password_file, place.user)
    pgdata = data / "pgdata"
    argv = [find_program("initdb"), "-D", str(pgdata), "-U", USER, f"--pwfile={password_file}", "-A", "scram-sha-256"]
    workspace.run([*argv, "--no-sync", "-E", "UTF8", "--locale=C"], place)
    with (pgdata / "postgresql.conf").open("a") as settings:
        settings.write(SETTINGS)
    (pgdata / "pg_hba.conf").write_text(HBA)
    write_certificate(pgdata / "server.crt", pgdata / "server.key", owner=place.user)


def _await_ready(workspace: Workspace, origin: Origin) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            origin.ask("SELECT 1", database="postgres")
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                message = f"PostgreSQL does not start: {workspace.log_tail('postgres')}"
                raise UnavailableError(message) from error
            time.sleep(0.1)
        else:
            return


def write_certificate(certificate_file: Path, key_file: Path, *, owner: Account | None) -> None:
    """A self-signed certificate for 127.0.0.1 (ECDSA P-256), valid for a day."""
    pair = make_self_signed("onetrip benchmark", ["127.0.0.1"], days=1)
    for path, text in ((certificate_file, pair.certificate), (key_file, pair.key)):
        path.touch(mode=0o600)
        path.write_bytes(text)
        give(path, owner)
