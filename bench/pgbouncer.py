"""PgBouncer, the peer: its settings file, its processes, by transaction unless told otherwise, always with SCRAM.

Clients are checked against a stored SCRAM verifier and the server is given the password of the connection string, so a
login costs PgBouncer what it costs an edge node, and no key derivation for each client. It refuses to run as root.
"""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import attrs

from bench.endpoint import Endpoint
from bench.origin import DATABASE, USER, Origin, write_certificate
from bench.workspace import Place, UnavailableError, Workspace, give, stop
from deploy.children import unprivileged_account
from deploy.postgres import free_port

PROGRAM: Final = "pgbouncer"
MAX_CLIENTS: Final = 2_000
START_TIMEOUT_S: Final = 10.0


@attrs.frozen(kw_only=True)
class BouncerOptions:
    """What one PgBouncer is told."""

    name: str
    listen: str
    server: Endpoint
    """Where its server connections go, with the password and sslmode to use."""

    pool_size: int = 20
    pool_mode: str = "transaction"
    client_tls: bool = False
    namespace: str | None = None


class Bouncer:
    """A running PgBouncer that can be restarted with a cold pool."""

    def __init__(self, workspace: Workspace, options: BouncerOptions, port: int, settings_file: str) -> None:
        self._workspace = workspace
        self._options = options
        self._settings_file = settings_file
        self._process: subprocess.Popen[str] | None = None
        self.endpoint = Endpoint(
            host=options.listen,
            port=port,
            user=USER,
            password=options.server.password,
            database=DATABASE,
            sslmode="require" if options.client_tls else "disable",
        )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def restart(self) -> None:
        """Start it with empty pools, ending it first if it runs, and return when it listens."""
        self.stop()
        place = Place(namespace=self._options.namespace, user=unprivileged_account())
        name = self._options.name
        program = shutil.which(PROGRAM) or f"/usr/sbin/{PROGRAM}"
        self._process = self._workspace.spawn(name, [program, self._settings_file], place)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not is_listening(self._process.pid, self.endpoint.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                message = f"PgBouncer does not start: {self._workspace.log_tail(name)}"
                raise UnavailableError(message)
            time.sleep(0.01)

    def stop(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            stop(self._process)


def settings_text(options: BouncerOptions, port: int, directory: str) -> str:
    """The settings file."""
    server = options.server
    lines = [
        "[databases]",
        f"{DATABASE} = host={server.host} port={server.port} dbname={server.database} "
        f"user={server.user} password={server.password}",
        "[pgbouncer]",
        f"listen_addr = {options.listen}",
        f"listen_port = {port}",
        "unix_socket_dir =",
        "auth_type = scram-sha-256",
        f"auth_file = {directory}/users.txt",
        f"pool_mode = {options.pool_mode}",
        f"max_client_conn = {MAX_CLIENTS}",
        f"default_pool_size = {options.pool_size}",
        f"server_tls_sslmode = {server.sslmode}",
        "ignore_startup_parameters = extra_float_digits",
        "log_connections = 0",
        "log_disconnections = 0",
    ]
    if options.client_tls:
        lines += [
            "client_tls_sslmode = require",
            f"client_tls_cert_file = {directory}/client.crt",
            f"client_tls_key_file = {directory}/client.key",
        ]
    return "\n".join([*lines, ""])


@contextmanager
def open_bouncer(workspace: Workspace, origin: Origin, options: BouncerOptions) -> Iterator[Bouncer]:
    """A running PgBouncer in front of an origin (or of another PgBouncer)."""
    user = unprivileged_account()
    directory = workspace.directory(options.name, owner=user)
    port = free_port()
    files = {
        "users.txt": f'"{USER}" "{origin.verifier()}"\n',
        "pgbouncer.ini": settings_text(options, port, str(directory)),
    }
    for name, text in files.items():
        path = directory / name
        path.touch(mode=0o600)
        path.write_text(text)
        give(path, user)
    write_certificate(directory / "client.crt", directory / "client.key", owner=user)
    bouncer = Bouncer(workspace, options, port, str(directory / "pgbouncer.ini"))
    try:
        bouncer.restart()
        yield bouncer
    finally:
        bouncer.stop()


def is_listening(pid: int, port: int) -> bool:
    """Whether something listens on a port in the network namespace of a process."""
    listening = "0A"
    try:
        with open(f"/proc/{pid}/net/tcp") as table:
            rows = [line.split() for line in table.readlines()[1:]]
    except OSError:
        return False
    return any(row[3] == listening and int(row[1].rpartition(":")[2], 16) == port for row in rows)


def version(workspace: Workspace) -> str:
    """Debian's version of PgBouncer; UnavailableError when it is not installed."""
    program = shutil.which(PROGRAM) or f"/usr/sbin/{PROGRAM}"
    return workspace.run([program, "--version"]).splitlines()[0].removeprefix("PgBouncer ")
