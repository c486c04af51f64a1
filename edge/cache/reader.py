"""What one session reads through the cache: served here, asked for, or waited for.

States, of the request that is under way:

    none        nothing, or what crosses is no concern of the cache
    asked       it leads a flight: `Ask` went out in front of it, and the pool node has not said yet whether its answer
                may be kept
    collecting  it may: the answer is collected as it passes
    waiting     somebody else's flight brings the answer

Whatever goes wrong (another request behind it, a refusal, a lost channel, no room) ends in none, and costs a hit.
"""

from collections.abc import Callable, Hashable
from typing import Final

from edge.cache.answers import Answer, Answers, Asked
from edge.cache.collecting import Collecting
from edge.cache.flights import MAX_WAIT_S, End, Flight
from edge.cache.parts import fits, parts_of
from edge.cache.shortcuts import Shortcut
from edge.cache.switch import Switches
from edge.cache.tally import NOT_SHARED, OTHERS_SLOW, SLOW, Tally
from edge.cache.unsent import Share
from edge.control import reads_committed
from edge.memos import Settings
from protos.link.link_pb2 import Verdict
from protos.link.settings import KEEP
from protos.pg.parsers import error_fields
from protos.pg.tags import TransactionStatus

Compose = Callable[[Answer], bytes | None]
"""Puts what stands in front of the rows of an answer together; None if something is missing."""

MAX_REQUEST_BYTES: Final = 64 << 10
_UNREACHABLE: Final = frozenset({"08001", "08006", "53300", "57P01", "57P03"})


class Reader:
    """Of one session."""

    __slots__ = (
        "_answers", "_collecting", "_compose", "_ends_at", "_flight", "_is_cancelled", "_result", "_waited_in_vain",
        "_wanted", "asks", "is_waiting", "on_landed", "renews", "settings", "switches", "tally", "unsent",
    )  # fmt: skip

    def __init__(self, answers: Answers, settings: Settings) -> None:
        self._answers = answers
        self.settings = settings
        self.switches = Switches()
        self.tally = Tally(answers, self.switches)
        """What has come of the session's queries."""
        self.unsent = Share(answers.store.unsent)
        """Of its answers, what the client has not taken yet."""
        self.asks = False
        """An Ask has to go in front of what crosses next; the caller takes it."""
        self.renews: Answer | None = None
        """A stale answer that was served, and has to be renewed; the caller takes it."""
        self.is_waiting = False
        self._result: Answer | None = None  # what it has waited for
        self.on_landed: Callable[[], None] = lambda: None
        """Called when it need not wait any more."""
        self._flight: Flight | None = None  # led, or waited for
        self._is_cancelled = False  # its client has said so of what it leads
        self._compose: Compose | None = None
        self._wanted: tuple[Hashable, Hashable, bytes] | None = None  # what it waits for
        self._waited_in_vain = False  # for the first
        self._ends_at: float | None = None  # until when those wait who have waited with it
        self._collecting = Collecting(answers.store)

    def adopt(self, settings: Settings) -> None:
        """The session has these settings now."""
        before, self.settings = self.settings, settings
        self.switches.adopt(before.switches, settings.switches)

    def at_rest(self, status: int, *, is_settling: bool) -> None:
        """Nothing is owed any more. Outside of a transaction all that was said for the session is in its settings."""
        if status & 0xFF == TransactionStatus.IDLE and not is_settling:
            self.switches.are_at_origin = bool(self.settings.switches)

    # --- a request comes ---

    @property
    def is_allowed(self) -> bool:
        """Whether the configuration caches, whatever the session says."""
        return self._answers.is_on

    @property
    def is_on(self) -> bool:
        return self._answers.is_on and not self.switches.is_off

    def may_read(self, opening: tuple[bytes, ...] | None, *, is_idle: bool) -> bool:
        """Whether the session is where answers may be served: outside of a transaction, or in a held one.

        opening: what opens a transaction that is held; None if there is none, or it has failed.
        """
        if not self._answers.is_on or self.switches.is_off:
            return False
        if is_idle or opening is None:
            return is_idle
        policy = self._answers.policy
        by_default = policy.is_read_committed and not self.settings.sets_isolation
        return policy.in_transactions and reads_committed(opening, by_default=by_default)

    def recall(self, request: Hashable) -> Answer | None:
        """An answer that may be served now, if there is one."""
        answer = self._answers.find((self.settings.view, request))
        return answer if answer is not None and self._may_serve(answer) else None

    def _has_room(self, answer: Answer) -> bool:
        """Whether the client may be given it, in view of what it and the others have not taken."""
        if self.unsent.may_have(answer.size, answer if answer.slices else None):
            return True
        self.tally.is_slow = True
        return False

    def _may_serve(self, answer: Answer) -> bool:
        answers = self._answers
        now = answers.clock()
        is_vouched = now < answers.vouched_until
        if is_vouched and now < answer.fresh_until:  # as nearly always
            return self._has_room(answer)
        if is_vouched:
            may_serve = now < answer.stale_until
        else:
            may_serve = now >= answers.reachable_until and answers.is_last_resort(answer, now)
        if not may_serve or not self._has_room(answer):
            return False
        if is_vouched and answer.key not in answers.flights.by_key:
            self.renews = answer
        return True

    # --- shortcuts ---

    def shortcut(self, key: Hashable) -> Shortcut | None:
        """The way from the bytes of a whole group to an answer that may be served now, if there is one."""
        shortcut = self._answers.shortcut(key)
        return shortcut if shortcut is not None and self._may_serve(shortcut.answer) else None

    def shorten(self, key: Hashable, request_bytes: int, shortcut: Shortcut) -> None:
        """The bytes of a whole group have been answered so."""
        self._answers.shorten(key, request_bytes, shortcut)

    def serve(self, answer: Answer) -> None:
        """It has been served."""
        is_stale = self._answers.serve(answer)
        if self.switches.reports:
            self.tally.served(answer, is_stale=is_stale)

    def expect(
        self, request: Hashable, statement: Hashable, renewal: bytes, compose: Compose, *, may_join: bool = True
    ) -> bool:
        """A read has to cross that looks as if its answer could be kept; whether to wait for another's instead.

        statement: by what it is remembered why not; renewal: what asks for the same on another channel.
        """
        answers, tally = self._answers, self.tally
        tally.is_counted = True
        why = "too long" if len(renewal) > MAX_REQUEST_BYTES else answers.reasons.get(statement)
        if tally.is_slow:
            why = why or (SLOW if self.unsent.is_full else OTHERS_SLOW)
        if why is not None:
            tally.uncacheable(why)
            return False
        key = (self.settings.view, request)
        self._compose = compose
        flight = answers.flights.joinable(key) if may_join and answers.clock() < answers.vouched_until else None
        if flight is not None:
            flight.followers.append(self)
            self._flight, self._wanted = flight, (key, statement, renewal)
            self.is_waiting, self._waited_in_vain = True, False
            return True
        self.lead(key, statement, renewal)
        return False

    def lead(self, key: Hashable, statement: Hashable, renewal: bytes, *, ends_at: float | None = None) -> None:
        """What crosses next is asked for on behalf of all; ends_at: until when they wait for it."""
        answers = self._answers
        now = answers.clock()
        asked = Asked(answers.number, now, renewal, statement, size=2 * len(renewal))
        self._flight = Flight(answers, key, asked, now + MAX_WAIT_S if ends_at is None else ends_at)
        self.asks = True

    def lead_again(self) -> None:
        """What it has waited for has not come, so its own request crosses."""
        wanted, self._wanted = self._wanted, None
        if wanted is None:
            return
        key, statement, renewal = wanted
        why = SLOW if self.tally.is_slow else self._answers.reasons.get(statement)
        if why is None and self._answers.flights.joinable(key) is None:
            self.lead(key, statement, renewal, ends_at=self._ends_at)
        else:
            self.tally.uncacheable(why or NOT_SHARED)

    # --- its answer comes ---

    def judged(self, verdict: Verdict) -> None:
        """The pool node says whether the answer may be kept."""
        flight = self._flight
        if flight is None or self.is_waiting or flight.verdict is not None:
            return
        if verdict.why:
            if not verdict.only_now:
                self._answers.give_reason(flight.asked.statement, len(flight.asked.renewal), verdict.why)
            self.tally.uncacheable(verdict.why)
            self._answers.disown(flight.key)
            self._land(None)
            return
        self.tally.missed()
        flight.verdict = verdict
        self._collecting.begin()

    def heard(self, data: bytes) -> None:
        """Bytes of the answer."""
        if self.switches.uncommitted is not None:
            self.switches.heard(data)
        if self._collecting.is_on and not self._collecting.add(data):
            self._land(None)

    def answered(self, settled: int, status: int) -> None:
        """Something has been answered, perhaps the request."""
        flight = self._flight
        if flight is None or self.is_waiting:
            return
        answer = None
        end = End.ABANDONED if self._is_cancelled else End.NOT_SHARED
        if settled == 1 and status & KEEP and self._collecting.is_on and flight.verdict is not None:
            answer = self._kept(flight, self._collecting.take(), flight.verdict)
            if not self._answers.is_good(flight.asked.number, flight.verdict.tables):
                end = End.IN_VAIN
        self._land(answer, end)

    def _kept(self, flight: Flight, slices: list[bytes], verdict: Verdict) -> Answer | None:
        parts = parts_of(slices, is_query=flight.asked.renewal[:1] == b"Q")
        if parts is None or not fits(parts, flight.key):
            return None
        answer = Answer(self._answers, flight.key, flight.asked, verdict, parts)
        return answer if self._answers.keep(answer) else None

    def cancelled(self) -> None:
        """Its client has asked to cancel what has crossed."""
        self._is_cancelled = self._flight is not None

    def left(self) -> None:
        """Its client is gone."""
        self.interrupt(End.ABANDONED)

    def interrupt(self, end: End = End.IN_VAIN) -> None:
        """Something else has crossed, or nothing will come of it."""
        self.asks = False
        self.tally.is_counted = False
        flight = self._flight
        if flight is None:
            return
        if self.is_waiting:
            if self in flight.followers:
                flight.followers.remove(self)
            self._flight, self.is_waiting = None, False
        else:
            self._land(None, end)

    def _land(self, answer: Answer | None, end: End = End.NOT_SHARED) -> None:
        flight, self._flight, self._is_cancelled = self._flight, None, False
        self._collecting.drop()
        if flight is not None:
            self._answers.flights.land(flight, answer, end)

    def let_go(self) -> None:
        """Those who wait for what this one has asked for need not; it takes too long to pass on."""
        if self._flight is not None and not self.is_waiting:
            self._answers.flights.land(self._flight, None, End.IN_VAIN)

    def last_resort(self, error: bytes) -> tuple[bytes, Answer] | None:
        """What a client may get whose read came to nothing because its origin cannot be reached, as this error says.

        The answer, and what stands in front of its rows.
        """
        answers, flight, compose = self._answers, self._flight, self._compose
        if flight is None or compose is None or not answers.policy.stale_if_unreachable_s:
            return None
        if error_fields(error).get("C") not in _UNREACHABLE:
            return None
        answer = answers.find(flight.key)
        if answer is None or not answers.is_last_resort(answer, answers.clock()) or not self._has_room(answer):
            return None
        head = compose(answer)
        if head is None:
            return None
        self.serve(answer)
        return head, answer

    # --- waiting ---

    def landed(self, answer: Answer | None, end: End) -> None:
        """The flight is over that it has waited for."""
        answers, flight = self._answers, self._flight
        is_vouched = answers.clock() < answers.vouched_until
        if answer is None and is_vouched and self._follow_again(end):
            return
        if answer is not None and answers.is_good(answer.number, answer.tables):
            is_in_time = answers.clock() < min(answers.vouched_until, answer.stale_until)
            self._result = answer if is_in_time and self._has_room(answer) else None
        self._ends_at = None if flight is None or end is End.NOT_SHARED else flight.ends_at
        self._flight, self.is_waiting = None, False
        self.on_landed()

    def _follow_again(self, end: End) -> bool:
        """Whether one of those who have waited with it leads again, so that it can wait for that."""
        if end is End.NOT_SHARED or (end is End.IN_VAIN and self._waited_in_vain):
            return False
        flight = None if self._wanted is None else self._answers.flights.joinable(self._wanted[0])
        if flight is None:
            return False
        self._flight, self._waited_in_vain = flight, self._waited_in_vain or end is End.IN_VAIN
        flight.followers.append(self)
        return True

    def take_result(self) -> Answer | None:
        """What it has waited for, if that has come."""
        result, self._result = self._result, None
        return result
