"""One way to the application's database, as a driver is told of it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]


@attrs.frozen(kw_only=True)
class Target:
    """Where to connect and as whom."""

    host: str = "127.0.0.1"
    port: int
    user: str
    password: str
    database: str
    ca_file: Path | None = None
    """None where there is no TLS."""

    @property
    def sslmode(self) -> str:
        return "disable" if self.ca_file is None else "verify-full"

    @property
    def libpq(self) -> dict[str, str]:
        """Connection parameters by libpq's names."""
        words = {
            "host": self.host,
            "port": str(self.port),
            "user": self.user,
            "password": self.password,
            "dbname": self.database,
            "sslmode": self.sslmode,
            "connect_timeout": "20",
        }
        return words if self.ca_file is None else words | {"sslrootcert": str(self.ca_file)}

    @property
    def conninfo(self) -> str:
        return psycopg.conninfo.make_conninfo(**self.libpq)

    def but(self, *, user: str | None = None, password: str | None = None, database: str | None = None) -> "Target":
        """The same way with something else, or wrong."""
        return attrs.evolve(
            self,
            user=user or self.user,
            password=password or self.password,
            database=database or self.database,
        )


def port_of(ready: str) -> int:
    """The port of what READY says: HOST:PORT, or a connection string."""
    parts = urlsplit(ready if "://" in ready else f"//{ready}")
    assert parts.port is not None, ready
    return parts.port


def connect(target: Target, *, autocommit: bool = False, **words: str) -> Connection:
    """Connect as an application does; WORDS add to or replace what libpq is told."""
    return psycopg.connect(psycopg.conninfo.make_conninfo(target.conninfo, **words), autocommit=autocommit)


def target_of(connection_string: str, *, port: int | None = None, ca_file: Path | None = None) -> Target:
    """Read a connection string; PORT leads it to another edge."""
    parts = urlsplit(connection_string)
    assert parts.username, connection_string
    assert parts.password, connection_string
    assert re.fullmatch(r"[A-Za-z0-9_-]+", parts.password), "a password that needs quoting in a URL"
    return Target(
        port=port or port_of(connection_string),
        user=parts.username,
        password=parts.password,
        database=parts.path.removeprefix("/"),
        ca_file=ca_file,
    )


def sqlstate_of_end(session: Connection, end: Callable[[], None]) -> str | None:
    """Do what makes a node end the session, ask until it has, and say with what SQLSTATE.

    libpq reads a FATAL that comes right behind an answer as a notice, and then only finds the connection closed.
    """
    noticed: list[str | None] = []
    session.add_notice_handler(lambda diagnostic: noticed.append(diagnostic.sqlstate))
    end()
    try:
        for _ in range(500):
            session.execute("select pg_sleep(0.01)")
            session.rollback()
    except psycopg.Error as error:
        return error.sqlstate or (noticed[-1] if noticed else None)
    raise AssertionError("the session was not ended")
