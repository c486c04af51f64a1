"""Files that only their owner may read."""

import os
from pathlib import Path

import pytest

from deploy.children import unprivileged_account
from deploy.private_files import write_private


def test_a_file_is_private_and_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old, and readable by all")
    path.chmod(0o644)
    write_private(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600


def test_nothing_is_left_of_an_attempt_that_failed(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError):
        write_private(tmp_path / "file", b"x")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_may_write_for_another(tmp_path: Path) -> None:
    account = unprivileged_account()
    assert account is not None
    write_private(tmp_path / "file", b"x", account)
    assert (tmp_path / "file").stat().st_uid == account.uid
