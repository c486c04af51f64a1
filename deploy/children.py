"""Processes that we start and that never outlive us.

Each goes through `tether.py`, so that it gets a signal when we die, and leads a session of its own, so that Ctrl-C in
a terminal reaches only us and we end our children in the right order. What a child must know in secret goes through
its environment or a file, never through its arguments, which everybody on the machine can read.
"""

import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

import attrs

_TETHER: Final = Path(__file__).with_name("tether.py")
# -P: a folder named `deploy` in the current directory must not be taken for this one.
_NODE_BOOT: Final = "import sys; sys.path.append(sys.argv.pop(1)); from deploy.command import main; main()"


@attrs.frozen
class Account:
    """Whom a child runs as."""

    name: str
    uid: int
    gid: int


@attrs.frozen(kw_only=True)
class Command:
    """A program to start."""

    arguments: Sequence[str]
    env: Mapping[str, str]
    #: None stays who we are.
    account: Account | None = None
    #: What it gets when we die without ending it first.
    death_signal: signal.Signals = signal.SIGKILL
    pass_fds: Sequence[int] = ()


def unprivileged_account() -> Account | None:
    """As root, the account to run PostgreSQL as, which refuses root; otherwise None."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    return Account("65534", 65534, 65534)  # the kernel's overflow user: nobody, where nobody is not named


def spawn(
    command: Command, *, stdout: int | IO[bytes], stderr: int | IO[bytes] | None = None
) -> subprocess.Popen[bytes]:
    """Start a child. Call it in the main thread: the kernel takes the end of the calling thread for our death."""
    account = command.account
    identity = "-" if account is None else f"{account.uid}:{account.gid}"
    tether = [sys.executable, "-I", "-S", str(_TETHER), str(os.getpid()), str(int(command.death_signal)), identity]
    return subprocess.Popen(
        [*tether, *command.arguments],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=dict(command.env),
        cwd="/" if account is not None else None,
        pass_fds=tuple(command.pass_fds),
        start_new_session=True,
    )


def node_arguments(*arguments: str) -> list[str]:
    """The command line of a node of ours, by the same interpreter and the same code."""
    root = str(Path(__file__).resolve().parent.parent)
    return [sys.executable, "-P", "-c", _NODE_BOOT, root, *arguments]
