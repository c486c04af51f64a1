"""Onetrip answers as PostgreSQL does, message by message, whatever a client says.

`python -m bench differential` has many more of the same conversations.
"""

from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.differential.conftest import EXCUSED
from tests.differential.conversation import conversations
from tests.differential.differences import NAMES, UnexcusedError
from tests.differential.lines import SHOWN
from tests.differential.many import Failure, reduced
from tests.differential.script import Conversation
from tests.differential.stage import Stage, open_stage
from tests.support.cluster import Origin
from tests.support.onetrip import House

CONVERSATIONS: Final = 200

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def stage(house: House, origin: Origin, request: pytest.FixtureRequest) -> Iterator[Stage]:
    with open_stage(house, origin) as opened:
        request.config.stash[EXCUSED] = opened.excused
        yield opened


@pytest.mark.parametrize("conversation", SHOWN, ids=lambda one: one.name)
def test_each_row_of_the_table_is_shown(stage: Stage, conversation: Conversation) -> None:
    stage.hold(conversation)


@pytest.mark.timeout(300)
def test_random_conversations_are_answered_as_postgresql_answers_them(stage: Stage) -> None:
    @settings(
        max_examples=CONVERSATIONS, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(conversation=conversations())
    def have(conversation: Conversation) -> None:
        if not failures:
            try:
                stage.hold(conversation)
            except UnexcusedError as error:
                failures.append(Failure(conversation, str(error)))

    failures: list[Failure] = []
    have()
    told = [reduced(stage, failure) for failure in failures]
    assert not told, f"{told[0].conversation}\n{told[0].complaint}"


def test_no_row_of_the_table_is_without_use(stage: Stage) -> None:
    assert [name for name in NAMES if not stage.excused.messages[name]] == []
