"""Deadlines of one length expire in the order of arming, each once, and can be called off."""

from hypothesis import given
from hypothesis import strategies as st

from protos.runtime.deadlines import Deadlines

LENGTH_S = 10.0


def test_what_was_armed_first_expires_first_and_once() -> None:
    deadlines: Deadlines[str] = Deadlines(LENGTH_S)
    deadlines.arm("a", 0.0)
    deadlines.arm("b", 1.0)
    deadlines.arm("c", 2.0)
    assert deadlines.expired(9.9) == []
    assert deadlines.expired(11.0) == ["a", "b"]
    assert deadlines.expired(11.0) == []
    assert list(deadlines) == ["c"]
    assert deadlines.expired(12.0) == ["c"]


def test_arming_again_starts_the_time_anew() -> None:
    deadlines: Deadlines[str] = Deadlines(LENGTH_S)
    deadlines.arm("a", 0.0)
    deadlines.arm("b", 1.0)
    deadlines.arm("a", 5.0)
    assert len(deadlines) == 2
    assert deadlines.expired(11.0) == ["b"]
    assert deadlines.expired(15.0) == ["a"]


def test_what_was_disarmed_does_not_expire() -> None:
    deadlines: Deadlines[str] = Deadlines(LENGTH_S)
    deadlines.arm("a", 0.0)
    assert "a" in deadlines
    deadlines.disarm("a")
    deadlines.disarm("a")
    assert "a" not in deadlines
    assert deadlines.expired(100.0) == []


def test_zero_switches_the_limit_off() -> None:
    deadlines: Deadlines[str] = Deadlines(0.0)
    deadlines.arm("a", 0.0)
    assert len(deadlines) == 0
    assert deadlines.expired(1e9) == []


STEP = st.tuples(st.sampled_from(["arm", "disarm", "expired"]), st.integers(0, 4), st.integers(0, 8))


@given(steps=st.lists(STEP, max_size=40))
def test_they_agree_with_a_plain_timer(steps: list[tuple[str, int, int]]) -> None:
    deadlines: Deadlines[int] = Deadlines(LENGTH_S)
    model: dict[int, float] = {}
    now = 0.0
    for action, key, passed in steps:
        now += passed
        if action == "arm":
            deadlines.arm(key, now)
            model[key] = now + LENGTH_S
        elif action == "disarm":
            deadlines.disarm(key)
            model.pop(key, None)
        else:
            over = deadlines.expired(now)
            assert sorted(over) == sorted(key for key, due in model.items() if due <= now)
            assert [model[key] for key in over] == sorted(model.pop(key) for key in sorted(over, key=model.__getitem__))
        assert set(deadlines) == set(model)
