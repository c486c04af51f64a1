"""A new lane: both ends start with the same credit, and nothing waits."""

from protos.link.credit import INITIAL_WINDOW_BYTES, Budget
from protos.link.lane import INITIAL_CREDIT_BYTES, Lane


def test_both_ends_start_with_the_same_credit() -> None:
    lane = Lane(7, Budget(0))
    assert lane.id == 7
    assert lane.credit.available == lane.window.window_bytes == INITIAL_CREDIT_BYTES == INITIAL_WINDOW_BYTES


def test_a_new_lane_has_nothing_to_send_and_nothing_to_hand_on() -> None:
    lane = Lane(1, Budget(0))
    assert not lane.backlog
    assert (lane.backlog_bytes, lane.burst_bytes, lane.unconsumed_bytes) == (0, 0, 0)
    assert not lane.is_queued
    assert lane.on_room is None


def test_lanes_share_the_budget_that_their_windows_grow_by() -> None:
    budget = Budget(INITIAL_CREDIT_BYTES)
    lanes = [Lane(channel, budget) for channel in range(2)]
    chunk = INITIAL_CREDIT_BYTES // 8
    for lane in lanes:
        for turn in range(40):
            lane.window.received(chunk)
            lane.window.consumed(chunk, turn * 0.0001, 0.1)
    assert [lane.window.window_bytes for lane in lanes] == [2 * INITIAL_CREDIT_BYTES, INITIAL_CREDIT_BYTES]
    lanes[0].window.close()
    assert budget.available == INITIAL_CREDIT_BYTES
