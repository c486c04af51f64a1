"""Fold constants out of a statement's text, so that statements that differ in nothing else share one verdict.

Two texts with one folded text must be the same statement but for the values of constants. So the fold follows the lexer
of PostgreSQL (src/backend/parser/scan.l) where its reading is plain, and leaves the whole text alone where it is not:
backslashes and U& escapes (which setting is on?), dollar quotes, comments that nest.
"""

import re
from typing import Final

# A number that stands alone: no part of a name, of a parameter, or of another number. The digit comes before the look
# at what stands before it, because a search for a set of characters is quick.
_NUMBER: Final = rb"[0-9](?<![A-Za-z0-9_$.\x80-\xff][0-9])[0-9]*(?:\.[0-9]+)?(?![A-Za-z0-9_$.\x80-\xff])"
_numbers: Final = re.compile(_NUMBER).sub

# In their order: whichever begins first is the token, so a quote inside one of the others begins nothing.
_tokens: Final = re.compile(rb"'[^']*'|\"[^\"]*\"|--[^\n\r]*|" + _NUMBER).sub

_not_plain: Final = re.compile(rb"\\|/\*|\$(?!\d)|&['\"]").search


_latest: Final = [b"", b""]  # each text is asked about twice in a row: what it may leave, and what it writes


def fold(sql: bytes) -> bytes:
    """Return the text under which the verdict on SQL may be kept."""
    if sql != _latest[0]:
        _latest[:] = sql, _folded(sql)
    return _latest[1]


def _folded(sql: bytes) -> bytes:
    if b"'" in sql or b'"' in sql:
        return sql if _not_plain(sql) else _tokens(_token, sql)
    # Without quotes nothing hides a number but a comment, which means nothing.
    return sql if b"$" in sql and _not_plain(sql) else _numbers(b"0", sql)


def _token(match: re.Match[bytes]) -> bytes:
    token = match[0]
    match token[0]:
        case 0x27:  # '
            return b"''"
        case 0x22 | 0x2D:  # a quoted name; a comment, which must go on hiding its quotes
            return token
        case _:
            return b"0"
