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
from edge.cache.flights import Flight
from edge.cache.parts import READY_BYTES, Parts, fits, is_settled, split
from edge.cache.shortcuts import Shortcut
from edge.cache.switch import Switches
from edge.control import reads_committed
from edge.memos import Settings
from protos.link.link_pb2 import Verdict
from protos.link.settings import KEEP
from protos.pg.messages import notice_response
from protos.pg.tags import TransactionStatus

Compose = Callable[[Answer], bytes | None]
"""Puts the answer to a request together, without ReadyForQuery; None if something is missing."""

MAX_REQUEST_BYTES: Final = 64 << 10


class Reader:
    """Of one session."""

    __slots__ = (
        "_answers",
        "_collecting",
        "_compose",
        "_flight",
        "_is_counted",
        "_result",
        "_wanted",
        "asks",
        "is_waiting",
        "on_landed",
        "renews",
        "settings",
        "switches",
        "to_client",
        "unsent_bytes",
    )  # fmt: skip

    def __init__(self, answers: Answers, settings: Settings) -> None:
        self._answers = answers
        self.settings = settings
        self.switches = Switches()
        self.asks = False
        """An Ask has to go in front of what crosses next; the caller takes it."""
        self.renews: Answer | None = None
        """A stale answer that was served, and has to be renewed; the caller takes it."""
        self.is_waiting = False
        self._result: Answer | None = None  # what it has waited for
        self.on_landed: Callable[[], None] = lambda: None
        """Called when it need not wait any more."""
        self.to_client = b""  # what the client is told of its query
        self.unsent_bytes: Callable[[], int] = lambda: 0  # of its answers, those that the client has not taken yet
        self._flight: Flight | None = None  # led, or waited for
        self._compose: Compose | None = None
        self._wanted: tuple[Hashable, Hashable, bytes] | None = None  # what it waits for
        self._collecting = Collecting(answers.store)
        self._is_counted = False  # the request that crosses next

    def adopt(self, settings: Settings) -> None:
        """The session has these settings now."""
        self.settings = settings
        for switch in settings.switches:
            self.switches.turn(switch)

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

    def _may_serve(self, answer: Answer) -> bool:
        answers = self._answers
        now = answers.clock()
        if now >= answers.vouched_until:
            return now >= answers.reachable_until and answers.is_last_resort(answer, now)
        if now < answer.fresh_until:
            return True
        if now >= answer.stale_until:
            return False
        if answer.key not in answers.flights.by_key:
            self.renews = answer
        return True

    # --- shortcuts ---

    def shortcut(self, request: Hashable) -> Shortcut | None:
        """The way from the bytes of a whole group to an answer that may be served now, if there is one."""
        shortcut = self._answers.shortcuts.by_key.get((self.settings.view, request))
        if shortcut is None:
            return None
        answer = self._answers.find(shortcut.answer.key)
        return shortcut if answer is shortcut.answer and self._may_serve(answer) else None

    def shorten(self, request: Hashable, request_bytes: int, shortcut: Shortcut) -> None:
        """The bytes of a whole group have been answered so."""
        self._answers.shorten((self.settings.view, request), request_bytes, shortcut)

    def serve(self, answer: Answer) -> None:
        """It has been served; stale is what is past its age, or what nobody vouches for."""
        answers = self._answers
        answer.uses += 1
        answers.audit(answer)
        now = answers.clock()
        is_stale = now >= answer.fresh_until or now >= answers.vouched_until
        answers.stale += is_stale
        answers.hits += not is_stale
        if self.switches.reports:
            self._report("stale" if is_stale else "hit", age_s=now - answer.sent_at)

    def expect(
        self, request: Hashable, statement: Hashable, renewal: bytes, compose: Compose, *, may_join: bool = True
    ) -> bool:
        """A read has to cross that looks as if its answer could be kept; whether to wait for another's instead.

        statement: by what it is remembered why not; renewal: what asks for the same on another channel.
        """
        answers = self._answers
        self._is_counted = True
        why = "too long" if len(renewal) > MAX_REQUEST_BYTES else answers.reasons.get(statement)
        if why is not None:
            self._uncacheable(why)
            return False
        key = (self.settings.view, request)
        self._compose = compose
        flight = answers.flights.joinable(key) if may_join and answers.clock() < answers.vouched_until else None
        if flight is not None:
            flight.followers.append(self)
            self._flight, self._wanted = flight, (key, statement, renewal)
            self.is_waiting = True
            return True
        self.lead(key, statement, renewal)
        return False

    def lead(self, key: Hashable, statement: Hashable, renewal: bytes) -> None:
        """What crosses next is asked for on behalf of all."""
        answers = self._answers
        asked = Asked(answers.number, answers.clock(), renewal, statement, size=2 * len(renewal))
        self._flight = Flight(answers, key, asked)
        self.asks = True

    def lead_again(self) -> None:
        """What it has waited for has not come, so its own request crosses."""
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            key, statement, renewal = wanted
            why = self._answers.reasons.get(statement)
            if why is not None:
                self._uncacheable(why)
            elif self._answers.flights.joinable(key) is None:
                self.lead(key, statement, renewal)

    def crossed(self, status: int, *, is_alone: bool) -> None:
        """A query has crossed."""
        if self._is_counted:
            self._is_counted = False
            return
        answers = self._answers
        if not answers.is_on:
            answers.disabled += 1
            why = "disabled"
        elif self.switches.is_off:
            answers.bypassed += 1
            why = "bypassed"
        elif status != TransactionStatus.IDLE:
            answers.transaction += 1
            why = "transaction"
        else:
            why = "not a read" if is_alone else "not alone"
            answers.uncacheable[why] += 1
            why = f"uncacheable ({why})"
        if self.switches.reports and is_alone:
            self._report(why)

    # --- its answer comes ---

    def judged(self, verdict: Verdict) -> None:
        """The pool node says whether the answer may be kept."""
        flight = self._flight
        if flight is None or self.is_waiting or flight.verdict is not None:
            return
        if verdict.why:
            if not verdict.only_now:
                self._answers.give_reason(flight.asked.statement, len(flight.asked.renewal), verdict.why)
            self._uncacheable(verdict.why)
            self._answers.disown(flight.key)
            self._land(None)
            return
        self._answers.misses += 1
        self._report("miss")
        flight.verdict = verdict
        self._collecting.begin()

    def heard(self, data: bytes) -> None:
        """Bytes of the answer."""
        if self._collecting.is_on and not self._collecting.add(data):
            self.interrupt()

    def answered(self, settled: int, status: int) -> None:
        """Something has been answered, perhaps the request."""
        flight = self._flight
        if flight is None or self.is_waiting:
            return
        answer = None
        if settled == 1 and status & KEEP and self._collecting.is_on and flight.verdict is not None:
            answer = self._kept(flight, self._collecting.take(), flight.verdict)
        self._land(answer)

    def _kept(self, flight: Flight, data: bytes, verdict: Verdict) -> Answer | None:
        is_query = flight.asked.renewal[:1] == b"Q"
        parts = Parts(b"", b"", data[:-READY_BYTES]) if is_query else split(data)
        if not is_settled(data) or parts is None or not fits(parts, flight.key):
            return None
        answer = Answer(self._answers, flight.key, flight.asked, verdict, parts)
        return answer if self._answers.keep(answer) else None

    def interrupt(self) -> None:
        """Something else has crossed, or nothing will come of it."""
        self.asks = False
        self._is_counted = False
        flight = self._flight
        if flight is None:
            return
        if self.is_waiting:
            if self in flight.followers:
                flight.followers.remove(self)
            self._flight, self.is_waiting = None, False
        else:
            self._land(None)

    def _land(self, answer: Answer | None) -> None:
        flight, self._flight = self._flight, None
        self._collecting.drop()
        if flight is not None:
            self._answers.flights.land(flight, answer)

    def let_go(self) -> None:
        """Those who wait for what this one has asked for need not; it takes too long to pass on."""
        if self._flight is not None and not self.is_waiting:
            self._answers.flights.land(self._flight, None)

    def last_resort(self) -> bytes | None:
        """What a client may get whose read came to nothing because its origin cannot be reached."""
        answers, flight, compose = self._answers, self._flight, self._compose
        if flight is None or compose is None or not answers.policy.stale_if_unreachable_s:
            return None
        answer = answers.find(flight.key)
        if answer is None or not answers.is_last_resort(answer, answers.clock()):
            return None
        composed = compose(answer)
        if composed is not None:
            self.serve(answer)
        return composed

    # --- waiting ---

    def landed(self, answer: Answer | None) -> None:
        """The flight is over that it has waited for."""
        answers = self._answers
        if answer is not None and answers.is_good(answer.number, answer.tables):
            self._result = answer if answers.clock() < min(answers.vouched_until, answer.stale_until) else None
        self._flight, self.is_waiting = None, False
        self.on_landed()

    def take_result(self) -> Answer | None:
        """What it has waited for, if that has come."""
        result, self._result = self._result, None
        return result

    # --- what the client is told ---

    def take_words(self) -> bytes:
        """What the client is told of its query, in front of the answer."""
        words, self.to_client = self.to_client, b""
        return words

    def _uncacheable(self, why: str) -> None:
        if why == "bypassed":  # its first comment says so
            self._answers.bypassed += 1
            self._report(why)
            return
        self._answers.uncacheable[why.partition(":")[0]] += 1
        self._report(f"uncacheable ({why})")

    def _report(self, what: str, age_s: float | None = None) -> None:
        if self.switches.reports:
            fields = {"S": "NOTICE", "V": "NOTICE", "C": "00000", "M": f"onetrip cache: {what}"}
            if age_s is not None:
                fields["D"] = f"The answer is {age_s:.1f} s old."
            self.to_client += notice_response(fields)
