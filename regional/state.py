"""Where a node of this user keeps its files, and how a private one is made.

Store, key and token live in one directory that only this user can enter, so that a command on the same machine and
user finds what the pool node made. A private file appears whole or not at all: it is written under another name and
linked into place, so two starts at once agree on one content.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

# What we keep in such files is a few dozen bytes; anything larger is not ours.
MAX_PRIVATE_BYTES: Final = 4096


class StateError(Exception):
    """A file or directory of the node that cannot be used; the text says what to do."""


def state_directory(environ: Mapping[str, str] | None = None) -> Path:
    """`$XDG_STATE_HOME/onetrip`, else `~/.local/state/onetrip`; not created."""
    environ = os.environ if environ is None else environ
    base = environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(base):  # the specification says that a relative path is to be ignored
        return Path(base) / "onetrip"
    home = environ.get("HOME") or os.path.expanduser("~")
    return Path(home) / ".local" / "state" / "onetrip"


def make_private_directory(path: Path) -> None:
    """Make a directory that only this user can enter, or see that it is one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        status = path.stat()
        if status.st_uid == os.geteuid() and status.st_mode & 0o077:
            path.chmod(0o700)
    except OSError as error:
        raise StateError(f"cannot use the state directory {path}: {error.strerror}; set XDG_STATE_HOME") from error


def read_private_file(path: Path) -> str | None:
    """The text of a private file, or None where there is none. One that others can read is refused."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(MAX_PRIVATE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"cannot read {path}: {error.strerror}") from error
    if mode & 0o077:
        raise StateError(f"{path} can be read by others; make it private with chmod 600, or remove it for a new one")
    if len(content) > MAX_PRIVATE_BYTES or not content.isascii():
        raise StateError(f"{path} does not hold what this node wrote; remove it for a new one")
    return content.decode("ascii").strip()


def make_private_file(path: Path, text: str) -> str:
    """Write text to a new file that only this user can read; returns what the file holds, if another was first."""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)
        finally:
            os.unlink(temporary)
    except FileExistsError:
        return read_private_file(path) or text
    except OSError as error:
        raise StateError(f"cannot write {path}: {error.strerror}") from error
    return text
