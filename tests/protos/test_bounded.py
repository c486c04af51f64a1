"""A memory stays within its bytes, and forgets what was not used for longest."""

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from protos.bounded import Bounded

ROOM: Final = 100
STEPS: Final = st.lists(st.tuples(st.sampled_from(["get", "put", "forget"]), st.integers(0, 9), st.integers(0, 120)))


@given(STEPS)
def test_it_is_a_list_of_the_last_used(steps: list[tuple[str, int, int]]) -> None:
    bounded: Bounded[int, int] = Bounded(ROOM)
    model: list[tuple[int, int]] = []  # keys and sizes, the last used at the end
    for what, key, size in steps:
        before = [one for one in model if one[0] == key]
        rest = [one for one in model if one[0] != key]
        if what == "get":
            assert bounded.get(key) == (before[0][1] if before else None)
            model = rest + before
        elif what == "forget":
            bounded.forget(key)
            model = rest
        else:
            bounded.put(key, size, size)
            model = [*rest, (key, size)]
            while sum(one[1] for one in model) > ROOM:
                del model[0]
        assert bounded.bytes == sum(one[1] for one in model) <= ROOM
        assert len(bounded) == len(model)


def test_all_can_be_forgotten() -> None:
    bounded: Bounded[str, str] = Bounded(ROOM)
    bounded.put("a", "b", ROOM)
    bounded.clear()
    assert (bounded.get("a"), len(bounded), bounded.bytes) == (None, 0, 0)
