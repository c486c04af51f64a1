"""Credit is conserved, bounded, enough to go on, and grows only where the window itself was the limit."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from protos.errors import LocalProtocolError, RemoteProtocolError
from protos.link.credit import MAX_CREDIT_BYTES, STALE_S, Budget, ReceiveWindow, SendCredit

INITIAL = 1000
MAXIMUM = 8000
CHUNK = 100
BUDGET = 9000


class Channels(RuleBasedStateMachine):
    """Two channels on one budget: both ends of each, and what is under way between them."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.budget = Budget(BUDGET)
        self.windows = [ReceiveWindow(INITIAL, MAXIMUM, budget=self.budget) for _ in range(2)]
        self.credits = [SendCredit(INITIAL) for _ in range(2)]
        self.flying = [0, 0]
        self.buffered = [0, 0]
        self.grants: list[list[int]] = [[], []]
        self.granted = [INITIAL, INITIAL]
        self.handed_on = [0, 0]
        self.closed = [False, False]

    @rule(i=st.integers(0, 1), share=st.floats(0, 1))
    def send(self, i: int, share: float) -> None:
        n = round(self.credits[i].available * share)
        self.credits[i].spend(n)
        self.flying[i] += n

    @rule(i=st.integers(0, 1), share=st.floats(0, 1))
    def arrive(self, i: int, share: float) -> None:
        n = round(self.flying[i] * share)
        self.flying[i] -= n
        self.windows[i].received(n)
        self.buffered[i] += n

    @rule(i=st.integers(0, 1), share=st.floats(0, 1), passed=st.floats(0, 20), round_trip_s=st.floats(0, 1))
    def consume(self, i: int, share: float, passed: float, round_trip_s: float) -> None:
        self.now += passed
        n = round(self.buffered[i] * share)
        self.buffered[i] -= n
        self.handed_on[i] += n
        granted = self.windows[i].consumed(n, self.now, round_trip_s)
        assert not (granted and self.closed[i])
        if granted:
            self.grants[i].append(granted)
            self.granted[i] += granted

    @precondition(lambda self: any(self.grants))
    @rule()
    def grants_arrive(self) -> None:
        for credit, grants in zip(self.credits, self.grants, strict=True):
            while grants:
                credit.grant(grants.pop(0))

    @rule(i=st.integers(0, 1))
    def stream_a_while(self, i: int) -> None:
        """A fast reader, so that windows do grow in this machine."""
        for _ in range(50):
            self.send(i, 1.0)
            while self.flying[i]:
                self.arrive(i, min(1.0, CHUNK / self.flying[i]))
                self.consume(i, 1.0, 0.0, 0.01)
            self.now += 0.01
            self.grants_arrive()

    @rule(i=st.integers(0, 1))
    def close(self, i: int) -> None:
        self.closed[i] = True
        self.windows[i].close()

    @invariant()
    def the_sender_never_has_more_than_was_granted(self) -> None:
        for i in range(2):
            under_way = self.credits[i].available + self.flying[i] + self.buffered[i] + sum(self.grants[i])
            assert under_way == self.granted[i] - self.handed_on[i]
            assert 0 <= under_way <= MAXIMUM

    @invariant()
    def growth_comes_from_the_budget(self) -> None:
        promised = sum(self.granted[i] - self.handed_on[i] - INITIAL for i in range(2) if not self.closed[i])
        assert 0 <= self.budget.available <= BUDGET
        assert promised <= BUDGET - self.budget.available

    @invariant()
    def a_reader_that_took_everything_leaves_credit(self) -> None:
        for i in range(2):
            if not (self.closed[i] or self.flying[i] or self.buffered[i]):
                assert self.credits[i].available + sum(self.grants[i]) >= INITIAL // 2

    def teardown(self) -> None:
        for window in self.windows:
            window.close()
            window.close()
        assert self.budget.available == BUDGET


TestChannels = Channels.TestCase


class Transfer:
    """One channel over a link: a greedy sender, a reader of a given speed, in steps of a tenth of a round trip."""

    STEP_S = 0.008
    DELAY_STEPS = 5

    def __init__(self, *, link_bytes_per_s: float, budget: int = 100 << 20) -> None:
        self.window = ReceiveWindow(budget=Budget(budget))
        self.credit = SendCredit()
        self.link_bytes = round(link_bytes_per_s * self.STEP_S)
        self.flying = [0] * self.DELAY_STEPS
        self.grants = [0] * self.DELAY_STEPS
        self.buffered = 0
        self.steps = 0
        self.handed_on = 0

    @property
    def now(self) -> float:
        return self.steps * self.STEP_S

    def step(self, readable: int, offered: int | None = None) -> None:
        self.steps += 1
        sent = min(self.credit.available, self.link_bytes, self.link_bytes if offered is None else offered)
        self.credit.spend(sent)
        self.flying.append(sent)
        arriving = self.flying.pop(0)
        granted = 0
        while arriving or (readable and self.buffered):
            n = min(arriving, 16 << 10)
            arriving -= n
            self.window.received(n)
            self.buffered += n
            n = min(self.buffered, readable)
            readable -= n
            self.buffered -= n
            self.handed_on += n
            granted += self.window.consumed(n, self.now, 0.08)
        self.grants.append(granted)
        if (grant := self.grants.pop(0)) > 0:
            self.credit.grant(grant)


def test_fast_reader_on_a_long_link_comes_to_fill_it() -> None:
    transfer = Transfer(link_bytes_per_s=12.5e6)
    for _ in range(125):
        transfer.step(readable=1 << 30)
    before = transfer.handed_on
    for _ in range(125):
        transfer.step(readable=1 << 30)
    assert transfer.handed_on - before >= 0.98 * 12.5e6
    assert transfer.window.window_bytes <= 4 << 20


def test_slow_reader_keeps_a_small_window() -> None:
    transfer = Transfer(link_bytes_per_s=125e6)
    for _ in range(2000):
        transfer.step(readable=4 << 10)
    assert transfer.window.window_bytes == 256 << 10


def test_reader_that_pauses_and_then_takes_all_at_once_keeps_a_small_window() -> None:
    transfer = Transfer(link_bytes_per_s=125e6)
    for step in range(2000):
        transfer.step(readable=1 << 30 if step % 20 == 0 else 0)
    assert transfer.window.window_bytes == 256 << 10


def test_sender_with_little_to_send_does_not_widen_the_window() -> None:
    transfer = Transfer(link_bytes_per_s=12.5e6)
    for _ in range(2000):
        transfer.step(readable=1 << 30, offered=8 << 10)
    assert transfer.window.window_bytes == 256 << 10


def test_window_grows_no_further_than_the_budget() -> None:
    transfer = Transfer(link_bytes_per_s=125e6, budget=512 << 10)
    for _ in range(500):
        transfer.step(readable=1 << 30)
    assert transfer.window.window_bytes == 512 << 10
    transfer.window.close()


def test_grown_window_that_is_no_longer_used_gives_its_growth_back() -> None:
    budget = Budget(10 << 20)
    window = ReceiveWindow(budget=budget)
    credit = SendCredit()
    now = 0.0
    for _ in range(40):
        while credit.available:
            n = min(credit.available, 16 << 10)
            credit.spend(n)
            window.received(n)
            if granted := window.consumed(n, now, 0.08):
                credit.grant(granted)
                break
        now += 0.001
    assert budget.available < 10 << 20
    for _ in range(10_000):
        now += STALE_S / 1000
        credit.spend(4000)
        window.received(4000)
        if granted := window.consumed(4000, now, 0.08):
            credit.grant(granted)
    assert window.window_bytes == 256 << 10
    assert budget.available == 10 << 20
    assert 128 << 10 <= credit.available <= 256 << 10


def test_grants_are_batched_to_half_a_window() -> None:
    window = ReceiveWindow(1000)
    window.received(1000)
    assert [window.consumed(100, 0.0, 0.08) for _ in range(10)] == [0, 0, 0, 0, 500, 0, 0, 0, 0, 500]


def test_peer_that_overruns_its_credit_broke_the_protocol() -> None:
    window = ReceiveWindow(1000)
    window.received(1000)
    with pytest.raises(RemoteProtocolError):
        window.received(1)


@pytest.mark.parametrize("grant", [0, -1, MAX_CREDIT_BYTES])
def test_impossible_grant_broke_the_protocol(grant: int) -> None:
    with pytest.raises(RemoteProtocolError):
        SendCredit(1).grant(grant)


@pytest.mark.parametrize("n", [-1, 11])
def test_spending_what_was_not_granted_is_our_bug(n: int) -> None:
    with pytest.raises(LocalProtocolError):
        SendCredit(10).spend(n)


def test_handing_on_more_than_was_received_is_our_bug() -> None:
    window = ReceiveWindow(1000)
    window.received(10)
    with pytest.raises(LocalProtocolError):
        window.consumed(11, 0.0, 0.08)


def test_what_is_thrown_away_after_close_is_granted_again() -> None:
    window = ReceiveWindow(1000)
    window.received(900)
    assert not window.is_closed
    window.close()
    assert window.thrown_away() == 900
    window.received(499)
    assert window.thrown_away() == 0, "a grant is worth a message"
    window.received(1)
    assert window.thrown_away() == 500


def test_consumed_after_close_grants_nothing() -> None:
    window = ReceiveWindow(1000)
    window.received(1000)
    window.close()
    assert window.consumed(1000, 0.0, 0.08) == 0


@given(seed=st.integers(0, 1 << 30))
def test_a_transfer_always_ends_whatever_the_chunks(seed: int) -> None:
    chance = random.Random(seed)
    credit, window = SendCredit(1000), ReceiveWindow(1000, 4000, budget=Budget(2000))
    left, buffered = 50_000, 0
    for _ in range(10_000):
        n = min(left, credit.available, chance.randint(1, 300))
        credit.spend(n)
        window.received(n)
        left -= n
        buffered += n
        n = chance.randint(0, buffered) if n else buffered
        buffered -= n
        if granted := window.consumed(n, chance.random(), chance.random()):
            credit.grant(granted)
        if not left and not buffered:
            return
    pytest.fail("the transfer stalled")
