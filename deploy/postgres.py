"""A PostgreSQL of our own: made in a directory, started as a child, stopped with us.

Theory of operation: PostgreSQL refuses root, so as root it runs as `postgres` or `nobody`, and its data directory is
theirs. That directory may lie where they cannot go: below root's home, or in a private temporary directory. We open it
for them: the server gets an open descriptor and is told to work in `/proc/self/fd/N`, which leads straight to the
directory whatever surrounds it (postgres enters it once and its backends are forks that have the same descriptor). So
nobody's permissions are widened and the data stay where the operator wants them.

Clients come by TCP on loopback with SCRAM, and over TLS where the build can; there is no Unix socket.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO, Final
from urllib.parse import quote

import attrs

from deploy.certificates import make_self_signed
from deploy.children import Account, Command, spawn, unprivileged_account
from deploy.complaint import CommandError
from deploy.postgres_programs import Programs, find_programs, readable_by
from deploy.private_files import write_private

SUPERUSER: Final = "postgres"
HOST: Final = "127.0.0.1"
# LOCK_FILE_LINE_PM_STATUS of src/include/utils/pidfile.h, counted from 0
_STATUS_LINE: Final = 7
_CERTIFICATE_DAYS: Final = 3650
_LOG_TAIL_BYTES: Final = 2000
# What following its writes needs, for several pool nodes and whoever else does, also where the directory's own file has
# less; and room beside a pool of the default size.
_SETTINGS: Final = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "wal_level": "logical",
    "max_replication_slots": "20",
    "max_wal_senders": "20",
    "max_connections": "200",
    "cluster_name": "onetrip",
    "logging_collector": "off",
    "log_destination": "stderr",
}
# For a cluster that is thrown away: nothing survives the machine anyway.
_THROWAWAY: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@attrs.define
class Cluster:
    """One data directory and, while it runs, its server."""

    directory: Path
    programs: Programs
    account: Account | None
    password: str = attrs.field(repr=False)
    durable: bool = True
    port: int = 0
    _server: subprocess.Popen[bytes] | None = None

    @property
    def log_file(self) -> Path:
        return self.directory.with_name(f"{self.directory.name}.log")

    def url(self, database: str = SUPERUSER) -> str:
        """The connection string of the superuser, as `--origin` takes it."""
        mode = "require" if self.programs.has_tls else "disable"
        return f"postgres://{SUPERUSER}:{quote(self.password, safe='')}@{HOST}:{self.port}/{database}?sslmode={mode}"

    @property
    def is_made(self) -> bool:
        return (self.directory / "PG_VERSION").exists()

    def spawn_initdb(self) -> subprocess.Popen[bytes]:
        """Start making the cluster; call `finish_initdb` when that has ended.

        It is made under another name, so that one that was interrupted is not taken for a whole one.
        """
        shutil.rmtree(self._unfinished, ignore_errors=True)
        self._unfinished.mkdir(mode=0o700, parents=True)
        if self.account is not None:
            os.chown(self._unfinished, self.account.uid, self.account.gid)
        options = ["-U", SUPERUSER, "-A", "scram-sha-256", "--no-sync", "--encoding", "UTF8", "--locale", "C"]
        with self._seen(self._unfinished) as (data, fds), _handed_over(self.password) as (password_file, password_fds):
            arguments = [self.programs.path("initdb"), "-D", data, "--pwfile", password_file, *options]
            return self._spawn(arguments, [*fds, *password_fds], signal.SIGKILL)

    def finish_initdb(self, status: int) -> None:
        """See that it was made, and give it its certificate."""
        if status != 0:
            raise CommandError(f"initdb failed: {self.log_tail()}", f"see {self.log_file}")
        if self.programs.has_tls:
            pair = make_self_signed("localhost", ["localhost", HOST, "::1"], days=_CERTIFICATE_DAYS)
            write_private(self._unfinished / "server.key", pair.key, self.account)
            write_private(self._unfinished / "server.crt", pair.certificate, self.account)
        self._unfinished.rename(self.directory)

    def spawn_server(
        self, *, port: int = 0, changes: Mapping[str, str] = MappingProxyType({})
    ) -> subprocess.Popen[bytes]:
        """Start the server on a port, or on a free one, perhaps with other settings; poll `is_ready`."""
        self.port = port or free_port()
        settings = _SETTINGS | {"port": str(self.port), "ssl": "on" if self.programs.has_tls else "off"}
        settings |= {} if self.durable else _THROWAWAY
        settings |= changes
        with self._seen(self.directory) as (data, fds):
            options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
            arguments = [self.programs.path("postgres"), "-D", data, *options]
            # SIGINT is PostgreSQL's fast shutdown: sessions are ended and the data are left in order.
            self._server = self._spawn(arguments, fds, signal.SIGINT)
        return self._server

    def is_ready(self) -> bool:
        """Whether the server takes connections; CommandError when it has ended instead."""
        if self._server is None:
            return False
        if self._server.poll() is not None:
            raise CommandError(f"PostgreSQL did not start: {self.log_tail()}", f"see {self.log_file}")
        lines = self._lock_lines()
        # The file may still be an earlier server's.
        return len(lines) > _STATUS_LINE and lines[0] == str(self._server.pid) and lines[_STATUS_LINE] == "ready"

    def is_held(self) -> bool:
        """Whether an earlier server still runs here: that of a parent that was killed needs a moment to end.

        A lock file whose process is gone, or is now another program, is removed: PostgreSQL itself looks only whether
        there is a process of that number.
        """
        lines = self._lock_lines()
        if not lines or not lines[0].isdigit():
            return False
        try:
            if os.path.samefile(f"/proc/{lines[0]}/cwd", self.directory):
                return True
        except OSError:
            pass
        if sys.platform == "linux":
            (self.directory / "postmaster.pid").unlink(missing_ok=True)
        return False

    def _lock_lines(self) -> list[str]:
        try:
            return [line.strip() for line in (self.directory / "postmaster.pid").read_text().splitlines()]
        except OSError:
            return []

    def end(self, sent: signal.Signals = signal.SIGINT) -> None:
        """Tell the server to end: SIGINT in order, SIGQUIT at once."""
        if self._server is not None and self._server.poll() is None:
            self._server.send_signal(sent)

    def log_tail(self) -> str:
        """The last line of the log that says what went wrong."""
        try:
            text = self.log_file.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")
        except OSError:
            return "no log"
        lines = [line for line in text.splitlines() if line.strip()]
        telling = [line for line in lines if "FATAL" in line or "error:" in line or "ERROR" in line]
        line = (telling or lines or ["its log is empty"])[-1].strip()
        return line.rpartition("FATAL:  ")[2]

    def _spawn(self, arguments: list[str], fds: list[int], death_signal: signal.Signals) -> subprocess.Popen[bytes]:
        env = {name: value for name, value in os.environ.items() if name in {"PATH", "TZ", "LD_LIBRARY_PATH"}}
        env["LC_ALL"] = "C"
        command = Command(
            arguments=arguments, env=env, account=self.account, death_signal=death_signal, pass_fds=tuple(fds)
        )
        with self._log() as log:
            return spawn(command, stdout=log, stderr=log)

    def _log(self) -> IO[bytes]:
        descriptor = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, "ab")

    @property
    def _unfinished(self) -> Path:
        return self.directory.with_name(f"{self.directory.name}.new")

    @contextmanager
    def _seen(self, directory: Path) -> Iterator[tuple[str, list[int]]]:
        """The directory as the child should name it, and the descriptors it needs for that."""
        if self.account is None or sys.platform != "linux":
            yield str(directory.resolve()), []
            return
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{descriptor}", [descriptor]
        finally:
            os.close(descriptor)


@contextmanager
def _handed_over(secret: str) -> Iterator[tuple[str, list[int]]]:
    """A file that only a child given its descriptor can read; it is never on disk."""
    reader, writer = os.pipe()
    try:
        os.write(writer, secret.encode() + b"\n")
        os.close(writer)
        os.fchmod(reader, 0o444)  # the child opens it anew by name, perhaps as another user
        yield f"/dev/fd/{reader}", [reader]
    finally:
        os.close(reader)


def open_cluster(directory: Path, password: str, *, durable: bool = True) -> Cluster:
    """The cluster of a directory, made already or not; with programs that fit it."""
    try:
        major = int((directory / "PG_VERSION").read_text())
    except FileNotFoundError:
        major = None
    account = unprivileged_account()
    programs = readable_by(find_programs(major=major), account)
    return Cluster(directory, programs, account, password, durable=durable)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
