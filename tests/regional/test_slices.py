"""Work in slices, done at once."""

import pytest

from regional.slices import Slices, at_once


def test_what_the_work_returns_is_its_result() -> None:
    done: list[int] = []

    def work() -> Slices[str]:
        for number in range(3):
            done.append(number)
            yield
        return "result"

    assert at_once(work()) == "result"
    assert done == [0, 1, 2]


def test_what_it_raises_is_raised() -> None:
    def work() -> Slices[str]:
        yield
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        at_once(work())
