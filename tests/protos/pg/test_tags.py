"""Tags are bytes, and no two messages of one direction share one."""

import pytest

from protos.pg.framer import BACKEND_LIMITS, FRONTEND_LIMITS
from protos.pg.tags import STATUSES, Backend, Frontend


@pytest.mark.parametrize("direction", [Frontend, Backend])
def test_every_message_has_a_letter_or_digit_of_its_own(direction: type) -> None:
    tags = [tag for name, tag in vars(direction).items() if name.isupper()]
    assert len(set(tags)) == len(tags)
    assert all(chr(tag).isalnum() for tag in tags)


def test_every_message_has_a_limit() -> None:
    assert set(BACKEND_LIMITS) == {tag for name, tag in vars(Backend).items() if name.isupper()}
    frontend = {tag for name, tag in vars(Frontend).items() if name.isupper()}
    assert set(FRONTEND_LIMITS) == frontend - {Frontend.PASSWORD}


def test_statuses_are_those_of_ready_for_query() -> None:
    assert {ord("I"), ord("T"), ord("E")} == STATUSES
