"""The answers that are kept for one configuration, and whether they are still good.

An answer is good as long as nothing that it was read from has been invalidated since its request left. `number` counts
the invalidations that have arrived; each table has the number of its last one, all together have one too (`floor`), and
an answer has the number that the count had when its request left. Nothing is looked for when an invalidation comes: an
answer that is no longer good is noticed, and dropped, when somebody asks for it.

It is served only while the pool nodes vouch for it (`vouching`): until a moment on the edge's monotonic clock that each
answered ping puts off. Its age is another matter: up to `max_age` it is fresh; for `stale_while_revalidate` more it is
stale, which is served, and renewed behind it; and for as long as neither pool node nor origin can be reached it may be
served for `stale_if_unreachable` more, if the operator has said so.

Of statements whose answers may not be kept the reasons are remembered, so that nobody has to be asked each time.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from typing import Final

import attrs

from edge.cache.flights import Flights
from edge.cache.parts import Parts
from edge.cache.shortcuts import Shortcut, Shortcuts
from edge.cache.store import OVERHEAD_BYTES, Kept, Store
from protos.link.link_pb2 import Caching, Invalidate, Statuses, Verdict

MAX_REASONS: Final = 5_000
MAX_REASON_BYTES: Final = 2_000  # a longer statement is asked about each time
MAX_TABLES: Final = 100_000
TABLE_BYTES: Final = 40  # of a table's number and its place; a table with partitions is as many as it has


class Answer(Kept):
    """One that is kept."""

    __slots__ = (
        "body",
        "description",
        "fresh_until",
        "number",
        "renewal",
        "rows",
        "sent_at",
        "slices",
        "stale_until",
        "statement",
        "tables",
    )

    def __init__(self, answers: "Answers", key: Hashable, asked: "Asked", verdict: Verdict, parts: Parts) -> None:
        size = parts.size + asked.size + TABLE_BYTES * len(verdict.tables) + OVERHEAD_BYTES
        super().__init__(answers, key, size)
        self.number = asked.number
        """How many invalidations had arrived when its request left."""
        self.sent_at = asked.sent_at
        self.fresh_until = asked.sent_at + verdict.max_age_s
        self.stale_until = self.fresh_until + verdict.stale_while_revalidate_s
        self.tables = tuple(verdict.tables)
        self.description, self.rows, self.body, self.slices = parts
        self.renewal = asked.renewal
        self.statement = asked.statement


@attrs.frozen
class Asked:
    """A request on its way."""

    number: int
    sent_at: float
    renewal: bytes
    """What asks for the same, on a channel of its own."""
    statement: Hashable
    """By what it is remembered why answers to it are not kept."""
    size: int
    """In bytes, of its key and its renewal."""


class Answers:
    """Of one configuration at this edge; the same for all its versions."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        """clock: monotonic seconds."""
        self.store = store
        self.clock = clock
        self.policy = Caching()
        self.is_on = False
        self.number = 0
        self.vouched_until = 0.0
        """Until then, what is here is served."""
        self.bytes = 0
        self.reachable_until = 0.0
        """Until then, some pool node counts as reachable."""
        self.kept: dict[Hashable, Answer] = {}
        self.shortcuts = Shortcuts()
        self.flights = Flights()
        self.reasons: dict[Hashable, str] = {}
        """Of statements, by what names them: why their answers are not kept."""
        self.late_hits = 0
        """How many were served after what they were read from had been invalidated, by the clock: none, ever."""
        self._arrived: dict[int, float] = {}  # when a table's last invalidation came
        self._flushed_at = 0.0
        self._floor = 0
        self._invalidated: dict[int, int] = {}
        self.hits = self.stale = self.misses = self.disabled = self.transaction = self.bypassed = 0
        """How many queries were answered so, or had to cross for that reason."""
        self.renewals = 0
        """How many stale answers were asked for again, beside the queries that they were served to."""
        self.uncacheable: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self.kept)

    # --- serving ---

    def find(self, key: Hashable) -> Answer | None:
        """A good answer, whatever its age."""
        answer = self.kept.get(key)
        if answer is None or answer.number == self.number or self.is_good(answer.number, answer.tables):
            return answer
        self.drop(answer)
        return None

    def shortcut(self, key: Hashable) -> Shortcut | None:
        """The way to a good answer, which it leads to as long as that is kept."""
        shortcut = self.shortcuts.by_key.get(key)
        if shortcut is None:
            return None
        answer = shortcut.answer
        if answer.number == self.number or self.is_good(answer.number, answer.tables):
            return shortcut
        self.drop(answer)
        return None

    def is_good(self, number: int, tables: Iterable[int]) -> bool:
        """Whether an answer from these tables has seen every invalidation, if its request left at this number."""
        if number == self.number:
            return True
        if number < self._floor:
            return False
        invalidated = self._invalidated
        return all(invalidated.get(table, 0) <= number for table in tables)

    def is_last_resort(self, answer: Answer, now: float) -> bool:
        """Whether it may be served where its origin cannot be reached: never, unless that was asked for."""
        allowed_s = self.policy.stale_if_unreachable_s
        return allowed_s > 0 and now < answer.fresh_until + allowed_s

    def serve(self, answer: Answer) -> bool:
        """It is served: count it; whether it is stale, which is what is past its age, or what nobody vouches for.

        Look by the clock, not by the count, whether that is right.
        """
        now = self.clock()
        is_stale = now >= answer.fresh_until or now >= self.vouched_until
        if is_stale:
            self.stale += 1
        else:
            self.hits += 1
        answer.uses += 1
        sent_at, arrived = answer.sent_at, self._arrived
        if sent_at < self._flushed_at:
            self.late_hits += 1
        for table in answer.tables:
            if arrived.get(table, 0.0) > sent_at:
                self.late_hits += 1
        return is_stale

    # --- keeping ---

    def keep(self, answer: Answer) -> bool:
        """Keep an answer in the place of an older one, if it is good."""
        if not self.is_good(answer.number, answer.tables) or not self.is_on:
            return False
        old = self.kept.get(answer.key)
        if old is not None:
            self.drop(old)
        self.kept[answer.key] = answer
        self.bytes += answer.size
        if self.store.put(answer):
            return True
        self.evicted(answer)
        return False

    def shorten(self, key: Hashable, request_bytes: int, shortcut: Shortcut) -> None:
        """Remember how a request is answered from this answer, if that is kept; key: None if it is known by nothing."""
        answer = shortcut.answer
        if key is not None and self.kept.get(answer.key) is answer:
            size = self.shortcuts.add(key, request_bytes, shortcut)
            self.bytes += size
            self.store.grow(answer, size)

    def drop(self, answer: Answer) -> None:
        self.evicted(answer)
        self.store.drop(answer)

    def disown(self, key: Hashable) -> None:
        """Answers to this request are not kept any more."""
        answer = self.kept.get(key)
        if answer is not None:
            self.drop(answer)

    def evicted(self, kept: Kept) -> None:
        """The store has no room for it."""
        if self.kept.get(kept.key) is kept:  # else it was dropped with all others
            del self.kept[kept.key]
            self.bytes -= kept.size
            self.shortcuts.forget(kept.key)

    def give_reason(self, statement: Hashable, size: int, why: str) -> None:
        """Answers to this statement are not kept, until its meaning may be another."""
        if size <= MAX_REASON_BYTES:
            while len(self.reasons) >= MAX_REASONS:
                del self.reasons[next(iter(self.reasons))]
            self.reasons[statement] = why

    # --- what the pool nodes say ---

    def allow(self, policy: Caching) -> None:
        """What the configuration allows from now on."""
        self.policy = policy
        self.is_on = policy.enabled
        if not policy.enabled:
            self.forget_all()

    def invalidate(self, invalidate: Invalidate) -> None:
        """Something has been written."""
        if not invalidate.tables:
            self.flush()
            return
        self.number += 1
        now = self.clock()
        for table in invalidate.tables:
            self._invalidated[table] = self.number
            self._arrived[table] = now
        if len(self._invalidated) > MAX_TABLES:
            self.flush()

    def forget_all(self) -> None:
        """Statements may mean something else."""
        self.flush()
        self.reasons.clear()

    def flush(self) -> None:
        """Nothing of what has been asked for up to now is good any more."""
        self.number += 1
        self._floor = self.number
        self._flushed_at = self.clock()
        self._invalidated, self._arrived = {}, {}
        self.store.drop_all(self.kept, self.shortcuts)
        self.kept, self.shortcuts = {}, Shortcuts()
        self.bytes = 0

    # --- sight ---

    def statuses(self, configuration: str) -> Statuses:
        """What has come of the queries so far."""
        return Statuses(
            configuration=configuration, hits=self.hits, stale=self.stale, misses=self.misses,
            uncacheable=self.uncacheable, disabled=self.disabled, transaction=self.transaction,
            bypassed=self.bypassed, late_hits=self.late_hits, entries=len(self.kept), bytes=self.bytes,
            renewals=self.renewals,
        )  # fmt: skip
