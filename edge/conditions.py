"""What hangs on messages whose outcome is still on its way.

A message is known by its place in the session's stream: how many sync points were sent before it on this channel, and
how many messages since. It happens, or it does not: an error ends its group, and what stands there from the failed
message on has not happened. `Conditions` hold if each of their messages comes out as they say.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, TypeVar

import attrs

from protos.errors import StatementMemoryError

# That one use of a name comes to; what bytes of a client cost must not grow with a power of them.
MAX_CASES: Final = 16

Value = TypeVar("Value")


@attrs.frozen
class Condition:
    """That a message happens, or that it does not."""

    sync_point: int
    place: int
    happens: bool = True

    @property
    def opposite(self) -> "Condition":
        return attrs.evolve(self, happens=not self.happens)


Conditions = tuple[Condition, ...]
"""All of them have to hold."""

CERTAIN: Final[Conditions] = ()

Knowledge = Callable[[Conditions], Conditions | None]
"""What is left of conditions when more is known; None if they do not hold."""


def joined(*conditions: Condition) -> Conditions | None:
    """All of these, without those that others imply; None if they cannot hold together."""
    places: dict[tuple[int, bool], int] = {}
    for one in conditions:
        key = (one.sync_point, one.happens)
        nearest = max if one.happens else min  # what happens has all of its group before it happen, too
        places[key] = nearest(places.get(key, one.place), one.place)
    for (sync_point, happens), place in places.items():
        if happens and places.get((sync_point, False), place + 1) <= place:
            return None
    return tuple(Condition(sync_point, place, happens) for (sync_point, happens), place in sorted(places.items()))


def expects_success(conditions: Conditions) -> bool:
    """Whether they hold if all goes well."""
    return all(one.happens for one in conditions)


def cases(alternatives: Iterable[tuple[Conditions, Value]]) -> list[tuple[Conditions, Value]]:
    """Of alternatives of which the first that holds counts: each under conditions that exclude the others."""
    result: list[tuple[Conditions, Value]] = []
    others: list[Conditions] = [()]  # under each of these none of the earlier ones counts
    for conditions, value in alternatives:
        held = [joined(*other, *conditions) for other in others]
        result += [(both, value) for both in held if both is not None]
        failed = [
            joined(*other, *conditions[:index], one.opposite)
            for other in others
            for index, one in enumerate(conditions)
        ]
        others = [both for both in failed if both is not None]
        if len(result) + len(others) > MAX_CASES:
            raise too_many()
    return result


def too_many() -> StatementMemoryError:
    """The session may not go on."""
    return StatementMemoryError(detail=f"What one command does hangs on more than {MAX_CASES} outcomes.")


def after_failure(sync_point: int, end: int, place: int) -> Knowledge:
    """Of the messages between these sync points, those from the place on have not happened."""

    def outcome(one: Condition) -> bool | None:
        is_behind = sync_point <= one.sync_point < end and (one.sync_point > sync_point or one.place >= place)
        return False if is_behind else None

    return partial(_left, outcome)


def after_settling(total: int) -> Knowledge:
    """So many sync points are settled: what was sent before and is not known to have failed has happened."""
    return partial(_left, lambda one: True if one.sync_point < total else None)


def _left(outcome: Callable[[Condition], bool | None], conditions: Conditions) -> Conditions | None:
    left: list[Condition] = []
    for one in conditions:
        happened = outcome(one)
        if happened is None:
            left.append(one)
        elif happened is not one.happens:
            return None
    return tuple(left)
