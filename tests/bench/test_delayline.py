"""The long link's queue and pipe: order, delay, rate and drops, with a clock that is a parameter."""

from hypothesis import given
from hypothesis import strategies as st

from bench.delayline import NS_PER_S, DelayLine

MS = NS_PER_S // 1000
RATE = 12_500_000  # 100 Mbit/s


def line(delay_s: float = 0.04, rate: float = RATE, depth: int = 1_000_000) -> DelayLine:
    return DelayLine(delay_s, rate, depth)


def test_a_lone_packet_takes_the_delay_and_its_own_time_on_the_wire() -> None:
    pipe = line()
    pipe.offer(bytes(1250), now=0)  # 0.1 ms at 100 Mbit/s
    assert pipe.next_due == 40 * MS + MS // 10
    assert pipe.due(40 * MS) == []
    assert pipe.due(40 * MS + MS // 10) == [bytes(1250)]
    assert pipe.next_due is None


def test_packets_that_come_together_leave_at_the_rate_of_the_bottleneck() -> None:
    pipe = line(delay_s=0)
    for number in range(10):
        pipe.offer(bytes([number]) * 1250, now=0)
    assert [len(pipe.due(at * MS // 10)) for at in range(1, 11)] == [1] * 10


def test_a_full_queue_drops_at_the_tail_and_takes_again_once_it_drained() -> None:
    pipe = line(depth=5000)
    for _ in range(10):
        pipe.offer(bytes(1250), now=0)
    assert (pipe.packets_in, pipe.dropped) == (5, 5)
    pipe.offer(bytes(1250), now=MS)
    assert (pipe.packets_in, pipe.dropped) == (6, 5)


@given(
    arrivals=st.lists(st.tuples(st.integers(0, 3 * MS), st.integers(1, 9000)), max_size=60),
    depth=st.integers(0, 50_000),
)
def test_every_packet_taken_comes_out_once_in_order_and_never_early(
    arrivals: list[tuple[int, int]], depth: int
) -> None:
    pipe = line(delay_s=0.001, depth=depth)
    now, taken = 0, []
    for number, (gap, size) in enumerate(arrivals):
        now += gap
        packet = number.to_bytes(2, "big") + bytes(size)
        before = pipe.packets_in
        pipe.offer(packet, now)
        if pipe.packets_in > before:
            taken.append((now, packet))
    given_out = []
    while (at := pipe.next_due) is not None:
        given_out += [(at, packet) for packet in pipe.due(at)]
    assert [packet for _, packet in given_out] == [packet for _, packet in taken]
    assert pipe.packets_in + pipe.dropped == len(arrivals)
    for (arrived, packet), (left, _) in zip(taken, given_out, strict=True):
        assert left - arrived >= MS + int(len(packet) * NS_PER_S / RATE)
        assert left - arrived <= MS + int((depth + 9002) * NS_PER_S / RATE) + len(arrivals)
