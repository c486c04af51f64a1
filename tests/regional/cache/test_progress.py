"""How far a stream is, and which commits are to be seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regional.cache import progress
from regional.cache.progress import Progress, Snapshot, Unseen, UnseenOverflowError

EPOCH = 1 << 32


def test_a_stream_is_caught_up_to_the_last_mark_that_it_has_come_to() -> None:
    one = Progress(0.0)
    one.mark(1.0, 100)
    one.mark(2.0, 200)
    assert not one.reached(99)
    assert (one.caught_up_at, one.has_marks) == (0.0, True)
    assert one.reached(199)
    assert (one.caught_up_at, one.has_marks) == (1.0, True)
    assert one.reached(500)
    assert (one.caught_up_at, one.has_marks) == (2.0, False)
    assert not one.reached(600)


def test_the_oldest_marks_are_forgotten_first() -> None:
    one = Progress(0.0)
    for number in range(2 * progress.MAX_MARKS):
        one.mark(float(number), number)
    assert one.reached(progress.MAX_MARKS - 1) is False
    assert one.reached(2 * progress.MAX_MARKS)
    assert one.caught_up_at == 2 * progress.MAX_MARKS - 1


def test_a_snapshot_is_read_as_postgresql_writes_it() -> None:
    assert Snapshot.parse(b"10:20:10,14,15") == Snapshot(10, 20, frozenset({10, 14, 15}))
    assert Snapshot.parse(b"20:20:") == Snapshot(20, 20, frozenset())


@given(st.integers(3, 5 * EPOCH), st.lists(st.integers(0, 50), unique=True, max_size=6), st.integers(-1000, 100))
def test_a_transaction_is_over_unless_it_runs_or_is_still_to_come(xmin: int, gaps: list[int], offset: int) -> None:
    running = frozenset(xmin + gap for gap in gaps)
    snapshot = Snapshot(min(running, default=xmin), max(running, default=xmin) + 1, running)
    xid = max(0, xmin + offset)
    assert snapshot.is_over(xid % EPOCH) == (xid < snapshot.xmax and xid not in running)


def test_a_commit_is_taken_when_it_is_to_be_seen_and_once() -> None:
    unseen = Unseen()
    unseen.add(10, frozenset({1}))
    unseen.add(11, frozenset({2}))
    assert unseen.take_seen(Snapshot(10, 12, frozenset({10}))) == frozenset({2})
    assert unseen
    assert unseen.take_seen(Snapshot(12, 12, frozenset())) == frozenset({1})
    assert not unseen
    assert unseen.take_seen(Snapshot(12, 12, frozenset())) == frozenset()


def test_what_two_streams_tell_of_one_transaction_is_put_together() -> None:
    unseen = Unseen()
    unseen.add(10, frozenset({1}))
    unseen.add(10, frozenset({2}))
    assert unseen.take_seen(Snapshot(11, 11, frozenset())) == frozenset({1, 2})
    unseen.add(10, None)
    unseen.add(10, frozenset({2}))
    unseen.add(11, frozenset({3}))
    assert unseen.take_seen(Snapshot(12, 12, frozenset())) is None
    assert not unseen


def test_commits_that_nobody_sees_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "MAX_UNSEEN", 2)
    unseen = Unseen()
    unseen.add(1, frozenset({1}))
    unseen.add(2, frozenset({1}))
    with pytest.raises(UnseenOverflowError):
        unseen.add(3, frozenset({1}))
