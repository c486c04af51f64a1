"""Onetrip answers as PostgreSQL does, message by message, whatever a client says.

`python -m bench differential` has many more of the same conversations.
"""

import time
from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.differential.conftest import EXCUSED
from tests.differential.conversation import conversations
from tests.differential.differences import CACHED_READS, FORGOTTEN, NAMES, UnexcusedError
from tests.differential.lines import SHOWN
from tests.differential.many import Failure, converse, reduced
from tests.differential.modes import MODES, TRACK
from tests.differential.player import Client
from tests.differential.script import Conversation, chunk, query
from tests.differential.stage import Stage, open_stage
from tests.differential.world import World, open_world
from tests.support.cluster import Origin
from tests.support.onetrip import House

CONVERSATIONS: Final = 40
"""In the first mode; in each of the others a third of it."""
HOSTILE: Final = 10
"""In each mode."""
ATTEMPTS: Final = 40  # some rows hang on which connection the pool gives
PAUSE_S: Final = 0.2  # between them, for what the pool node does meanwhile

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def world(origin: Origin) -> Iterator[World]:
    with open_world(origin) as opened:
        yield opened


@pytest.fixture(scope="module", params=MODES)
def stage(house: House, world: World, request: pytest.FixtureRequest) -> Iterator[Stage]:
    with open_stage(house, world, MODES[request.param]) as opened:
        request.config.stash.setdefault(EXCUSED, {})[request.param] = opened.excused
        yield opened


@pytest.mark.parametrize("conversation", SHOWN, ids=lambda one: one.name)
def test_each_row_of_the_table_is_shown(stage: Stage, conversation: Conversation) -> None:
    mode, name = stage.mode, conversation.name
    if mode is TRACK or (name in NAMES and (mode.is_shown or name in mode.lacks or name in {FORGOTTEN, CACHED_READS})):
        for attempt in range(ATTEMPTS):
            time.sleep(PAUSE_S if attempt else 0)
            stage.hold(conversation)
            if name not in mode.rows or stage.excused.messages[name]:
                break
        else:
            raise AssertionError(f"nothing was excused by: {name}")


@pytest.mark.timeout(300)
def test_random_conversations_are_answered_as_postgresql_answers_them(stage: Stage) -> None:
    number = CONVERSATIONS if stage.mode is TRACK else CONVERSATIONS // 3

    @settings(
        max_examples=number, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(conversation=conversations(stage.mode))
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


@pytest.mark.timeout(60)
def test_malformed_messages_are_answered_as_postgresql_answers_them(stage: Stage) -> None:
    for failure in converse(stage, HOSTILE, list(MODES).index(stage.mode.name), is_hostile=True):
        raise AssertionError(f"{failure.conversation}\n{failure.complaint}")


def test_the_rows_of_a_mode_occur_in_it_and_no_others(stage: Stage) -> None:
    occurred = {name for name, count in stage.excused.messages.items() if count}
    assert occurred <= stage.mode.rows
    assert not stage.mode.is_shown or stage.mode.rows <= occurred


@pytest.mark.timeout(30)
def test_a_conversation_is_had_with_the_cache_or_without(stage: Stage) -> None:
    client = Client(stage.onetrip, {"options": "-c onetrip.cache_status=on"})
    read = chunk(query("select count(*) from items"))
    words = b"disabled" if "--no-caching" in stage.mode.options else b"hit"
    deadline = time.monotonic() + 20  # the catalogue is read again behind DDL
    while b"onetrip cache: " + words not in client.say(read)[0]:
        assert time.monotonic() < deadline
    client.leave()
