"""The room for answers: never over its bound, counted exactly, and a scan passes through it."""

import random
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.cache.answers import Answer, Answers, Asked
from edge.cache.parts import Parts
from edge.cache.store import Kept, Store
from protos.link.link_pb2 import Caching, Verdict

ROOM: Final = 20_000
KEYS: Final = st.integers(0, 30)


def make(answers: Answers, key: object, size: int) -> Answer:
    asked = Asked(answers.number, 0.0, b"", b"", 0)
    return Answer(answers, key, asked, Verdict(tables=[1], max_age_s=60.0), Parts(b"", b"", b"x" * size))


def answers_in(store: Store) -> Answers:
    answers = Answers(store, lambda: 0.0)
    answers.allow(Caching(enabled=True))
    return answers


class StoreMachine(RuleBasedStateMachine):
    """Two configurations in one store."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store(ROOM)
        self.all = [answers_in(self.store), answers_in(self.store)]
        self.reserved: list[int] = []

    @rule(which=st.integers(0, 1), key=KEYS, size=st.integers(0, ROOM) | st.integers(0, 2000))
    def keep(self, which: int, key: int, size: int) -> None:
        answers = self.all[which]
        answer = make(answers, key, size)
        assert answers.keep(answer) == (answers.kept.get(key) is answer)
        if answer.size > ROOM * 0.9:
            assert key not in answers.kept

    @rule(which=st.integers(0, 1), key=KEYS, times=st.integers(1, 9))
    def read(self, which: int, key: int, times: int) -> None:
        answer = self.all[which].find(key)
        if answer is not None:
            answer.uses += times

    @rule(which=st.integers(0, 1), key=KEYS)
    def drop(self, which: int, key: int) -> None:
        self.all[which].disown(key)
        assert key not in self.all[which].kept

    @rule(which=st.integers(0, 1))
    def flush(self, which: int) -> None:
        self.all[which].flush()
        assert (len(self.all[which]), self.all[which].bytes) == (0, 0)

    @rule(size=st.integers(0, ROOM // 2))
    def collect(self, size: int) -> None:
        if self.store.reserve(size):
            self.reserved.append(size)

    @precondition(lambda self: self.reserved)
    @rule()
    def collected(self) -> None:
        self.store.release(self.reserved.pop())

    @rule(which=st.integers(0, 1), key=KEYS, size=st.integers(0, 500))
    def grow(self, which: int, key: int, size: int) -> None:
        answer = self.all[which].find(key)
        if answer is not None:
            self.all[which].bytes += size
            self.store.grow(answer, size)

    @invariant()
    def nothing_is_over_its_bound(self) -> None:
        assert self.store.bytes + self.store.collecting_bytes <= ROOM
        assert self.store.collecting_bytes == sum(self.reserved) <= ROOM // 4

    @invariant()
    def everything_is_counted(self) -> None:
        kept = [answer for answers in self.all for answer in answers.kept.values()]
        assert self.store.bytes == sum(answer.size for answer in kept) == sum(answers.bytes for answers in self.all)
        assert len(self.store) == len(kept)
        assert all(answer.answers is not None for answer in kept)
        small = [one for one in self.store._small if one.answers is not None]
        assert self.store._small_bytes == sum(one.size for one in small)
        assert len(small) + sum(one.answers is not None for one in self.store._main) == len(kept)


TestStore = StoreMachine.TestCase


def test_what_is_read_survives_a_scan_of_ten_times_the_room() -> None:
    store = Store(1_000_000)
    answers = answers_in(store)
    for _ in range(3):
        for key in range(400):
            answer = answers.find(key)
            if answer is None:
                answers.keep(make(answers, key, 200))
            else:
                answer.uses += 1
    for number in range(10_000):
        answers.keep(make(answers, ("scan", number), 200))
        answer = answers.find(number % 400)
        if answer is not None:
            answer.uses += 1
    assert sum(answers.find(key) is not None for key in range(400)) >= 396


def test_of_a_skewed_load_what_is_read_most_stays() -> None:
    store, rng = Store(200_000), random.Random(1)
    answers = answers_in(store)
    hits = 0
    for _ in range(20_000):
        key = min(int(rng.paretovariate(1.0)), 5_000)
        answer = answers.find(key)
        if answer is None:
            answers.keep(make(answers, key, 200))
        else:
            answer.uses += 1
            hits += 1
    assert hits > 17_000
    assert store._small_bytes == sum(one.size for one in store._small if one.answers is not None)
    assert all(answers.find(key) is not None for key in range(1, 30))


def test_shells_do_not_pile_up() -> None:
    answers = answers_in(Store(1 << 30))
    for number in range(5000):
        answers.keep(make(answers, number, 0))
        answers.disown(number)
        assert len(answers.store._small) <= 1001


def test_one_that_is_gone_may_be_dropped_again() -> None:
    store = Store(ROOM)
    kept = Kept(answers_in(store), "key", 10)
    assert store.put(kept)
    store.drop(kept)
    store.drop(kept)
    assert (store.bytes, len(store)) == (0, 0)


def test_what_is_read_all_the_time_outlives_what_was_read_for_a_while() -> None:
    answers = answers_in(Store(100_000))
    for number in range(500):
        for key in range(10):
            answer = answers.find(key)
            assert number < 150 or answer is not None, "it is full by then"
            if answer is None:
                answers.keep(make(answers, key, 200))
            else:
                answer.uses += 1
        answers.keep(make(answers, ("a while", number), 200))
        answer = answers.find(("a while", number))
        if answer is not None:
            answer.uses += 2
