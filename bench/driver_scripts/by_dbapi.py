"""psycopg2 and pg8000, by Python's DB-API, which both follow in the same words."""

import ssl
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pg8000.dbapi
import psycopg2

from bench.driver_scripts.plain import PlainDriver
from bench.driver_scripts.stage import WRITE, numbered


class Psycopg2(PlainDriver):
    """psycopg2. It opens transactions by itself."""

    connection: Any

    def connect(self) -> None:
        self.connection = psycopg2.connect(self.url)

    def ask(self, sql: str, *parameters: object) -> Any:
        cursor = self.connection.cursor()
        cursor.execute(numbered(sql), parameters)
        row = cursor.fetchone()
        cursor.close()
        return row[0]

    def transaction(self, number: int, value: int) -> str:
        word = self.word(number)
        self.connection.cursor().execute(numbered(WRITE), (value, number))
        self.connection.commit()
        return word

    def batch(self, numbers: Sequence[int], value: int) -> None:
        self.connection.cursor().executemany(numbered(WRITE), [(value, number) for number in numbers])
        self.connection.commit()

    def close(self) -> None:
        self.connection.rollback()
        self.connection.close()


def _context(query: str) -> ssl.SSLContext | bool | None:
    """What pg8000 calls libpq's sslmode; without one it has its own default, which asks for TLS."""
    match parse_qs(query).get("sslmode"):
        case ["disable"]:
            return False
        case ["require"]:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        case _:
            return None


class Pg8000(Psycopg2):
    """pg8000, which wants the connection string in pieces."""

    def connect(self) -> None:
        parts = urlsplit(self.url)
        self.connection = pg8000.dbapi.connect(
            user=parts.username,
            password=unquote(parts.password or ""),
            host=parts.hostname,
            port=parts.port,
            database=parts.path.removeprefix("/"),
            ssl_context=_context(parts.query),
        )
