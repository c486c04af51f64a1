"""The directory of one `onetrip dev`: what must be the same at the next start, and a lock.

One house at a time lives in it. Without `--data` it is temporary and goes with the house.
"""

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import attrs

from deploy import certificates
from deploy.certificates import Role
from deploy.complaint import CommandError
from deploy.private_files import write_private
from protos.link.tls import LinkTls

LINK_HOST: Final = "127.0.0.1"
# The name under which the edge's port is kept.
PORT: Final = "port"
# Made anew at each start.
_LINK_DAYS: Final = 3650


@attrs.frozen
class DevDirectory:
    """Where the house keeps its things."""

    path: Path
    is_kept: bool

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def store_url(self) -> str:
        return f"sqlite:///{self.path / 'store.db'}"

    def recall(self, name: str) -> str | None:
        """What was kept under a name."""
        try:
            return (self.path / name).read_text().strip() or None
        except FileNotFoundError:
            return None

    def keep(self, name: str, text: str) -> None:
        write_private(self.path / name, text.encode() + b"\n")

    def secret(self, name: str) -> str:
        """A password of this directory, made at its first use."""
        text = self.recall(name)
        if text is None:
            text = secrets.token_urlsafe(24)
            self.keep(name, text)
        return text

    def link_files(self) -> dict[Role, LinkTls]:
        """Certificates for this house's link: other users of the machine reach its port, too."""
        directory = self.path / "link"
        directory.mkdir(mode=0o700, exist_ok=True)
        ca = certificates.make_ca("Onetrip dev", days=_LINK_DAYS)
        write_private(directory / "ca.crt", ca.certificate)
        files: dict[Role, LinkTls] = {}
        roles: tuple[Role, ...] = ("edge", "pool")
        for role in roles:
            pair = certificates.make_node(ca, role, role, ["localhost", LINK_HOST], days=_LINK_DAYS)
            write_private(directory / f"{role}.crt", pair.certificate)
            write_private(directory / f"{role}.key", pair.key)
            paths = (directory / "ca.crt", directory / f"{role}.crt", directory / f"{role}.key")
            files[role] = LinkTls(*(str(path) for path in paths))
        return files


@contextmanager
def open_directory(data: str | None) -> Iterator[DevDirectory]:
    """The directory of `--data`, or a temporary one, locked."""
    try:
        if data is None:
            path = Path(tempfile.mkdtemp(prefix="onetrip-dev-"))
        else:
            path = Path(data).resolve()
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CommandError(
            f"cannot use {data or tempfile.gettempdir()}: {error.strerror}", "give another --data"
        ) from error
    try:
        _lock(lock, path)
        yield DevDirectory(path, is_kept=data is not None)
    finally:
        os.close(lock)
        if data is None:
            shutil.rmtree(path, ignore_errors=True)


def _lock(descriptor: int, path: Path) -> None:
    """Take the lock, which ends with us however we end."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
        what = f"another `onetrip dev` (process {holder}) uses {path}"
        raise CommandError(what, "end it first, or give another --data") from None
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
