"""The window fills a link of any length, keeps the queue before it short, and never runs dry."""

import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.errors import RemoteProtocolError
from protos.link.window import CHUNK_BYTES, INITIAL_WINDOW_BYTES, MAX_WINDOW_BYTES, LinkWindow
from tests.support.bottleneck import Agenda, Flow, Path, Report, Settings, Transfer, Wire, simulate, simulate_together

MBIT = 125_000.0
LONG = Path(100 * MBIT, 0.08)
ACKNOWLEDGE = (64 << 10, 16 << 10)


def filled(report: Report, path: Path, start_s: float, end_s: float) -> float:
    return report.rate(start_s, end_s) / path.rate


def fills_within(report: Report, path: Path, start_s: float = 0.0) -> float:
    """How long until a quarter of a second is filled to nine tenths."""
    return next(
        step / 100
        for step in range(3000)
        if filled(report, path, start_s + step / 100, start_s + step / 100 + 0.25) > 0.9
    )


# --- the simulated link ---


@pytest.mark.parametrize("acknowledge_bytes", ACKNOWLEDGE)
@pytest.mark.parametrize("bunching_s", [0.0, 0.004, 0.008])
def test_bulk_fills_a_long_link_and_small_answers_hardly_wait(acknowledge_bytes: int, bunching_s: float) -> None:
    settings = Settings(60.0, acknowledge_bytes=acknowledge_bytes, bunching_s=bunching_s)
    report = simulate(settings, LONG)
    assert fills_within(report, LONG) < 1.5
    assert filled(report, LONG, 2.0, 60.0) > 0.97
    mean_s, p99_s = report.queued()
    assert mean_s < 0.3 * LONG.round_trip_s
    assert p99_s < LONG.round_trip_s


@pytest.mark.parametrize("acknowledge_bytes", ACKNOWLEDGE)
def test_bulk_fills_a_very_long_and_wide_link(acknowledge_bytes: int) -> None:
    path = Path(1000 * MBIT, 0.15)
    report = simulate(Settings(15.0, acknowledge_bytes=acknowledge_bytes), path)
    assert fills_within(report, path) < 3.0
    assert filled(report, path, 3.0, 15.0) > 0.97
    mean_s, p99_s = report.queued(3.0)
    assert mean_s < 0.3 * path.round_trip_s
    assert p99_s < path.round_trip_s


@pytest.mark.parametrize(("acknowledge_bytes", "bound_s"), [(64 << 10, 0.08), (16 << 10, 0.03)])
def test_queue_of_a_slow_link_is_bounded_by_the_floor(acknowledge_bytes: int, bound_s: float) -> None:
    path = Path(10 * MBIT, 0.02)
    report = simulate(Settings(60.0, (Transfer(0.5),), acknowledge_bytes=acknowledge_bytes), path)
    assert filled(report, path, 1.0, 60.0) > 0.97
    assert report.queued(1.0)[0] < bound_s


@pytest.mark.parametrize("path", [Path(4000 * MBIT, 0.0002), Path(1000 * MBIT, 0.0005)], ids=("loopback", "lan"))
def test_bulk_fills_a_short_link_although_the_processes_answer_late(path: Path) -> None:
    report = simulate(Settings(3.0), path)
    assert filled(report, path, 0.5, 3.0) > 0.95
    assert report.queued(0.5)[0] < 0.008


def test_link_that_becomes_narrower_is_followed() -> None:
    after = Path(20 * MBIT, 0.08, since_s=20.0)
    report = simulate(Settings(40.0), LONG, after)
    assert filled(report, after, 24.0, 40.0) > 0.95
    assert report.queued(25.0)[0] < after.round_trip_s


def test_link_that_becomes_narrower_in_the_middle_of_a_drain_is_followed() -> None:
    after = Path(10 * MBIT, 0.08, since_s=20.05)
    report = simulate(Settings(40.0, acknowledge_bytes=16 << 10), LONG, after)
    assert filled(report, after, 24.0, 40.0) > 0.95
    assert report.queued(26.0)[0] < 1.5 * after.round_trip_s


def test_link_that_becomes_wider_is_followed() -> None:
    report = simulate(Settings(30.0), Path(20 * MBIT, 0.08), Path(100 * MBIT, 0.08, since_s=15.0))
    assert fills_within(report, LONG, 15.0) < 2.0
    assert report.queued(18.0)[0] < 0.3 * LONG.round_trip_s


@pytest.mark.parametrize(("before_s", "after_s"), [(0.08, 0.1), (0.08, 0.16), (0.16, 0.08), (0.01, 0.08), (0.001, 0.3)])
@pytest.mark.parametrize("acknowledge_bytes", ACKNOWLEDGE)
def test_path_that_changes_its_length_for_good_is_filled_again(
    acknowledge_bytes: int, before_s: float, after_s: float
) -> None:
    after = Path(100 * MBIT, after_s, since_s=20.0)
    report = simulate(Settings(45.0, acknowledge_bytes=acknowledge_bytes), Path(100 * MBIT, before_s), after)
    assert filled(report, after, 33.0, 45.0) > 0.9
    assert report.queued(33.0)[0] < 0.4 * after_s


def test_queue_does_not_creep_up_over_ten_minutes() -> None:
    report = simulate(Settings(600.0, probe_every_s=0.05), LONG)
    early, late = report.queued(30.0, 90.0), report.queued(540.0, 600.0)
    assert late[0] < early[0] + 0.01
    assert late[1] < LONG.round_trip_s


def test_minutes_of_quiet_take_nothing_from_the_next_transfer() -> None:
    transfers = tuple(Transfer(at_s, 60e6) for at_s in (1.0, 121.0, 421.0))
    report = simulate(Settings(430.0, transfers, probe_every_s=0.05), LONG)
    for transfer in transfers:
        assert filled(report, LONG, transfer.at_s + 1.0, transfer.at_s + 4.0) > 0.97
        assert report.queued(transfer.at_s, transfer.at_s + 4.0)[0] < 0.3 * LONG.round_trip_s


def test_sender_with_too_little_to_fill_the_link_does_not_lower_the_estimate() -> None:
    trickle = tuple(Transfer(6.0 + step / 100, 16_384.0) for step in range(3400))
    agenda = Agenda()
    flow = Flow(agenda, Wire(agenda, LONG), Settings(50.0, (Transfer(0.5, 50e6), *trickle, Transfer(40.0))))
    agenda.run(39.9)
    assert flow.window.rate_bytes_per_s > 0.9 * LONG.rate
    assert flow.report.queued(7.0, 39.0)[0] < 0.1 * LONG.round_trip_s
    agenda.run(45.0)
    assert filled(flow.report, LONG, 41.0, 45.0) > 0.95


@pytest.mark.parametrize("acknowledge_bytes", ACKNOWLEDGE)
def test_links_through_one_narrow_place_share_it_and_starve_none(acknowledge_bytes: int) -> None:
    settings = [
        Settings(60.0, (Transfer(0.5 + 3 * i),), acknowledge_bytes=acknowledge_bytes, seed=i, probe_every_s=0.05)
        for i in range(3)
    ]
    reports = simulate_together(settings, LONG)
    shares = [filled(report, LONG, 30.0, 60.0) for report in reports]
    assert sum(shares) > 0.95
    assert min(shares) > 0.15
    assert reports[0].queued(30.0)[0] < LONG.round_trip_s


def test_cold_tcp_below_delays_the_start_only() -> None:
    """Slow start takes its six round trips whoever is above it; after that nothing is left of it."""
    report = simulate(Settings(8.0, (Transfer(0.5),), tcp=True), LONG)
    assert fills_within(report, LONG, 0.5) < 1.5
    assert report.queued(3.0)[0] < 0.3 * LONG.round_trip_s


# --- whatever happens ---


@given(
    seed=st.integers(0, 1 << 32),
    acknowledge_bytes=st.sampled_from(ACKNOWLEDGE),
    total=st.integers(1, 4 << 20),
    delay=st.integers(1, 40),
)
def test_a_transfer_always_ends_without_any_timer(seed: int, acknowledge_bytes: int, total: int, delay: int) -> None:
    """The sender acts on acknowledgements alone; the receiver leaves as much unacknowledged as it may."""
    chance = random.Random(seed)
    window = LinkWindow(acknowledge_every_bytes=acknowledge_bytes)
    flying: deque[int] = deque()
    now = left = sent = arrived = acknowledged = 0.0
    left = total
    while left or flying:
        room = window.room(now)
        assert room >= 0
        assert window.in_flight_bytes == sent - acknowledged
        assert window.window_bytes <= MAX_WINDOW_BYTES
        if not flying:
            assert room >= CHUNK_BYTES, "nothing is on its way and yet there is no room"
        while left and window.room(now) > 0 and chance.random() < 0.9:
            n = int(min(left, window.room(now), chance.choice((1, 300, CHUNK_BYTES, 64 << 10))))
            window.sent(n, now)
            flying.append(n)
            left -= n
            sent += n
        now += chance.choice((0.0, 0.0001, 0.01, 3.0)) * chance.random()
        for _ in range(min(len(flying), chance.randint(1, delay))):
            arrived += flying.popleft()
            if arrived - acknowledged >= acknowledge_bytes:
                acknowledged = arrived
                window.acknowledged(int(acknowledged), now)
        if chance.random() < 0.05:
            window.round_trip(chance.choice((0.0, 0.0001, 0.1, 30.0)), now)
    assert arrived == total


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(("room", "sent", "acknowledged", "round_trip")),
            st.integers(0, 1 << 20),
            st.floats(0, 20, allow_nan=False),
        ),
        max_size=200,
    )
)
def test_with_everything_acknowledged_there_is_always_room(steps: list[tuple[str, int, float]]) -> None:
    window, now, sent, acknowledged = LinkWindow(), 0.0, 0, 0
    for what, n, passed in steps:
        now += passed
        match what:
            case "room":
                assert 0 <= window.room(now) <= MAX_WINDOW_BYTES
            case "sent":
                window.sent(n, now)
                sent += n
            case "acknowledged":
                acknowledged = min(sent, acknowledged + n)
                window.acknowledged(acknowledged, now)
            case _:
                window.round_trip(passed / 10, now)
    window.acknowledged(sent, now)
    assert window.room(now) >= CHUNK_BYTES


def test_quiet_receiver_may_leave_a_quantum_unacknowledged_for_ever() -> None:
    window = LinkWindow()
    window.sent((64 << 10) - 1, 0.0)
    for now in range(1, 1000):
        window.round_trip(0.08, float(now))
        assert window.room(float(now)) >= 3 * CHUNK_BYTES


@pytest.mark.parametrize("acknowledge_bytes", ACKNOWLEDGE)
def test_window_of_the_slowest_link_exceeds_what_a_receiver_may_leave_unacknowledged(acknowledge_bytes: int) -> None:
    window = LinkWindow(acknowledge_every_bytes=acknowledge_bytes)
    total = 0
    for second in range(1, 200):
        while (room := window.room(float(second))) > 0:
            window.sent(room, float(second))
            total += room
        window.acknowledged(total - acknowledge_bytes + 1, second + 0.9)
        window.round_trip(0.9, second + 0.9)
        assert window.room(second + 0.9) >= CHUNK_BYTES


def test_small_answers_are_counted_and_may_pass_the_window() -> None:
    window = LinkWindow()
    window.sent(INITIAL_WINDOW_BYTES + 1000, 0.0)
    assert window.room(0.0) == 0
    assert window.in_flight_bytes == INITIAL_WINDOW_BYTES + 1000


def test_more_acknowledged_than_sent_broke_the_protocol() -> None:
    window = LinkWindow()
    window.sent(100, 0.0)
    with pytest.raises(RemoteProtocolError):
        window.acknowledged(101, 0.1)


def test_acknowledgement_that_says_nothing_new_changes_nothing() -> None:
    window = LinkWindow()
    window.sent(100, 0.0)
    window.acknowledged(100, 0.1)
    window.acknowledged(50, 0.2)
    assert window.in_flight_bytes == 0


def test_base_grows_only_by_measurements_of_a_quiet_link() -> None:
    window = LinkWindow()
    window.round_trip(0.08, 0.0)
    window.sent(200_000, 0.1)
    window.round_trip(0.3, 20.0)  # what was in flight may have been what it waited for
    assert window.base_round_trip_s == 0.08
    window.acknowledged(200_000, 20.1)
    for second in range(21, 45):
        window.round_trip(0.16, float(second))
    assert window.base_round_trip_s == 0.16
    window.round_trip(0.07, 46.0)
    assert window.base_round_trip_s == 0.07
