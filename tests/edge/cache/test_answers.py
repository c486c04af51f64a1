"""No reader is served what a write has changed, what nobody vouches for, or what is too old: in any order of events."""

import tracemalloc
from collections import deque
from typing import Final

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.cache.answers import MAX_REASONS, MAX_TABLES, Answer, Answers, Asked
from edge.cache.flights import MAX_WAIT_S
from edge.cache.parts import Parts
from edge.cache.reader import Reader
from edge.cache.store import Store
from edge.cache.vouching import LEASE_S, Voucher, vouched_until
from edge.memos import Settings
from protos.link.link_pb2 import Caching, Invalidate, Verdict
from protos.link.settings import KEEP
from protos.pg.messages import query, ready_for_query

KEYS: Final[dict[bytes, list[int]]] = {b"a": [1], b"b": [2], b"ab": [1, 2], b"none": []}
READERS: Final = 4
MAX_AGE_S: Final = 5.0
STALE_S: Final = 2.0
SETTINGS: Final = Settings((), b"", b"")
IDLE: Final = ord("I")
NUMBERS: Final = st.integers(0, READERS - 1)
LINKS: Final = st.integers(0, 1)


@attrs.define
class Write:
    """What has been written at the origin, and when."""

    tables: list[int]
    at: float


@attrs.define
class Link:
    """To one of the two pool nodes of a group; queries go to the first one."""

    voucher: Voucher
    queue: deque[tuple[object, ...]] = attrs.field(factory=deque)
    is_dead: bool = False
    """The pool node has given it up, and the edge has not noticed."""


class AnswersMachine(RuleBasedStateMachine):
    """Several readers of one configuration, an origin that is written to, and two links."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.moment = 0  # of the edge: grows with each thing that happens
        self.answers = Answers(Store(1 << 20), lambda: self.now)
        self.answers.allow(Caching(enabled=True))
        self.links = [Link(Voucher()), Link(Voucher())]
        self.writes: list[Write] = []
        self.invalidated_at = dict.fromkeys((1, 2), 0)
        self.flushed_at = 0
        self.bodies: list[tuple[bytes, int, int]] = []  # what was read, when it left, and how many writes it has seen
        self.left_at: dict[int, tuple[bytes, int]] = {}  # by reader: what has crossed, and when
        self.executed: set[int] = set()
        self.wants: dict[int, bytes] = {}
        self.readers = [Reader(self.answers, SETTINGS) for _ in range(READERS)]
        for number, reader in enumerate(self.readers):
            reader.on_landed = lambda number=number: self.landed(number)  # type: ignore[misc]
        for number in (0, 1):
            self.connect(number)
            self.ping(number)
            self.deliver(number)

    # --- readers ---

    @rule(number=NUMBERS, key=st.sampled_from(sorted(KEYS)))
    def ask(self, number: int, key: bytes) -> None:
        reader = self.readers[number]
        if number in self.left_at or reader.is_waiting:
            return
        answer = reader.recall(key)
        reader.renews = None
        if answer is not None:
            reader.serve(answer)
            self.served(key, answer)
            return
        self.wants[number] = key
        if not reader.expect(key, key, query(key), lambda kept: b""):
            self.cross(number)

    @rule(number=NUMBERS, key=st.sampled_from(sorted(KEYS)))
    def read(self, number: int, key: bytes) -> None:
        """From the asking to the answer, if nothing is in the way."""
        self.ask(number, key)
        self.execute(number, "kept")
        while self.links[0].queue:
            self.deliver(0)

    def cross(self, number: int) -> None:
        self.moment += 1
        self.left_at[number] = self.wants[number], self.moment
        if not self.links[0].voucher.node:  # there is no pool node
            self.come_to_nothing(number)

    def landed(self, number: int) -> None:
        answer = self.readers[number].take_result()
        if answer is not None:
            self.served(self.wants[number], answer)
        else:
            self.readers[number].lead_again()
            self.cross(number)

    def served(self, key: bytes, answer: Answer) -> None:
        what, left_at, seen = self.bodies[int(answer.body)]
        assert what == key
        for table in KEYS[key]:
            assert left_at > self.invalidated_at[table], "it was invalidated"
        assert left_at > self.flushed_at, "all was invalidated"
        assert self.now < answer.sent_at + MAX_AGE_S + STALE_S, "it is too old"
        for link in self.links:
            assert link.voucher.node, "a member of the group is not linked"
            assert self.now < link.voucher.until, "nobody vouches for it"
        for write in self.writes[seen:]:
            if set(write.tables) & set(KEYS[key]):
                assert self.now - write.at < LEASE_S, "it is older than the bound that is stated"

    @rule(number=NUMBERS)
    def come_to_nothing(self, number: int) -> None:
        """Its client has gone, it was refused, or something was sent behind it."""
        self.readers[number].interrupt()
        self.left_at.pop(number, None)
        self.executed.discard(number)
        self.links[0].queue = deque(one for one in self.links[0].queue if one[1] != number or one[0] == "invalidate")

    @rule(number=NUMBERS)
    def is_slow(self, number: int) -> None:
        self.readers[number].let_go()

    @rule()
    def nobody_waits_longer(self) -> None:
        self.answers.flights.expire(self.now + MAX_WAIT_S - 1.0)

    # --- the origin ---

    @rule(number=NUMBERS, outcome=st.sampled_from(["kept"] * 6 + ["negative", "only now", "not kept", "no verdict"]))
    def execute(self, number: int, outcome: str) -> None:
        if number not in self.left_at or number in self.executed or self.links[0].is_dead:
            return
        self.executed.add(number)
        key, left_at = self.left_at[number]
        why = "no" if outcome in ("negative", "only now") else ""
        ages = {} if why else {"max_age_s": MAX_AGE_S, "stale_while_revalidate_s": STALE_S}
        verdict = Verdict(why=why, only_now=outcome == "only now", tables=KEYS[key], **ages)
        if outcome != "no verdict":
            self.links[0].queue.append(("verdict", number, verdict))
        body = b"%d" % len(self.bodies)
        self.bodies.append((key, left_at, len(self.writes)))
        flags = KEEP if outcome in ("kept", "no verdict") else 0
        self.links[0].queue.append(("answer", number, body + ready_for_query(IDLE), IDLE | flags))

    @rule(link=LINKS, tables=st.sampled_from([[1], [2], [1, 2]]), is_everything=st.sampled_from([False] * 5 + [True]))
    def write(self, link: int, tables: list[int], *, is_everything: bool) -> None:
        """Through any pool node of the group."""
        self.writes.append(Write(tables, self.now))
        if self.links[link].voucher.node and not self.links[link].is_dead:
            said = Invalidate(answers=True) if is_everything else Invalidate(tables=tables)
            self.links[link].queue.append(("invalidate", -1, said))

    # --- the links ---

    @rule(link=LINKS)
    def ping(self, link: int) -> None:
        if self.links[link].voucher.node and not self.links[link].is_dead:
            self.links[link].queue.append(("pong", -1, self.now))

    @rule(link=LINKS)
    def deliver(self, link: int) -> None:
        if not self.links[link].queue:
            return
        self.moment += 1
        match self.links[link].queue.popleft():
            case ("pong", _, float(sent_at)):
                self.links[link].voucher.answered(sent_at)
                self.vouch()
            case ("invalidate", _, Invalidate() as said):
                self.answers.invalidate(said)
                for table in said.tables:
                    self.invalidated_at[table] = self.moment
                if not said.tables:
                    self.flushed_at = self.moment
            case ("verdict", int(number), Verdict() as verdict):
                self.readers[number].judged(verdict)
            case ("answer", int(number), bytes(data), int(status)):
                del self.left_at[number]
                self.executed.discard(number)
                self.readers[number].heard(data)
                self.readers[number].answered(1, status)

    @rule(link=LINKS)
    def half_die(self, link: int) -> None:
        """What is under way comes; after that, nothing."""
        self.links[link].is_dead = True

    @rule(link=LINKS)
    def lose(self, link: int) -> None:
        self.links[link].voucher.lost()
        self.links[link].queue.clear()
        self.vouch()
        if link == 0:
            for number in list(self.left_at):
                self.come_to_nothing(number)

    @rule(link=LINKS)
    def connect(self, link: int) -> None:
        if self.links[link].voucher.node:
            return
        self.moment += 1
        self.links[link].is_dead = False
        self.links[link].voucher.node = str(link)
        self.links[link].voucher.group = frozenset({"0", "1"})
        self.answers.forget_all()
        self.flushed_at = self.moment
        self.vouch()

    @rule(is_known=st.booleans())
    def regroup(self, *, is_known: bool) -> None:
        self.links[0].voucher.group = frozenset({"0", "1"}) if is_known else None
        self.vouch()

    def vouch(self) -> None:
        vouchers = [link.voucher for link in self.links]
        self.answers.vouched_until = vouched_until(vouchers[:1], vouchers)

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 2.0, LEASE_S, MAX_AGE_S]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.now > 0)
    @rule(seconds=st.sampled_from([0.5, 1.0, MAX_AGE_S]))
    def pass_time_in_good_health(self, seconds: float) -> None:
        """Pings are answered meanwhile, and everything that was said arrives."""
        self.now += seconds
        for link in (0, 1):
            self.ping(link)
            while self.links[link].queue:
                self.deliver(link)

    # --- what always holds ---

    @invariant()
    def nothing_was_served_late_by_the_clock(self) -> None:
        assert self.answers.late_hits == 0

    @invariant()
    def whoever_waits_has_a_leader(self) -> None:
        led = [reader._flight for reader in self.readers if not reader.is_waiting]
        for reader in self.readers:
            if reader.is_waiting:
                assert reader._flight is not None
                assert reader._flight in led
                assert reader in reader._flight.followers
        assert all(flight in led for flight in self.answers.flights.by_key.values())

    @invariant()
    def nothing_is_left_over(self) -> None:
        collects = any(reader._collecting.is_on for reader in self.readers)
        assert collects or not self.answers.store.collecting_bytes
        self.answers.store.tick()
        assert self.answers.bytes == self.answers.store.bytes == sum(one.size for one in self.answers.kept.values())

    def teardown(self) -> None:
        self.lose(0)
        assert not any(reader.is_waiting for reader in self.readers)
        assert not self.answers.flights.by_key


TestAnswers = AnswersMachine.TestCase
TestAnswers.settings = settings(stateful_step_count=60, max_examples=100, deadline=None)


# --- bounds ---


def kept(answers: Answers, key: bytes, *tables: int, number: int | None = None) -> bool:
    asked = Asked(answers.number if number is None else number, 0.0, b"", b"", 0)
    verdict = Verdict(tables=tables, max_age_s=MAX_AGE_S)
    return answers.keep(Answer(answers, key, asked, verdict, Parts(b"", b"", b"x")))


def caching() -> Answers:
    answers = Answers(Store(1 << 20), lambda: 0.0)
    answers.allow(Caching(enabled=True))
    return answers


def test_what_was_asked_for_before_an_invalidation_is_not_stored_after_it() -> None:
    answers = caching()
    before = answers.number
    answers.invalidate(Invalidate(tables=[1]))
    assert not kept(answers, b"a", 1, number=before)
    assert kept(answers, b"b", 2, number=before)
    assert kept(answers, b"a", 1)
    answers.invalidate(Invalidate(answers=True))
    assert not answers.kept
    assert not kept(answers, b"b", 2, number=before)


def test_tables_beyond_the_bound_cost_everything() -> None:
    answers = caching()
    assert kept(answers, b"a", 1)
    for start in range(0, MAX_TABLES + 1, 1000):
        answers.invalidate(Invalidate(tables=range(start + 10, start + 1010)))
    assert answers.find(b"a") is None


def test_tables_count_as_bytes() -> None:
    """A table with partitions is as many, and each answer has its own list."""
    answers = caching()
    tables = range(1_000_000, 1_002_000)
    tracemalloc.start()
    try:
        asked = Asked(answers.number, 0.0, query(b"a"), b"a", size=1)
        answer = Answer(answers, b"a", asked, Verdict(tables=tables, max_age_s=60), Parts(b"", b"", b"x"))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.size >= 0.95 * held


def test_reasons_are_bounded_and_go_with_the_meaning() -> None:
    answers = caching()
    for number in range(MAX_REASONS + 10):
        answers.give_reason(number, 10, "no")
    answers.give_reason("long", 10_000, "no")
    assert len(answers.reasons) == MAX_REASONS
    assert "long" not in answers.reasons
    answers.forget_all()
    assert not answers.reasons


def test_nothing_is_kept_where_it_is_not_allowed_any_more() -> None:
    answers = caching()
    assert kept(answers, b"a", 1)
    answers.allow(Caching())
    assert not answers.kept
    assert not kept(answers, b"a", 1)


def test_a_hit_that_comes_too_late_is_counted_by_the_clock() -> None:
    now = 10.0
    answers = Answers(Store(1 << 20), lambda: now)
    answers.allow(Caching(enabled=True))
    asked = Asked(answers.number, now, query(b"a"), b"a", size=1)
    answer = Answer(answers, b"a", asked, Verdict(tables=[1, 2], max_age_s=60), Parts(b"", b"", b"x"))
    now = 11.0
    answers.invalidate(Invalidate(tables=[3]))
    answers.serve(answer)
    assert answers.late_hits == 0
    answers.invalidate(Invalidate(tables=[2]))
    answers.serve(answer)
    answers.flush()
    answers.serve(answer)
    assert answers.statuses("app").late_hits == 2


def test_what_is_served_is_counted_by_its_age_and_by_who_vouches_for_it() -> None:
    now = 10.0
    answers = Answers(Store(1 << 20), lambda: now)
    answers.allow(Caching(enabled=True))
    answers.vouched_until = 100.0
    asked = Asked(answers.number, now, query(b"a"), b"a", size=1)
    answer = Answer(answers, b"a", asked, Verdict(tables=[1], max_age_s=60), Parts(b"", b"", b"x"))
    assert not answers.serve(answer)
    now = 70.0
    assert answers.serve(answer)
    now = answers.vouched_until = 60.0
    assert answers.serve(answer)
    assert (answers.hits, answers.stale, answer.uses, answers.late_hits) == (1, 2, 3, 0)
