"""What a tenant knows of its origin, and how it learns it: the catalogue for the proof of cleanness, the parameters
that the origin reports at login, and whatever else a connection of the pool is borrowed to find out.
"""

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

import structlog
import trio

from protos.errors import ServiceError
from protos.link.link_pb2 import Description, Frame, Invalidate
from protos.pg.parsers import error_fields
from protos.runtime.guest import in_turns
from regional.backends import Backends
from regional.borrowing import borrow
from regional.cache.known import Known
from regional.cache.verdicts import EVERYTHING
from regional.catalog import Catalog
from regional.catalog_query import CATALOG_SNAPSHOT
from regional.cleanness import Judge
from regional.exchange import Exchange
from regional.meaning import Meaning
from regional.names_query import NAMES_QUERY, names_in
from regional.origin import Origin
from regional.profile import BASE
from regional.snapshot import answer_of, unless_known
from regional.unseen import Doubts

if TYPE_CHECKING:
    from regional.tenant import Tenant

CATALOG_AGE_S: Final = 30.0
CATALOG_GRACE_S: Final = 30.0  # for reading it again

# Reported, but not a matter of configuration: they say who we are.
_PER_CONNECTION: Final = frozenset({"session_authorization", "is_superuser", "application_name", "in_hot_standby"})

log = structlog.get_logger(__name__)


class Knowledge:
    """Of one tenant."""

    def __init__(self, tenant: "Tenant", parameters: dict[str, str]) -> None:
        self.parameters = parameters
        """What the origin reports to a client that has just logged in."""
        self.judge = Judge()
        self.backends = Backends(tenant)
        self.cache = Known(tenant)
        self.meaning = Meaning()
        self.doubts = Doubts()
        self.tell: Callable[[Frame], None] = lambda frame: None
        """To every linked edge."""
        self.on_parameters: Callable[[Tenant], None] = lambda tenant: None
        self.on_meaning: Callable[[Tenant], None] = lambda tenant: None
        """Called when statements may mean something else, in other configurations of this database too."""
        self._tenant = tenant
        self._due = 0.0
        self._read_at = 0.0  # when the catalogue was read last; 0.0 if nothing that is kept hangs on it
        self._is_loading = False
        self._for_names: list[Callable[[bool], None]] | None = None  # who waits for the first reading of names
        self._has_run_ddl = False  # which the next one shows, with whatever else was done meanwhile
        self._shape = ""  # of the catalogue that was known last
        self._last: Catalog | None = None  # what was read last, whether or not it holds

    def refresh(self, nursery: trio.Nursery, now: float) -> None:
        """Read the catalogue if what we have of it is too old."""
        if self._due <= now and not self._is_loading:
            self._is_loading = True
            nursery.start_soon(self.load)

    def expire(self, now: float) -> None:
        """A catalogue that could not be read again, for whatever reason, proves nothing in the end.

        Nor do answers that were kept for it hold: DDL may have gone another way, and nobody has looked.
        """
        is_too_old = bool(self._read_at) and self._read_at + CATALOG_AGE_S + CATALOG_GRACE_S <= now
        if is_too_old:
            self._read_at = 0.0
            if not self._tenant.configuration.caching.disabled:
                self._tenant.publishing.purge(EVERYTHING)
        if (is_too_old or self._due + CATALOG_GRACE_S <= now) and self.judge.catalog is not None:
            self.judge.catalog = None
            self.cache.forget()

    def drop_catalog(self) -> None:
        """It has just changed: until it is read again nothing is proven."""
        self.judge.catalog = None
        self.cache.forget()
        self.doubts.state = None
        self._due = 0.0

    def hurry(self) -> None:
        """Read again soon, for more is wanted than is known, or is being read."""
        if self.cache.reach is None and not (self._is_loading and self.cache.is_wanted):
            self._due = 0.0

    def lost(self) -> None:
        """A connection has ended by itself."""
        if self.cache.doubt_database():
            self._due = 0.0

    def take_over(self, other: "Knowledge") -> None:
        """What another tenant has just learnt of the same origin."""
        if self.judge.catalog is None:
            if other.judge.catalog is not None:
                self.cache.take(other.cache.reach)
                self._loaded(other.judge.catalog)
                self._tenant.publishing.is_first()
            self._due, self._read_at = other._due, other._read_at
            self.doubts.state = other.doubts.state
            self._tenant.names.take_over(other._tenant.names)

    def ddl_seen(self) -> None:
        """DDL was run through us, or may have been.

        What is read next is news again: what it shows may be more than that, and others may have read before it.
        """
        self.drop_catalog()
        self._has_run_ddl = True
        self.changed_meaning()

    def others_ddl_seen(self) -> None:
        """Likewise, through another configuration of this database or another pool node.

        What is read next is no news then.
        """
        self.drop_catalog()
        if not self._has_run_ddl:
            self.cache.forget_all()
            self._shape = ""
        self._tell_meaning()

    def changed_meaning(self) -> None:
        """Statements may mean something else from here on: DDL was run, or has been by somebody else."""
        self.on_meaning(self._tenant)
        self._tell_meaning()

    def _tell_meaning(self) -> None:
        self.meaning.changed()
        name = self._tenant.configuration.name
        self.tell(Frame(invalidate=Invalidate(configuration=name, meaning=True)))

    def described(self, statement: bytes, description: bytes) -> None:
        """Some session was told otherwise of this statement. Empty: how it is described now is not known."""
        self.meaning.doubt(statement)
        if description:
            self.meaning.learn(statement, description)
        self.tell(self.description(statement, description))

    def description(self, statement: bytes, description: bytes) -> Frame:
        """What tells an edge how a statement is described now; empty: that is not known."""
        name = self._tenant.configuration.name
        return Frame(description=Description(configuration=name, statement=statement, description=description))

    async def load(self) -> None:
        """Read the catalogue. Cancellation: safe."""
        name = self._tenant.configuration.name
        try:
            self.cache.is_wanted = self._tenant.publishing.is_wanted
            began = monotonic()
            self._due = began + CATALOG_AGE_S
            exchange = await borrow(self._tenant, self._read)
            await self.backends.look(self._tenant.opener.dialer, self._tenant.opener.secret)
            if exchange.error:
                why = error_fields(exchange.error).get("M")
                log.warning("catalogue not read; every statement counts as unclean", configuration=name, why=why)
            else:
                await self._take(exchange, began)
        except ServiceError as error:
            log.info("catalogue not read", configuration=name, why=str(error))
        except Exception:  # whatever the origin answers, the node lives on
            log.exception("catalogue not understood; every statement counts as unclean", configuration=name)
        finally:
            self._is_loading, self.doubts.reading = False, None

    async def _take(self, exchange: Exchange, began: float) -> None:
        """Build what was read, unless it is what was read last. Cancellation: safe."""
        digest, rows = answer_of(exchange.rows)
        if rows or self._last is None:
            self._last = await in_turns(Catalog.making(rows, digest))
        reach = await self.cache.understood()
        if self._due == began + CATALOG_AGE_S:  # no DDL was seen meanwhile
            self._read_at = began
            self.doubts.state = self.doubts.reading
            self._loaded(self._last, is_other=self.cache.take(reach))
            self._tenant.origin_known()

    def _read(self, origin: Origin, done: Callable[[Exchange], None]) -> None:
        """Whose connection it is, the names of parameters, the catalogue's state, it itself, and it for the cache."""

        def asked(exchange: Exchange | None) -> None:
            if exchange is None or exchange.status:
                self.read_names(origin, named)
            else:
                done(exchange)

        def named(exchange: Exchange) -> None:
            if exchange.status:
                self.doubts.read(origin, stated)
            else:
                done(exchange)

        def stated(exchange: Exchange) -> None:
            if exchange.status:
                digest = "" if self._last is None else self._last.digest
                origin.run(unless_known(CATALOG_SNAPSHOT, digest), read)
            else:
                done(exchange)

        def read(catalogue: Exchange) -> None:
            if catalogue.status and not catalogue.error:
                self.cache.read(origin, lambda: done(catalogue))
            else:
                done(catalogue)

        self.backends.ask(origin, asked)

    def find_names(self, origin: Origin, then: Callable[[bool], None]) -> None:
        """Read the names for the first time, on this connection or on another that is at it; then go on.

        then is told False if this connection was lost over it. Names may be unknown still.
        """
        if self._for_names is not None:
            self._for_names.append(then)
            return
        self._for_names = []

        def named(exchange: Exchange) -> None:
            others, self._for_names = self._for_names or [], None
            then(exchange.status != 0)
            for other in others:
                other(True)  # noqa: FBT003 - of their connections nothing is known

        self.read_names(origin, named)

    def read_names(self, origin: Origin, done: Callable[[Exchange], None]) -> None:
        """Look through the catalogue for names of parameters; done hears what came of it, when that is known here."""

        def named(exchange: Exchange) -> None:
            if exchange.status:
                self._take_names(exchange)
            done(exchange)

        origin.run(NAMES_QUERY.encode(), named)

    def _take_names(self, exchange: Exchange) -> None:
        names, why = self._tenant.names, error_fields(exchange.error).get("M") if exchange.error else None
        try:
            texts = [] if exchange.error else list(names_in(exchange.rows))
        except ValueError as error:
            texts, why = [], str(error)
        if why is not None:
            log.warning("names of parameters not read", configuration=self._tenant.configuration.name, why=why)
        if why is None or not names.knows_catalog:  # else those that are known stay
            names.found(texts)

    def _loaded(self, catalog: Catalog, *, is_other: bool = False) -> None:
        """is_other: what the cache knows has changed."""
        if self.judge.catalog is not catalog:  # else what the judge remembers stays
            self.judge.catalog = catalog
        if is_other or (self._shape and self._shape != catalog.shape):
            self.changed_meaning()
        self._shape, self._has_run_ddl = catalog.shape, False

    def compare(self, origin: Origin) -> None:
        """A new connection that reports other values: ALTER ROLE or ALTER DATABASE has changed the base (rules 6)."""
        reported, known = _configured(origin.parameters), _configured(self.parameters)
        if reported == known:
            return
        if self.parameters:
            changed = sorted(name for name in reported if reported[name] != known.get(name))
            log.info("the origin reports other values", configuration=self._tenant.configuration.name, changed=changed)
            self._tenant.retire(lambda other: other is not origin)
        self.parameters = dict(origin.parameters)
        self.on_parameters(self._tenant)

    def changed(self, origin: Origin, name: str, value: str) -> None:
        """An idle connection reports a new value: the server's own configuration was reloaded."""
        origin.parameters[name] = value
        if origin.profile is BASE and self.parameters.get(name) != value:
            self.parameters = {**self.parameters, name: value}
            self.on_parameters(self._tenant)


def _configured(parameters: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if name not in _PER_CONNECTION}
