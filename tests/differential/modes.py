"""Configurations in which conversations are played, and which rows of the table of differences each of them has.

The table shrinks with what is switched off: a mode names the rows that do not occur in it, and they excuse nothing
there. In `reset`, PostgreSQL is held to forget as Onetrip does: its client resets what it has set whenever no
transaction is open, so whatever else the sessions answer has to be equal again.
"""

from collections.abc import Sequence
from typing import Final

import attrs

from tests.differential.differences import (
    CACHED_READS,
    FORGOTTEN,
    NAMES,
    PORTAL_OF_BEGIN,
    PREPARED_HERE,
    REFUSED,
    SQL_PREPARE,
    TEMPORARY,
)

TRICKS: Final = frozenset({PORTAL_OF_BEGIN, PREPARED_HERE})
"""What is there because the edge answers by itself."""
OF_SHARING: Final = frozenset({REFUSED, TEMPORARY, SQL_PREPARE})
"""What is there because a session has no connection of its own."""

_NOT_EARLY: Final = ("--no-early-begin", "--no-early-prepare", "--no-early-settings", "--no-early-catalog")


@attrs.frozen
class Mode:
    """One configuration."""

    name: str
    options: Sequence[str] = ()
    """Of `onetrip config create`."""
    lacks: frozenset[str] = frozenset({FORGOTTEN, CACHED_READS})
    """Rows that do not occur."""
    forgets: bool = False
    """Whether what a session sets ends with its transaction."""
    pins: bool = False
    """Whether a session may hold what only its own connection has."""
    is_shown: bool = False
    """Whether the tests show that all of its rows occur; of other modes, that those which they lack do not."""
    reads: int = 1
    """How much of what is said are reads that may be answered from the cache, besides five of other things."""

    @property
    def rows(self) -> frozenset[str]:
        """The names of the rows that it has."""
        return frozenset(NAMES) - self.lacks


TRACK: Final = Mode("track", is_shown=True)
PLAIN: Final = Mode("plain", (*_NOT_EARLY, "--no-caching"), lacks=TRACK.lacks | TRICKS)
RESET: Final = Mode("reset", ("--session-state", "reset"), lacks=frozenset({CACHED_READS}), forgets=True)
PIN: Final = Mode("pin", ("--session-state", "pin"), lacks=TRACK.lacks | OF_SHARING, pins=True)
PLAIN_PIN: Final = Mode(
    "plain-pin", (*PIN.options, *PLAIN.options), lacks=PLAIN.lacks | PIN.lacks, pins=True, is_shown=True
)
# Nothing is renewed behind a conversation's back, for the database is made fresh past Onetrip.
CACHED: Final = Mode("cached", ("--cache-in-transactions", "--swr", "0"), lacks=frozenset({FORGOTTEN}), reads=5)

MODES: Final = {mode.name: mode for mode in (TRACK, PLAIN, RESET, PIN, PLAIN_PIN, CACHED)}
