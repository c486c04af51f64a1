"""One origin connection, from its login to its end: who has it, what it owes, and what may be left on it.

The bytes of a lease pass through here in both directions. Towards the origin each message is looked at once: what may
the statement leave behind (cleanness), which replies will it owe (pipeline), is its prepared statement here? Towards
the client the answer passes as it came; only what our own injected messages brought is taken out. The lease ends when
the pipeline is idle: ReadyForQuery in status I with nothing owed.

Our own conversations with the origin (settings before a lease, cleaning after it, the catalogue) are `Exchange`s: one
simple query whose answer nobody else sees. A connection is in one of three modes at any time: in an exchange, relaying
for a channel, or idle; what an idle connection says unasked is read as what it is (rules 7, 14: anything but a
notice, a notification or a changed parameter means that it is broken).
"""

from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Final

import attrs

from protos.errors import RemoteProtocolError
from protos.pg.framer import BACKEND_LIMITS, Framer, FramingError, Piece
from protos.pg.messages import query, terminate
from protos.pg.parsers import data_row_of, error_fields, parameter_status_of
from protos.pg.pipeline import Pipeline
from protos.pg.replies import WHOLE_WHEN_WATCHED
from protos.pg.tags import Backend, Frontend
from protos.runtime.connection import Connection
from regional import complaints
from regional.prepared import Prepared, may_set_locally, with_own_words
from regional.profile import Profile
from regional.residue import Residue

if TYPE_CHECKING:
    from regional.channel import Channel
    from regional.dial import Endpoint
    from regional.tenant import Tenant

# Of a conversation of our own everything is seen, rows included.
_EXCHANGE: Final = WHOLE_WHEN_WATCHED | {Backend.DATA_ROW}
_UNKNOWN: Final = Residue.UNKNOWN
_UNASKED: Final = frozenset({Backend.NOTICE_RESPONSE, Backend.NOTIFICATION_RESPONSE})
_EXTENDED: Final = frozenset({Frontend.PARSE, Frontend.BIND, Frontend.DESCRIBE})


@attrs.define(eq=False)
class Exchange:
    """One simple query of our own and what came of it."""

    done: Callable[["Exchange"], None]
    rows: list[list[bytes | None]] = attrs.field(factory=list)
    parameters: dict[str, str] = attrs.field(factory=dict)
    error: bytes = b""
    """The first ErrorResponse."""
    status: int = 0
    """Transaction status at the end; 0 if the connection was lost instead."""


@attrs.define(eq=False)
class Origin:
    """A logged-in connection. Times are monotonic seconds."""

    tenant: "Tenant"
    connection: Connection
    address: "Endpoint"
    """Where exactly it is connected to: cancel requests go to the same place (rules 16)."""
    parameters: dict[str, str]
    process_id: int
    secret_key: bytes
    profile: Profile
    expires_at: float
    idle_since: float
    channel: "Channel | None" = None
    pipeline: Pipeline = attrs.field(factory=Pipeline)
    prepared: Prepared = attrs.field(factory=Prepared)
    residue: Residue = Residue.CLEAN
    must_close: str = ""
    """Why it may not be used again after this lease; empty if it may."""
    last_activity: float = 0.0
    """When the last message went in either direction."""
    busy_since: float = 0.0
    """Since when the oldest answer that is owed has been the next one."""
    cancelling: int = 0
    """Cancel requests under way; the connection is not reused until they are settled."""
    has_timed_out: bool = False
    last_fatal: bytes = b""
    """The FATAL ErrorResponse that the origin said before it closed."""
    _framer: Framer = attrs.field(factory=lambda: Framer(BACKEND_LIMITS, frozenset()))
    _exchange: Exchange | None = None
    _generation: int = 0
    _is_utf8: bool = True
    _has_own_settings: bool = False

    # --- towards the origin ---

    def lend(self, channel: "Channel", client_encoding: str) -> None:
        """A lease begins."""
        self.channel = channel
        self._generation = self.tenant.knowledge.judge.generation
        self._has_own_settings = False
        self._is_utf8 = client_encoding == "UTF8"

    def forward(self, pieces: Iterable[Piece], texts: Mapping[bytes, bytes]) -> None:
        """Send messages of the lease's client; texts are the statements that they refer to."""
        pipeline = self.pipeline
        now = self.last_activity = monotonic()
        if not pipeline.owed:
            self._busy_from(now)
        out: list[bytes] = []
        for piece in pieces:
            tag = piece.tag
            if tag == Frontend.QUERY:
                self._judge_query(piece)
            elif tag in _EXTENDED:
                if not self._prepare(piece, texts, out):
                    continue
            elif tag == Frontend.FUNCTION_CALL:
                self.residue |= Residue.DISCARD
            if tag:
                pipeline.sent(tag)
            out.append(piece.data)
        if out:
            self.connection.write(out[0] if len(out) == 1 else b"".join(out))

    def _busy_from(self, now: float) -> None:
        self.busy_since = now
        self.has_timed_out = False

    def _judge_query(self, piece: Piece) -> None:
        if not piece.whole:
            self._note_residue(_UNKNOWN)
            return
        sql = piece.data[5:-1]
        self._note_residue(self.tenant.judge(sql, is_utf8=self._is_utf8))
        if may_set_locally(sql):
            self._has_own_settings = True

    def _judge_parse(self, message: bytes) -> None:
        """Judge a statement by its Parse message; types of parameters count, for a domain's check runs at Bind."""
        start = message.index(0, 5) + 1
        end = message.index(0, start)
        self._note_residue(self.tenant.judge(message[start:end], message[end + 1 :], is_utf8=self._is_utf8))
        if may_set_locally(message):
            self._has_own_settings = True

    def _note_residue(self, residue: Residue) -> None:
        if residue:
            self.residue |= residue

    def _prepare(self, piece: Piece, texts: Mapping[bytes, bytes], out: list[bytes]) -> bool:
        """Look after the statement that a message makes or needs; False if it need not be sent."""
        if self.pipeline.in_copy_in:  # the origin will end the COPY with an error, whatever it says
            self.residue |= _UNKNOWN
            return True
        # Parse reads settings: what is parsed while the transaction has its own must not be taken for what others mean.
        is_private = self._has_own_settings or bool(self.residue & Residue.SETTINGS)
        if piece.tag != Frontend.PARSE:
            if piece.tag == Frontend.BIND or piece.data[5:6] == b"S":
                text = self.prepared.need(piece, texts, self.pipeline, out, is_private=is_private)
                if text:  # also where it is here already: it runs again, and the catalogue may be another
                    self._judge_parse(text)
            return True
        if not piece.whole:
            self.residue |= _UNKNOWN
            self.must_close = "a statement over 1 MiB"
            return True
        self._judge_parse(piece.data)
        return self.prepared.parse(piece.data, self.pipeline, out, is_private=is_private)

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
            self._relay(self.channel, pieces)
            return
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

    def _relay(self, channel: "Channel", pieces: list[Piece]) -> None:
        pipeline = self.pipeline
        settled = pipeline.settled
        out: list[bytes] = []
        after: list[Piece] = []
        for index, piece in enumerate(pieces):
            tag = piece.tag
            if tag != Backend.READY_FOR_QUERY:
                self._note(tag, piece)
            out.append(pipeline.received(piece if tag != Backend.ERROR_RESPONSE else with_own_words(piece)))
            if tag == Backend.READY_FOR_QUERY:
                self.prepared.settled(pipeline.settled)
                if pipeline.is_idle:
                    after = pieces[index + 1 :]
                    break
        self.last_activity = monotonic()
        if pipeline.settled != settled:
            self._busy_from(self.last_activity)
        channel.answer(b"".join(out), pipeline.settled - settled, pipeline.status, last=pipeline.is_idle)
        if pipeline.is_idle and not self.connection.is_closed and not channel.is_inside_message:
            self.end_lease()  # else with the rest of that message: a COPY has failed, and its client goes on sending
        for piece in after:
            self._take_own(piece)

    def _note(self, tag: int, piece: Piece) -> None:
        """What a reply says about the connection itself."""
        if tag == Backend.ERROR_RESPONSE:
            self._failed(piece)
        elif tag == Backend.PARAMETER_STATUS:
            # It may be a SET LOCAL that will end by itself; but a value that changed is not proven clean.
            self.residue |= Residue.SETTINGS
            name, value = parameter_status_of(piece.data)
            if name == "client_encoding":
                self._is_utf8 = value == "UTF8"
        elif tag == Backend.PARSE_COMPLETE and self.pipeline.is_watching:
            self.prepared.confirmed()

    def _failed(self, piece: Piece) -> None:
        """An error: the rest of its group of extended messages is skipped, with the Parses in it."""
        self.prepared.failed(self.pipeline.settled)
        if self.prepared.is_unsure:
            self.residue |= Residue.STATEMENTS
        if not piece.whole:
            return
        fields = error_fields(piece.data)
        if fields.get("V", fields.get("S")) in ("FATAL", "PANIC"):
            self.last_fatal = piece.data

    def end_lease(self) -> None:
        """The pipeline is idle: what the client wanted is done."""
        if self.tenant.knowledge.judge.generation != self._generation:
            self.residue |= Residue.DISCARD  # what was proven was proven of another catalogue
        if self.prepared.has_private:
            self.residue |= Residue.STATEMENTS
        if self.pipeline.is_ambiguous:
            self.must_close = self.must_close or "replies out of step after a failed COPY"
        channel, self.channel = self.channel, None
        assert channel is not None
        channel.lease_ended()
        self.tenant.lease_ended(self)

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
        exchange, tag = self._exchange, piece.tag
        if exchange is None:
            self._unasked(piece)
        elif tag == Backend.DATA_ROW and piece.whole:
            exchange.rows.append(data_row_of(piece.data))
        elif tag == Backend.PARAMETER_STATUS:
            name, value = parameter_status_of(piece.data)
            exchange.parameters[name] = value
        elif tag == Backend.ERROR_RESPONSE:
            exchange.error = exchange.error or piece.data
        elif tag == Backend.READY_FOR_QUERY:
            exchange.status = piece.data[5]
            self._exchange = None
            exchange.done(exchange)

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
        says_why = not self.last_fatal and not self.is_inside_answer
        channel, self.channel = self.channel, None
        exchange, self._exchange = self._exchange, None
        self.tenant.origin_lost(self, why)
        if exchange is not None:
            exchange.status = 0
            exchange.done(exchange)
        if channel is not None:
            channel.origin_lost(complaints.lost(self.pipeline, why) if says_why else None)
