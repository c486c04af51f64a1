"""What an EXECUTE found under the name in it when it was parsed.

PostgreSQL decides at Parse which rows an EXECUTE gives, if any. A Describe of the statement says that for ever,
whatever the name stands for since; a Describe of a portal, and what runs, go by the present. So a Describe of an
EXECUTE goes by a shared name that tells of what was found, too, and the pool node parses it with that in its place.

Where what was found was on its way itself, each outcome is kept until it is known which has come.
"""

from hashlib import blake2b
from typing import TYPE_CHECKING

import attrs

from protos.pg.names import PREFIX, with_name

if TYPE_CHECKING:
    from edge.meaning import Statement

Alternative = tuple[int, int, "Statement | None"]
"""Sync points and messages before the message that made it so, and what the name stands for then."""


@attrs.define(eq=False)
class Seen:
    """By one EXECUTE."""

    alternatives: list[Alternative]
    """The first whose message has happened counts; the last has, for certain."""
    kept_bytes: int = attrs.field(init=False)
    """Of the statements that are kept for it, at most."""

    def __attrs_post_init__(self) -> None:
        self.kept_bytes = sum(len(statement.parse) for _, _, statement in self.alternatives if statement is not None)

    @property
    def is_sure(self) -> bool:
        return len(self.alternatives) == 1

    def take_back(self, sync_point: int, end: int, place: int) -> None:
        """Of the messages between these sync points, those from the place on have not happened."""
        *possible, certain = self.alternatives
        left = [one for one in possible if not (sync_point, place) <= one[:2] < (end, -1)]
        self.alternatives = [*left, certain]

    def settle(self, total: int) -> None:
        """So many sync points are settled: what was sent before them has happened, or was taken back."""
        if self.alternatives[0][0] < total:
            del self.alternatives[1:]

    def as_described(self, execute: "Statement") -> "Statement":
        """The EXECUTE under the name by which it is described."""
        names = [b"" if statement is None else statement.name for _, _, statement in self.alternatives]
        places = [] if self.is_sure else [b"%d/%d" % one[:2] for one in self.alternatives]
        found = b" ".join([execute.name, *names, *places])
        name = PREFIX + blake2b(found, digest_size=16).hexdigest().encode()
        return attrs.evolve(execute, name=name, parse=with_name(execute.parse, 5, 5 + len(execute.name), name))
