"""Many clients in one asyncio loop, through bare libpq: each asks one thing at a time.

psycopg's own asynchronous connection costs several times as much for a query, and what is measured here may take a
tenth of a millisecond.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Sequence
from typing import Final

import psycopg
from psycopg import pq

# Said without FATAL by a server that ends the connection behind it.
ENDING: Final = frozenset({"57P01", "57P02", "08006"})

Row = tuple[bytes | None, ...]


class LostError(Exception):
    """The connection is gone, or could not be made; what was under way may have happened."""


class RefusedError(Exception):
    """The statement was refused; the connection is still there."""

    def __init__(self, sqlstate: str, text: str) -> None:
        super().__init__(f"{sqlstate}: {text}")
        self.sqlstate = sqlstate


class Asker:
    """One connection."""

    def __init__(self, connection: pq.abc.PGconn) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Future[list[pq.abc.PGresult]] | None = None
        self._results: list[pq.abc.PGresult] = []
        self.notices: list[str] = []
        """Those that came with the last answer."""
        connection.notice_handler = self._noticed
        self._socket = connection.socket
        self._loop.add_reader(self._socket, self._readable)

    @property
    def is_open(self) -> bool:
        return self._socket >= 0

    async def ask(self, sql: bytes) -> list[Row]:
        """Run a query by the simple protocol; the rows of its last result.

        Cancellation: not safe. The answer is still owed, so the caller must close this connection.
        """
        return _rows(await self._send(lambda: self._connection.send_query(sql)))

    async def ask_extended(self, sql: bytes, values: Sequence[bytes]) -> list[Row]:
        """The same by the extended protocol, with parameters.

        Cancellation: as for `ask`.
        """
        return _rows(await self._send(lambda: self._connection.send_query_params(sql, list(values))))

    async def copy(self, sql: bytes, *, extended: bool = False) -> None:
        """Begin a COPY FROM STDIN, by either protocol; `copy_data` and `copy_end` go on with it.

        Cancellation: as for `ask`.
        """
        connection = self._connection
        send = (lambda: connection.send_query_params(sql, None)) if extended else (lambda: connection.send_query(sql))
        _rows(await self._send(send))

    def copy_data(self, data: bytes) -> None:
        """Send some of the rows."""
        try:
            self._connection.put_copy_data(data)
            self._connection.flush()
        except psycopg.Error as error:
            self.close()
            raise LostError(str(error)) from error

    async def copy_end(self, complaint: bytes | None = None) -> None:
        """All rows were sent; or, with a complaint, they are no good.

        Cancellation: as for `ask`.
        """
        _rows(await self._send(lambda: self._connection.put_copy_end(complaint)))

    def end_copy_and_vanish(self, *, says_goodbye: bool) -> None:
        """All rows were sent; leave without the answer."""
        self._connection.put_copy_end()
        self._connection.flush()
        self.vanish(says_goodbye=says_goodbye)

    async def _send(self, send: Callable[[], object]) -> list[pq.abc.PGresult]:
        if not self.is_open:
            raise LostError("the connection has been closed")
        waiting: asyncio.Future[list[pq.abc.PGresult]] = self._loop.create_future()
        self._waiting = waiting
        self.notices.clear()
        try:
            send()
            self._connection.flush()  # small: a socket with nothing queued takes it
        except psycopg.Error as error:
            self.close()
            raise LostError(str(error)) from error
        return await waiting

    def send_and_vanish(self, sql: bytes, *, says_goodbye: bool) -> None:
        """Send a query and leave without its answer, with or without a Terminate."""
        try:
            self._connection.send_query(sql)
            self._connection.flush()
        except psycopg.Error as error:
            self.close()
            raise LostError(str(error)) from error
        self.vanish(says_goodbye=says_goodbye)

    def vanish(self, *, says_goodbye: bool) -> None:
        """Leave in the middle of whatever it is, with or without a Terminate."""
        if self.is_open and not says_goodbye:
            with socket.socket(fileno=os.dup(self._socket)) as other, contextlib.suppress(OSError):
                other.shutdown(socket.SHUT_WR)  # what libpq says last goes nowhere
        self.close()

    def close(self) -> None:
        """Leave, whatever is under way."""
        if self.is_open:
            self._loop.remove_reader(self._socket)
            self._socket = -1
            self._connection.finish()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(LostError("closed"))

    def _readable(self) -> None:
        connection = self._connection
        try:
            connection.consume_input()
            while self._waiting is not None and not connection.is_busy():
                result = connection.get_result()
                if result is None:
                    self._answered()
                    return
                self._results.append(result)
                if result.status == pq.ExecStatus.COPY_IN:  # it would say so again and again
                    self._answered()
                    return
        except psycopg.Error:
            self.close()
        if connection.status == pq.ConnStatus.BAD:
            self.close()

    def _noticed(self, notice: pq.abc.PGresult) -> None:
        self.notices.append((notice.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"").decode())

    def _answered(self) -> None:
        waiting, self._waiting = self._waiting, None
        results, self._results = self._results, []
        if waiting is not None and not waiting.done():
            waiting.set_result(results)


def _rows(results: list[pq.abc.PGresult]) -> list[Row]:
    """The rows of the last result; the first error, if there is one."""
    rows: list[Row] = []
    for result in results:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            sqlstate = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
            if not sqlstate or sqlstate in ENDING or _severity(result) == b"FATAL":
                raise LostError(result.get_error_message().strip())
            raise RefusedError(sqlstate, result.get_error_message().strip())
        rows = [
            tuple(result.get_value(row, column) for column in range(result.nfields)) for row in range(result.ntuples)
        ]
    return rows


def _severity(result: pq.abc.PGresult) -> bytes | None:
    return result.error_field(pq.DiagnosticField.SEVERITY_NONLOCALIZED)


async def connect(conninfo: str, *, timeout_s: float = 30.0) -> Asker:
    """Log in; LostError when that is not to be had.

    Cancellation: safe.
    """
    connection = pq.PGconn.connect_start(conninfo.encode())
    try:
        async with asyncio.timeout(timeout_s):
            while (status := connection.connect_poll()) != pq.PollingStatus.OK:
                if status == pq.PollingStatus.FAILED:
                    raise LostError(connection.get_error_message().strip())  # noqa: TRY301 - handled like what follows
                await _ready(connection.socket, writable=status == pq.PollingStatus.WRITING)
    except (TimeoutError, psycopg.Error) as error:
        connection.finish()
        raise LostError(f"not connected: {error!r}") from error
    except BaseException:
        connection.finish()
        raise
    connection.nonblocking = 1
    return Asker(connection)


async def _ready(descriptor: int, *, writable: bool) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def act() -> None:
        if not ready.done():
            ready.set_result(None)

    (loop.add_writer if writable else loop.add_reader)(descriptor, act)
    try:
        await ready
    finally:
        with contextlib.suppress(OSError):
            (loop.remove_writer if writable else loop.remove_reader)(descriptor)
