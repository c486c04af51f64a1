"""What one run keeps on the machine while it lasts: a directory, processes, network namespaces; and its certain end.

Theory of operation: a run has a name, and so have its directory and its namespaces. It holds that name as an abstract
Unix socket, which the kernel drops when the run ends in whatever way; so a later run can tell the remains of a crashed
one from a neighbour that is at work. Processes are asked to stop at the end of the run; should the run itself be
killed, the kernel kills them (the parent-death signal), and the next run removes the namespaces and the directory.
"""

import contextlib
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import attrs

from deploy.children import Account

PREFIX: Final = "onetrip-bench-"
STOP_TIMEOUT_S: Final = 15.0
LOG_TAIL_LINES: Final = 8
ROOT: Final = Path(__file__).resolve().parent.parent


class UnavailableError(Exception):
    """Something that a row or a whole benchmark needs is missing here; the text says what."""


def say(text: str) -> None:
    """Show progress on standard error."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


@attrs.frozen(kw_only=True)
class Place:
    """Where and as whom a program runs."""

    namespace: str | None = None
    user: Account | None = None
    environment: Mapping[str, str] = attrs.field(factory=dict, repr=False)

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs argv here, and dead as soon as we are."""
        enter = ["nsenter", f"--net=/run/netns/{self.namespace}"] if self.namespace else []
        become = []
        if self.user is not None:
            become = [f"--reuid={self.user.uid}", f"--regid={self.user.gid}", "--clear-groups"]
        return [*enter, "setpriv", *become, "--pdeathsig", "KILL", *argv]

    def variables(self) -> dict[str, str]:
        """The environment: ours, this place's, and our packages found from whatever directory."""
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        return {**os.environ, "PYTHONPATH": path, **self.environment}


HERE: Final = Place()


class Workspace:
    """One run's directory and everything that has to end with it."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.path = path
        self._stack = stack

    def directory(self, name: str, *, owner: Account | None = None) -> Path:
        """A new directory of the run, given to another user if asked."""
        path = self.path / name
        path.mkdir(mode=0o700, parents=True)
        give(path, owner)
        return path

    def namespace(self, side: str) -> str:
        """The name for one of this run's network namespaces."""
        return f"{self.path.name}-{side}"

    def log_tail(self, name: str) -> str:
        """The last lines that a process wrote on standard error, for error messages."""
        try:
            lines = (self.path / f"{name}.log").read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-LOG_TAIL_LINES:])

    def spawn(self, name: str, argv: Sequence[str], place: Place = HERE) -> subprocess.Popen[str]:
        """Start a process that ends with this run; its standard error goes to a log of its name."""
        try:
            with (self.path / f"{name}.log").open("a") as log:
                process = subprocess.Popen(
                    place.command(argv),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=place.variables(),
                    cwd=self.path,
                    text=True,
                )
        except FileNotFoundError as error:
            message = f"{error.filename} is not installed"
            raise UnavailableError(message) from error
        self._stack.callback(stop, process)
        return process

    def run(self, argv: Sequence[str], place: Place = HERE, *, timeout_s: float = 120.0, given: str = "") -> str:
        """Run a program to its end and return what it printed; UnavailableError with its complaint if it fails."""
        try:
            done = subprocess.run(
                place.command(argv),
                env=place.variables(),
                cwd=self.path,
                input=given,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        except FileNotFoundError as error:
            message = f"{error.filename} is not installed"
            raise UnavailableError(message) from error
        except subprocess.TimeoutExpired as error:
            message = f"{Path(argv[0]).name} took more than {timeout_s:.0f} s"
            raise UnavailableError(message) from error
        if done.returncode != 0:
            complaint = "; ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
            message = f"{' '.join(Path(part).name for part in argv[:4])}: status {done.returncode}: {complaint}"
            raise UnavailableError(message)
        return done.stdout


def answer_of(workspace: Workspace, name: str, process: subprocess.Popen[str], timeout_s: float = 60.0) -> str:
    """The next line that a process of ours prints; UnavailableError with its last words if none comes."""
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], timeout_s)
    line = process.stdout.readline() if readable else ""
    if line:
        return line.strip()
    what = "ended" if readable else f"said nothing for {timeout_s:.0f} s"
    message = f"{name} {what}: {workspace.log_tail(name) or 'no message'}"
    raise UnavailableError(message)


def give(path: Path, owner: Account | None) -> None:
    """Hand a file or directory of the run to another user."""
    if owner is not None:
        os.chown(path, owner.uid, owner.gid)


def stop(process: subprocess.Popen[str], kind: signal.Signals = signal.SIGTERM) -> None:
    """End a process: ask, wait, then kill. Safe to call again."""
    if process.poll() is None:
        process.send_signal(kind)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


@contextmanager
def open_workspace() -> Iterator[Workspace]:
    """The directory of this run; everything spawned in it ends before it is removed. Sweeps earlier runs' remains."""
    name = PREFIX + secrets.token_hex(4)
    claim = claimed(name)
    assert claim is not None, "another run has this name"
    path = Path(tempfile.gettempdir(), name)
    path.mkdir(mode=0o711)  # postgres must reach its own directory below
    try:
        sweep()
        with ExitStack() as stack:
            yield Workspace(path, stack)
    finally:
        remove_namespaces(name)
        shutil.rmtree(path, ignore_errors=True)
        claim.close()


def claimed(name: str) -> socket.socket | None:
    """Hold a run's name for as long as the socket is open; None when a living run holds it."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0{name}")
    except OSError:
        claim.close()
        return None
    return claim


def is_alive(name: str) -> bool:
    """Whether a run of this name is at work."""
    claim = claimed(name)
    if claim is None:
        return True
    claim.close()
    return False


def sweep() -> None:
    """Remove what crashed runs of this user left: directories and namespaces whose name nobody holds."""
    for name in _namespaces():
        if not is_alive(name.rpartition("-")[0]):
            say(f"removing the namespace {name} of an earlier run")
            remove_namespace(name)
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if not path.is_symlink() and path.stat().st_uid == os.geteuid() and not is_alive(path.name):
            say(f"removing the remains of an earlier run: {path.name}")
            shutil.rmtree(path, ignore_errors=True)


def _namespaces() -> list[str]:
    directory = Path("/run/netns")
    if os.geteuid() != 0 or not directory.is_dir():
        return []
    return [entry.name for entry in directory.iterdir() if entry.name.startswith(PREFIX)]


def remove_namespaces(owner: str) -> None:
    """Remove the namespaces of one run."""
    for name in _namespaces():
        if name.rpartition("-")[0] == owner:
            remove_namespace(name)


def remove_namespace(name: str) -> None:
    """Kill what runs in a namespace of ours, then remove it."""
    found = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False)
    for word in found.stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(word), signal.SIGKILL)
    subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)
