"""A channel at the pool node: one session's lane, which borrows an origin connection for each transaction.

Nothing of a session is kept here between two transactions but what `Open` said. States, each a combination of two
facts:

    no lease, nothing pending      between transactions
    no lease, bytes pending        waiting in the pool's queue
    lease, bytes pending           granted; the connection is being given the session's settings first
    lease                          relaying

The client may leave in each of them. After Terminate, what it sent before runs to its end as PostgreSQL would run it,
and its answer is dropped; a client that is lost is cancelled and rolled back (rules 3). Either way the connection is
given back clean or closed, within CLEAN_UP_S.
"""

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

import structlog

from protos.errors import LocalProtocolError, RemoteProtocolError, ServiceError
from protos.link.lane import Lane
from protos.link.link_pb2 import Close, Reason
from protos.link.mux import Mux
from protos.pg.framer import FRONTEND_LIMITS, Framer, Piece
from protos.pg.messages import copy_fail, service_error
from protos.pg.tags import Frontend, TransactionStatus
from regional.profile import Profile

if TYPE_CHECKING:
    from regional.origin import Exchange, Origin
    from regional.tenant import Tenant

MAX_BACKLOG_BYTES: Final = 128 << 10  # of an answer queued for the link; then the origin is not read any more
MAX_ORIGIN_PENDING_BYTES: Final = 256 << 10  # of a request that the origin does not take; then no more credit
CLEAN_UP_S: Final = 10.0  # for the statement of a lost client to end, and its rollback

log = structlog.get_logger(__name__)

_GIVE_UP_COPY: Final = Piece(Frontend.COPY_FAIL, copy_fail("the client has left"), whole=True)
_COPY: Final = (0, Frontend.COPY_DONE, Frontend.COPY_FAIL)
_WHOLE: Final = frozenset({
    Frontend.BIND, Frontend.CLOSE, Frontend.COPY_DONE, Frontend.COPY_FAIL, Frontend.DESCRIBE, Frontend.EXECUTE,
    Frontend.FLUSH, Frontend.FUNCTION_CALL, Frontend.PARSE, Frontend.QUERY, Frontend.SYNC,
})  # fmt: skip


class Channel:
    """One session of an edge, as this pool node sees it. It is the pool's waiter, too."""

    __slots__ = (
        "_client_encoding", "_framer", "_leaving", "_pending", "_texts", "_texts_are_old", "_unconsumed_bytes",
        "clean_up_by", "key", "lane", "mux", "on_closed", "origin", "profile", "tenant",
    )  # fmt: skip

    def __init__(self, tenant: "Tenant", mux: Mux, lane: Lane, profile: Profile, key: tuple[int, bytes]) -> None:
        self.tenant = tenant
        self.mux = mux
        self.lane = lane
        self.profile = profile
        self.key = key
        """What a CancelRequest for this session says."""
        self.origin: Origin | None = None
        self.clean_up_by = 0.0
        """When the connection of a client that has left is closed if it is not clean by then; 0.0 means not yet."""
        self.on_closed: Callable[[], object] = lambda: None
        """Called when this end closes the channel."""
        self._client_encoding = tenant.client_encoding_of(profile)
        self._framer = Framer(FRONTEND_LIMITS, _WHOLE)
        self._pending: deque[list[Piece]] = deque()
        self._texts: dict[bytes, bytes] = {}  # statements that the latest request refers to
        self._texts_are_old = False
        self._leaving: Reason | None = None
        self._unconsumed_bytes = 0

    @property
    def is_waiting(self) -> bool:
        return self.origin is None and bool(self._pending)

    # --- from the edge ---

    def refer(self, text: bytes) -> None:
        """The next bytes refer to this statement."""
        if self._texts_are_old and self.origin is None and not self._pending and self._framer.is_at_boundary:
            self._texts.clear()
            self._texts_are_old = False
        self._texts[text[5 : text.index(0, 5)]] = text

    def deliver(self, data: bytes) -> None:
        """Bytes of the client."""
        if self._leaving is not None:
            return
        try:
            pieces = self._framer.feed(data)
        except RemoteProtocolError as error:
            self.end(error)
            return
        self._unconsumed_bytes += len(data)
        origin = self.origin
        if origin is None and not self._pending:
            # Outside of a COPY its messages mean nothing: the client has not noticed yet that it failed.
            pieces = pieces[next((at for at, piece in enumerate(pieces) if piece.tag not in _COPY), len(pieces)) :]
            if not pieces:
                self._consume()
                return
        if origin is not None and not self._pending:
            self._forward(origin, pieces)
            return
        self._pending.append(pieces)
        if origin is None and len(self._pending) == 1:
            self.tenant.checkout(self)

    def _forward(self, origin: "Origin", pieces: list[Piece]) -> None:
        try:
            origin.forward(pieces, self._texts)
        except RemoteProtocolError as error:
            self.end(error)
            return
        except Exception as error:  # a bug of ours costs this session, not everybody's link
            log.exception("a session failed unforeseen", configuration=self.tenant.configuration.name)
            self.end(ServiceError(repr(error)))
            return
        due = origin.pipeline.due()
        if due:
            self.answer(due, 0, 0, last=False)
        self.origin_drained()
        if (
            origin.pipeline.is_idle and not self.is_inside_message
        ):  # a Flush, say: nothing will come that could end the lease
            origin.end_lease()

    def origin_drained(self) -> None:
        """Give the edge credit for what the origin has taken."""
        origin = self.origin
        if origin is not None and origin.connection.pending_bytes <= MAX_ORIGIN_PENDING_BYTES:
            self._consume()

    def _consume(self) -> None:
        size, self._unconsumed_bytes = self._unconsumed_bytes, 0
        if size:
            self.mux.consumed(self.lane, size, monotonic())

    def left(self, reason: Reason) -> None:
        """The client has gone, with a Terminate or without."""
        if self._leaving is not None:
            return
        self._leaving = reason
        self.mux.forget_lane(self.lane.id)
        origin = self.origin
        if origin is None:
            if reason != Reason.TERMINATED or not self._pending:
                self._pending.clear()
                self.tenant.leave(self)
            return
        if origin.connection.is_paused:
            origin.connection.resume()
        if self._pending:  # its settings are being set; it goes on from there
            if reason != Reason.TERMINATED:
                self._pending.clear()
            return
        if reason != Reason.TERMINATED:
            self.clean_up_by = monotonic() + CLEAN_UP_S
            if origin.pipeline.owed and not origin.pipeline.in_copy_in:
                self.tenant.cancel(origin)
        self._clean_up_if_quiet()

    # --- the lease ---

    def granted(self, origin: "Origin") -> None:
        """An origin connection is ours until the pipeline is idle again."""
        self.origin = origin
        origin.lend(self, self._client_encoding)
        if origin.profile is self.profile:
            self._flush_pending(origin)
        else:
            self.tenant.restore(origin, self.profile, self._restored)

    def _restored(self, exchange: "Exchange") -> None:
        origin = self.origin
        if origin is None or not exchange.status:
            return  # the connection was lost, and origin_lost told
        if exchange.error:
            # The settings were refused: the statement does not run, and the client gets that error (rules 5).
            self._give_back(origin)
            self._pending.clear()
            self.close(Reason.REFUSED, exchange.error)
            return
        origin.profile = self.profile
        self._flush_pending(origin)

    def _flush_pending(self, origin: "Origin") -> None:
        pending, self._pending = self._pending, deque()
        if not pending:  # the client has left meanwhile
            self._give_back(origin)
            return
        pieces = pending[0] if len(pending) == 1 else [piece for some in pending for piece in some]
        self._forward(origin, pieces)
        if self._leaving is not None:
            self._clean_up_if_quiet()

    def _give_back(self, origin: "Origin") -> None:
        """Nothing of ours has run on it."""
        self.origin = None
        origin.channel = None
        self.lease_ended()
        self.tenant.lease_ended(origin)

    def answer(self, data: bytes, settled: int, status: int, *, last: bool) -> None:
        """Bytes of the origin for the client."""
        if self._leaving is not None:
            if not last:
                self._clean_up_if_quiet()
            return
        if not data and not settled:
            return
        lane = self.lane
        self.mux.send(lane, data, settled, status, last=last)
        if lane.backlog_bytes > MAX_BACKLOG_BYTES and self.origin is not None:
            self.origin.connection.pause()
            lane.on_room = self._room

    def _room(self) -> None:
        if self.lane.backlog_bytes <= MAX_BACKLOG_BYTES // 2:
            self.lane.on_room = None
            if self.origin is not None:
                self.origin.connection.resume()

    @property
    def is_blocked(self) -> bool:
        """The client takes nothing, so the origin is not read: its query's time stands still (rules 2)."""
        return self.lane.on_room is not None

    def lease_ended(self) -> None:
        """The pipeline is idle; the connection has gone back to the pool."""
        origin, self.origin = self.origin, None
        # Not cleared: the rest of the request that they came with may still be on its way, in chunks.
        self._texts_are_old = True
        if self.lane.on_room is not None:
            self.lane.on_room = None
            if origin is not None:
                origin.connection.resume()
        self._consume()
        if self._leaving is None:
            return
        self.tenant.forget(self)

    def _clean_up_if_quiet(self) -> None:
        """The client has left: once nothing is owed, end what it left open."""
        origin = self.origin
        if origin is None or origin.is_in_exchange:
            return
        pipeline = origin.pipeline
        if self.is_inside_message:
            self._hang_up(origin, "its client left in the middle of a message")
        elif pipeline.in_copy_in and not pipeline.has_unsynced:
            # It waits for data that will not come, and would see a cancel only when some comes.
            origin.forward([_GIVE_UP_COPY], {})
        elif pipeline.in_copy_in or (pipeline.has_unsynced and not pipeline.owed):
            # An Execute without its Sync must not commit, and no message of ours could make it roll back and stay in
            # step for certain.
            if self._leaving != Reason.TERMINATED:
                self.tenant.cancel(origin)
            self._hang_up(origin, "its client left between two sync points")
        elif not pipeline.owed and pipeline.status != TransactionStatus.IDLE:
            self.clean_up_by = monotonic() + CLEAN_UP_S
            origin.run(b"ROLLBACK", self._rolled_back)

    @property
    def is_inside_message(self) -> bool:
        """Whether the origin has the beginning of a message whose rest will not come."""
        return not self._framer.is_at_boundary and not self._framer.rest

    def _rolled_back(self, exchange: "Exchange") -> None:
        origin = self.origin
        if origin is None or not exchange.status:
            return
        if exchange.status != TransactionStatus.IDLE or origin.pipeline.is_ambiguous:
            self._hang_up(origin, "the transaction of a client that left could not be rolled back")
            return
        origin.reset_pipeline()
        origin.end_lease()

    def _hang_up(self, origin: "Origin", why: str) -> None:
        self.origin = None
        origin.channel = None
        self.lease_ended()
        self.tenant.discard(origin, why)

    # --- what goes wrong ---

    def refused(self, error: ServiceError) -> None:
        """No lease; nothing has run. The pool has forgotten us as a waiter."""
        self._pending.clear()
        self.close(Reason.REFUSED, service_error(error, "ERROR"))

    def origin_lost(self, error: ServiceError | None) -> None:
        """The connection is gone in the middle of the lease; None where no error can be told, or need be."""
        self.origin = None
        self._pending.clear()
        self.close(Reason.ENDED, b"" if error is None else service_error(error, "FATAL"))

    def end(self, error: ServiceError) -> None:
        """End the session with a FATAL error, and the connection with it if it is in the middle of something."""
        origin = self.origin
        self._pending.clear()
        message = service_error(error, "FATAL")
        if origin is not None:
            if origin.is_inside_answer:
                message = b""
            self.origin = None
            origin.channel = None
            if origin.pipeline.owed or origin.pipeline.has_unsynced:
                self.tenant.cancel(origin)  # it would run to its end, and hold its locks, without anybody
            self.tenant.discard(origin, str(error))
        else:
            self.tenant.leave(self)
        self.close(Reason.ENDED, message)

    def close(self, reason: Reason, error: bytes) -> None:
        """Tell the edge and be forgotten; the session opens another channel if it lives on."""
        if self.origin is not None:
            message = "a channel cannot close while it has a lease"
            raise LocalProtocolError(message)
        if self._leaving is None:
            self._leaving = reason
            self.on_closed()
            self.mux.close_lane(self.lane, Close(reason=reason, error=error))
        self.tenant.forget(self)
