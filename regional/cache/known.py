"""What is known of an origin for the query cache: a snapshot of its catalogue, and which database it is.

It is read with the catalogue that the proof of cleanness stands on, and forgotten with it. A snapshot that says the
same as the one before changes nothing, so what the classifier remembers stays.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import structlog

from protos.pg.parsers import error_fields
from protos.runtime.guest import in_turns
from regional.cache.classifier import Classifier
from regional.cache.reach import Reach
from regional.cache.reach_query import REACH_SNAPSHOT
from regional.cache.verdicts import Writing
from regional.exchange import Exchange
from regional.snapshot import answer_of, unless_known

if TYPE_CHECKING:
    from regional.origin import Origin
    from regional.tenant import Tenant

MAX_WRITINGS: Final = 20_000

log = structlog.get_logger(__name__)


class Known:
    """Of one tenant."""

    def __init__(self, tenant: "Tenant") -> None:
        self.classifier = Classifier()
        """What statements read and write; it knows nothing while nobody caches."""
        self.generation = 0
        """Counts what the classifier has known: an answer is kept only if it is the same as when it was asked for."""
        self.writings: dict[bytes, Writing] = {}
        """What shared statements write, by their names; forgotten with what the classifier knows."""
        self.database = ""
        """Which database this is, as far as is known for certain."""
        self.is_wanted = False
        """Whether it is to be read."""
        self.on_news: Callable[[Tenant], None] = lambda tenant: None
        """Called when something is known that concerns others."""
        self._tenant = tenant
        self._digest = ""  # of the last snapshot that held
        self._last: Reach | None = None  # what was read last, whether or not it holds
        self._exchange: Exchange | None = None  # the latest reading, until it is taken over

    def remember(self, name: bytes, writing: Writing) -> None:
        """What a shared statement writes."""
        if len(self.writings) >= MAX_WRITINGS:
            self.writings = {}
        self.writings[name] = writing

    @property
    def reach(self) -> Reach | None:
        return self.classifier.reach

    @property
    def digest(self) -> str:
        """Of the catalogue that statements are judged by; empty while it is not known."""
        return "" if self.reach is None else self.reach.digest

    @property
    def is_read_committed(self) -> bool:
        """Whether the origin is known to give a transaction this isolation unless it asks for another."""
        return self.reach is not None and self.reach.is_read_committed

    def read(self, origin: "Origin", done: Callable[[], None]) -> None:
        """Read it on this connection, if it is wanted; done hears when that is over, also if the connection is lost."""
        self._exchange = None
        if not self.is_wanted:
            done()
            return

        def came(exchange: Exchange) -> None:
            self._exchange = exchange
            done()

        origin.run(unless_known(REACH_SNAPSHOT, "" if self._last is None else self._last.digest), came)

    async def understood(self) -> Reach | None:
        """What was read last, to be taken; None where that is nothing. Cancellation: safe."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return None
        name = self._tenant.configuration.name
        if not exchange.status or exchange.error:
            why = error_fields(exchange.error).get("M") if exchange.error else "the connection was lost"
            log.warning("catalogue not read for the cache; nothing is kept", configuration=name, why=why)
            return None
        try:
            digest, rows = answer_of(exchange.rows)
            return await in_turns(Reach.making(rows, digest)) if rows or self._last is None else self._last
        except Exception:  # whatever the origin answers, the node lives on
            log.exception("catalogue not understood for the cache; nothing is kept", configuration=name)
            return None

    def take(self, reach: Reach | None) -> bool:
        """This holds from here on; whether it is known to be another than before."""
        before, self._digest = self._digest, self._digest if reach is None else reach.digest
        known = self.reach
        is_same = reach is not None and known is not None and reach.digest == known.digest
        if not is_same:
            self.classifier.reach = reach
            self.writings = {}
            self.generation += 1
        if reach is not None:
            self._compare(reach)
        if reach is not None and not (is_same and self.database == reach.database):
            self.database = reach.database
            self.on_news(self._tenant)
        return reach is not None and bool(before) and before != reach.digest

    def _compare(self, reach: Reach) -> None:
        """Only a new connection has what ALTER ROLE or ALTER DATABASE has set since (rules 6)."""
        last, self._last = self._last, reach
        if last is None or last.database != reach.database or last.role_settings == reach.role_settings:
            return
        log.info("settings of the role or database have changed", configuration=self._tenant.configuration.name)
        self._tenant.retire(lambda origin: True)

    def forget(self) -> None:
        """It may be wrong."""
        self.take(None)

    def forget_all(self) -> None:
        """Likewise, and what is read next is no news."""
        self.take(None)
        self._digest = ""

    def doubt_database(self) -> bool:
        """A connection was lost: the server may be another, or may have been started again. Whether that is news."""
        if not self.database:
            return False
        self.database = ""
        self.on_news(self._tenant)
        return True
