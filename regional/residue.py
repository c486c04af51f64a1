"""What a statement may leave behind on the connection that ran it, and the SQL that takes it away.

A residue is a set of flags: the union over the statements of a lease says how the connection must be cleaned. Nothing
set means that a proof exists; whoever cannot prove sets too many. `DISCARD` is what `DISCARD ALL` removes except
prepared statements, which are shared between sessions and stay.

What no SQL removes (a seeded random generator, a loaded library, a replication origin, globals of a procedural
language) is `CLOSES`. `CATALOG` and `HIDES` leave nothing on the connection, but what we know of the database may be
wrong from here on.

The last flags are no residue: they say that a text openly asks for something which a session may not be able to keep
(rules 4), so that its client can be told.
"""

import enum
from typing import Final


class Residue(enum.IntFlag):
    """The kinds of things that outlive a transaction."""

    CLEAN = 0
    SETTINGS = enum.auto()
    """Parameters, role and session authorization."""
    LOCKS = enum.auto()
    """Advisory locks of the session."""
    CHANNELS = enum.auto()
    """LISTEN."""
    CURSORS = enum.auto()
    """Cursors WITH HOLD."""
    TEMPORARY = enum.auto()
    """Temporary objects."""
    SEQUENCES = enum.auto()
    """What currval() and lastval() would tell."""
    STATEMENTS = enum.auto()
    """SQL's own PREPARE; or DEALLOCATE, with which the shared prepared statements may have gone."""
    CATALOG = enum.auto()
    """DDL: drop the catalogue now and read it again once the lease has ended."""
    HIDES = enum.auto()
    """May have run DDL that nothing shows: what we know of the database is looked at once the lease has ended."""
    CLOSES = enum.auto()
    """Nothing but closing the connection removes it."""
    TAKES_LOCK = enum.auto()
    """Asks for an advisory lock of the session."""
    LISTENS = enum.auto()
    """LISTEN."""
    HOLDS = enum.auto()
    """DECLARE ... WITH HOLD."""
    MAKES_TEMPORARY = enum.auto()
    """CREATE TEMPORARY TABLE that outlives its transaction."""
    PREPARES = enum.auto()
    """SQL's PREPARE."""
    CHANGES_MEANING = enum.auto()
    """Alone in its text, it says for the session who asks, or where names are looked up."""
    RELEASES = enum.auto()
    """Gives back what its session may hold: CLOSE, UNLISTEN, DISCARD TEMP."""
    DISCARD = SETTINGS | LOCKS | CHANNELS | CURSORS | TEMPORARY | SEQUENCES
    UNSEEN = DISCARD | HIDES
    """What runs code of the user's that nobody has read."""
    UNKNOWN = DISCARD | STATEMENTS | CATALOG
    """A text that was not understood, or not seen whole."""

    @property
    def closes(self) -> bool:
        return _and(self, _CLOSES) != 0

    @property
    def statements_lost(self) -> bool:
        """Prepared statements may be there that are not the shared ones, or some of those may be gone."""
        return _and(self, _STATEMENTS) != 0

    @property
    def resets_settings(self) -> bool:
        """After `reset_sql` the connection has its base settings."""
        return _and(self, _SETTINGS) != 0

    @property
    def leaves_temporary(self) -> bool:
        """Temporary objects may have been made."""
        return _and(self, _TEMPORARY) != 0

    @property
    def changes_meaning(self) -> bool:
        """Statements may mean something else on this connection than elsewhere."""
        return _and(self, _MEANING) != 0

    @property
    def makes_catalog_stale(self) -> bool:
        return _and(self, _CATALOG) != 0

    @property
    def hides_ddl(self) -> bool:
        """DDL may have been run unseen."""
        return _and(self, _HIDES) != 0

    @property
    def may_run_ddl(self) -> bool:
        """DDL has been run, or may have been."""
        return _and(self, _MAY_RUN_DDL) != 0

    @property
    def needs_reset(self) -> bool:
        """Something is left that `reset_sql` takes away."""
        return _and(self, ~_NOTHING_LEFT) != 0

    @property
    def asks(self) -> bool:
        """It openly asks for what a session may not be able to keep."""
        return _and(self, _ASKS) != 0


ASKS: Final = (
    Residue.TAKES_LOCK
    | Residue.LISTENS
    | Residue.HOLDS
    | Residue.MAKES_TEMPORARY
    | Residue.PREPARES
    | Residue.CHANGES_MEANING
)
"""What is no residue."""

# Plain integers: a connection that comes back is asked these questions, and & between flags costs a microsecond.
_and: Final = int.__and__
_SETTINGS: Final = int(Residue.SETTINGS)
_STATEMENTS: Final = int(Residue.STATEMENTS)
_TEMPORARY: Final = int(Residue.TEMPORARY)
_CATALOG: Final = int(Residue.CATALOG)
_HIDES: Final = int(Residue.HIDES)
_MAY_RUN_DDL: Final = _CATALOG | _HIDES
_CLOSES: Final = int(Residue.CLOSES)
_ASKS: Final = int(ASKS)
_MEANING: Final = int(Residue.SETTINGS | Residue.TEMPORARY | Residue.STATEMENTS | Residue.CATALOG | Residue.CLOSES)
_NOTHING_LEFT: Final = _CATALOG | _HIDES | _ASKS | int(Residue.RELEASES)

# RESET ALL resets neither role nor session authorization. The role comes second: leaving a session authorization ends
# the role that was taken under it, and RESET ROLE then finds the one that ALTER ROLE ... SET role gave at login.
BASE_SETTINGS_SQL: Final = "SET SESSION AUTHORIZATION DEFAULT;RESET ROLE;RESET ALL"

# What DISCARD ALL does (src/backend/commands/discard.c). Each works inside the implicit transaction of one simple
# query, which DISCARD ALL itself does not. Settings come first, so that a client's search_path or role is out of the
# way.
_REMEDIES: Final = (
    (Residue.SETTINGS, BASE_SETTINGS_SQL),
    (Residue.CURSORS, "CLOSE ALL"),
    (Residue.STATEMENTS, "DEALLOCATE ALL"),
    (Residue.CHANNELS, "UNLISTEN *"),
    (Residue.LOCKS, "SELECT pg_catalog.pg_advisory_unlock_all()"),
    (Residue.TEMPORARY, "DISCARD TEMP"),
    (Residue.SEQUENCES, "DISCARD SEQUENCES"),
)


def reset_sql(residue: Residue) -> bytes:
    """Return the one simple query, for outside a transaction, that removes what can be; empty for nothing."""
    return ";".join(sql for flag, sql in _REMEDIES if residue & flag).encode()
