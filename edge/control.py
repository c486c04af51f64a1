"""Statements that begin, shape or end a transaction, as far as the edge can answer for PostgreSQL (rules 13).

Recognised is what has one meaning for every version: a single statement of these words, in any case, with blanks and
semicolons around it.

    BEGIN [WORK | TRANSACTION] [modes]                 START TRANSACTION [modes]          SET TRANSACTION modes
    COMMIT | END [WORK | TRANSACTION] [AND [NO] CHAIN]
    ROLLBACK | ABORT [WORK | TRANSACTION] [AND [NO] CHAIN]
    SAVEPOINT name                                     RELEASE [SAVEPOINT] name
    SET | RESET | SHOW onetrip.cache, onetrip.cache_status    (edge/cache/switch.py)

Modes: ISOLATION LEVEL …, READ ONLY, READ WRITE, [NOT] DEFERRABLE, with or without commas between them. A savepoint is
one that nothing has been done in: it is opened with its transaction, or released before that. All else (a comment,
ROLLBACK TO, PREPARE TRANSACTION, SET TRANSACTION SNAPSHOT, two statements in one string) is the origin's.
"""

import re
from collections.abc import Sequence
from enum import Enum, auto
from functools import lru_cache
from typing import Final

import attrs

from edge.cache.switch import Switch, Switches, switch_of

MAX_BYTES: Final = 200
MAX_MESSAGES: Final = 20  # that open a transaction
_SHAPES: Final = b"SET TRANSACTION "
# What the SQL scanner of every version skips; since version 16 it skips a vertical tab, too.
_WORDS: Final = re.compile(rb"[a-z]+|,|[^ \t\n\r\f]", re.IGNORECASE)
_BLANKS_AND_ENDS: Final = b" \t\n\r\f;"
_FIRST: Final = re.compile(
    rb"[ \t\n\r\f]*(?:begin|start|commit|end|rollback|abort|set|reset|show|savepoint|release)\b", re.IGNORECASE
)
# A name without quotes has a digit here: then it is no word of PostgreSQL's.
_SAVEPOINT: Final = re.compile(
    rb"(savepoint|release(?:[ \t\n\r\f]+savepoint)?)[ \t\n\r\f]+"
    rb"(\"[\x20\x21\x23-\x7e]{1,63}\"|(?=[a-z_]*[0-9])[a-z_][a-z_0-9]{0,62})",
    re.IGNORECASE,
)


class Verb(Enum):
    BEGIN = auto()
    SHAPE = auto()
    COMMIT = auto()
    ROLLBACK = auto()
    SAVEPOINT = auto()
    RELEASE = auto()
    SWITCH = auto()


@attrs.frozen
class Control:
    """One such statement."""

    verb: Verb
    tag: str
    """Of its CommandComplete."""
    modes: bytes = b""
    """Transaction modes, in the words of PostgreSQL's grammar."""
    chains: bool = False
    """AND CHAIN: another transaction with the same modes begins."""
    savepoint: bytes = b""
    """What makes the savepoint."""
    switch: Switch | None = None
    """What it says of the cache."""

    @property
    def opening(self) -> tuple[bytes, ...]:
        """What opens such a transaction at the origin, message by message.

        BEGIN without modes cannot fail, so what comes behind it never runs outside of a transaction.
        """
        if self.savepoint:
            return (self.savepoint,)
        shape = (_SHAPES + self.modes,) if self.modes else ()
        return (b"BEGIN", *shape) if self.verb is Verb.BEGIN else shape


def control_of(sql: bytes) -> Control | None:
    """What this text does to the transaction; None if it is not, for certain, one of those above."""
    if len(sql) > MAX_BYTES or _FIRST.match(sql) is None:
        return None
    return _parsed(sql)


@lru_cache(maxsize=1024)
def _parsed(sql: bytes) -> Control | None:
    return _savepoint(sql) or _transaction(sql) or _switch(sql)


def _switch(sql: bytes) -> Control | None:
    switch = switch_of(sql)
    return None if switch is None else Control(Verb.SWITCH, switch.tag, switch=switch)


def _savepoint(sql: bytes) -> Control | None:
    found = _SAVEPOINT.fullmatch(sql.strip(_BLANKS_AND_ENDS))
    if found is None:
        return None
    verb = Verb.SAVEPOINT if found[1].lower() == b"savepoint" else Verb.RELEASE
    name = found[2] if found[2].startswith(b'"') else b'"%s"' % found[2].lower()
    return Control(verb, verb.name, savepoint=b"SAVEPOINT " + name)


def _transaction(sql: bytes) -> Control | None:
    words = [word.upper() for word in _WORDS.findall(sql.strip(_BLANKS_AND_ENDS))]
    match words:
        case [b"BEGIN", b"WORK" | b"TRANSACTION", *rest] | [b"BEGIN", *rest]:
            return _with_modes(Verb.BEGIN, "BEGIN", rest)
        case [b"START", b"TRANSACTION", *rest]:
            return _with_modes(Verb.BEGIN, "START TRANSACTION", rest)
        case [b"SET", b"TRANSACTION", _, *_]:
            return _with_modes(Verb.SHAPE, "SET", words[2:])
        case [b"COMMIT" | b"END", b"WORK" | b"TRANSACTION", *rest] | [b"COMMIT" | b"END", *rest]:
            return _ending(Verb.COMMIT, "COMMIT", rest)
        case [b"ROLLBACK" | b"ABORT", b"WORK" | b"TRANSACTION", *rest] | [b"ROLLBACK" | b"ABORT", *rest]:
            return _ending(Verb.ROLLBACK, "ROLLBACK", rest)
    return None


def _with_modes(verb: Verb, tag: str, words: Sequence[bytes]) -> Control | None:
    modes: list[bytes] = []
    while words:
        if modes and words[0] == b",":
            words = words[1:]
        size = _mode_at(words)
        if not size:
            return None
        modes.append(b" ".join(words[:size]))
        words = words[size:]
    return Control(verb, tag, b", ".join(modes))


def _mode_at(words: Sequence[bytes]) -> int:
    """How many words the transaction mode at the beginning has; 0 if there is none."""
    match words:
        case [b"ISOLATION", b"LEVEL", b"REPEATABLE" | b"READ" as first, second, *_]:
            allowed = (b"READ",) if first == b"REPEATABLE" else (b"COMMITTED", b"UNCOMMITTED")
            return 4 if second in allowed else 0
        case [b"ISOLATION", b"LEVEL", b"SERIALIZABLE", *_]:
            return 3
        case [b"READ", b"ONLY" | b"WRITE", *_] | [b"NOT", b"DEFERRABLE", *_]:
            return 2
        case [b"DEFERRABLE", *_]:
            return 1
    return 0


def _ending(verb: Verb, tag: str, words: Sequence[bytes]) -> Control | None:
    match words:
        case [] | [b"AND", b"NO", b"CHAIN"]:
            return Control(verb, tag)
        case [b"AND", b"CHAIN"]:
            return Control(verb, tag, chains=True)
    return None


@attrs.frozen
class Held:
    """A transaction that has begun for its client, and of which the origin knows nothing yet."""

    opening: tuple[bytes, ...]
    """What opens it at the origin, message by message."""
    has_failed: bool = False
    """Its first statement was refused before it came to the origin: what follows fails until the transaction ends."""


def reads_committed(opening: Sequence[bytes], *, by_default: bool) -> bool:
    """Whether each statement of a transaction that is opened so sees what is committed then; no savepoint is in it."""
    shapes = opening[1:]
    if any(not shape.startswith(_SHAPES) or b"ABLE" in shape for shape in shapes):
        return False  # a savepoint; SERIALIZABLE, REPEATABLE READ, DEFERRABLE
    return by_default or any(b"ISOLATION LEVEL" in shape for shape in shapes)


@attrs.frozen
class Outcome:
    """What becomes of a Control that is answered at the edge."""

    tag: str
    held: Held | None
    switch: Switch | None = None
    """What is said of the cache; it changes nothing about transactions, unless it is bad."""


def outcome_of(control: Control, held: Held | None, *, is_idle: bool) -> Outcome | None:
    """What the client gets and what is held then; None if the origin has to say.

    The warnings of a BEGIN in a transaction (25001) and of a COMMIT outside of one (25P01) are the origin's.
    """
    if control.switch is not None:
        return _switched(control.tag, control.switch, held, is_idle=is_idle)
    if held is None:
        return Outcome(control.tag, Held(control.opening)) if is_idle and control.verb is Verb.BEGIN else None
    if control.verb in (Verb.COMMIT, Verb.ROLLBACK):
        return _ended(control, held)
    return None if held.has_failed else _went_on(control, held)


def _switched(tag: str, switch: Switch, held: Held | None, *, is_idle: bool) -> Outcome | None:
    if (held is not None and held.has_failed) or (switch.is_local and is_idle):
        return None
    if not switch.is_bad:
        return Outcome(tag, held, switch)
    if held is not None:
        return Outcome(tag, Held(held.opening, has_failed=True), switch)
    return Outcome(tag, None, switch) if is_idle else None  # a transaction that is open there cannot fail here


def _ended(control: Control, held: Held) -> Outcome | None:
    if control.chains and any(one.startswith(_SHAPES) for one in held.opening):
        return None  # in a chain, modes outlive an error, which those of a SET TRANSACTION do not
    tag = "ROLLBACK" if held.has_failed else control.tag
    return Outcome(tag, Held((b"BEGIN",)) if control.chains else None)


def _went_on(control: Control, held: Held) -> Outcome | None:
    opening = held.opening
    if control.verb is Verb.RELEASE:
        return Outcome(control.tag, Held(opening[:-1])) if opening[-1:] == control.opening else None
    # What may be said of a transaction in a savepoint is another matter.
    is_too_late = control.verb is Verb.SHAPE and any(one.startswith(b"SAVEPOINT") for one in opening)
    if control.verb is Verb.BEGIN or is_too_late or len(opening) >= MAX_MESSAGES:
        return None
    return Outcome(control.tag, Held(opening + control.opening))


def tell_switches(switches: Switches, outcome: Outcome, held: Held | None) -> None:
    """The transaction that was held has come to this, and has said something of the cache."""
    if switches.uncommitted is None:
        return
    if outcome.tag == "SAVEPOINT" and outcome.held is not None:
        switches.uncommitted.sent(outcome.held.opening[-1])
    elif outcome.tag == "RELEASE" and held is not None:
        switches.uncommitted.sent(b"RELEASE " + held.opening[-1])
    switches.completed(outcome.tag.encode())
