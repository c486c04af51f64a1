"""What an EXECUTE found under the name in it when it was parsed.

PostgreSQL decides at Parse which rows an EXECUTE gives, if any. A Describe of the statement says that for ever,
whatever the name stands for since; a Describe of a portal, and what runs, go by the present. So a Describe of an
EXECUTE goes by a shared name that tells of what was found, too, and the pool node parses it with that in its place.
What was found may be an EXECUTE itself, and is parsed with what that has found.

Where what was found was on its way itself, each outcome is kept until it is known which has come.
"""

from collections.abc import Iterator
from hashlib import blake2b
from itertools import count
from typing import TYPE_CHECKING

import attrs

from edge.conditions import CERTAIN, Conditions, Knowledge, joined
from protos.pg.names import PREFIX, with_name

if TYPE_CHECKING:
    from edge.meaning import Statement

Alternative = tuple[Conditions, "Statement | None"]
"""What a name stands for under these conditions."""

_numbers = count()


@attrs.frozen
class Step:
    """A name that is to stand for what was found."""

    name: bytes
    alternatives: list[Alternative]
    may_stay: bool
    """Whether it is left as it is where none of them counts."""


@attrs.define(eq=False)
class Seen:
    """By one EXECUTE."""

    alternatives: list[Alternative]
    """The first whose conditions hold counts; the last holds, for certain."""
    kept_bytes: int = attrs.field(init=False)
    """Of the statements that are kept for it, at most."""
    steps: int = attrs.field(init=False)
    """How many there are to its description, at most."""
    _number: bytes = attrs.field(init=False, factory=lambda: b"%d" % next(_numbers))

    def __attrs_post_init__(self) -> None:
        found = [statement for _, statement in self.alternatives if statement is not None]
        self.kept_bytes = sum(statement.kept_bytes for statement in found)
        self.steps = 1 + sum(statement.seen.steps for statement in found if statement.seen is not None)

    @property
    def is_sure(self) -> bool:
        return len(self.alternatives) == 1

    def learn(self, knowledge: Knowledge) -> None:
        """More is known of what has happened."""
        left: list[Alternative] = []
        for conditions, statement in self.alternatives:
            remaining = knowledge(conditions)
            if remaining is not None:
                left.append((remaining, statement))
                if not remaining:
                    break
        self.alternatives = left

    def as_described(self, execute: "Statement") -> "Statement":
        """The EXECUTE under the name by which it is described."""
        names = [b"" if one is None else _described(one).name for _, one in self.alternatives]
        number = b"" if self.is_sure else self._number
        name = PREFIX + blake2b(b" ".join([execute.name, *names, number]), digest_size=16).hexdigest().encode()
        return attrs.evolve(execute, name=name, parse=with_name(execute.parse, 5, 5 + len(execute.name), name))


def _described(statement: "Statement") -> "Statement":
    return statement if statement.seen is None else statement.seen.as_described(statement)


def steps_of(statement: "Statement", conditions: Conditions = CERTAIN) -> Iterator[Step]:
    """What is to be made, one after the other, so that this statement, parsed next, finds what it has found.

    conditions: those under which it is the one to be parsed.
    """
    if statement.seen is None or statement.script is None:
        return
    alternatives: list[Alternative] = []
    for more, found in statement.seen.alternatives:
        both = joined(*conditions, *more)
        if both is not None:
            alternatives.append((both, found))
    for both, found in reversed(alternatives):  # the first of them that counts is made last
        if found is not None:
            yield from steps_of(found, both)
    yield Step(statement.script[0].name, alternatives, may_stay=bool(alternatives[-1][0]))
