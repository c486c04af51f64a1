"""What clients have been answered here and have not taken is bounded, and those that do take it are served."""

from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge.cache.collecting import SLICE_BYTES
from edge.cache.store import Kept, Store
from edge.cache.unsent import MAX_OF_CLIENT, MIN_BYTES, Share, Unsent
from protos.link.link_pb2 import Reason
from protos.pg.messages import bind, describe_portal, error_response, execute, parse, query, sync, terminate
from tests.support.cached import Cached, cached, caching, notices, row
from tests.support.stage import Stage, ready

READ: Final = query(b"select v from t")
OTHER: Final = query(b"select w from t")
WHOLE: Final = parse(b"", b"select v from t") + bind(b"", b"", []) + describe_portal(b"") + execute() + sync()
LONG: Final = row(b"x" * (5 * SLICE_BYTES))
ROOM: Final = 16 << 20


class Client:
    """What waits for one, as its connection would say."""

    def __init__(self, unsent: Unsent) -> None:
        self.share = Share(unsent)
        self.copied = self.behind = 0
        self.share.transport = self
        self.share.measure = lambda: (self.copied, self.behind)

    @property
    def pending_bytes(self) -> int:
        return self.copied + self.behind

    def give(self, size: int) -> bool:
        may = self.share.may_have(size)
        if may:
            self.copied += size
            self.share.count()
        return may

    def lend(self, kept: Kept) -> bool:
        may = self.share.may_have(kept.size, kept)
        if may:
            self.behind += kept.size
            self.share.lend(kept)
            self.share.count()
        return may

    def take(self, size: int) -> None:
        taken = min(size, self.copied)
        self.copied -= taken
        self.behind -= min(size - taken, self.behind)
        self.share.count()


def kept(size: int) -> Kept:
    return Kept(None, "key", size)  # type: ignore[arg-type]


class UnsentMachine(RuleBasedStateMachine):
    """Some clients that are given answers and take them, or not; some leave in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.unsent = Unsent(0, lambda: None)
        self.clients = [Client(self.unsent) for _ in range(5)]
        self.gone: list[Client] = []
        self.long = [kept(size << 20) for size in (1, 3, 7)]

    @rule(which=st.integers(0, 4), size=st.integers(0, MAX_OF_CLIENT))
    def give(self, which: int, size: int) -> None:
        self.clients[which].give(size)

    @rule(which=st.integers(0, 4), long=st.integers(0, 2))
    def lend(self, which: int, long: int) -> None:
        self.clients[which].lend(self.long[long])

    @rule(which=st.integers(0, 4), size=st.integers(1, 8 << 20))
    def take(self, which: int, size: int) -> None:
        self.clients[which].take(size)

    @rule(which=st.integers(0, 4))
    def leave(self, which: int) -> None:
        self.clients[which].share.leave()
        self.gone.append(self.clients[which])
        self.clients[which] = Client(self.unsent)

    @rule()
    def those_who_left_are_done(self) -> None:
        for client in self.gone:
            client.copied = client.behind = 0
        self.gone = []
        self.unsent.tick()

    @invariant()
    def it_is_what_is_held_and_bounded(self) -> None:
        every = self.clients + self.gone
        lent = {id(one.share._lent): one.share._lent.size for one in every if one.share._lent is not None}
        assert self.unsent.bytes == sum(one.copied for one in every) + sum(lent.values())
        assert self.unsent.bytes <= self.unsent.max_bytes
        assert all(one.copied <= 2 * MAX_OF_CLIENT for one in every)


TestUnsent = UnsentMachine.TestCase
TestUnsent.settings = settings(max_examples=30, stateful_step_count=30)


def test_those_who_take_nothing_leave_room_for_those_who_do() -> None:
    unsent = Unsent(0, lambda: None)
    for client in [Client(unsent) for _ in range(60)]:
        while client.give(1000):
            pass
    assert MIN_BYTES // 2 < unsent.bytes <= unsent.max_bytes
    good = Client(unsent)
    for _ in range(5):
        assert good.give(1000)
        good.take(1000)


def test_who_has_nothing_waiting_is_refused_as_well_where_there_is_no_room() -> None:
    unsent = Unsent(0, lambda: None)
    one = kept(MIN_BYTES - 1000)
    assert Client(unsent).lend(one)
    assert Client(unsent).give(1000)
    assert not Client(unsent).give(1)


def test_those_who_leave_together_are_not_gone_through_for_each_of_them() -> None:
    unsent = Unsent(0, lambda: None)
    measured: list[None] = []

    def measure() -> tuple[int, int]:
        measured.append(None)
        return 100, 0

    for _ in range(100):
        share = Share(unsent)
        share.measure = measure
        share.leave()
    assert len(measured) == 100
    assert unsent.bytes == 100 * 100


def test_what_was_lent_to_many_counts_once() -> None:
    unsent = Unsent(0, lambda: None)
    one = kept(MIN_BYTES - 1000)
    clients = [Client(unsent) for _ in range(3)]
    assert all(client.lend(one) for client in clients)
    assert unsent.bytes == one.size
    assert not clients[0].lend(one), "who is sent one is given no other"
    assert not Client(unsent).lend(kept(2000))
    for client in clients:
        assert unsent.bytes == one.size
        client.take(one.size)
    assert unsent.bytes == 0


def test_it_takes_its_room_from_what_is_kept() -> None:
    store = Store(ROOM)
    grown: list[int] = []
    store.unsent._on_grown = lambda: grown.append(store.unsent.bytes)
    client = Client(store.unsent)
    client.give(1000)
    client.take(1000)
    assert grown == [1000]


# --- at an edge ---


@pytest.fixture
def cache() -> Iterator[Cached]:
    pushed = caching()
    pushed.early.begin = pushed.early.remember = True
    with cached(pushed, cache_bytes=ROOM) as made:
        yield made


def unsent_of(stage: Stage) -> int:
    return stage.edge.directory._store.unsent.bytes


def crossed(cache: Cached) -> bytes:
    return b"".join(channel.take() for channel in cache.pool.channels)


def test_clients_that_take_nothing_are_bounded_all_together(cache: Cached) -> None:
    """Each of them has asked for no more than a client may."""
    answer = row(b"x" * 200_000)
    reader = cache.stage.connect()
    cache.kept(reader, READ, answer)
    greedy = [cache.stage.connect() for _ in range(90)]
    for driver in greedy:
        driver.send(READ + READ)
    waiting = sum(client.connection.pending_bytes for client in cache.stage.edge.clients)
    assert unsent_of(cache.stage) == waiting <= MIN_BYTES
    assert waiting > MIN_BYTES // 2
    assert crossed(cache).startswith(READ), "the rest crosses, where credit bounds it"
    assert cache.answers.uncacheable["slow client"] > 10
    for driver in greedy:
        driver.hang_up()
    cache.stage.pass_time(0.0)
    assert unsent_of(cache.stage) == 0
    reader.send(READ)
    assert reader.read() == answer + ready()


def test_facts_are_bounded_likewise(cache: Cached) -> None:
    fact = query(b"select version()")
    answer = row(b"x" * 100_000)
    driver = cache.stage.connect()
    driver.send(fact)
    cache.pool.answer(answer + ready(), status=ord("I") | 0x400)
    driver.read()
    cache.pool.channel.take()
    driver.send(fact)
    assert driver.read() == answer + ready()
    assert not crossed(cache)
    driver.send(fact * 20)
    (client,) = cache.stage.edge.clients
    assert client.connection.pending_bytes <= MAX_OF_CLIENT + len(answer)
    assert crossed(cache).startswith(fact)


def test_what_is_begun_here_is_bounded_likewise(cache: Cached) -> None:
    answer = row(b"x" * 200_000)
    driver = cache.stage.connect()
    cache.kept(driver, READ, answer)
    driver.send(READ * 3 + query(b"begin"))
    assert crossed(cache) == READ + query(b"begin") or crossed(cache) == query(b"begin")


def test_a_client_that_left_counts_until_it_has_taken_the_rest(cache: Cached) -> None:
    driver = cache.stage.connect()
    cache.kept(driver, READ, row(b"x" * 200_000))
    driver.send(READ * 2 + terminate())
    assert unsent_of(cache.stage) > 0
    driver.read()
    cache.stage.pass_time(0.0)
    assert unsent_of(cache.stage) == 0


# --- long answers ---


def is_long(cache: Cached) -> bool:
    return all(answer.slices and not answer.body for answer in cache.answers.kept.values())


@pytest.mark.parametrize("request_", [READ, WHOLE], ids=["simple", "extended"])
def test_a_long_answer_is_lent(cache: Cached, request_: bytes) -> None:
    head = b"" if request_ is READ else b"1\0\0\0\x042\0\0\0\x04"
    driver = cache.stage.connect()
    cache.kept(driver, request_, head + LONG)
    assert is_long(cache)
    (answer,) = cache.answers.kept.values()
    slow = [cache.stage.connect() for _ in range(2)]
    for one in slow:
        one.send(request_)
    clients = [client for client in cache.stage.edge.clients if client.connection.pending_bytes]
    assert len(clients) == 2
    for client in clients:
        assert client.connection._behind[-2] is answer.slices[-1], "it is not copied"
    assert answer.borrowers == 2
    assert answer.size <= unsent_of(cache.stage) < answer.size + 2 * SLICE_BYTES
    for one in slow:
        assert one.read() == head + LONG + ready()
    assert (answer.borrowers, unsent_of(cache.stage)) == (0, 0)
    slow[0].send(request_)
    assert slow[0].read() == head + LONG + ready()
    assert (cache.answers.hits, cache.answers.misses) == (3, 1)


def test_what_comes_behind_a_long_answer_comes_behind_it(cache: Cached) -> None:
    driver = cache.stage.connect()
    cache.kept(driver, READ, LONG)
    cache.kept(driver, OTHER, row(b"2"))
    driver.send(READ + query(b"show onetrip.cache") + OTHER)
    assert crossed(cache) == OTHER
    cache.pool.answer(row(b"3") + ready())
    received = driver.read()
    assert received.startswith(LONG + ready())
    assert received.endswith(row(b"3") + ready())
    assert b"SHOW\0" in received


def test_a_long_answer_is_whole_though_it_was_dropped_meanwhile(cache: Cached) -> None:
    driver = cache.stage.connect()
    cache.kept(driver, READ, LONG)
    driver.send(READ)
    cache.invalidate()
    cache.stage.pass_time(0.0)
    assert unsent_of(cache.stage) >= len(LONG), "it is still there"
    assert driver.read() == LONG + ready()
    assert unsent_of(cache.stage) == 0


def test_those_who_have_waited_for_a_long_answer_are_lent_it(cache: Cached) -> None:
    drivers = [cache.stage.connect() for _ in range(3)]
    for driver in drivers:
        driver.send(READ)
    cache.answer(LONG)
    assert [driver.read() for driver in drivers] == [LONG + ready()] * 3


def test_a_long_answer_may_be_the_last_resort() -> None:
    with cached(caching(stale_if_unreachable_s=30.0)) as cache:
        driver = cache.stage.connect()
        cache.kept(driver, READ, LONG)
        cache.now += 60.0
        cache.vouch()
        driver.send(READ)
        cache.pool.close(Reason.REFUSED, error_response({"S": "ERROR", "C": "53300", "M": "no"}))
        assert driver.read() == LONG + ready()


# --- what is said of it ---


def test_a_read_that_crosses_since_its_client_is_slow_is_no_other_kind_of_query(cache: Cached) -> None:
    driver = cache.stage.connect()
    cache.kept(driver, READ, row(b"x" * 200_000))
    driver.send(query(b"set onetrip.cache_status = on"))
    driver.read()
    driver.send(READ * 3)
    assert crossed(cache) == READ
    cache.pool.answer(row(b"2") + ready())
    assert notices(driver)[0] == ["hit", "hit", "uncacheable (slow client)"]
    assert cache.answers.uncacheable == {"slow client": 1}


WRITE: Final = b"update t set v = 1"


@pytest.mark.parametrize("request_", [query(WRITE), parse(b"", WRITE) + bind(b"", b"", []) + execute() + sync()])
def test_a_write_of_a_slow_client_is_no_read(cache: Cached, request_: bytes) -> None:
    driver = cache.stage.connect()
    cache.kept(driver, READ, row(b"x" * 200_000))
    driver.send(READ * 2)
    driver.send(request_)
    assert cache.answers.uncacheable == {"not a read": 1}


def test_a_slow_client_of_the_extended_protocol_is_seen(cache: Cached) -> None:
    driver = cache.stage.connect()
    cache.kept(driver, READ, row(b"x" * 200_000))
    driver.send(READ * 2 + WHOLE)
    assert crossed(cache) == WHOLE
    assert cache.answers.uncacheable == {"slow client": 1}


def test_a_client_is_told_that_others_are_slow(cache: Cached) -> None:
    """What they have not taken leaves no room for a long answer."""
    cache.stage.edge.directory._store.unsent.max_bytes = len(LONG) - 1
    driver = cache.stage.connect()
    cache.kept(driver, READ, LONG)
    driver.send(query(b"set onetrip.cache_status = on"))
    driver.read()
    driver.send(READ)
    assert crossed(cache) == READ
    cache.pool.answer(row(b"2") + ready())
    assert notices(driver) == (["uncacheable (slow client: others)"], "TDCZ")
