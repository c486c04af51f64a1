"""DDL that may have run unseen: by a function, from a text that it puts together or reads.

What a statement says is judged before it runs, and DDL that it says drops the catalogue. What `Residue.HIDES` says of
it is only that it may run DDL, or not. So when its lease is over the origin is asked whether the catalogue has changed
(`regional/unseen_query.py`), on that connection, before anything else is done with it:

    NONE ──such a statement goes out──► OPEN ──its lease ends──► ASKED ──answered, and unchanged──► NONE
                                         │                         └──changed, or not known──► NONE, as after DDL
                                         └──the connection is lost──► LOST ──so is its backend──► NONE, as after DDL

LOST is as after DDL too, for it may have been committed; it is not over, for it may be committed yet. Of DDL that was
seen it is likewise.

Such a statement may commit before its answer is here, and another's beside it fire the trigger that it has made. So
every connection that comes back meanwhile is cleaned, in any configuration of the database; and once its client has an
answer, no other answer is kept until the catalogue is known to be the same. What is known of it stays if it is.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import structlog

from protos.pg.parsers import error_fields
from regional import complaints
from regional.exchange import Exchange
from regional.unseen_query import NUMBER_QUERY, STATE_QUERY

if TYPE_CHECKING:
    from regional.origin import Origin
    from regional.tenant import Tenant

_UNREADABLE: Final = b""
"""The state of a catalogue that could not be found out: no other is known to be the same."""

log = structlog.get_logger(__name__)


class Doubts:
    """Of one tenant."""

    __slots__ = ("open", "reading", "state", "told")

    def __init__(self) -> None:
        self.open = 0
        """How many leases of this database may just now run DDL unseen, or have done so and nobody has looked."""
        self.told = 0
        """Of how many of them the clients have had their answers."""
        self.state: bytes | None = None
        """That of the catalogue which is known; None if none is."""
        self.reading: bytes | None = None
        """That of the catalogue which is being read; None if none is, or nothing of it has been read."""

    def read(self, origin: "Origin", then: Callable[[Exchange], None]) -> None:
        """Find the state of the catalogue that is to be read next."""

        def found(exchange: Exchange) -> None:
            if exchange.status:
                self.reading = _state_in(exchange)
            then(exchange)

        origin.run(STATE_QUERY.encode(), found)

    def are_of(self, state: bytes) -> bool:
        """Whether what is known, and what is being read, is of this state."""
        return all(one is None or one == state != _UNREADABLE for one in (self.state, self.reading))


class Unseen:
    """What one connection may have done."""

    __slots__ = ("_is_told", "_number", "_shared", "_tenant")

    def __init__(self, tenant: "Tenant") -> None:
        self._tenant = tenant
        self._shared: tuple[Doubts, ...] = ()  # those that count this lease
        self._number: bytes | None = None  # of writes to the catalogue when it was last asked
        self._is_told = False

    @property
    def is_open(self) -> bool:
        return bool(self._shared)

    def begin(self) -> None:
        """A statement goes out that may run DDL unseen."""
        if not self._shared:
            tenant = self._tenant
            here = tenant.knowledge.doubts
            others = (other.knowledge.doubts for other in tenant.publishing.neighbours.of(tenant))
            self._shared = tuple(dict.fromkeys((here, *others)))
            for doubts in self._shared:
                doubts.open += 1

    def told(self) -> None:
        """The client hears that something of it is done, and may act on it."""
        if not self._is_told:
            self._is_told = True
            for doubts in self._shared:
                doubts.told += 1

    def ask(self, origin: "Origin", then: "Callable[[Origin], None]") -> None:
        """The lease is over: find out, then go on; not if the connection is lost."""
        waiting = origin.settling  # a session that would go on once its settings are read

        def numbered(exchange: Exchange) -> None:
            number = exchange.rows[0][0] if exchange.rows and not exchange.error else None
            if not exchange.status:
                lost()
            elif number is not None and number == self._number:
                self._end()
                then(origin)
            else:
                origin.run(STATE_QUERY.encode(), lambda exchange: compared(exchange, number))

        def compared(exchange: Exchange, number: bytes | None) -> None:
            if not exchange.status:
                lost()
                return
            self._number = number
            state = _state_in(exchange)
            if not all(doubts.are_of(state) for doubts in self._shared):
                self._tenant.knowledge.ddl_seen()
            self._end()
            then(origin)

        def lost() -> None:
            if waiting is not None:
                waiting.unsettled(complaints.unread("the connection was lost"))

        self.told()
        origin.run(NUMBER_QUERY.encode(), numbered)

    def lost(self) -> None:
        """The connection is gone, and what it may have done was perhaps committed, or will be."""
        self.begin()
        self._tenant.knowledge.ddl_seen()

    def gone(self) -> None:
        """So is its backend."""
        if self._shared:
            self._tenant.knowledge.ddl_seen()
            self._end()

    def _end(self) -> None:
        for doubts in self._shared:
            doubts.open -= 1
            doubts.told -= self._is_told
        self._shared = ()
        self._is_told = False


def _state_in(exchange: Exchange) -> bytes:
    """The answer to STATE_QUERY."""
    if exchange.error or not exchange.rows:
        log.warning(
            "the catalogue's state could not be read",
            why=error_fields(exchange.error).get("M") if exchange.error else "",
        )
        return _UNREADABLE
    return exchange.rows[0][0] or _UNREADABLE
