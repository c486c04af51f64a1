"""A client in its session: what it sends crosses the link on a channel, what comes back is written to it.

This is the shell around the `Session` core, run by the pump's callbacks and the uplink's. A session has a channel from
its first statement on. It loses it with its link, or when a request is refused; the next statement opens another, so a
session lives through both as long as it is quiet (rules 1). While no pool node is up, a statement is held, and refused
after the wait timeout (`Limits`).
"""

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

import structlog

from edge.cache.switch import switches_in, without_switches
from edge.directory import Entry
from edge.handshake import Accepted
from edge.outlet import Outlet
from edge.passage import Passage
from edge.session import Session
from protos.errors import ConnectionLostError, IdleInTransactionError, ServiceError
from protos.link.link_pb2 import Ask, Begin, Frame, Open, Reason, Setting, State, Verdict
from protos.link.settings import to_wire
from protos.pg.messages import service_error
from protos.runtime.connection import Connection

if TYPE_CHECKING:
    from edge.node import Edge

SECRET_BYTES_3_0: Final = 4  # with the process id 63 random bits (rules 16)
SECRET_BYTES_3_2: Final = 32
PATIENCE_S: Final = 0.5  # that others have with a client that takes nothing of an answer that is for them, too
log = structlog.get_logger(__name__)


class Client:
    """A client of this edge, from its ReadyForQuery at connect to its end."""

    __slots__ = (
        "_edge", "_ending", "_held", "_outlet", "_passage", "_present", "_session", "_settings", "connection",
        "entry", "held_since", "peer", "process_id", "secret_key",
    )  # fmt: skip

    def __init__(self, edge: "Edge", connection: Connection, entry: Entry, accepted: Accepted) -> None:
        self._edge = edge
        self.connection = connection
        self.peer = ""
        self.entry = entry
        """The configuration as it was when the client logged in."""
        secret_bytes = SECRET_BYTES_3_2 if accepted.minor >= 2 else SECRET_BYTES_3_0
        self.process_id, self.secret_key = edge.cancelling.new_key(secret_bytes)
        self._settings = to_wire(without_switches(accepted.settings))
        self._session = Session(entry.settings_of(self._settings, self._settings), entry.early, entry.answers)
        reader = self._session.here.reader
        reader.on_landed = lambda: self._go_on(self._session.go_on)
        reader.switches.begin(switches_in(accepted.settings))
        self._present: list[Setting] = []
        self._passage = Passage(connection)
        self._outlet = Outlet(connection, self._passage, self._session.here)
        self._held: list[bytes] = []
        self._ending: ServiceError | None = None
        self.held_since = 0.0
        """When the client last said something in a transaction that is held at this edge; 0.0 if it is in none."""

    # --- the connection's side ---

    def received(self, data: bytes) -> None:
        session = self._session
        answer = session.answer_whole(data)
        if answer:
            self._give(answer)
        else:
            self._advance(session.feed, data)

    def cancel(self) -> bool:
        """The client asks to cancel; whether that was all: it waited for somebody else's answer."""
        if is_waiting := self._session.here.is_waiting:
            self._go_on(self._session.cancel)
        else:
            self._session.here.reader.cancelled()
        return is_waiting

    def _go_on(self, step: Callable[[], bytes]) -> None:
        """A read that has waited for somebody else's answer waits no longer."""
        if self.connection.is_closed:
            return
        if self._passage.is_lost:  # our own word of it is still to come
            self._forget_channel()
        self.connection.resume()
        self._advance(step)

    def _advance(self, step: Callable[..., bytes], *data: bytes) -> None:
        """The session core takes in what the client sent, and says what of it crosses."""
        session = self._session
        try:
            request = step(*data)
        except ServiceError as error:
            self.end(error)
            return
        here = session.here
        if here.given is not None:
            self._present = list(here.given.settings)
            here.given = None
            self._passage.say(Frame(state=State(settings=self._present, given=True)))
        if request:
            self._forward(request)
        self._give()
        if session.violation is not None:
            self._edge.limits.has_broken(self, session.violation, monotonic())
        if here.is_waiting or session.violation is not None:
            self.connection.pause()
        if session.terminated:
            self._leave_if_done()

    def _give(self, behind: bytes = b"") -> None:
        """Give the client what the edge has answered by itself, and this behind it."""
        if self._outlet.give(behind):
            self._hold_from_now()
            if self._ending is not None:
                self._end_if_quiet()
        reader = self._session.here.reader
        if reader.renews is not None:
            self._edge.renew(self.entry, reader, self._opening())

    def _hold_from_now(self) -> None:
        self.held_since = monotonic() if self._session.here.held is not None else 0.0

    def secured(self) -> None:
        """Never called: TLS was up before."""

    def drained(self) -> None:
        """The client takes its answers again; what it took gives the pool node credit."""
        self._passage.consume(0)
        self._outlet.taken()

    def ended(self, why: str) -> None:
        self._leave(Reason.TERMINATED if self._session.terminated else Reason.LOST)

    def _leave_if_done(self) -> None:
        """Leave if the client has said Terminate, and has all answers to what came before."""
        if self._session.terminated and not self._session.owed:
            self._leave(Reason.TERMINATED)

    # --- towards the origin ---

    def _forward(self, request: bytes) -> None:
        passage, session = self._passage, self._session
        if passage.lane is None:
            if self._ending is not None:  # it came in the tick of our goodbye
                self.end(self._ending)
                return
            uplink = self._edge.route(self.entry.name)
            if uplink is None:
                self._hold(request)
                return
            passage.open(uplink, self, self._opening())
        if session.opening is not None:
            begin = Begin(statements=session.opening.opening, failed=session.opening.has_failed)
            passage.say(Frame(begin=begin))
            session.opening = None
        if session.here.reader.asks:
            passage.say(Frame(ask=Ask()))
            session.here.reader.asks = False
        for aside in session.statements.asides.take_frames():
            passage.say(aside)
        passage.send(request, session.statements.asides.take_needed(), last=session.is_at_end)

    def _opening(self) -> Open:
        """What opens a channel for this session."""
        return Open(
            configuration=self.entry.name,
            credentials_version=self.entry.credentials_version,
            settings=self._settings,
            process_id=self.process_id,
            secret_key=self.secret_key,
            present=self._present,
        )

    def _hold(self, request: bytes) -> None:
        self._held.append(request)
        self.connection.pause()
        self._edge.limits.hold(self, monotonic())

    def pool_node_came_up(self) -> None:
        """Send what was held."""
        if self._held and self._edge.route(self.entry.name) is not None:
            held, self._held = b"".join(self._held), []
            self._edge.limits.stop_holding(self)
            self.connection.resume()
            self._forward(held)

    def refuse_held(self, error: ServiceError) -> None:
        """What the client sent has not left this edge, and will not."""
        self._held = []
        self.connection.resume()
        self.refused(service_error(error, "ERROR"))

    # --- the uplink's side ---

    def answered(self, data: bytes, settled: int, status: int) -> None:
        """Bytes of the origin for the client."""
        if data:
            self._session.heard(data)
            self.connection.write(data)
            self._passage.consume(len(data))
        if settled:
            self._session.answered(settled, status)
            if self._session.violation is not None and not self._session.owed:
                self.end(self._session.violation)
            elif self._ending is not None:
                self._end_if_quiet()
            elif self._passage.is_leaving:
                self.link_leaving()
            self._leave_if_done()

    def state_known(self, state: State) -> None:
        """What the session has set for itself; it is said again when another channel is opened."""
        self._present = list(state.settings)
        self._session.state_known(self.entry.settings_of(self._present, self._settings), is_pinned=state.pinned)
        # From here on the session's statements are named by its present settings.
        self._passage.say(Frame(state=State()))
        if self._ending is not None:
            self._end_if_quiet()
        elif self._passage.is_leaving:
            self.link_leaving()

    def judged(self, verdict: Verdict) -> None:
        """Whether the answer that comes may be kept."""
        self._session.here.reader.judged(verdict)
        self._outlet.give(self._session.here.reader.tally.take_words())

    def outcome_known(self, frame: Frame) -> None:
        """What has become of messages about statements. With what is sent next the pool node hears that we know."""
        if frame.HasField("worded"):
            self._session.here.interrupt()
            self._session.learning.stop()
            self.connection.write(self._session.statements.asides.worded(frame.worded))
        else:
            self._session.statements.failed(frame.failed)

    def link_leaving(self) -> None:
        """The pool node goes away: a quiet session goes on through another one, if there is one."""
        if self._passage.lane is not None and self._session.is_quiet and self._edge.route(self.entry.name):
            self._passage.close(Reason.TERMINATED)
            self._session.channel_lost()

    def refused(self, error: bytes) -> None:
        """Nothing of what is owed was run; the session lives on."""
        self._passage.forget()
        self._outlet.give(self._session.refuse(error))
        self._session.channel_lost()
        self._hold_from_now()
        if self._session.violation is not None:
            self.end(self._session.violation)
        elif self._ending is not None:
            self._end_if_quiet()
        self._leave_if_done()

    def closed_by_pool(self, error: bytes) -> None:
        """The session ends, with this ErrorResponse or with one that the client has had."""
        self._forget_channel()
        log.info("session ended by the pool node", peer=self.peer, configuration=self.entry.name)
        if error:
            self.connection.write(error)
        self._leave(Reason.LOST)

    def link_lost(self) -> None:
        """The link is gone. A quiet session does not mind; any other one cannot go on (rules 1)."""
        if not self._passage.is_lost:  # it has noticed, and goes on
            return
        self._forget_channel()
        session = self._session
        if session.is_quiet:
            if self._ending is not None:
                self._end_if_quiet()
            return
        self.end(ConnectionLostError.of_link(session.owed, is_in_doubt=bool(session.owed or session.has_unsynced)))

    def _forget_channel(self) -> None:
        self._passage.forget()
        self._session.channel_lost()

    # --- the end ---

    def tick(self, now: float) -> None:
        """Look whether a transaction that is held has been idle for too long, and whether somebody waits in vain."""
        blocked_at = self.connection.blocked_at
        if blocked_at and now - blocked_at > PATIENCE_S:
            self._session.here.reader.let_go()
        here = self._session.here
        if self.held_since and here.held is None:
            self.held_since = 0.0
        if here.is_waiting:  # for an answer, so it is not idle
            return
        limit_s = self.entry.idle_in_transaction_timeout_s
        if self.held_since and limit_s and now - self.held_since > limit_s:
            self.end(IdleInTransactionError.after(limit_s))

    def end_when_quiet(self, error: ServiceError) -> None:
        """End the session with this FATAL error at its next transaction boundary."""
        self._ending = error
        self._end_if_quiet()

    def _end_if_quiet(self) -> None:
        # What is held has not left this edge. A held transaction may end as usual if it has a channel to do so.
        session = self._session
        is_over = session.is_at_boundary or (
            session.is_quiet and self._passage.lane is None and not session.here.is_waiting
        )
        if self._ending is not None and (is_over or self._held):
            self.end(self._ending)

    def end(self, error: ServiceError) -> None:
        """Say why, and close."""
        log.info(
            "session ended", peer=self.peer, configuration=self.entry.name, sqlstate=error.sqlstate, why=str(error)
        )
        self._outlet.give(service_error(error, "FATAL"))
        self._leave(Reason.LOST)

    def _leave(self, reason: "Reason") -> None:
        """Give back everything; it may be called more than once."""
        self._held = []
        self._passage.close(reason)
        self._session.here.reader.left()
        self._edge.forget(self)
        self.connection.finish(linger=reason != Reason.TERMINATED)
        self._outlet.leave()
        if self.connection.pending_bytes:
            self._edge.limits.linger(self.connection, monotonic())
