"""What the admin API asks of the node it runs in, and the figures that the node tells about itself.

The API decides what a configuration is and keeps it; only the node can dial an origin, push to the edges, and drain a
pool. `Control` is the seam between them, so that the API is tested with a fake and the node without HTTP.
"""

from typing import Protocol

from msgspec import Struct

from regional.configuration import Configuration, OriginSecret
from regional.sizing import BoundBy


class Acknowledgement(Struct, frozen=True, kw_only=True):
    """How far a change has come: of `linked` edges, so many said that they have it."""

    linked: int
    acknowledged: int


class LinkStatus(Struct, frozen=True, kw_only=True):
    """One linked edge."""

    edge: str
    address: str
    advertise: str | None = None
    up_s: float = 0.0
    #: Of the latest ping; None until one came back.
    round_trip_s: float | None = None
    channels: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0


class PoolStatus(Struct, frozen=True, kw_only=True):
    """One pool, in PgBouncer's columns where the meaning is the same."""

    configuration: str
    cl_active: int
    cl_waiting: int
    sv_active: int
    sv_idle: int
    sv_login: int
    #: Seconds that the head of the queue has waited.
    maxwait: float
    size: int
    #: origin_connection_limit.
    limit: int
    #: How many connections may be in use at once now, and where that comes from (`regional/sizing.py`).
    bound: int
    bound_by: BoundBy
    #: Counters since the node's start.
    total_leases: int = 0
    total_errors: int = 0


class CacheStatus(Struct, frozen=True, kw_only=True):
    """What the query cache has done for one configuration, at all edges; counters since the edges' start."""

    configuration: str
    #: What is kept now.
    entries: int = 0
    bytes: int = 0
    #: Queries: answered by the edge, answered by it while the answer is renewed, and asked for to be kept.
    hits: int = 0
    stale: int = 0
    misses: int = 0
    #: Of those three, the part that the edge has answered; None while there was none of them.
    hit_rate: float | None = None
    #: Queries whose answer is not kept, and how many of them for which class of reasons.
    uncacheable: int = 0
    #: Queries that were not looked up: caching is off, in a transaction, or the session or the query wants none of it.
    disabled: int = 0
    transaction: int = 0
    bypassed: int = 0
    reasons: dict[str, int] = {}
    #: Stale answers that were asked for again; these are no queries.
    renewals: int = 0
    #: Hits of an answer after an invalidation of a table of its had arrived, by the edge's clock: none, ever.
    late_hits: int = 0


class Status(Struct, frozen=True, kw_only=True):
    """What a pool node says about itself."""

    node: str
    #: False while starting or draining; `/readyz` answers by it.
    ready: bool = True
    up_s: float = 0.0
    links: tuple[LinkStatus, ...] = ()
    pools: tuple[PoolStatus, ...] = ()
    caches: tuple[CacheStatus, ...] = ()
    #: Configurations with `caching.follow_writes` whose origin's writes are not followed at present, and why.
    not_followed: dict[str, str] = {}


class UnknownTableError(Exception):
    """A purge names a table that the origin's catalogue does not have."""

    def __init__(self, name: str, table: str) -> None:
        super().__init__(f"the database of configuration {name} has no table {table}")


class Control(Protocol):
    """What the admin API may ask of its node. Errors are ServiceErrors; their text holds no secret."""

    async def check(self, configuration: Configuration, secret: OriginSecret) -> dict[str, str]:
        """Log in at the origin once and return the parameters it reports.

        What else a first lease needs is read as well, so that the first clients find it once this is published.

        Raises ServiceError, whose message says what is wrong, when the origin cannot be reached or refuses.
        Cancellation: safe.
        """
        ...

    async def publish(self, configuration: Configuration, secret: OriginSecret) -> Acknowledgement:
        """Make a new or changed configuration effective here and at every linked edge.

        Returns when every linked edge has it, or after a few seconds with fewer acknowledged than linked. It may be
        called again with what it already has. Cancellation: safe, the change has been made here by the first
        checkpoint.
        """
        ...

    async def withdraw(self, name: str) -> Acknowledgement:
        """Forget a deleted configuration: no new logins at once, sessions end at their next transaction boundary.

        Cancellation: as for publish.
        """
        ...

    async def restart(self, name: str) -> None:
        """Retire every origin connection of the configuration; new ones are dialled on demand. Cancellation: safe."""
        ...

    async def purge(self, name: str, table: str | None) -> int:
        """Have every linked edge drop the configuration's answers, all or those that were read from the table.

        Returns how many edges were told; answers that they get from now on are kept again. Raises UnknownTableError,
        and a ServiceError while the catalogue is not known. Cancellation: safe, they have been told by the first
        checkpoint.
        """
        ...

    def status(self) -> Status:
        """The figures of this moment."""
        ...

    def edge_addresses(self) -> list[str]:
        """HOST:PORT of edges for connection strings, best first: what edges advertise, then where linked ones
        listen."""
        ...
