"""What is being collected is counted while it is, and bounded."""

import pytest

from edge.cache import collecting as module
from edge.cache.collecting import Collecting
from edge.cache.parts import READY_BYTES
from edge.cache.store import Store


def test_it_counts_in_the_store_until_it_is_over() -> None:
    store = Store(400)
    one, other = Collecting(store), Collecting(store)
    one.begin()
    other.begin()
    assert one.add(b"x" * 60)
    assert other.add(b"y" * 40)
    assert not one.add(b"z"), "a quarter of the store is for all together"
    assert store.collecting_bytes == 100
    assert one.take() == [b"x" * 60]
    assert store.collecting_bytes == 40
    other.drop()
    other.drop()
    assert store.collecting_bytes == 0
    assert not any(each.is_on for each in (one, other))


def test_one_answer_is_bounded() -> None:
    collecting = Collecting(Store(1 << 30))
    collecting.begin()
    assert collecting.add(bytes(module.MAX_ANSWER_BYTES))
    assert not collecting.add(b"x")


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("rest", [0, 1, 5, 6, 7])
def test_the_last_slice_has_what_it_is_known_by(number: int, rest: int) -> None:
    """Wherever the messages are cut: by its end it is told whether an answer is whole."""
    collecting = Collecting(Store(1 << 30))
    collecting.begin()
    data = bytes(range(256)) * (number * module.SLICE_BYTES // 256) + b"r" * rest
    for start in range(0, len(data), 16 << 10):
        assert collecting.add(data[start : start + (16 << 10)])
    slices = collecting.take()
    assert b"".join(slices) == data
    assert len(slices[-1]) >= READY_BYTES
    assert all(len(one) <= module.SLICE_BYTES + READY_BYTES for one in slices)
