"""What commands that run do to the names of a session's statements.

A command (PREPARE, EXECUTE, DEALLOCATE, DISCARD ALL) runs as a Query, or as an Execute of a portal whose statement is
one; an EXECUTE runs what its name stands for, which may be a command, too. Where a name hangs on what is still on its
way, it may be one command or another: each is done under the conditions under which it is the one that runs. So it is
where a portal is bound anew by a message that may fail: then the portal is what it was.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from edge.conditions import (
    CERTAIN,
    MAX_CASES,
    Condition,
    Conditions,
    after_failure,
    cases,
    expects_success,
    joined,
    too_many,
)
from edge.meaning import Script
from edge.registry import Registry
from protos.pg.sql_statements import Kind

# That run a command, in one transaction. What one beyond does to a name is not noted.
MAX_PORTALS: Final = 1_000
# Commands that run one another.
_MAX_NESTED: Final = 16
# Of all that one message may come to, also where it comes to nothing: each name in between may have several meanings.
MAX_STEPS: Final = MAX_CASES * _MAX_NESTED

Run = tuple[Conditions, Script | None]
"""What runs under these conditions; None if that is no command."""


@attrs.frozen
class Bound:
    """A Bind of a portal."""

    condition: Condition
    runs: Sequence[Run]


class Commands:
    """Of one session."""

    __slots__ = ("_registry", "_told", "portals")

    def __init__(self, registry: Registry, told: dict[bytes, bytes]) -> None:
        """told: names of statements that the session has been told something of."""
        self._registry = registry
        self._told = told
        self.portals: dict[bytes, list[Bound]] = {}
        """That may run a command, the latest last; some may be gone by now, at the origin."""

    def of(self, name: bytes) -> Sequence[Run]:
        """What runs if the statement of this name is executed, where there is one."""
        registry = self._registry
        if not registry.is_in_doubt(name):
            statement = registry.present(name)
            return [] if statement is None else [(CERTAIN, statement.script)]
        # Where there is none, what executes it fails, and nothing that is noted for another case has happened.
        found = [(conditions, one.script) for conditions, one in registry.alternatives(name) if one is not None]
        scripts = {script for _, script in found}
        return cases(found) if len(scripts) > 1 else [(CERTAIN, script) for script in scripts]

    def bound(self, portal: bytes, runs: Sequence[Run]) -> None:
        """A Bind of this portal goes out."""
        if portal not in self.portals and all(script is None for _, script in runs):
            return
        registry = self._registry
        before = self.portals.pop(portal, [])
        kept = [one for one in before[:-1] if one.condition.sync_point >= registry.settled][-MAX_CASES:]
        self.portals[portal] = [*kept, *before[-1:], Bound(Condition(registry.asked, registry.place), runs)]
        if len(self.portals) > MAX_PORTALS:
            del self.portals[next(iter(self.portals))]

    def failed(self, sync_point: int, end: int, place: int) -> None:
        """Of the messages between these sync points, those from the place on have not happened."""
        knowledge = after_failure(sync_point, end, place)
        for portal, several in list(self.portals.items()):
            self.portals[portal] = [one for one in several if knowledge((one.condition,)) is not None]
            if not self.portals[portal]:
                del self.portals[portal]

    def executed(self, portal: bytes) -> None:
        """An Execute of this portal goes out."""
        alternatives: list[tuple[Conditions, Sequence[Run]]] = []
        for one in reversed(self.portals.get(portal, ())):
            is_known = not self._registry.settled <= one.condition.sync_point < self._registry.asked
            alternatives.append((CERTAIN if is_known else (one.condition,), one.runs))
            if is_known:
                break
        found = [
            (joined(*conditions, *more), script)
            for conditions, runs in cases(alternatives)
            for more, script in runs or [(CERTAIN, None)]
        ]
        self.run([(conditions, script) for conditions, script in found if conditions is not None])

    def run(self, runs: Sequence[Run]) -> None:
        """A command goes out; it is taken for done."""
        steps = iter(range(MAX_STEPS))
        ends = [end for conditions, script in runs for end in self._ends(script, conditions, (), steps)]
        if len(ends) > MAX_CASES:
            raise too_many()
        if len({script for _, script in ends}) == 1:
            ends = [(CERTAIN, ends[0][1])]  # or it fails
        for conditions, script in ends:
            if script is not None:
                self._done(script, conditions)

    def _done(self, script: Script, conditions: Conditions) -> None:
        command = script[0]
        if expects_success(conditions):
            if command.kind is Kind.FORGET_ALL:
                self._told.clear()
            elif command.kind is Kind.DEALLOCATE:
                self._told.pop(command.name, None)
        self._registry.ran(script, conditions)

    def _ends(
        self, script: Script | None, conditions: Conditions, within: tuple[bytes, ...], steps: Iterator[int]
    ) -> Iterator[Run]:
        """What it comes to: what an EXECUTE runs."""
        if next(steps, None) is None:
            raise too_many()
        if script is None or script[0].kind is not Kind.EXECUTE:
            yield conditions, script
            return
        name = script[0].name
        if name in within or len(within) == _MAX_NESTED:
            return  # PostgreSQL gives up, too
        for more, inner in self.of(name):
            both = joined(*conditions, *more)
            if both is not None:
                yield from self._ends(inner, both, (*within, name), steps)
