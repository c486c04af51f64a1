"""Onetrip answers as PostgreSQL does, message by message, whatever a client says.

`python -m bench differential` has many more of the same conversations.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final

import pytest

from tests.differential.conftest import EXCUSED
from tests.differential.conversation import SET_ENDS_WITH_ITS_QUERY, SHOWN
from tests.differential.differences import NAMES
from tests.differential.many import converse
from tests.differential.script import Conversation
from tests.differential.stage import Stage, open_stage
from tests.support.cluster import Origin
from tests.support.onetrip import House

CONVERSATIONS: Final = 300
SEED: Final = 20_000
# Making a conversation small takes time; the others will fail in the next run as well.
MAX_FAILURES: Final = 3

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
    failures = list(islice(converse(stage, CONVERSATIONS, SEED), MAX_FAILURES))
    assert not failures, "\n\n".join(f"{one.conversation}\n{one.complaint}" for one in failures)


@pytest.mark.xfail(SET_ENDS_WITH_ITS_QUERY, reason="LISTEN is not refused yet", strict=True)
def test_no_row_of_the_table_is_without_use(stage: Stage) -> None:
    assert [name for name in NAMES if not stage.excused.messages[name]] == []
