"""A queue that can be left from its middle."""

from hypothesis import given
from hypothesis import strategies as st

from edge.cache.queue import Linked, Queue


@given(st.lists(st.integers(0, 9)))
def test_it_is_as_a_list(steps: list[int]) -> None:
    queue: Queue[Linked] = Queue()
    there: list[Linked] = []
    for step in steps:
        if step < 5 or not there:
            there.append(Linked())
            queue.append(there[-1])
        else:
            item = there.pop(step % len(there))
            queue.remove(item)
            assert not hasattr(item, "_after"), "it holds nothing, or it would hold all that was ever dropped"
        assert list(queue) == there
        assert len(queue) == len(there)
        assert not there or queue.first is there[0]
