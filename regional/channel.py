"""A channel at the pool node: one session's lane, which borrows an origin connection for each transaction.

What a session has set for itself is kept here and, since a channel dies with its link, at the edge too (`State`).
States, each a combination of three facts:

    no lease, nothing pending      between transactions
    no lease, bytes pending        waiting in the pool's queue
    no lease, settling             what its last transaction has set is being read; what comes meanwhile is pending
    lease, bytes pending           granted; the connection gets the session's settings first, or an outcome is awaited
    lease                          relaying; or pinned (`session_state` pin), with nothing going on

The client may leave in each of them. After Terminate, what it sent before runs to its end as PostgreSQL would run it,
and its answer is dropped; a client that is lost is cancelled and rolled back (rules 3). Either way the connection is
given back clean or closed, within CLEAN_UP_S.
"""

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

import structlog

from protos.errors import RemoteProtocolError, ServiceError
from protos.link.lane import Lane
from protos.link.link_pb2 import Begin, Close, Frame, Reason
from protos.link.mux import Mux
from protos.pg.framer import Piece
from protos.pg.messages import service_error
from regional.cache import asking
from regional.cache.question import Question
from regional.choices import Choices
from regional.departure import CLEAN_UP_S, clean_up, leave_lease
from regional.profile import Profile
from regional.requests import Requests, without_copy
from regional.session_settings import SessionSettings

if TYPE_CHECKING:
    from regional.exchange import Exchange
    from regional.origin import Origin
    from regional.tenant import Tenant

MAX_BACKLOG_BYTES: Final = 128 << 10  # of an answer queued for the link; then the origin is not read any more

log = structlog.get_logger(__name__)


class Channel:
    """One session of an edge, as this pool node sees it. It is the pool's waiter, too."""

    __slots__ = (
        "_is_settling", "_leaving", "_requests", "_unconsumed_bytes", "choices", "clean_up_by", "key", "lane", "mux",
        "on_closed", "opening", "origin", "question", "settings", "tenant",
    )  # fmt: skip

    def __init__(self, tenant: "Tenant", mux: Mux, lane: Lane, profile: Profile, key: tuple[int, bytes]) -> None:
        self.tenant = tenant
        self.mux = mux
        self.lane = lane
        self.settings = SessionSettings(profile, tenant.client_encoding_of)
        self.key = key
        """What a CancelRequest for this session says."""
        self.choices = Choices()
        self.origin: Origin | None = None
        self.clean_up_by = 0.0
        """When the connection of a client that has left is closed if it is not clean by then; 0.0 means not yet."""
        self.on_closed: Callable[[], object] = lambda: None  # called when this end closes the channel
        self.opening: Begin | None = None  # the transaction that is to be opened in front of the next bytes
        self.question: Question | None = None  # what the edge asks about the next request, until it is answered
        self._requests = Requests()
        self._leaving: Reason | None = None
        self._unconsumed_bytes = 0
        self._is_settling = False

    @property
    def is_waiting(self) -> bool:
        return bool(self._requests)

    @property
    def has_left(self) -> bool:
        return self._leaving is not None

    @property
    def profile(self) -> Profile:
        """The settings that the session has now."""
        return self.settings.present

    # --- from the edge ---

    def refer(self, text: bytes) -> None:
        """The next bytes refer to this statement."""
        self._requests.refer(text, is_holding=self.origin is not None and self.origin.is_verifying)

    def deliver(self, data: bytes) -> None:
        """Bytes of the client."""
        if self._leaving is not None:
            return
        requests = self._requests
        try:
            pieces = requests.feed(data)
        except RemoteProtocolError as error:
            self.end(error)
            return
        self._unconsumed_bytes += len(data)
        origin = self.origin
        if not requests:
            if origin is not None:
                self.forward(origin, pieces)
                return
            pieces = without_copy(pieces)
            if not pieces:
                self._consume()
                return
        if requests.hold(pieces) and origin is None and not self._is_settling:
            self.tenant.checkout(self)

    def forward(self, origin: "Origin", pieces: list[Piece]) -> None:
        """Hand on what the client sent; nothing, where it may be time for what is held there."""
        if self.question is not None:
            asking.take_up(self, origin)
        opening, self.opening = self.opening, None
        try:
            for ready in self.choices.batches(pieces, self._requests, origin):
                origin.forward(ready, self._requests.texts, opening)
                opening = None
        except RemoteProtocolError as error:
            self.end(error)
            return
        except Exception as error:  # a bug of ours costs this session, not everybody's link
            log.exception("a session failed unforeseen", configuration=self.tenant.configuration.name)
            self.end(ServiceError(repr(error)))
            return
        if self.question is not None and origin.pipeline.owed:
            asking.answer(self, origin)
        due = origin.pipeline.due()
        if due:
            self.answer(due, 0, 0, last=False)
        self.origin_drained()
        if origin.pipeline.is_idle and not self.is_inside_request:
            origin.end_lease()  # a Flush, say: nothing will come that could end it
        elif self._leaving is not None:
            self._clean_up_if_quiet()

    def origin_drained(self) -> None:
        """Give the edge credit for what the origin has taken."""
        origin = self.origin
        if origin is not None and not origin.is_behind:
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
            if reason != Reason.TERMINATED or not self._requests:
                self._requests.drop()
                self.tenant.leave(self)
            return
        if leave_lease(origin, self._requests, reason):
            self.clean_up_by = 0.0 if reason == Reason.TERMINATED else monotonic() + CLEAN_UP_S
            self._clean_up_if_quiet()

    # --- the lease ---

    def granted(self, origin: "Origin") -> None:
        """An origin connection is ours until the pipeline is idle."""
        self.origin = origin
        origin.lend(self)
        if origin.profile is self.profile:
            self.go_on(origin)
        else:
            self.tenant.restore(origin, self.profile, self._restored)

    def _restored(self, exchange: "Exchange") -> None:
        origin = self.origin
        if origin is None or not exchange.status:
            return  # the connection was lost, and origin_lost told
        if exchange.error:
            # The settings were refused: the statement does not run, and the client gets that error (rules 5).
            self._give_back(origin)
            self._requests.drop()
            self.close(Reason.REFUSED, exchange.error)
            return
        origin.profile = self.profile
        self.go_on(origin)

    def go_on(self, origin: "Origin") -> None:
        if self._requests or origin.is_verifying:
            self.forward(origin, self._requests.take())
        else:  # the client has left meanwhile
            self._give_back(origin)

    def _give_back(self, origin: "Origin") -> None:
        """Nothing of ours has run on it."""
        self.origin = None
        origin.channel = None
        self.lease_ended()
        self.tenant.lease_ended(origin)

    def answer(self, data: bytes, settled: int, status: int, *, last: bool) -> None:
        """Bytes of the origin for the client."""
        if self.question is not None and (data or settled):
            asking.answer(self, self.origin)
        self.choices.settled += settled
        if self._leaving is not None:
            if not last:
                self._clean_up_if_quiet()
            return
        if not data and not settled:
            return
        self.mux.send(self.lane, data, settled, status, last=last)
        if self.lane.backlog_bytes > MAX_BACKLOG_BYTES and self.origin is not None:
            self.origin.connection.pause()
            self.lane.on_room = self._room

    def say(self, frame: Frame) -> None:
        if self._leaving is None:
            frame.channel = self.lane.id
            self.mux.send_in_order(self.lane, frame)

    def _room(self) -> None:
        if self.lane.backlog_bytes <= MAX_BACKLOG_BYTES // 2:
            self._unblock()

    def _unblock(self) -> None:
        self.lane.on_room = None
        if self.origin is not None:
            self.origin.connection.resume()

    @property
    def is_blocked(self) -> bool:
        """The client takes nothing, so the origin is not read: its query's time stands still (rules 2)."""
        return self.lane.on_room is not None

    def lease_ended(self) -> None:
        """The pipeline is idle; the connection has gone back to the pool."""
        self.lease_goes_on()
        self.origin = None
        if self._leaving is not None and not self._is_settling:
            self.tenant.forget(self)

    def lease_goes_on(self) -> None:
        """The pipeline is idle."""
        if self.is_blocked:
            self._unblock()
        self._consume()

    # --- what the session has set ---

    def settling(self) -> None:
        """What its last transaction has set is being read; nothing of it runs meanwhile."""
        self._is_settling = True

    def settled(self, profile: Profile, origin: "Origin | None") -> None:
        """It is known: the session goes on with these settings, and on this connection if it is pinned to it."""
        self._is_settling = False
        self.settings.change(profile)
        self.say(Frame(state=self.settings.state(pinned=origin is not None)))
        if origin is not None:
            self.origin = origin
            origin.lend(self)
        if not self._requests:
            if self._leaving is not None:
                self.tenant.forget(self)
        elif origin is not None:
            self.go_on(origin)
        else:
            self.tenant.checkout(self)

    def unsettled(self, error: ServiceError) -> None:
        """It could not be read, so the session cannot go on as it was."""
        self._is_settling = False
        self._requests.drop()
        self.close(Reason.ENDED, service_error(error, "FATAL"))

    def _clean_up_if_quiet(self) -> None:
        """The client has left: once nothing is owed, end what it left open."""
        origin = self.origin
        if origin is not None and not (origin.is_in_exchange or self._requests):
            clean_up(self, origin, has_terminated=self._leaving == Reason.TERMINATED)

    @property
    def is_inside_request(self) -> bool:
        return self.is_waiting or self._requests.is_inside_message

    # --- what goes wrong ---

    def refused(self, error: ServiceError) -> None:
        """No lease; nothing has run. The pool has forgotten us as a waiter."""
        self._requests.drop()
        self.close(Reason.REFUSED, service_error(error, "ERROR"))

    def origin_lost(self, error: ServiceError | None) -> None:
        """The connection is gone in the middle of the lease; None where no error can be told, or need be."""
        self.origin = None
        self._requests.drop()
        self.close(Reason.ENDED, b"" if error is None else service_error(error, "FATAL"))

    def end(self, error: ServiceError) -> None:
        """End the session with a FATAL error, and the connection with it if it is in the middle of something."""
        origin = self.origin
        self._requests.drop()
        message = service_error(error, "FATAL")
        if origin is not None:
            message = b"" if origin.is_inside_answer else message
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
        assert self.origin is None, "a channel cannot close while it has a lease"
        if self._leaving is None:
            self._leaving = reason
            self.on_closed()
            self.mux.close_lane(self.lane, Close(reason=reason, error=error))
        self.tenant.forget(self)
