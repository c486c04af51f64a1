"""Private files are private from their first moment, whole, and the first one wins."""

import os
import stat
from pathlib import Path

import pytest

from regional.state import (
    StateError,
    make_private_directory,
    make_private_file,
    read_private_file,
    state_directory,
)


def test_the_state_directory_follows_the_specification() -> None:
    assert state_directory({"XDG_STATE_HOME": "/x/state", "HOME": "/h"}) == Path("/x/state/onetrip")
    assert state_directory({"HOME": "/h"}) == Path("/h/.local/state/onetrip")
    assert state_directory({"XDG_STATE_HOME": "relative", "HOME": "/h"}) == Path("/h/.local/state/onetrip")


def test_a_private_directory_is_made_with_its_parents_and_tightened(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b"
    make_private_directory(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    directory.chmod(0o755)
    make_private_directory(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_directory_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"cannot use the state directory .*; set XDG_STATE_HOME"):
        make_private_directory(tmp_path / "file" / "onetrip")


def test_the_first_content_of_a_private_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "token"
    assert read_private_file(path) is None
    assert make_private_file(path, "one") == "one"
    assert make_private_file(path, "two") == "one"
    assert read_private_file(path) == "one"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["token"]


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "token"
    make_private_file(path, "one")
    path.chmod(mode)
    with pytest.raises(StateError, match="can be read by others"):
        read_private_file(path)


@pytest.mark.parametrize("content", [b"x" * 5000, b"\xff\xfe"])
def test_a_file_that_is_not_ours_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(StateError, match="does not hold what this node wrote"):
        read_private_file(path)


def test_a_file_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot write"):
        make_private_file(tmp_path / "missing" / "token", "one")
