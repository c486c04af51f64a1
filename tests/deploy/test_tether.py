"""A tethered program ends with its parent, and is who it was told to be."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

TETHER = Path(__file__).parents[2] / "deploy" / "tether.py"


def tether(*program: str, parent: int | None = None, sent: int = signal.SIGKILL, identity: str = "-") -> list[str]:
    return [sys.executable, "-I", "-S", str(TETHER), str(parent or os.getpid()), str(int(sent)), identity, *program]


def run(*program: str, parent: int | None = None, identity: str = "-") -> subprocess.CompletedProcess[str]:
    command = tether(*program, parent=parent, identity=identity)
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_it_becomes_the_program() -> None:
    done = run("sh", "-c", "echo $PPID; exit 7")
    assert (done.returncode, done.stdout.strip()) == (7, str(os.getpid()))


def test_a_parent_that_is_gone_already_is_noticed() -> None:
    assert run("echo", "alive", parent=1).stdout == ""


def test_a_program_that_is_not_there_is_said() -> None:
    done = run("/nonexistent/program")
    assert done.returncode == 127
    assert done.stderr == "onetrip: cannot run /nonexistent/program: No such file or directory\n"


def test_signals_that_python_ignores_are_not_ignored_by_the_program() -> None:
    ignored = run("sh", "-c", "grep SigIgn /proc/self/status").stdout.split()[1]
    bits = int(ignored, 16)
    assert not bits & (1 << (signal.SIGPIPE - 1))
    assert not bits & (1 << (signal.SIGXFSZ - 1))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another")
def test_root_is_given_up_for_good() -> None:
    assert run("sh", "-c", "id -u; id -g; id -G", identity="65534:65534").stdout.split() == ["65534"] * 3


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells a child of its parent's death")
@pytest.mark.parametrize("identity", ["-", "65534:65534"] if os.geteuid() == 0 else ["-"])
def test_a_killed_parent_takes_it_along(tmp_path: Path, identity: str) -> None:
    child = f"{sys.executable} -I -S {TETHER} $$ 9 {identity} sleep 60"
    parent = subprocess.Popen(["sh", "-c", f"{child} & echo $!; wait"], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline())
        _until(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")
        parent.kill()
        parent.wait()
        _until(lambda: not Path(f"/proc/{pid}").exists() or "State:\tZ" in Path(f"/proc/{pid}/status").read_text())


def _until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)
