"""Two ends of a link, face to face: order, credit, turns, and the end of a channel (rules 17)."""

import contextlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from protos.errors import LocalProtocolError, RemoteProtocolError
from protos.link.credit import Budget
from protos.link.lane import INITIAL_CREDIT_BYTES, Lane
from protos.link.link_pb2 import (
    Batch,
    Close,
    Configuration,
    Credit,
    Frame,
    Invalidate,
    Open,
    Ping,
    Reason,
    Statement,
)  # fmt: skip
from protos.link.mux import (
    ACKNOWLEDGE_BYTES,
    BATCH_BYTES,
    CHUNK_BYTES,
    MAX_MESSAGE_BYTES,
    PROMPT_BYTES,
    Mux,
)  # fmt: skip

OPEN = Open(configuration="app")
IDLE = ord("I")


class End:
    """A mux and what its owner knows."""

    def __init__(self) -> None:
        self.wakes = 0
        self.mux = Mux(wake=self._wake, budget=Budget(64 << 20))
        self.lanes: dict[int, Lane] = {}
        self.received: dict[int, bytearray] = {}
        self.settled: dict[int, int] = {}
        self.closed: dict[int, Close] = {}
        self.closing: set[int] = set()
        """Closed by this end: what comes for them has no owner any more."""
        self.owed: dict[int, int] = {}
        """Bytes received and not handed on."""

    def _wake(self) -> None:
        self.wakes += 1

    def open(self, channel: int) -> Lane:
        lane = self.lanes[channel] = self.mux.open_lane(channel, OPEN)
        return lane

    def take(self, message: bytes, now: float = 0.0) -> list[Frame]:
        frames = self.mux.feed(message, now)
        for frame in frames:
            channel, kind = frame.channel, frame.WhichOneof("control")
            if kind == "open":
                self.lanes[channel] = self.mux.lane(channel)
            elif kind == "close":
                assert channel not in self.closed
                self.closed[channel] = frame.close
                self.mux.forget_lane(channel)
            elif kind is None and channel not in self.closing:
                assert channel not in self.closed, "nothing comes behind a Close"
                self.received.setdefault(channel, bytearray()).extend(frame.data)
                self.owed[channel] = self.owed.get(channel, 0) + len(frame.data)
                self.settled[channel] = self.settled.get(channel, 0) + frame.settled
        return frames

    def close(self, channel: int, reason: Reason) -> None:
        self.closing.add(channel)
        self.owed.pop(channel, None)
        self.mux.close_lane(self.lanes[channel], Close(reason=reason))

    def consume(self, channel: int, now: float = 0.0) -> None:
        size, self.owed[channel] = self.owed.get(channel, 0), 0
        if size:
            self.mux.consumed(self.lanes[channel], size, now)


def batches(end: End, now: float = 0.0) -> list[bytes]:
    found = []
    while (message := end.mux.next_batch(now)) is not None:
        found.append(message)
    return found


def carry(one: End, other: End, *, consumes: bool = True, now: float = 0.0) -> None:
    """Until nothing is left to say."""
    while messages := [(one, message) for message in batches(other, now)] + [
        (other, message) for message in batches(one, now)
    ]:
        for to, message in messages:
            to.take(message, now)
        for end in (one, other):
            for channel in end.owed if consumes else ():
                end.consume(channel, now)


def frames_of(messages: list[bytes]) -> list[Frame]:
    return [frame for message in messages for frame in Batch.FromString(message).frames]


@pytest.fixture
def ends() -> tuple[End, End]:
    return End(), End()


def test_an_opening_travels_with_the_first_bytes(ends: tuple[End, End]) -> None:
    edge, pool = ends
    edge.mux.send(edge.open(1), b"first", last=True)
    (message,) = batches(edge)
    assert [frame.WhichOneof("control") for frame in pool.take(message)] == ["open", None]
    assert pool.received == {1: b"first"}
    assert (edge.mux.data_batches_out, pool.mux.data_batches_in) == (1, 1)


def test_what_is_said_of_an_answer_comes_with_its_last_chunk(ends: tuple[End, End]) -> None:
    edge, _ = ends
    lane = edge.open(1)
    edge.mux.send(lane, b"x" * (PROMPT_BYTES + 3 * CHUNK_BYTES), settled=2, status=IDLE, last=True)
    frames = frames_of(batches(edge))[1:]
    assert [(frame.settled, frame.status) for frame in frames[:-1]] == [(0, 0)] * (len(frames) - 1)
    assert (frames[-1].settled, frames[-1].status) == (2, IDLE)


def test_bulk_goes_in_turns_of_a_chunk(ends: tuple[End, End]) -> None:
    edge, _ = ends
    sizes = {1: 200_000, 2: 90_000, 3: 180_000}
    for channel, size in sizes.items():
        edge.mux.send(edge.open(channel), bytes([channel]) * size)
    turns = [(frame.channel, len(frame.data)) for frame in frames_of(batches(edge)) if frame.data]
    assert max(size for _, size in turns) == CHUNK_BYTES
    while {channel for channel, _ in turns} == set(sizes):
        assert {channel for channel, _ in turns[:3]} == set(sizes), "each has its turn before one has a second"
        turns = turns[3:]


def test_a_small_answer_goes_ahead_of_bulk_and_of_the_window(ends: tuple[End, End]) -> None:
    edge, _ = ends
    big, small = edge.open(1), edge.open(2)
    batches(edge)
    for _ in range(10):
        edge.mux.send(big, b"x" * 20_000)
    while edge.mux.window.room(0.0) > 0 and edge.mux.next_batch(0.0):
        pass
    edge.mux.send(small, b"y" * 100, settled=1, status=IDLE, last=True)
    (first,) = [frame for frame in frames_of(batches(edge)) if frame.channel == 2]
    assert first.data == b"y" * 100


def test_control_goes_ahead_of_everything(ends: tuple[End, End]) -> None:
    edge, _ = ends
    edge.mux.send(edge.open(1), b"x" * 10)
    edge.mux.send_control(Frame(ping=Ping(id=1)))
    assert frames_of(batches(edge))[0].HasField("ping")


def test_an_answer_waits_until_all_control_has_gone_however_much_there_is(ends: tuple[End, End]) -> None:
    edge, _ = ends
    for number in range(40):
        edge.mux.send_control(Frame(invalidate=Invalidate(configuration="x" * 100_000, tables=[number + 1])))
    edge.mux.send(edge.open(1), b"x" * 10)
    frames = frames_of(batches(edge))
    assert all(frame.HasField("invalidate") for frame in frames[:40])
    assert [frame.data for frame in frames[40:]] == [b"", b"x" * 10]


def test_a_channel_becomes_bulk_after_its_first_bytes_and_prompt_again_with_the_next_exchange(
    ends: tuple[End, End],
) -> None:
    edge, pool = ends
    lane = edge.open(1)
    assert edge.mux.is_prompt(lane, PROMPT_BYTES)
    assert not edge.mux.is_prompt(lane, PROMPT_BYTES + 1)
    edge.mux.send(lane, b"x" * PROMPT_BYTES)
    assert not edge.mux.is_prompt(lane, 1)
    edge.mux.send(lane, b"x", settled=1, status=IDLE, last=True)
    assert lane.backlog
    carry(edge, pool)
    assert edge.mux.is_prompt(lane, PROMPT_BYTES)


def test_what_must_not_overtake_stays_in_order(ends: tuple[End, End]) -> None:
    edge, pool = ends
    lane = edge.open(1)
    edge.mux.send(lane, b"x" * (PROMPT_BYTES + 1))
    edge.mux.send_in_order(lane, Frame(channel=1, statement=Statement(slot=1, parse=b"text")))
    edge.mux.send(lane, b"y", last=True)
    frames = [frame for message in batches(edge) for frame in pool.take(message)]
    kinds = [frame.WhichOneof("control") for frame in frames]
    assert kinds.index("statement") == len(kinds) - 2
    assert frames[-1].data == b"y"


def test_without_credit_nothing_is_sent_and_with_it_everything(ends: tuple[End, End]) -> None:
    edge, pool = ends
    lane = edge.open(1)
    edge.mux.send(lane, b"x" * 100, last=True)  # so that credit does not end with a chunk
    edge.mux.send(lane, b"x" * (3 * INITIAL_CREDIT_BYTES - 100))
    carry(edge, pool, consumes=False)
    assert len(pool.received[1]) == INITIAL_CREDIT_BYTES
    assert lane.backlog_bytes == 2 * INITIAL_CREDIT_BYTES
    assert batches(edge) == []
    pool.consume(1)
    carry(edge, pool)
    assert len(pool.received[1]) == 3 * INITIAL_CREDIT_BYTES
    assert lane.backlog_bytes == 0


def test_one_channel_without_credit_does_not_stall_another(ends: tuple[End, End]) -> None:
    edge, pool = ends
    stalled, other = edge.open(1), edge.open(2)
    edge.mux.send(stalled, b"x" * (2 * INITIAL_CREDIT_BYTES))
    carry(edge, pool, consumes=False)
    edge.mux.send(other, b"y" * 200_000)
    carry(edge, pool, consumes=False)
    assert len(pool.received[2]) == 200_000


def test_an_empty_end_of_an_answer_needs_no_credit(ends: tuple[End, End]) -> None:
    edge, pool = ends
    lane = edge.open(1)
    edge.mux.send(lane, b"x" * INITIAL_CREDIT_BYTES)
    edge.mux.send(lane, b"", settled=1, status=IDLE, last=True)
    carry(edge, pool, consumes=False)
    assert pool.settled[1] == 1


def test_a_peer_that_sends_more_than_its_credit_breaks_the_protocol(ends: tuple[End, End]) -> None:
    _, pool = ends
    frames = [Frame(channel=1, open=OPEN), *[Frame(channel=1, data=b"x" * 100_000)] * 3]
    with pytest.raises(RemoteProtocolError):
        pool.mux.feed(Batch(frames=frames).SerializeToString(), 0.0)


def test_garbage_breaks_the_protocol(ends: tuple[End, End]) -> None:
    with pytest.raises(RemoteProtocolError):
        ends[0].mux.feed(b"\xff" * 20, 0.0)


@given(st.binary(max_size=200))
def test_whatever_comes_only_the_protocol_error_is_raised(message: bytes) -> None:
    end = End()
    with contextlib.suppress(RemoteProtocolError):
        end.mux.feed(message, 0.0)


@pytest.mark.parametrize("grant", [0, 1 << 31])
def test_a_grant_out_of_range_breaks_the_protocol(ends: tuple[End, End], grant: int) -> None:
    edge, _ = ends
    edge.open(1)
    with pytest.raises(RemoteProtocolError):
        edge.mux.feed(Batch(frames=[Frame(channel=1, credit=Credit(bytes=grant))]).SerializeToString(), 0.0)


def test_a_channel_is_opened_once(ends: tuple[End, End]) -> None:
    edge, pool = ends
    edge.open(1)
    with pytest.raises(LocalProtocolError):
        edge.open(1)
    twice = Batch(frames=[Frame(channel=1, open=OPEN)] * 2).SerializeToString()
    with pytest.raises(RemoteProtocolError):
        pool.mux.feed(twice, 0.0)


# --- the end of a channel ---


def test_a_close_comes_behind_the_last_byte_also_where_credit_is_awaited(ends: tuple[End, End]) -> None:
    edge, pool = ends
    lane = edge.open(1)
    edge.mux.send(lane, b"x" * (2 * INITIAL_CREDIT_BYTES))
    edge.mux.close_lane(lane, Close(reason=Reason.ENDED))
    carry(edge, pool, consumes=False)
    assert 1 not in pool.closed
    carry(edge, pool)
    pool.consume(1)
    carry(edge, pool)
    assert pool.closed[1].reason == Reason.ENDED
    assert len(pool.received[1]) == 2 * INITIAL_CREDIT_BYTES
    assert not edge.mux._lanes
    assert not pool.mux._lanes


def test_a_channel_that_the_peer_closes_while_it_has_its_turn_is_forgotten(ends: tuple[End, End]) -> None:
    edge, pool = ends
    lane, other = edge.open(1), edge.open(2)
    edge.mux.send(lane, b"x" * 200_000)
    edge.mux.send(other, b"y" * 200_000)
    edge.take(Batch(frames=[Frame(channel=1, close=Close(reason=Reason.LOST))]).SerializeToString())
    carry(edge, pool)
    assert len(pool.received[2]) == 200_000
    assert 1 not in edge.mux._lanes
    assert lane.backlog_bytes == 0


def test_both_may_close_at_once(ends: tuple[End, End]) -> None:
    edge, pool = ends
    lane = edge.open(1)
    carry(edge, pool)
    edge.mux.send(lane, b"x" * (2 * INITIAL_CREDIT_BYTES))
    edge.close(1, Reason.TERMINATED)
    pool.close(1, Reason.REFUSED)
    carry(edge, pool)
    assert not edge.mux._lanes
    edge.close(1, Reason.TERMINATED)
    assert batches(edge) == []


def test_credit_and_bytes_for_a_channel_that_is_gone_are_nothing(ends: tuple[End, End]) -> None:
    edge, pool = ends
    lane = edge.open(1)
    carry(edge, pool)
    edge.mux.send(lane, b"x" * 200_000)
    messages = batches(edge)
    pool.mux.close_lane(pool.lanes[1], Close(reason=Reason.REFUSED))
    for message in messages:
        assert pool.mux.feed(message, 0.0)
    pool.mux.consumed(pool.lanes[1], 0, 0.0)
    edge.mux.close_lane(lane)
    edge.mux.feed(Batch(frames=[Frame(channel=1, credit=Credit(bytes=5))]).SerializeToString(), 0.0)


def test_whoever_waits_for_room_is_told(ends: tuple[End, End]) -> None:
    edge, pool = ends
    lane = edge.open(1)
    told: list[int] = []
    lane.on_room = lambda: told.append(lane.backlog_bytes)
    edge.mux.send(lane, b"x" * 200_000)
    carry(edge, pool)
    assert told[-1] == 0
    assert told == sorted(told, reverse=True)


# --- messages ---


def test_no_message_is_larger_than_what_grpc_takes(ends: tuple[End, End]) -> None:
    edge, pool = ends
    lane = edge.open(1)
    for number in range(40):
        text = b"%d" % number * 500_000
        edge.mux.send_in_order(lane, Frame(channel=1, statement=Statement(slot=number + 1, parse=text)))
        edge.mux.send_control(Frame(configuration=Configuration(name="x", verifier="v" * 500_000)))
    messages = batches(edge)
    assert max(map(len, messages)) <= MAX_MESSAGE_BYTES // 2
    frames = [frame for message in messages for frame in pool.take(message)]
    assert [frame.statement.slot for frame in frames if frame.HasField("statement")] == list(range(1, 41))
    assert sum(frame.HasField("configuration") for frame in frames) == 40


def test_bulk_fills_a_message_only_so_far(ends: tuple[End, End]) -> None:
    edge, _ = ends
    for channel in range(1, 9):
        edge.mux.send(edge.open(channel), b"x" * 150_000)
    batches(edge)[0]
    assert all(len(message) < BATCH_BYTES + CHUNK_BYTES + 4096 for message in batches(edge))


def test_what_came_is_acknowledged_lazily_but_it_is(ends: tuple[End, End]) -> None:
    edge, pool = ends
    lane = edge.open(1)
    edge.mux.send(lane, b"x" * (ACKNOWLEDGE_BYTES - 1), last=True)
    (message,) = batches(edge)
    pool.take(message)
    assert batches(pool) == []
    assert pool.wakes == 0
    edge.mux.send(lane, b"x", last=True)
    (message,) = batches(edge)
    pool.take(message)
    assert pool.wakes == 1
    (message,) = batches(pool)
    assert Batch.FromString(message).acknowledged_bytes == ACKNOWLEDGE_BYTES
    assert batches(pool) == []


def test_bulk_waits_for_the_window_and_goes_on_with_the_acknowledgement(ends: tuple[End, End]) -> None:
    edge, pool = ends
    for channel in range(1, 41):
        edge.mux.send(edge.open(channel), b"x" * (PROMPT_BYTES + 1))
    messages = batches(edge)
    in_flight = edge.mux.window.in_flight_bytes
    assert in_flight < 40 * PROMPT_BYTES
    assert edge.mux.window.room(0.0) <= 0
    for message in messages:
        pool.take(message, 0.01)
    edge.wakes = 0
    for message in batches(pool, 0.01):
        edge.take(message, 0.02)
    assert edge.wakes
    assert batches(edge, 0.02)


def test_two_ends_that_both_close_with_more_to_say_than_they_may_wait_for_nobody(ends: tuple[End, End]) -> None:
    edge, pool = ends
    edge.open(1)
    for here in ends:
        here.mux.send(here.lanes[1], b"x" * (2 * INITIAL_CREDIT_BYTES), settled=1, status=IDLE)
        for message in batches(here):
            (pool if here is edge else edge).take(message)
    for here in ends:
        here.close(1, Reason.ENDED)
    carry(edge, pool)
    assert not edge.mux._lanes
    assert not pool.mux._lanes


def test_a_ping_measures_the_crossing(ends: tuple[End, End]) -> None:
    edge, pool = ends
    edge.mux.ping(10.0)
    (message,) = batches(edge, 10.0)
    assert pool.take(message, 10.04) == []
    (message,) = batches(pool, 10.04)
    assert edge.take(message, 10.08) == []
    assert edge.mux.round_trip_s == pytest.approx(0.08)
    assert edge.mux.data_batches_out == pool.mux.data_batches_in == 0, "it is on no query's path"


def test_a_pong_that_nobody_waits_for_is_nothing(ends: tuple[End, End]) -> None:
    edge, _ = ends
    assert edge.take(Batch(frames=[Frame(pong=Ping(id=9))]).SerializeToString(), 1.0) == []
    assert edge.mux.round_trip_s == 0.0


# --- anything, in any order ---


class MuxMachine(RuleBasedStateMachine):
    """Two ends, messages on their way in both directions, channels opened by the first and closed by either."""

    @initialize()
    def begin(self) -> None:
        self.ends = (End(), End())
        self.wires: tuple[list[bytes], list[bytes]] = ([], [])
        self.sent: tuple[dict[int, bytearray], dict[int, bytearray]] = ({}, {})
        self.settled: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.next = 1
        self.now = 0.0
        self.chance = random.Random(7)

    def open_here(self, side: int) -> list[int]:
        end = self.ends[side]
        return [channel for channel in end.lanes if channel not in end.closing and channel not in end.closed]

    @rule()
    def open(self) -> None:
        self.ends[0].open(self.next)
        self.next += 1

    @precondition(lambda self: self.open_here(0) or self.open_here(1))
    @rule(data=st.data(), size=st.sampled_from([0, 1, 100, 5_000, 16_384, 70_000, 300_000]), settled=st.integers(0, 2))
    def send(self, data: st.DataObject, size: int, settled: int) -> None:
        side = data.draw(st.sampled_from([side for side in (0, 1) if self.open_here(side)]))
        channel = data.draw(st.sampled_from(self.open_here(side)))
        end = self.ends[side]
        content = self.chance.randbytes(size)
        end.mux.send(end.lanes[channel], content, settled, IDLE if settled else 0, last=bool(settled))
        self.sent[side].setdefault(channel, bytearray()).extend(content)
        self.settled[side][channel] = self.settled[side].get(channel, 0) + settled

    @rule(side=st.integers(0, 1))
    def write(self, side: int) -> None:
        message = self.ends[side].mux.next_batch(self.now)
        if message is not None:
            assert len(message) <= MAX_MESSAGE_BYTES
            self.wires[side].append(message)

    @precondition(lambda self: self.wires[0] or self.wires[1])
    @rule(passes_s=st.sampled_from([0.0, 0.001, 0.1]), data=st.data())
    def arrive(self, passes_s: float, data: st.DataObject) -> None:
        self.now += passes_s
        side = data.draw(st.sampled_from([side for side in (0, 1) if self.wires[side]]))
        self.ends[1 - side].take(self.wires[side].pop(0), self.now)

    @rule(side=st.integers(0, 1))
    def consume(self, side: int) -> None:
        for channel in self.ends[side].owed:
            self.ends[side].consume(channel, self.now)

    @precondition(lambda self: self.open_here(0) or self.open_here(1))
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        side = data.draw(st.sampled_from([side for side in (0, 1) if self.open_here(side)]))
        channel = data.draw(st.sampled_from(self.open_here(side)))
        self.ends[side].close(channel, Reason.ENDED)

    @rule()
    def ping(self) -> None:
        self.ends[0].mux.ping(self.now)

    @invariant()
    def what_came_is_a_beginning_of_what_was_sent(self) -> None:
        for side in (0, 1):
            for channel, received in self.ends[1 - side].received.items():
                assert self.sent[side][channel].startswith(received)

    @invariant()
    def a_close_comes_last(self) -> None:
        for side in (0, 1):
            for channel in self.ends[1 - side].closed:
                if channel not in self.ends[1 - side].closing:
                    received = self.ends[1 - side].received.get(channel, b"")
                    assert received == self.sent[side].get(channel, b"")

    def teardown(self) -> None:
        if not hasattr(self, "ends"):
            return
        for _ in range(10_000):
            for side in (0, 1):
                self.write(side)
                while self.wires[side]:
                    self.now += 0.001
                    self.ends[1 - side].take(self.wires[side].pop(0), self.now)
                self.consume(1 - side)
            if not any(end.mux._prompt or end.mux._urgent or end.mux._bulk for end in self.ends):
                break
        for side in (0, 1):
            self._everything_has_arrived(side)

    def _everything_has_arrived(self, side: int) -> None:
        here, there = self.ends[side], self.ends[1 - side]
        for channel, sent in self.sent[side].items():
            if channel not in there.closing:
                assert there.received.get(channel, b"") == sent
                assert there.settled.get(channel, 0) == self.settled[side][channel]
        for channel in here.closing:
            assert channel in there.closed or channel in there.closing
            assert channel not in here.mux._lanes, "the lane is freed"
        for channel, lane in here.mux._lanes.items():
            assert lane.backlog_bytes == 0 == sum(len(entry[0]) for entry in lane.backlog if isinstance(entry, tuple))
            assert channel not in here.closed


TestMux = MuxMachine.TestCase
TestMux.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
