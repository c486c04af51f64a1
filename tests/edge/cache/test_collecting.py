"""What is being collected is counted while it is, and bounded."""

from edge.cache import collecting as module
from edge.cache.collecting import Collecting
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
