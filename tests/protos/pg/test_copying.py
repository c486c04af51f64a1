"""Which sync points a COPY swallows; against a real PostgreSQL: tests/protos/pg/test_pipeline_origin.py."""

from collections import deque

import pytest

from protos.errors import RemoteProtocolError
from protos.pg.copying import Forgone, begin_copy
from protos.pg.tags import Frontend

P, E, S, Q = Frontend.PARSE, Frontend.EXECUTE, Frontend.SYNC, Frontend.QUERY


def swallowing(number: int) -> Forgone:
    forgone = Forgone()
    for _ in range(number):
        forgone.swallow()
    return forgone


def test_what_a_copy_that_ends_well_has_swallowed_is_certain() -> None:
    forgone = swallowing(2)
    forgone.copied()
    forgone.failed(in_group=True)
    assert (forgone.is_ambiguous, forgone.take()) == (False, 2)


def test_what_one_that_fails_has_swallowed_is_not_until_all_have_their_answer() -> None:
    forgone = swallowing(2)
    forgone.failed(in_group=True)
    forgone.ready()
    for left in (1, 0):
        assert forgone.is_ambiguous
        forgone.answered_one()
        assert forgone.count == left
    assert not forgone.is_ambiguous


def test_a_query_has_its_own_answer_before_that() -> None:
    forgone = swallowing(1)
    forgone.failed(in_group=False)
    assert not forgone.is_ambiguous
    forgone.ready()
    assert forgone.is_ambiguous
    forgone.ready()
    assert (forgone.take(), forgone.is_ambiguous) == (1, False)


def test_an_error_without_a_sync_inside_leaves_no_doubt() -> None:
    forgone = Forgone()
    forgone.count += 1  # a Query that was skipped
    forgone.failed(in_group=True)
    forgone.ready()
    assert (forgone.is_ambiguous, forgone.take(), forgone.count) == (False, 1, 0)


@pytest.mark.parametrize(
    ("queue", "blind", "left", "after", "swallowed"),
    [
        ([E], 0, [E], (0, True), 0),
        ([E, S, S], 0, [E], (0, True), 2),
        ([E, S, S], 2, [E], (0, True), 2),
        ([P, E, S, Q], 2, [E, Q], (1, False), 1),
        ([Q, S, Q], 3, [Q, Q], (2, False), 1),
        ([E, S, Frontend.COPY_DONE, S], 0, [E, S], (0, False), 1),
    ],
)
def test_the_syncs_behind_its_head_are_taken_out_of_the_queue(
    queue: list[int], blind: int, left: list[int], after: tuple[int, bool], swallowed: int
) -> None:
    forgone, entries = Forgone(), deque[int | bytes](queue)
    assert begin_copy(entries, blind, forgone) == after
    assert (list(entries), forgone.count) == (left, swallowed)


@pytest.mark.parametrize("queue", [[], [S], [P, S]])
def test_nothing_else_can_turn_out_to_be_one(queue: list[int]) -> None:
    with pytest.raises(RemoteProtocolError, match="CopyInResponse"):
        begin_copy(deque(queue), 0, Forgone())
