"""The store that several pool nodes share: a schema `onetrip` in a PostgreSQL database.

Theory of operation: administration is rare, so each call opens a connection of its own; there is nothing to keep
alive and a failover of the database needs no care. Only what a member says every second goes over a connection that is
kept, and made anew when it fails. All nodes may start at once on an empty database: an advisory lock lets one make the
tables.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from regional.origin_url import OriginUrlError, redacted, refuse_malformed
from regional.store import (
    Member,
    NameTakenError,
    NoSuchNameError,
    Record,
    StaleVersionError,
    StoreError,
    StoreUnavailableError,
)

SCHEMA_VERSION: Final = 1
CONNECT_TIMEOUT_S: Final = 10
# A change waits for another one at most as long; a node that was cut off must not hold up the others for ever.
SESSION_OPTIONS: Final = "-c statement_timeout=10s -c lock_timeout=10s -c idle_in_transaction_session_timeout=30s"
# A connection that is kept has to be known for dead within seconds.
SOON_LOST: Final = {"tcp_user_timeout": 5000, "keepalives_idle": 2, "keepalives_interval": 1, "keepalives_count": 3}
SCHEMA_LOCK: Final = 0x4F4E4554  # "ONET"
SCHEMA: Final = (
    "CREATE SCHEMA IF NOT EXISTS onetrip",
    "CREATE TABLE onetrip.configuration ("
    " name text PRIMARY KEY, version bigint NOT NULL, document bytea NOT NULL, sealed bytea NOT NULL)",
    "CREATE TABLE onetrip.revision (revision bigint NOT NULL, schema_version integer NOT NULL)",
    f"INSERT INTO onetrip.revision VALUES (0, {SCHEMA_VERSION})",
)
# The clock is read when the row is written, not when the transaction began.
NODES: Final = "CREATE TABLE IF NOT EXISTS onetrip.node (node text PRIMARY KEY, seen_at timestamptz NOT NULL)"
RENEW: Final = (
    "INSERT INTO onetrip.node VALUES (%s, clock_timestamp())"
    " ON CONFLICT (node) DO UPDATE SET seen_at = excluded.seen_at"
)
MEMBERS: Final = "SELECT node, extract(epoch FROM clock_timestamp() - seen_at)::float8 FROM onetrip.node"
FORGET: Final = "DELETE FROM onetrip.node WHERE seen_at < clock_timestamp() - interval '1 day'"
GROW: Final = "UPDATE onetrip.revision SET revision = revision + 1"

_Connection = psycopg.Connection[tuple[Any, ...]]


class PostgresStore:
    """A store in a PostgreSQL database."""

    def __init__(self, url: str) -> None:
        self._place = redacted(url)
        try:
            refuse_malformed(url)
            given = conninfo_to_dict(url)
        except OriginUrlError as error:
            raise StoreError(f"the store's URL {error.problems[0].what}") from None
        except psycopg.Error:
            # The message may quote a part of the URL.
            raise StoreError("the store's URL has parameters that libpq does not know") from None
        self._conninfo: dict[str, Any] = {
            "connect_timeout": CONNECT_TIMEOUT_S,
            "application_name": "onetrip store",
            "options": SESSION_OPTIONS,
            **given,
        }
        self._connection: _Connection | None = None  # for what is asked every second
        with self._transaction() as connection:
            self._prepare(connection)

    @property
    def key_path(self) -> Path | None:
        return None

    @property
    def is_temporary(self) -> bool:
        return False

    @property
    def is_shared(self) -> bool:
        return True

    def renew(self, node: str) -> Sequence[Member]:
        with self._kept() as connection:
            connection.execute(RENEW, (node,))
            rows = connection.execute(MEMBERS).fetchall()
            return [Member(name, float(age)) for name, age in rows]

    def leave(self, node: str) -> None:
        with self._transaction() as connection:
            connection.execute("DELETE FROM onetrip.node WHERE node = %s", (node,))

    def list(self) -> list[Record]:
        with self._transaction() as connection:
            rows = connection.execute(
                'SELECT name, version, document, sealed FROM onetrip.configuration ORDER BY name COLLATE "C"'
            )
            return [Record(*row) for row in rows]

    def get(self, name: str) -> Record | None:
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT name, version, document, sealed FROM onetrip.configuration WHERE name = %s", (name,)
            ).fetchone()
            return None if row is None else Record(*row)

    def create(self, record: Record) -> None:
        with self._transaction() as connection:
            added = connection.execute(
                "INSERT INTO onetrip.configuration VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (record.name, record.version, record.document, record.sealed),
            )
            if not added.rowcount:
                raise NameTakenError(f"configuration {record.name} exists already")
            connection.execute(GROW)

    def replace(self, record: Record, *, made_from: int) -> None:
        with self._transaction() as connection:
            replaced = connection.execute(
                "UPDATE onetrip.configuration SET version = %s, document = %s, sealed = %s"
                " WHERE name = %s AND version = %s",
                (record.version, record.document, record.sealed, record.name, made_from),
            )
            if not replaced.rowcount:
                self._explain(connection, record.name)
            connection.execute(GROW)

    def delete(self, name: str) -> None:
        with self._transaction() as connection:
            deleted = connection.execute("DELETE FROM onetrip.configuration WHERE name = %s", (name,))
            if not deleted.rowcount:
                raise NoSuchNameError(f"there is no configuration {name}")
            connection.execute(GROW)

    def revision(self) -> int:
        with self._transaction() as connection:
            row = connection.execute("SELECT revision FROM onetrip.revision").fetchone()
            if row is None:
                raise StoreError(f"the store {self._place} is damaged: its revision is gone")
            revision: int = row[0]
            return revision

    def close(self) -> None:
        kept, self._connection = self._connection, None
        if kept is not None:
            kept.close()

    def _explain(self, connection: _Connection, name: str) -> None:
        if connection.execute("SELECT FROM onetrip.configuration WHERE name = %s", (name,)).rowcount:
            raise StaleVersionError(f"configuration {name} was changed meanwhile; look at it and try again")
        raise NoSuchNameError(f"there is no configuration {name}")

    def _prepare(self, connection: _Connection) -> None:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
        found = connection.execute("SELECT to_regclass('onetrip.revision')").fetchone()
        if found is None or found[0] is None:
            for statement in SCHEMA:
                connection.execute(statement.encode())
        connection.execute(NODES)
        connection.execute(FORGET)
        row = connection.execute("SELECT schema_version FROM onetrip.revision").fetchone()
        if row is None or row[0] > SCHEMA_VERSION:
            raise StoreError(f"the store {self._place} was made by a newer onetrip; upgrade this one")

    @contextmanager
    def _kept(self) -> Iterator[_Connection]:
        """A transaction on a connection that is kept, for what is asked every second."""
        try:
            if self._connection is None:
                self._connection = psycopg.connect(**(SOON_LOST | self._conninfo))
            with self._connection.transaction():
                yield self._connection
        except psycopg.Error as error:
            self.close()
            raise StoreUnavailableError(f"the store {self._place} does not answer: {_first_line(error)}") from error

    @contextmanager
    def _transaction(self) -> Iterator[_Connection]:
        try:
            # Leaving the block commits, or rolls back on an exception, and closes.
            with psycopg.connect(**self._conninfo) as connection:
                yield connection
        except psycopg.OperationalError as error:
            raise StoreUnavailableError(f"the store {self._place} does not answer: {_first_line(error)}") from error
        except psycopg.Error as error:
            raise StoreError(f"the store {self._place} refuses: {_first_line(error)}") from error


def _first_line(error: psycopg.Error) -> str:
    return str(error).partition("\n")[0]
