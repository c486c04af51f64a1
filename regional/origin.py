"""One origin connection, from its login to its end: who has it, what it owes, and what may be left on it.

The bytes of a lease pass through here in both directions. Towards the origin each message is looked at once (scrutiny,
pipeline). Towards the client the answer passes as it came, without what messages of ours brought. The lease ends when
the pipeline is idle: ReadyForQuery in status I with nothing owed.

Our own conversations with the origin (settings before a lease, cleaning after it, the catalogue) are `Exchange`s: one
simple query whose answer nobody else sees. A connection is in an exchange, or relays for a channel, or is idle; what an
idle one says unasked (but a notice, a notification or a changed parameter) means that it is broken (rules 7, 14).
"""

from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Final

import attrs

from protos.errors import RemoteProtocolError
from protos.link.link_pb2 import Begin
from protos.pg.framer import BACKEND_LIMITS, Framer, FramingError, Piece
from protos.pg.messages import query, terminate
from protos.pg.parsers import error_fields, parameter_status_of
from protos.pg.pipeline import Pipeline
from protos.pg.replies import WHOLE_WHEN_WATCHED
from protos.pg.tags import Backend, Frontend
from protos.runtime.connection import Connection
from regional import complaints
from regional.cache.watching import Watching
from regional.exchange import Exchange
from regional.forwarding import forward
from regional.plans import Plans
from regional.prepared import Prepared
from regional.profile import Profile
from regional.relaying import publish, relay
from regional.residue import Residue
from regional.scrutiny import Scrutiny
from regional.unseen import Unseen

if TYPE_CHECKING:
    from regional.channel import Channel
    from regional.dial import Endpoint
    from regional.tenant import Tenant

MAX_PENDING_BYTES: Final = 256 << 10  # of a request that the origin does not take; then no more credit

# Of a conversation of our own everything is seen, rows included.
_EXCHANGE: Final = WHOLE_WHEN_WATCHED | {Backend.DATA_ROW}
_UNASKED: Final = frozenset({Backend.NOTICE_RESPONSE, Backend.NOTIFICATION_RESPONSE})


@attrs.define(eq=False)
class Origin:
    """A logged-in connection. Times are monotonic seconds."""

    tenant: "Tenant"
    connection: Connection
    address: "Endpoint"  # where exactly it is connected to: cancel requests go to the same place (rules 16)
    parameters: dict[str, str]
    process_id: int
    secret_key: bytes
    profile: Profile
    expires_at: float
    idle_since: float
    channel: "Channel | None" = None
    pipeline: Pipeline = attrs.field(factory=Pipeline)
    scrutiny: Scrutiny = attrs.field(init=False)
    watching: Watching = attrs.field(init=False)
    plans: Plans = attrs.field(init=False)
    unseen: Unseen = attrs.field(init=False)
    last_activity: float = 0.0  # when the last message went in either direction
    busy_since: float = 0.0  # since when the oldest answer that is owed has been the next one
    cancelling: int = 0  # cancel requests under way; the connection is not reused until they are settled
    has_timed_out: bool = False
    kept: Residue = Residue.CLEAN  # what was left on it by the session that it is pinned to
    settling: "Channel | None" = None  # whose settings have to be read from it before it is cleaned
    _framer: Framer = attrs.field(factory=lambda: Framer(BACKEND_LIMITS, frozenset()))
    _exchange: Exchange | None = None

    def __attrs_post_init__(self) -> None:
        self.scrutiny = Scrutiny(self.tenant, self.parameters)
        self.scrutiny.telling.on_described = self._described
        self.watching = Watching(self.tenant.knowledge.cache, self.scrutiny)
        self.plans = Plans(self.tenant.knowledge.judge, self.prepared)
        self.unseen = Unseen(self.tenant)

    @property
    def prepared(self) -> Prepared:
        return self.scrutiny.prepared

    @property
    def residue(self) -> Residue:
        return self.scrutiny.residue

    @residue.setter
    def residue(self, residue: Residue) -> None:
        self.scrutiny.residue = residue

    @property
    def must_close(self) -> str:
        """Why it may not be used again after this lease; empty if it may."""
        return self.scrutiny.must_close

    @must_close.setter
    def must_close(self, why: str) -> None:
        self.scrutiny.must_close = why

    # --- towards the origin ---

    def lend(self, channel: "Channel") -> None:
        """A lease begins."""
        self.channel = channel
        own = channel.settings
        self.scrutiny.begin(own.client_encoding, own.startup.settings, has_own_settings=own.are_ahead_of_edge)
        self.watching.begin(is_on=bool(self.tenant.publishing.audience))
        self.plans.begin()

    def forward(self, pieces: Iterable[Piece], texts: Mapping[bytes, bytes], opening: Begin | None = None) -> None:
        """Send messages of the lease's client; texts are the statements that they refer to.

        opening: the transaction that is to be opened in front of them.
        """
        self.last_activity = monotonic()
        if not (self.pipeline.owed or self.is_verifying):
            self._busy_from(self.last_activity)
        out: list[bytes] = []
        if opening is not None:
            self.plans.open(self.pipeline, out)
            out += self.scrutiny.opened_by(opening, self.pipeline)
        forward(self, pieces, texts, out)
        residue = self.residue
        # What a pinned session has made for itself is in no catalogue; some of it may run anything.
        if residue and (residue.hides_ddl or self.kept.makes_catalog_stale):
            self.unseen.begin()
        if out:
            self.connection.write(out[0] if len(out) == 1 else b"".join(out))

    @property
    def is_behind(self) -> bool:
        """Whether the client had better not send more."""
        return self.connection.pending_bytes > MAX_PENDING_BYTES or self.is_verifying

    @property
    def is_verifying(self) -> bool:
        """Whether messages of the lease's client wait here until a statement is verified."""
        return self.scrutiny.verifying.is_holding

    def _busy_from(self, now: float) -> None:
        self.busy_since = now
        self.has_timed_out = False

    # --- from the origin ---

    def received(self, data: bytes) -> None:
        self._framer.whole = self.pipeline.whole if self._exchange is None else _EXCHANGE
        try:
            self._take(self._framer.feed(data))
        except FramingError as error:
            self._take(error.pieces)  # a FATAL before the garbage is worth reading
            self.lost(f"the origin broke the protocol: {error}")
        except RemoteProtocolError as error:
            self.lost(f"the origin broke the protocol: {error}")

    def _take(self, pieces: list[Piece]) -> None:
        if self.channel is not None and self._exchange is None:
            pieces = relay(self, self.channel, pieces)
        for piece in pieces:
            self._take_own(piece)
            if self.connection.is_closed:
                return

    def secured(self) -> None:
        """TLS was done before login; never called."""

    def drained(self) -> None:
        """The origin takes bytes again."""
        if self.channel is not None:
            self.channel.origin_drained()

    def ended(self, why: str) -> None:
        self.lost(why)

    def fence(self) -> None:
        """Ask for nothing, to learn from the answer that all before it is answered."""
        self.pipeline.inject(Frontend.QUERY)
        self.connection.write(query(b""))

    def has_moved(self, *, settles: bool) -> None:
        """The origin has said something, and settled something by it perhaps."""
        self.last_activity = monotonic()
        if settles:
            self._busy_from(self.last_activity)

    def conclude(self, out: list[bytes]) -> bool:
        """Add the last words to an answer that ends with ReadyForQuery; whether the session has to settle."""
        assert self.channel is not None
        self.scrutiny.conclude()
        words = self.scrutiny.last_words(self.channel.settings.told)
        if words:
            out.insert(len(out) - 1, words)
        return self._settles(self.channel)

    def _described(self, name: bytes, description: bytes) -> None:
        """Before its session's answer leaves, for what is said of the link goes first."""
        if self.channel is not None:
            self.channel.mux.send_control(self.tenant.knowledge.description(name, description))

    def end_lease(self) -> None:
        """The pipeline is idle: what the client wanted is done."""
        channel = self.channel
        assert channel is not None
        self.scrutiny.conclude()
        self.lease_is_over(channel, settles=self._settles(channel))

    def lease_is_over(self, channel: "Channel", *, settles: bool) -> None:
        """Likewise, and that is concluded."""
        if self.watching.is_on or self.watching.listens:
            publish(self, self.watching.take_all())
        if settles:
            self.settling = channel
            channel.settling()
        elif self.kept and not channel.has_left:
            channel.lease_goes_on()
            if self.tenant.is_retired(self):
                channel.end(complaints.unpinned())
            else:
                self.lend(channel)
            return
        self.channel = None
        if self.kept:  # | between flags costs a microsecond
            self.residue |= self.kept
            self.kept = Residue.CLEAN
        if self.tenant.knowledge.doubts.open:
            self.residue |= Residue.DISCARD  # it may have met what nobody knows of yet
        channel.lease_ended()
        self.tenant.lease_ended(self)

    def _settles(self, channel: "Channel") -> bool:
        """Whether what the session has set is to be read from here before anybody uses it."""
        return self.scrutiny.has_changed_session and not channel.has_left

    # --- our own conversations ---

    def run(self, sql: bytes, done: Callable[[Exchange], None]) -> None:
        """Send one simple query of our own; done hears what came of it, also if the connection is lost."""
        assert self._exchange is None
        self._exchange = Exchange(done)
        self.last_activity = monotonic()
        self.connection.write(query(sql))

    @property
    def is_in_exchange(self) -> bool:
        return self._exchange is not None

    @property
    def is_inside_answer(self) -> bool:
        """Whether the client has the beginning of a message; whatever it got now, it would read as the rest of it."""
        return self._exchange is None and not self._framer.is_at_boundary and not self._framer.rest

    def _take_own(self, piece: Piece) -> None:
        exchange = self._exchange
        if exchange is None:
            self._unasked(piece)
        elif piece.tag == Backend.READY_FOR_QUERY:
            exchange.status = piece.data[5]
            self._exchange = None
            self.parameters |= exchange.parameters
            exchange.done(exchange)
        else:
            exchange.take(piece)

    def _unasked(self, piece: Piece) -> None:
        if piece.tag == Backend.ERROR_RESPONSE:
            fields = error_fields(piece.data)
            self.lost(f"closed by the origin: {fields.get('M')} ({fields.get('C')})")
        elif piece.tag == Backend.PARAMETER_STATUS:
            self.tenant.knowledge.changed(self, *parameter_status_of(piece.data))
        elif piece.tag not in _UNASKED:
            self.lost("the origin said something unasked")

    def reset_pipeline(self) -> None:
        """After a ROLLBACK of our own in an exchange, nothing is owed and no transaction is open."""
        self.pipeline = Pipeline()

    # --- the end ---

    def hang_up(self) -> None:
        """Say goodbye and close; nobody may be using it."""
        self.connection.write(terminate())
        self.connection.finish()

    def lost(self, why: str) -> None:
        """It is gone, or cannot be used any more: whoever has it is told, and the pool forgets it."""
        if self.connection.is_closed and self not in self.tenant.pool.all():
            return
        self.connection.close()
        says_why = not self.scrutiny.last_fatal and not self.is_inside_answer
        channel, self.channel = self.channel, None
        exchange, self._exchange = self._exchange, None
        self.tenant.origin_lost(self, why)
        settling, self.settling = self.settling, None
        if exchange is not None:
            exchange.status = 0
            exchange.done(exchange)
        elif settling is not None:
            settling.unsettled(complaints.unread(why))
        if channel is not None:
            channel.origin_lost(complaints.lost(self.pipeline, why) if says_why else None)
