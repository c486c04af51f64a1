"""What is found out about a statement for the query cache: what it reads, and what it writes.

Tables go by oid, which all pool nodes of one database have in common. A view, a partitioned table, a name that stands
in several schemas are each the tables that may be meant, all of them: too many tables cost hits, one too few an answer
that is wrong.
"""

from typing import Final

import attrs


@attrs.frozen
class Reading:
    """May the answer to a statement be kept, and what was it read from?"""

    why: str = ""
    """Why not, as one of a few classes, perhaps with a detail behind a colon: `volatile function: random`."""
    tables: frozenset[int] = frozenset()

    @property
    def is_cacheable(self) -> bool:
        return not self.why


@attrs.frozen
class Writing:
    """What may no longer hold when a statement's transaction commits."""

    tables: frozenset[int] = frozenset()
    everything: bool = False
    """All answers: what it changes is not known, or is more than rows."""
    outlives_rollback: bool = False
    """What it does may stay although its transaction is rolled back: CALL, DO, COMMIT PREPARED, unknown functions."""

    def __or__(self, other: "Writing") -> "Writing":
        return Writing(
            self.tables | other.tables,
            self.everything or other.everything,
            self.outlives_rollback or other.outlives_rollback,
        )


NOTHING: Final = Writing()
EVERYTHING: Final = Writing(everything=True, outlives_rollback=True)
