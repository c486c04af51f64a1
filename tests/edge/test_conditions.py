"""What hangs on outcomes: of alternatives exactly one is the case, whatever happens."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.conditions import (
    CERTAIN,
    MAX_CASES,
    Condition,
    Conditions,
    after_failure,
    after_settling,
    cases,
    expects_success,
    joined,
)
from protos.errors import StatementMemoryError

GROUPS: Final = 3
PLACES: Final = 3
CONDITIONS: Final = st.builds(Condition, st.integers(0, GROUPS - 1), st.integers(0, PLACES - 1), st.booleans())
#: At which place each group fails; PLACES means that it does not.
OUTCOMES: Final = st.lists(st.integers(0, PLACES), min_size=GROUPS, max_size=GROUPS)


def hold(conditions: Conditions, fails_at: list[int]) -> bool:
    return all((one.place < fails_at[one.sync_point]) is one.happens for one in conditions)


@given(st.lists(CONDITIONS), OUTCOMES)
def test_what_is_joined_holds_where_each_does(conditions: list[Condition], fails_at: list[int]) -> None:
    both = joined(*conditions)
    assert (both is not None and hold(both, fails_at)) == hold(tuple(conditions), fails_at)


@given(st.lists(st.lists(CONDITIONS, max_size=2), max_size=3), OUTCOMES)
def test_one_case_counts_and_it_is_the_first_alternative_that_holds(
    alternatives: list[list[Condition]], fails_at: list[int]
) -> None:
    numbered = [(tuple(one), number) for number, one in enumerate(alternatives)] + [(CERTAIN, len(alternatives))]
    expected = next(number for conditions, number in numbered if hold(conditions, fails_at))
    assert [number for conditions, number in cases(numbered) if hold(conditions, fails_at)] == [expected]


@given(st.lists(CONDITIONS), OUTCOMES)
def test_when_all_is_known_nothing_is_left_to_hang_on(conditions: list[Condition], fails_at: list[int]) -> None:
    left: Conditions | None = tuple(conditions)
    for sync_point, place in enumerate(fails_at):
        if left is not None and place < PLACES:
            left = after_failure(sync_point, sync_point + 1, place)(left)
        if left is not None:
            left = after_settling(sync_point + 1)(left)
    assert left == (CERTAIN if hold(tuple(conditions), fails_at) else None)


def test_a_failure_may_end_more_than_one_group() -> None:
    knowledge = after_failure(1, 3, 2)
    assert knowledge((Condition(1, 1), Condition(1, 2, happens=False), Condition(2, 0, happens=False))) == (
        Condition(1, 1),
    )
    assert knowledge((Condition(2, 0),)) is None


def test_what_expects_no_failure_is_the_case_if_all_goes_well() -> None:
    assert expects_success(CERTAIN)
    assert expects_success((Condition(1, 1),))
    assert not expects_success((Condition(1, 1), Condition(2, 1, happens=False)))


def test_the_number_of_cases_is_bounded() -> None:
    with pytest.raises(StatementMemoryError):
        cases(((Condition(number, 0),), number) for number in range(MAX_CASES + 1))
