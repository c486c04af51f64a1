"""The measuring client: one connect and two queries through libpq, timed, as often as it is asked.

It is a process of its own so that it can live in the edge's namespace and is not slowed by whoever asks. Each line on
standard input is a request (a JSON object), each answered by one line. A timeline is the milliseconds of connect, first
query, second query and a statement of the extended protocol. libpq is used bare, through psycopg's wrapper of it, so
nothing is sent that is not asked for.
"""

import itertools
import json
import sys
import time
from typing import Final

from psycopg import pq

QUERY: Final = b"SELECT abalance FROM pgbench_accounts WHERE aid = 4711"
EXTENDED_QUERY: Final = b"SELECT abalance FROM pgbench_accounts WHERE aid = $1"


class RefusedError(Exception):
    """The server refused; the text is its complaint."""


def connect(conninfo: str) -> pq.abc.PGconn:
    """Connect as libpq does it by itself."""
    connection = pq.PGconn.connect(conninfo.encode())
    if connection.status != pq.ConnStatus.OK:
        raise RefusedError(connection.get_error_message().strip())
    return connection


def ask(connection: pq.abc.PGconn, sql: bytes = QUERY) -> None:
    """Run one query by the simple protocol."""
    result = connection.exec_(sql)
    if result.status != pq.ExecStatus.TUPLES_OK:
        raise RefusedError(result.get_error_message().strip())


def ask_extended(connection: pq.abc.PGconn) -> None:
    """Run one query by the extended protocol, with a parameter."""
    result = connection.exec_params(EXTENDED_QUERY, [b"4711"])
    if result.status != pq.ExecStatus.TUPLES_OK:
        raise RefusedError(result.get_error_message().strip())


def timeline_ms(conninfo: str) -> list[float]:
    """Milliseconds of connect, first query, second query, extended query."""
    marks = [time.monotonic()]
    connection = connect(conninfo)
    marks.append(time.monotonic())
    try:
        ask(connection)
        marks.append(time.monotonic())
        ask(connection)
        marks.append(time.monotonic())
        ask_extended(connection)
        marks.append(time.monotonic())
    finally:
        connection.finish()
    return [(after - before) * 1000 for before, after in itertools.pairwise(marks)]


def transport(conninfo: str) -> str:
    """The TLS version and cipher that this libpq and a PostgreSQL agree on."""
    connection = connect(conninfo)
    try:
        result = connection.exec_(b"SELECT version || ' ' || cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise RefusedError(result.get_error_message().strip())
        return (result.get_value(0, 0) or b"none").decode()
    finally:
        connection.finish()


class Requests:
    """What may be asked for: a timeline of its own connection, or single queries on one that stays open."""

    def __init__(self) -> None:
        self._open: pq.abc.PGconn | None = None

    def answer(self, request: dict[str, str]) -> dict[str, object]:
        """Do what one request says."""
        match request:
            case {"timeline": conninfo}:
                return {"ms": timeline_ms(conninfo)}
            case {"tls": conninfo}:
                return {"tls": transport(conninfo)}
            case {"open": conninfo}:
                self._open = connect(conninfo)
                return {}
            case {"query": _} if self._open is not None:
                begun = time.monotonic()
                ask(self._open)
                return {"ms": (time.monotonic() - begun) * 1000}
        message = "unknown request"
        raise RefusedError(message)


def main() -> None:
    """Answer requests until standard input ends."""
    requests = Requests()
    for line in sys.stdin:
        try:
            answer = requests.answer(json.loads(line))
        except RefusedError as error:
            answer = {"refused": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
