"""What one session must see: a small model of PostgreSQL's session state, and of the three kinds of `session_state`.

Theory of operation: `Held` is everything that a session can have set, made, locked, listened to or prepared, twice: as
it is for the session (`kept`), and as it is visible now, which differs by what is SET LOCAL. A transaction keeps a copy
of it from its begin, and one for each savepoint. When a transaction ends, `Model.ended` says what is left, and that is
where the modes differ: in `pin` all of it, in `track` the settings, in `reset` nothing.

Each session has a number of its own, never used again, and everything that it puts anywhere contains its mark. So
whatever carries another mark is a leak, whoever left it; and whatever is not as the model says is lost or kept wrongly.
"""

import copy
from typing import Final

import attrs

#: Settings of each session, and whether the origin reports them.
TEXTS: Final = ("application_name", "app.x", "app.y")
NAMES: Final = (*TEXTS, "geqo_pool_size", "TimeZone", "search_path", "role")
REPORTED: Final = ("application_name", "TimeZone")
MEANINGS: Final = frozenset({"search_path", "role"})
"""What `reset` refuses outside a transaction."""

# Not transactional: what was done stays done after a rollback.
_LASTING: Final = ("locks", "prepared", "shown", "unseen")


@attrs.define
class Held:
    """What a session has at one moment."""

    settings: dict[str, str]
    """As SET leaves them."""

    visible: dict[str, str]
    """As SHOW gives them."""

    locks: frozenset[int] = frozenset()
    channels: frozenset[str] = frozenset()
    pending: frozenset[str] = frozenset()
    """Channels of this transaction's LISTEN; they begin with its COMMIT."""

    shadow: str = ""
    """What the session's temporary table contains; empty if there is none."""

    cursor: str = ""
    """What its cursor WITH HOLD gives."""

    prepared: str = ""
    """What its statement of SQL's PREPARE gives."""

    shown: str = ""
    """The same, where the connection has it, or else empty."""

    unseen: bool = False
    """Whether a function has made it, so that only the connection has it."""

    def copy(self) -> "Held":
        return attrs.evolve(self, settings=dict(self.settings), visible=dict(self.visible))

    @property
    def pins(self) -> bool:
        """Whether there is anything that only its connection has."""
        return bool(self.locks or self.channels or self.pending or self.shadow or self.cursor or self.shown)


class Model:
    """Of one session."""

    def __init__(self, mode: str, number: int, slot: int, start: dict[str, str], *, bases: dict[str, str]) -> None:
        """start: the settings with which it begins; bases: those of its connections."""
        self.mode = mode
        self.number = number
        self.slot = slot
        self.start = start
        self.bases = bases
        self.now = Held(dict(start), dict(start))
        self.begun: Held | None = None
        self.savepoint: Held | None = None
        self.has_failed = False
        self.statements: dict[str, str] = {}
        """Statements of the protocol, by name, with what their constant says; empty if they may be gone."""
        self.reported: dict[str, str] = {}
        """What may have been reported although it is not so: DISCARD ALL tells of the login, not of the startup."""
        self.drawn: set[str] = set()
        """What it has drawn from the sequence."""
        self.counter = 0

    @property
    def mark(self) -> str:
        return f"s{self.number:06d}"

    @property
    def in_transaction(self) -> bool:
        return self.begun is not None

    def word(self) -> str:
        """A new word that nobody else has."""
        self.counter += 1
        return f"{self.mark}-{self.counter}"

    def value_for(self, name: str) -> str:
        """A value for a setting that tells whose it is."""
        if name == "geqo_pool_size":
            self.counter += 1
            return str(self.number * 1000 + self.counter % 1000)
        if name == "TimeZone":
            self.counter += 1
            return f"<S{self.number:06d}>{self.counter % 13}"
        if name == "search_path":
            return f"leak_s{self.slot}, public"
        return f"leak_r{self.slot}" if name == "role" else self.word()

    # --- statements ---

    def set(self, name: str, value: str, *, local: bool = False) -> None:
        """SET, or SET LOCAL."""
        self.now.visible[name] = value
        if not local:
            self.now.settings[name] = value

    def reset(self, name: str) -> None:
        """RESET."""
        self.now.settings[name] = self.now.visible[name] = self.start[name]

    @property
    def may_discard_all(self) -> bool:
        """An application's own parameter that was given at startup reads '' after it, which differs by design."""
        return not self.start["app.x"]

    def reset_all(self) -> None:
        """RESET ALL, which leaves the role."""
        for name in NAMES:
            if name != "role":
                self.reset(name)

    def discard_all(self) -> None:
        """DISCARD ALL."""
        self.reported |= self.bases
        self.now = Held(dict(self.start), dict(self.start))
        self.statements = {}

    # --- transactions ---

    def begin(self) -> None:
        self.begun = self.now.copy()

    def save(self) -> None:
        """SAVEPOINT; there is one at most."""
        self.savepoint = self.now.copy()

    def back_to_savepoint(self) -> None:
        """ROLLBACK TO."""
        assert self.savepoint is not None
        self._back(self.savepoint.copy())
        self.has_failed = False

    def end(self, *, commit: bool) -> None:
        """COMMIT, or ROLLBACK."""
        assert self.begun is not None
        if not commit or self.has_failed:
            self._back(self.begun)
        self.begun = self.savepoint = None
        self.has_failed = False
        self.ended()

    def _back(self, before: Held) -> None:
        lasting = {name: getattr(self.now, name) for name in _LASTING}
        self.now = attrs.evolve(before, **lasting)

    def ended(self) -> None:
        """A transaction has ended, a statement's own one too, and the connection has gone back if it may."""
        if self.in_transaction:
            return
        now = self.now
        now.channels |= now.pending
        now.pending = frozenset()
        now.visible = dict(now.settings)
        if self.mode == "reset":
            self.now = Held(dict(self.start), dict(self.start), prepared="" if now.unseen else now.prepared)
        elif self.mode == "track":
            self.now = Held(dict(now.settings), dict(now.settings), prepared="" if now.unseen else now.prepared)

    # --- what must be seen ---

    def expected(self) -> dict[str, str]:
        """What `PROBE` must give, by column."""
        now = self.now
        words = {name: now.visible[name] for name in NAMES}
        path = now.visible["search_path"]
        words["mine"] = str(self.slot) if path.startswith("leak_s") else "-1"
        words["locks"] = ",".join(map(str, sorted(now.locks)))
        words["channels"] = ",".join(sorted(now.channels))
        words["shadow"] = now.shadow or "public"
        words["temporary"] = "leak_shadow" if now.shadow else ""
        words["cursors"] = now.cursor
        words["prepared"] = now.shown
        return words


_WORD_IN: Final = "substring(statement FROM 's[0-9]{6}-[0-9]+')"
_SHOWN: Final = (
    *(f"coalesce(current_setting('{name}', true), '')" for name in NAMES),
    "(SELECT number::text FROM mine)",
    "(SELECT coalesce(string_agg(objid::text, ',' ORDER BY objid), '') FROM pg_locks"
    " WHERE locktype = 'advisory' AND pid = pg_backend_pid())",
    "(SELECT coalesce(string_agg(c, ',' ORDER BY c), '') FROM pg_listening_channels() AS c)",
    "(SELECT mark FROM leak_shadow)",
    "(SELECT coalesce(string_agg(relname::text, ',' ORDER BY relname), '') FROM pg_class"
    " WHERE relnamespace = pg_my_temp_schema() AND relkind = 'r')",
    f"(SELECT coalesce(string_agg({_WORD_IN}, ','), '') FROM pg_cursors WHERE is_holdable)",
    f"(SELECT coalesce(string_agg({_WORD_IN}, ','), '') FROM pg_prepared_statements WHERE from_sql)",
)
PROBE: Final = f"SELECT {', '.join(_SHOWN)}"
"""Asks for all of it. It leaves nothing itself: else the connection would be cleaned for its sake."""


def copied(model: Model) -> Model:
    """A model to try a statement on."""
    return copy.deepcopy(model)
