"""The stage of `bench lease`: the real inside of a pool node, turned by hand, and the queries that are played on it.

Its connections swallow what they are sent, and its links are never written, so nothing but our own code runs.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, cast

import attrs
import trio

from protos.link.credit import Budget
from protos.link.link_pb2 import Open
from protos.link.mux import Mux
from protos.pg import messages
from protos.pg.names import PREFIX
from protos.pg.tags import TransactionStatus
from protos.runtime.connection import Connection
from regional.borrowing import Borrower
from regional.catalog import Catalog, Relation
from regional.channel import Channel
from regional.configuration import Configuration, OriginSecret
from regional.configuration import Origin as Where
from regional.dial import Dialer, Endpoint
from regional.origin import Origin
from regional.profile import BASE
from regional.residue import Residue
from regional.tenant import Tenant

CONNECTIONS: Final = 20
LIFETIME_S: Final = 1e6
SQL: Final = b"SELECT abalance FROM pgbench_accounts WHERE aid = %d"
SQL_WITH_PARAMETER: Final = b"SELECT abalance FROM pgbench_accounts WHERE aid = $1"
STATEMENT: Final = PREFIX + b"lease"
ROW: Final = messages.data_row([b"4711"])
DONE: Final = messages.command_complete("SELECT 1") + messages.ready_for_query(TransactionStatus.IDLE)


@attrs.frozen
class Kind:
    """One way to ask."""

    name: str
    asked: Callable[[int], bytes]
    """The request, by a running number."""
    judged: Callable[[int], bytes]
    """The text that is judged for it."""
    answer: bytes
    text: bytes = b""
    """The Parse message of the prepared statement that it refers to."""


class Swallower:
    """A connection to an origin that takes everything and says nothing."""

    pending_bytes = 0
    is_closed = False
    is_paused = False
    tls = None

    def __init__(self) -> None:
        self.written_bytes = 0

    def write(self, data: bytes) -> None:
        self.written_bytes += len(data)


class Taker(Borrower):
    """Who only takes a connection."""

    def granted(self, origin: Origin) -> None:
        self.origin = origin


class Stage:
    """A tenant with idle connections, and sessions of an edge."""

    def __init__(self) -> None:
        self.tenant = Tenant(_configuration(), OriginSecret(), cast("Dialer", None), cast("trio.Nursery", None))
        readable = {"pgbench_accounts": Relation(Residue.CLEAN, Residue.CLEAN)}
        self.tenant.knowledge.judge.catalog = Catalog(
            {}, frozenset(), {}, {"=": Residue.CLEAN}, {}, {}, {}, readable, is_utf8=True
        )
        self.wires = [Swallower() for _ in range(CONNECTIONS)]
        self.origins = [self._origin(wire) for wire in self.wires]
        self.mux = Mux(wake=lambda: None, budget=Budget(0))
        self._sessions = 0

    def session(self) -> Channel:
        """A channel with a link of its own, on which nothing is queued."""
        self._sessions += 1
        self.mux = Mux(wake=lambda: None, budget=Budget(0))
        lane = self.mux.open_lane(1, Open())
        return Channel(self.tenant, self.mux, lane, BASE, (self._sessions, b""))

    def _origin(self, wire: Swallower) -> Origin:
        now = time.monotonic()
        origin = Origin(
            tenant=self.tenant,
            connection=cast("Connection", wire),
            address=cast("Endpoint", None),
            parameters={},
            process_id=1,
            secret_key=b"",
            profile=BASE,
            expires_at=now + LIFETIME_S,
            idle_since=now,
        )
        self.tenant.pool.dialing += 1
        self.tenant.pool.dialed(origin)
        return origin


def _configuration() -> Configuration:
    now = datetime.now(UTC)
    where = Where(host="127.0.0.1", database="bench", user="bench")
    return Configuration(
        id="0" * 32, name="lease", origin=where, user="bench", verifier="", created_on=now, modified_on=now,
        server_parameters={"client_encoding": "UTF8"}, origin_connection_limit=CONNECTIONS,
    )  # fmt: skip


def _flight(number: int) -> bytes:
    bound = messages.bind(b"", b"", [str(number).encode()]) + messages.describe_portal(b"")
    return messages.parse(b"", SQL_WITH_PARAMETER) + bound + messages.execute() + messages.sync()


def _prepared(number: int) -> bytes:
    return messages.bind(b"", STATEMENT, [str(number).encode()]) + messages.execute() + messages.sync()


def kinds() -> Sequence[Kind]:
    """A simple query whose constant is another each time; all of the extended protocol in one; a prepared statement."""
    described = messages.row_description(["abalance"])
    bound = messages.bind_complete()
    return (
        Kind("simple query", lambda n: messages.query(SQL % n), lambda n: SQL % n, described + ROW + DONE),
        Kind(
            "one flight",
            _flight,
            lambda _: SQL_WITH_PARAMETER,
            messages.parse_complete() + bound + described + ROW + DONE,
        ),
        Kind(
            "prepared",
            _prepared,
            lambda _: SQL_WITH_PARAMETER,
            bound + ROW + DONE,
            messages.parse(STATEMENT, SQL_WITH_PARAMETER),
        ),
    )
