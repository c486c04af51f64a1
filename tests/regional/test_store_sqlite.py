"""The file is private and recognisably ours; what is not ours is left alone."""

import sqlite3
import stat
from pathlib import Path

import pytest

from regional.store import Record, StoreError, StoreUnavailableError
from regional.store_sqlite import SqliteStore

RECORD = Record("demo", 1, b"{}", b"sealed")


def test_the_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.db")
    store.create(RECORD)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["store.db", "store.db-shm", "store.db-wal"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    store.close()


def test_a_file_that_others_could_read_is_made_private(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.touch()
    path.chmod(0o644)
    SqliteStore(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_records_outlive_the_process(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.db")
    store.create(RECORD)
    store.close()
    store = SqliteStore(tmp_path / "store.db")
    assert store.list() == [RECORD]
    store.close()


def test_a_foreign_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(StoreError, match="no store of onetrip"):
        SqliteStore(path)


def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    SqliteStore(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="newer onetrip"):
        SqliteStore(path)


def test_a_file_that_is_no_database_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_text("no database at all, and long enough to be seen as such" * 20)
    with pytest.raises(StoreError, match=r"cannot use the store .* give another --store"):
        SqliteStore(path)


def test_a_missing_directory_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file or directory; give another --store"):
        SqliteStore(tmp_path / "missing" / "store.db")


def test_a_store_that_another_holds_is_unavailable_and_works_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regional.store_sqlite.BUSY_TIMEOUT_S", 0.05)
    store = SqliteStore(tmp_path / "store.db")
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailableError):
        store.create(RECORD)
    other.execute("ROLLBACK")
    other.close()
    store.create(RECORD)
    assert store.list() == [RECORD]
    store.close()
