"""What `onetrip dev` keeps, and for how long."""

import os
from pathlib import Path

import pytest

from deploy.complaint import CommandError
from deploy.dev_directory import open_directory


def test_what_is_kept_is_there_at_the_next_start(tmp_path: Path) -> None:
    with open_directory(str(tmp_path / "a" / "b")) as directory:
        secret = directory.secret("password")
        directory.keep("port", "6432")
        assert directory.is_kept
    with open_directory(str(tmp_path / "a" / "b")) as directory:
        assert directory.secret("password") == secret
        assert directory.recall("port") == "6432"
        assert directory.recall("other") is None
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "a" / "b").iterdir()} == {0}


def test_without_data_nothing_is_left() -> None:
    with open_directory(None) as directory:
        directory.secret("password")
        assert directory.path.stat().st_mode & 0o077 == 0
        assert not directory.is_kept
    assert not directory.path.exists()


def test_one_house_at_a_time(tmp_path: Path) -> None:
    with open_directory(str(tmp_path)), pytest.raises(CommandError, match=f"process {os.getpid()}"):  # noqa: SIM117
        with open_directory(str(tmp_path)):
            pass
    with open_directory(str(tmp_path)):
        pass


def test_a_directory_that_cannot_be_one_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="give another --data"), open_directory(str(tmp_path / "file")):
        pass


def test_the_link_has_certificates_for_both_ends(tmp_path: Path) -> None:
    with open_directory(str(tmp_path)) as directory:
        files = directory.link_files()
        assert set(files) == {"edge", "pool"}
        for each in files.values():
            for path in (each.ca_file, each.cert_file, each.key_file):
                assert Path(path).stat().st_mode & 0o777 == 0o600


def test_the_store_is_named_by_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_directory("here") as directory:
        assert directory.store_url == f"sqlite:///{tmp_path}/here/store.db"
