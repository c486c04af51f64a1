"""The store of a single machine: one SQLite file that only its user can read.

Theory of operation: one connection, used by whichever thread calls, one at a time. Write-ahead logging lets an
operator look into the file while the node runs; `synchronous=FULL` means that an acknowledged change survives a power
cut. The file says by its application id that it is ours, so that a mistyped path never gets our table, and by its
user version which shape it has.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from regional.store import (
    Member,
    NameTakenError,
    NoSuchNameError,
    Record,
    StaleVersionError,
    StoreError,
    StoreUnavailableError,
)

APPLICATION_ID: Final = 0x4F4E4554  # "ONET"
SCHEMA_VERSION: Final = 1
BUSY_TIMEOUT_S: Final = 5.0
SCHEMA: Final = """
CREATE TABLE configuration (
    name TEXT PRIMARY KEY, version INTEGER NOT NULL, document BLOB NOT NULL, sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE revision (revision INTEGER NOT NULL) STRICT;
INSERT INTO revision VALUES (0);
"""


class SqliteStore:
    """A store in a file, or in memory where path is None."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        if path is not None:
            _make_private(path)
        try:
            self._connection = sqlite3.connect(
                path or ":memory:", timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise StoreError(f"cannot use the store {path}: {error}; give another --store") from error
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._connection.close()
            raise StoreError(f"cannot use the store {path}: {error}; give another --store") from error
        except StoreError:
            self._connection.close()
            raise

    @property
    def key_path(self) -> Path | None:
        return None if self._path is None else self._path.with_name(self._path.name + ".key")

    @property
    def is_temporary(self) -> bool:
        return self._path is None

    @property
    def is_shared(self) -> bool:
        return False

    def renew(self, node: str) -> Sequence[Member]:
        return (Member(node, 0.0),)

    def leave(self, node: str) -> None:
        """There is nobody to tell."""

    def list(self) -> list[Record]:
        with self._transaction("BEGIN") as connection:
            rows = connection.execute("SELECT name, version, document, sealed FROM configuration ORDER BY name")
            return [Record(*row) for row in rows]

    def get(self, name: str) -> Record | None:
        with self._transaction("BEGIN") as connection:
            row = connection.execute(
                "SELECT name, version, document, sealed FROM configuration WHERE name = ?", (name,)
            ).fetchone()
            return None if row is None else Record(*row)

    def create(self, record: Record) -> None:
        with self._transaction("BEGIN IMMEDIATE") as connection:
            added = connection.execute(
                "INSERT INTO configuration VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (record.name, record.version, record.document, record.sealed),
            )
            if not added.rowcount:
                raise NameTakenError(f"configuration {record.name} exists already")
            connection.execute("UPDATE revision SET revision = revision + 1")

    def replace(self, record: Record, *, made_from: int) -> None:
        with self._transaction("BEGIN IMMEDIATE") as connection:
            replaced = connection.execute(
                "UPDATE configuration SET version = ?, document = ?, sealed = ? WHERE name = ? AND version = ?",
                (record.version, record.document, record.sealed, record.name, made_from),
            )
            if not replaced.rowcount:
                present = connection.execute("SELECT 1 FROM configuration WHERE name = ?", (record.name,)).fetchone()
                raise _not_replaced(record.name, present=present is not None)
            connection.execute("UPDATE revision SET revision = revision + 1")

    def delete(self, name: str) -> None:
        with self._transaction("BEGIN IMMEDIATE") as connection:
            if not connection.execute("DELETE FROM configuration WHERE name = ?", (name,)).rowcount:
                raise NoSuchNameError(f"there is no configuration {name}")
            connection.execute("UPDATE revision SET revision = revision + 1")

    def revision(self) -> int:
        with self._transaction("BEGIN") as connection:
            revision: int = connection.execute("SELECT revision FROM revision").fetchone()[0]
            return revision

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _prepare(self) -> None:
        connection = self._connection
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if application_id != APPLICATION_ID and (application_id or tables):
            raise StoreError(f"{self._path} is a database, but no store of onetrip; give another --store")
        if self._path is not None:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        with self._transaction("BEGIN EXCLUSIVE"):
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > SCHEMA_VERSION:
                raise StoreError(f"the store {self._path} was made by a newer onetrip; upgrade this one")
            if version == 0:
                for statement in SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._connection.execute(begin)
                try:
                    yield self._connection
                except BaseException:
                    self._connection.rollback()
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                if self._connection.in_transaction:
                    self._connection.rollback()
                raise StoreUnavailableError(f"the store {self._path} does not answer: {error}") from error


def _not_replaced(name: str, *, present: bool) -> StoreError:
    if present:
        return StaleVersionError(f"configuration {name} was changed meanwhile; look at it and try again")
    return NoSuchNameError(f"there is no configuration {name}")


def _make_private(path: Path) -> None:
    """Make the file before SQLite does, private; SQLite gives its side files the same mode."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            status = os.fstat(descriptor)
            if status.st_mode & 0o077 and status.st_uid == os.geteuid():
                os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreError(f"cannot open the store {path}: {error.strerror}; give another --store") from error
