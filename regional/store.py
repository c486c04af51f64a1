"""Where configurations are kept: a table of names with a sealed record each, in SQLite or in PostgreSQL.

Theory of operation: a store knows nothing of what it keeps. A `Record` is a name, a version, a document and a sealed
secret; every change names the version it was made from, so that of two changes at once the second is refused and not
lost. A counter of changes tells several pool nodes of one store, cheaply, that another of them has changed something.
Calls block: async code makes them in a thread. Each call is a transaction of its own, so cancelling the wait for one
leaves the store whole.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import attrs

from regional.origin_url import redacted
from regional.state import make_private_directory, state_directory


class StoreError(Exception):
    """The store cannot be used; the text says why and what to do, and holds no secret."""


class StoreUnavailableError(StoreError):
    """The store cannot be reached at present."""


class NameTakenError(StoreError):
    """There is a record of this name already."""


class NoSuchNameError(StoreError):
    """There is no record of this name."""


class StaleVersionError(StoreError):
    """The record was changed after the version that this change was made from."""


@attrs.frozen
class Record:
    """One configuration as it is kept."""

    name: str
    version: int
    document: bytes = attrs.field(repr=False)
    sealed: bytes = attrs.field(repr=False)


@attrs.frozen
class Member:
    """A node of a shared store."""

    node: str
    renewed_s: float
    """How long ago it said that it is there, by the store's clock."""


class Store(Protocol):
    """What both stores do. Every method may raise StoreUnavailableError."""

    @property
    def key_path(self) -> Path | None:
        """Where a key of our own for this store is kept; None where the operator must give one."""
        ...

    @property
    def is_temporary(self) -> bool:
        """Whether the store ends with the process."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether several pool nodes may use it; only then are there members."""
        ...

    def renew(self, node: str) -> "Sequence[Member]":
        """This node is there; all members that have not left, itself among them."""
        ...

    def leave(self, node: str) -> None:
        """This node is a member no more."""
        ...

    def list(self) -> list[Record]:
        """All records by name."""
        ...

    def get(self, name: str) -> Record | None:
        """One record."""
        ...

    def create(self, record: Record) -> None:
        """Add a record; NameTakenError if there is one of its name."""
        ...

    def replace(self, record: Record, *, made_from: int) -> None:
        """Put a record in the place of its version `made_from`; NoSuchNameError, StaleVersionError."""
        ...

    def delete(self, name: str) -> None:
        """Remove a record; NoSuchNameError."""
        ...

    def revision(self) -> int:
        """A number that grows with every change to any record."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


def open_store(url: str, environ: Mapping[str, str] | None = None) -> Store:
    """Open the store that a URL names, and make its table at the first start.

    `sqlite:///` is the user's state directory, `sqlite:///relative/path`, `sqlite:////absolute/path`,
    `sqlite://:memory:` or `postgresql://…`, which several pool nodes may share.
    """
    if url.startswith(("postgresql://", "postgres://")):
        from regional.store_postgres import PostgresStore  # psycopg costs start-up time

        return PostgresStore(url)
    from regional.store_sqlite import SqliteStore

    if url == "sqlite://:memory:":
        return SqliteStore(None)
    if not url.startswith("sqlite:///"):
        raise StoreError(f"the store {redacted(url)} is not known; use sqlite:///PATH or postgresql://HOST/DATABASE")
    path = url.removeprefix("sqlite:///")
    if path:
        return SqliteStore(Path(os.path.abspath(path)))
    directory = state_directory(environ)
    make_private_directory(directory)
    return SqliteStore(directory / "onetrip.db")
