"""Pgpool-II with its memory cache, the peer that answers repeated reads itself: its settings file and its processes.

Theory of operation: Debian's package `pgpool2`, started by hand, not as a service, and as an unprivileged user. Each
client has a process of its own with a connection of its own behind it, so it is given as many as there are clients. The
cache is in shared memory and is invalidated by the writes that go through it; nothing in it grows old by time here, as
in the Onetrip that it is compared with.
"""

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import attrs

from bench.endpoint import Endpoint
from bench.origin import DATABASE, USER
from bench.pgbouncer import is_listening
from bench.workspace import Place, UnavailableError, Workspace, give, stop
from deploy.children import unprivileged_account
from deploy.postgres import free_port

PROGRAM: Final = "pgpool"
START_TIMEOUT_S: Final = 20.0
HBA: Final = "host all all 127.0.0.1/32 scram-sha-256\n"


@attrs.frozen(kw_only=True)
class PgpoolOptions:
    """What it is told."""

    name: str
    server: Endpoint
    clients: int = 64


@attrs.frozen
class Pgpool:
    """A running Pgpool-II."""

    pid: int
    endpoint: Endpoint


def settings_text(options: PgpoolOptions, port: int, directory: str) -> str:
    """The settings file."""
    server = options.server
    lines = [
        "backend_clustering_mode = 'raw'",
        "listen_addresses = '127.0.0.1'",
        f"port = {port}",
        f"socket_dir = '{directory}'",
        f"pcp_socket_dir = '{directory}'",
        f"pcp_port = {free_port()}",
        f"pid_file_name = '{directory}/pgpool.pid'",
        f"logdir = '{directory}'",
        f"work_dir = '{directory}'",
        f"backend_hostname0 = '{server.host}'",
        f"backend_port0 = {server.port}",
        "enable_pool_hba = on",
        "pool_passwd = 'pool_passwd'",
        # One for each client, and some for those that are still leaving.
        f"num_init_children = {options.clients + 16}",
        "max_pool = 1",
        "memory_cache_enabled = on",
        "memqcache_method = 'shmem'",
        "memqcache_total_size = 64MB",
        "memqcache_expire = 0",
        "memqcache_auto_cache_invalidation = on",
        f"memqcache_oiddir = '{directory}/oids'",
        "log_min_messages = warning",
    ]
    return "\n".join([*lines, ""])


def version(workspace: Workspace) -> str:
    """Its version; UnavailableError, with what to do, where it is not installed."""
    try:
        # It prints its version on standard error.
        text = workspace.run(["sh", "-c", f"{program()} --version 2>&1"])
    except UnavailableError as error:
        message = f"Pgpool-II is not installed: apt-get install {PROGRAM}2"
        raise UnavailableError(message) from error
    return text.splitlines()[0].partition("version")[2].split()[0]


def program() -> str:
    """Where it is; it is in no ordinary user's PATH."""
    return shutil.which(PROGRAM) or f"/usr/sbin/{PROGRAM}"


@contextmanager
def open_pgpool(workspace: Workspace, options: PgpoolOptions) -> Iterator[Pgpool]:
    """A running Pgpool-II in front of an origin."""
    version(workspace)
    user = unprivileged_account()
    directory = workspace.directory(options.name, owner=user)
    oids = directory / "oids"
    oids.mkdir()
    give(oids, user)
    port = free_port()
    files = {
        "pgpool.conf": settings_text(options, port, str(directory)),
        "pool_hba.conf": HBA,
        "pcp.conf": "",
        # It logs in at the origin with what it has checked its client against.
        "pool_passwd": f"{USER}:TEXT{options.server.password}\n",
    }
    for name, text in files.items():
        path = directory / name
        path.touch(mode=0o600)
        path.write_text(text)
        give(path, user)
    argv = [program(), "-n", "-f", str(directory / "pgpool.conf"), "-a", str(directory / "pool_hba.conf")]
    argv += ["-F", str(directory / "pcp.conf")]
    process = workspace.spawn(options.name, argv, Place(user=user))
    try:
        _await_listening(workspace, options.name, process, port)
        endpoint = attrs.evolve(options.server, host="127.0.0.1", port=port, database=DATABASE, sslmode="disable")
        yield Pgpool(process.pid, endpoint)
    finally:
        stop(process, signal.SIGINT)


def _await_listening(workspace: Workspace, name: str, process: "subprocess.Popen[str]", port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not is_listening(process.pid, port):
        if process.poll() is not None or time.monotonic() > deadline:
            message = f"Pgpool-II does not start: {workspace.log_tail(name)}"
            raise UnavailableError(message)
        time.sleep(0.05)
