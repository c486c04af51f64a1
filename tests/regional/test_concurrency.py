"""The concurrency control beside a simulated database: it finds the size that is enough, and takes no lock for load.

The database is a model: so many cores, on which the statements take turns, and one hot row, whose holders wait for each
other. Clients ask again as soon as they are answered, first come, first served. Ticks are those of the janitor.
"""

import random
from collections import Counter

import attrs
import pytest

from regional.concurrency import (
    FORGET_S,
    FREE,
    MAX_REST_S,
    REST_S,
    START,
    Control,
    Sample,
)

TICK_S = 0.5
STEP_S = 0.001


@attrs.define
class Kind:
    """What some of the clients do: a statement of so many seconds of CPU, perhaps on the hot row."""

    clients: int
    cpu_s: float = 0.01
    sleeps_s: float = 0.0
    is_on_hot_row: bool = False
    thinks_s: float = 0.0
    """Of a transaction, in which its client says nothing for so long."""


@attrs.define
class Lease:
    kind: Kind
    cpu_left_s: float
    sleep_left_s: float
    think_left_s: float


@attrs.define
class Database:
    """And the pool in front of it, with its clients."""

    kinds: list[Kind]
    control: Control
    cores: int = 4
    tells_locks: bool = True
    speed: float = 1.0
    now: float = 0.0
    size: int = 0
    leases: int = 0
    queued: int = 0
    most: int = 0
    waiting: list[Kind] = attrs.field(factory=list)
    leased: list[Lease] = attrs.field(factory=list)
    done: Counter[int] = attrs.field(factory=Counter)
    dice: random.Random = attrs.field(factory=lambda: random.Random(1))
    lock_questions: int = 0

    def __attrs_post_init__(self) -> None:
        self.waiting = [kind for kind in self.kinds for _ in range(kind.clients)]
        self.dice.shuffle(self.waiting)

    def run(self, seconds: float) -> None:
        """And count anew what is done."""
        self.done.clear()
        self.most = 0
        for _ in range(round(seconds / TICK_S)):
            for _ in range(round(TICK_S / STEP_S)):
                self._step()
            self._grant()
            self.now += TICK_S
            self._tick()

    def throughput(self, kind: Kind, seconds: float) -> float:
        self.run(seconds)
        return self.done[id(kind)] / seconds

    @property
    def _locked(self) -> list[Lease]:
        return [lease for lease in self.leased if lease.kind.is_on_hot_row][1:]

    def _step(self) -> None:
        self._grant()
        locked = set(map(id, self._locked))
        runs = [lease for lease in self.leased if id(lease) not in locked]
        for lease in runs:
            lease.sleep_left_s -= STEP_S
            lease.think_left_s -= STEP_S
        busy = [lease for lease in runs if lease.cpu_left_s > 0]
        share_s = STEP_S * self.speed * min(1.0, self.cores / max(1, len(busy)))
        for lease in busy:
            lease.cpu_left_s -= share_s
        for lease in runs:
            if max(lease.cpu_left_s, lease.sleep_left_s, lease.think_left_s) <= 0:
                self.leased.remove(lease)
                self.done[id(lease.kind)] += 1
                self.waiting.append(lease.kind)

    def _grant(self) -> None:
        control = self.control
        self.size = min(control.size, max(self.size, len(self.leased) + len(self.waiting)))
        self.most = max(self.most, self.size)
        free = min(self.size, control.lease_cap) - len(self.leased)
        self.queued += max(0, free) if len(self.waiting) > free else 0
        while free > 0 and self.waiting:
            free -= 1
            kind = self.waiting.pop(0)
            self.leases += 1
            cpu_s = kind.cpu_s * self.dice.uniform(0.5, 1.5)
            self.leased.append(Lease(kind, cpu_s, kind.sleeps_s, kind.thinks_s))

    def _tick(self) -> None:
        quiet = sum(lease.kind.thinks_s > 0 and lease.cpu_left_s <= 0 for lease in self.leased)
        control = self.control
        control.tick(
            Sample(
                now=self.now, leases=self.leases, queued_leases=self.queued, size=max(self.size, len(self.leased)),
                dialing=0, leased=len(self.leased), quiet=quiet, waiters=len(self.waiting),
                waited_s=2.0 if self.waiting else 0.0,
            )
        )  # fmt: skip
        if control.wants_locks:
            self.lock_questions += 1
            if self.tells_locks:
                control.locks_told(len(self._locked), self.now)


@pytest.mark.parametrize("cores", [2, 4, 16])
@pytest.mark.parametrize("cpu_s", [0.02, 0.1])
def test_a_load_on_the_cpu_gets_no_more_connections_than_do_it_good(cores: int, cpu_s: float) -> None:
    kind = Kind(64, cpu_s)
    database = Database([kind], Control(60, 5), cores)
    database.run(30)
    best = cores / cpu_s
    assert database.throughput(kind, 20) >= 0.9 * best
    assert database.size <= 2 * max(5, cores)
    assert database.control.is_holding


def test_what_sleeps_gets_all_it_wants() -> None:
    kind = Kind(200, cpu_s=0.0, sleeps_s=0.1)
    database = Database([kind], Control(150, 5))
    database.run(10)
    assert database.size == 150
    assert not database.control.is_holding


def test_a_core_more_is_found_after_a_rest() -> None:
    kind = Kind(64)
    database = Database([kind], Control(60, 5), cores=2)
    database.run(30)
    assert database.size <= 10
    database.cores = 16
    database.run(MAX_REST_S + REST_S)
    assert database.throughput(kind, 20) >= 0.9 * 16 / 0.01


def test_one_locked_row_starves_nobody() -> None:
    lockers, readers = Kind(64, 0.005, is_on_hot_row=True), Kind(8, 0.005)
    database = Database([lockers, readers], Control(100, 5))
    alone = Database([readers], Control(100, 5)).throughput(readers, 5)
    database.run(20)
    assert database.size >= 70
    assert database.throughput(readers, 10) >= 0.6 * alone


def test_a_pool_too_small_for_all_that_wait_for_the_row_stays_at_its_limit() -> None:
    lockers = Kind(64, 0.005, is_on_hot_row=True)
    database = Database([lockers, Kind(8, 0.005)], Control(40, 5))
    database.run(20)
    for _ in range(10):
        database.run(2)
        assert database.size == 40


def test_clients_that_say_nothing_in_their_transactions_are_no_load() -> None:
    kind = Kind(100, cpu_s=0.001, thinks_s=0.2)
    database = Database([kind], Control(90, 5))
    database.run(10)
    assert database.size >= 80


def test_where_nothing_ends_the_pool_grows() -> None:
    database = Database([Kind(64, cpu_s=0.0, sleeps_s=1e6)], Control(60, 5))
    database.run(15)
    assert database.size == 60


def test_a_database_that_becomes_slow_gets_one_connection_a_second_at_most() -> None:
    database = Database([Kind(64, cpu_s=0.01)], Control(60, 5), cores=4)
    database.run(30)
    before = database.size
    database.speed = 0.001
    database.run(6)
    assert database.size <= before + 6
    assert database.control.is_holding


def test_without_an_answer_about_locks_it_goes_on() -> None:
    database = Database([Kind(64)], Control(60, 5), cores=2, tells_locks=False)
    database.run(30)
    assert database.size <= 10


def test_the_origin_is_asked_only_while_clients_wait() -> None:
    database = Database([Kind(4)], Control(60, 5))
    database.run(20)
    assert database.lock_questions == 0
    database.kinds[0].clients = 64
    busy = Database([Kind(64)], Control(60, 5))
    busy.run(20)
    assert 1 <= busy.lock_questions <= 20


def test_a_crowd_gets_its_connections_at_once_and_nobody_is_held_back_without_waiters() -> None:
    assert Control(60, 5).size == START
    assert Control(8, 5).size == 8
    assert Control(60, 40).size == 40, "those to keep warm are a floor"
    assert Control(60, 5).lease_cap == FREE


def test_what_was_found_is_forgotten_when_nobody_waits() -> None:
    database = Database([Kind(64)], Control(60, 5), cores=2)
    database.run(30)
    assert database.control.size <= 10
    database.waiting.clear()
    database.leased.clear()
    database.run(FORGET_S + 2)
    assert database.control.size == START
    assert not database.control.is_holding


def test_a_trial_is_dropped_when_the_load_has_gone() -> None:
    database = Database([Kind(64)], Control(60, 5), cores=2)
    while database.control.lease_cap == FREE:
        database.run(TICK_S)
    size = database.control.size
    database.waiting.clear()
    database.run(3 * TICK_S)
    assert database.control.lease_cap == FREE
    assert database.control.size == size
    assert not database.control.is_holding


def test_never_below_the_floor_nor_above_the_limit() -> None:
    database = Database([Kind(64)], Control(60, 5), cores=1)
    for _ in range(30):
        database.run(2)
        assert 5 <= database.control.size <= 60
        assert database.control.lease_cap >= 5
