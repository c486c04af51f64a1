"""What a run leaves behind: nothing, also when it was killed."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bench.workspace import PREFIX, Place, UnavailableError, answer_of, claimed, is_alive, open_workspace, sweep


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_a_run_removes_its_directory_and_ends_its_processes() -> None:
    with open_workspace() as workspace:
        process = workspace.spawn("sleeper", ["sleep", "100"])
        assert is_alive(workspace.path.name)
    assert process.poll() is not None
    assert not workspace.path.exists()
    assert not is_alive(workspace.path.name)


def test_a_run_that_fails_removes_its_directory_too() -> None:
    with pytest.raises(ZeroDivisionError), open_workspace() as workspace:
        raise ZeroDivisionError
    assert not workspace.path.exists()


def test_the_remains_of_a_dead_run_are_swept_and_those_of_a_living_one_are_not(tmp_path: Path) -> None:
    dead, living = tmp_path / f"{PREFIX}dead-in-test", tmp_path / f"{PREFIX}living-in-test"
    dead.mkdir()
    living.mkdir()
    claim = claimed(living.name)
    assert claim is not None
    with claim:
        sweep()
        assert not dead.exists()
        assert living.exists()


def test_a_name_is_held_once() -> None:
    first = claimed(f"{PREFIX}held-in-test")
    assert first is not None
    with first:
        assert claimed(f"{PREFIX}held-in-test") is None


def test_what_a_program_says_is_read_and_its_last_words_are_told() -> None:
    with open_workspace() as workspace:
        speaker = workspace.spawn("speaker", ["sh", "-c", "echo READY; echo went wrong >&2"])
        assert answer_of(workspace, "speaker", speaker) == "READY"
        with pytest.raises(UnavailableError, match="speaker ended: went wrong"):
            answer_of(workspace, "speaker", speaker)
        silent = workspace.spawn("silent", ["sleep", "100"])
        with pytest.raises(UnavailableError, match="silent said nothing"):
            answer_of(workspace, "silent", silent, timeout_s=0.05)


def test_a_program_that_fails_or_is_missing_or_hangs_is_unavailable() -> None:
    with open_workspace() as workspace:
        assert workspace.run(["cat"], given="text") == "text"
        with pytest.raises(UnavailableError, match="status 3: no luck"):
            workspace.run(["sh", "-c", "echo no luck >&2; exit 3"])
        with pytest.raises(UnavailableError):
            workspace.run(["a-program-that-nobody-has"])
        with pytest.raises(UnavailableError, match="took more than"):
            workspace.run(["sleep", "10"], timeout_s=0.05)


def test_a_child_dies_with_a_killed_run(tmp_path: Path) -> None:
    code = (
        "import os, signal\n"
        "from bench.workspace import open_workspace\n"
        "with open_workspace() as workspace:\n"
        "    child = workspace.spawn('child', ['sh', '-c', 'echo up; exec sleep 100'])\n"
        "    child.stdout.readline()\n"
        "    print(child.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    place = Place(environment={"TMPDIR": str(tmp_path)})
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=place.variables(), check=False)
    stat = Path(f"/proc/{int(done.stdout)}/stat")
    for _ in range(100):
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            break
        subprocess.run(["sleep", "0.02"], check=True)
    else:
        pytest.fail("the child outlived its run")
    assert list(tmp_path.glob(f"{PREFIX}*"))
    sweep()
    assert not list(tmp_path.glob(f"{PREFIX}*"))
