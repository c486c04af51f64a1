"""Many conversations in a run, the failed ones made small."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Final

import attrs

from tests.differential.conversation import Author
from tests.differential.differences import UnexcusedError
from tests.differential.hostile import Foe
from tests.differential.script import Chunk, Conversation
from tests.differential.stage import Stage

MAX_TRIALS: Final = 100


@attrs.frozen
class Failure:
    """A conversation that was not answered equally, made as small as it went."""

    conversation: Conversation
    complaint: str


def converse(
    stage: Stage,
    number: int,
    seed: int,
    on_progress: Callable[[int], object] = lambda _: None,
    *,
    is_hostile: bool = False,
) -> Iterator[Failure]:
    """Have so many conversations; gives those that failed, the same complaint once."""
    seen = set[str]()
    for done in range(number):
        random = Random(f"{seed}/{done}")
        conversation = (Foe(random) if is_hostile else Author(random, stage.mode)).conversation()
        try:
            stage.hold(conversation)
        except UnexcusedError as error:
            if (complaint := str(error)) not in seen:
                seen.add(complaint)
                yield reduced(stage, Failure(conversation, complaint))
        on_progress(done + 1)


def complaint_of(stage: Stage, conversation: Conversation) -> str:
    """What is not equal; empty if all is."""
    excused, stage.excused = stage.excused, stage.nothing_excused()
    try:
        stage.hold(conversation)
    except UnexcusedError as error:
        return str(error)
    finally:
        stage.excused = excused
    return ""


def reduced(stage: Stage, failure: Failure) -> Failure:
    """Leave out steps, then messages but for Syncs, as long as it fails. What goes well this time stays as it is."""
    trials = 0
    progress = bool(complaint_of(stage, failure.conversation))
    while progress:
        progress = False
        for smaller in _smaller(failure.conversation):
            trials += 1
            if trials > MAX_TRIALS:
                return failure
            if complaint := complaint_of(stage, smaller):
                failure, progress = Failure(smaller, complaint), True
                break
    return failure


def _smaller(conversation: Conversation) -> Iterator[Conversation]:
    steps = conversation.steps
    for size in (4, 2, 1):
        for at in range(len(steps) - size, -1, -1):
            yield attrs.evolve(conversation, steps=steps[:at] + steps[at + size :])
    for at, step in enumerate(steps):
        if isinstance(step, Chunk) and not step.topic:
            for index in range(len(step.says) - 1, -1, -1):
                if len(step.says) > 1 and step.says[index].name != "sync":
                    says = step.says[:index] + step.says[index + 1 :]
                    yield attrs.evolve(
                        conversation, steps=(*steps[:at], attrs.evolve(step, says=says), *steps[at + 1 :])
                    )
    if conversation.parameters:
        yield attrs.evolve(conversation, parameters=())
