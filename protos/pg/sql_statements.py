"""SQL that is about prepared statements by name: PREPARE, EXECUTE, DEALLOCATE, DISCARD ALL.

Recognised is one statement alone in its text, where its beginning leaves no doubt under any setting: comments, white
space, the key word, a name. What cannot be read for certain is None, and is left to the origin as it is. So is a text
with a semicolon that something may stand behind, a name with a Unicode escape, and one that begins like our shared ones
(`names`), for nothing of a client's may be made under that on an origin connection.
"""

import re
from enum import Enum, auto
from typing import Final

import attrs

from protos.pg.names import PREFIX, cut

FIRST_BYTES: Final = frozenset(b"pPeEdD/- \t\n\r\f\v")
"""One of these begins every text that may be a command."""

# Nested comments and those that do not end are left alone. White space as in scan.l of PostgreSQL 15; \v since 16.
_GAP: Final = rb"(?:[ \t\n\r\f\v]|--[^\n\r]*(?:[\n\r]|\Z)|/\*(?:[^*/]|\*(?!/)|/(?!\*))*\*/)"
_NAME: Final = rb'(?:"(?P<quoted>(?:[^"]|"")+)"|(?P<plain>[A-Za-z_\x80-\xff][A-Za-z0-9_$\x80-\xff]*))'
_WORD_ENDS: Final = rb"(?![A-Za-z0-9_$\x80-\xff])"
_BEGINNING: Final = re.compile(
    rb"%(gap)s*(?:(?P<prepare>prepare)%(end)s(?!%(gap)s+transaction\b)%(gap)s*%(name)s"
    rb"|(?P<execute>execute)%(end)s%(gap)s*%(name2)s"
    rb"|(?P<deallocate>deallocate)%(end)s(?:%(gap)s+prepare(?=%(gap)s|\"))?%(gap)s*%(name3)s"
    rb"|(?P<discard>discard)%(gap)s+all)(?P<rest>.*)\Z"
    % {
        b"gap": _GAP,
        b"end": _WORD_ENDS,
        b"name": _NAME,
        b"name2": _NAME.replace(b"quoted", b"quoted2").replace(b"plain", b"plain2"),
        b"name3": _NAME.replace(b"quoted", b"quoted3").replace(b"plain", b"plain3"),
    },
    re.IGNORECASE | re.DOTALL,
)
_NOTHING: Final = re.compile(rb"%s*(?:;%s*)*\Z" % (_GAP, _GAP))
# Constants, quoted names and comments as they are whatever the settings; anything else that quotes is not for certain.
_PLAIN: Final = re.compile(
    rb"(?:[^;'\"$\\/-]|(?<![eE&])'[^'\\]*'|(?<!&)\"[^\"]*\"|\$\d+|--[^\n\r]*|/\*(?:[^*/]|\*(?!/)|/(?!\*))*\*/|-(?!-)|/(?!\*))*"
    rb"(?:;%s*)*\Z" % _GAP
)
_RESERVED: Final = frozenset({b"as", b"all", b"prepare"})


class Kind(Enum):
    PREPARE = auto()
    EXECUTE = auto()
    DEALLOCATE = auto()
    FORGET_ALL = auto()
    """DEALLOCATE ALL, DISCARD ALL."""


@attrs.frozen
class Command:
    """What a text does to the session's statements."""

    kind: Kind
    name: bytes = b""
    resets: bool = False
    """It is a DISCARD ALL, which does more."""

    @property
    def tag(self) -> str:
        """Of its CommandComplete, if it does nothing but take statements away; else empty."""
        if self.kind is Kind.FORGET_ALL:
            return "" if self.resets else "DEALLOCATE ALL"
        return "DEALLOCATE" if self.kind is Kind.DEALLOCATE else ""


def command_of(sql: bytes) -> Command | None:
    """The command that a text is, if it is one for certain."""
    match = _BEGINNING.match(sql) if sql and sql[0] in FIRST_BYTES else None
    if match is None:
        return None
    if not (_PLAIN if match["prepare"] or match["execute"] else _NOTHING).match(match["rest"]):
        return None
    if match["prepare"]:
        return _named(Kind.PREPARE, match["quoted"], match["plain"])
    if match["execute"]:
        return _named(Kind.EXECUTE, match["quoted2"], match["plain2"])
    if match["discard"] or (match["plain3"] or b"").lower() == b"all":
        return Command(Kind.FORGET_ALL, resets=match["discard"] is not None)
    return _named(Kind.DEALLOCATE, match["quoted3"], match["plain3"])


def _named(kind: Kind, quoted: bytes | None, plain: bytes | None) -> Command | None:
    if quoted is not None:
        name = cut(quoted.replace(b'""', b'"'))
        return None if name.startswith(PREFIX) else Command(kind, name)
    assert plain is not None
    # Folding a letter outside ASCII hangs on the database's locale.
    if not plain.isascii() or plain.lower() in _RESERVED:
        return None
    return Command(kind, cut(plain.lower()))
