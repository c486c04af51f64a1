"""Which of a client's messages an edge looks at; the bytes of all others pass.

While a request is going on, CopyData and the rest of oversized messages pass through. Between requests what belongs to
a COPY means nothing (it has failed, and its client goes on sending): PostgreSQL ignores it, and we must not borrow a
connection for it. So CopyData is looked at then, and a run is the rest of one message.

A message that ends in the middle of a string, or a Query, Close, Describe or Flush that goes on behind its end, is
refused by PostgreSQL in its place, before it does anything, and the session goes on. Strings are looked for here and at
the pool node, so a message of ours that is refused alike goes in the place of such a one.
"""

from collections.abc import Callable, Mapping
from itertools import filterfalse
from typing import Final

from protos.pg.framer import Piece
from protos.pg.messages import describe_portal, flush, sync
from protos.pg.tags import Frontend

WHOLE: Final = frozenset({
    Frontend.BIND, Frontend.CLOSE, Frontend.COPY_DONE, Frontend.COPY_FAIL, Frontend.DESCRIBE, Frontend.EXECUTE,
    Frontend.FLUSH, Frontend.FUNCTION_CALL, Frontend.PARSE, Frontend.QUERY, Frontend.SYNC, Frontend.TERMINATE,
})  # fmt: skip
VOID_BETWEEN: Final = frozenset({Frontend.COPY_DATA, Frontend.COPY_DONE, Frontend.COPY_FAIL, Frontend.FLUSH})
WHOLE_BETWEEN: Final = WHOLE | VOID_BETWEEN
_GROUPED: Final = frozenset({
    Frontend.BIND, Frontend.CLOSE, Frontend.DESCRIBE, Frontend.EXECUTE, Frontend.FLUSH, Frontend.PARSE, Frontend.SYNC,
})  # fmt: skip
ENDS: Final = frozenset({
    Frontend.COPY_DONE, Frontend.COPY_FAIL, Frontend.FUNCTION_CALL, Frontend.QUERY, Frontend.SYNC,
})  # fmt: skip
"""What ends a request."""


def sound(piece: Piece) -> Piece:
    """The message, or one in its place whose strings nobody looks for."""
    is_sound = _CHECKS.get(piece.tag)
    if is_sound is None or not piece.whole or is_sound(piece.data):
        return piece
    if piece.tag == Frontend.FLUSH or (piece.tag in _OF_TARGETS and piece.data.find(0, 6) >= 0):
        return _HAS_MORE
    if piece.tag != Frontend.QUERY:
        return _ENDS_IN_NAME
    return _ENDS_IN_SQL if piece.data.find(0, 5) < 0 else _GOES_ON


def in_utf8(piece: Piece) -> Piece:
    """The same, of a client that speaks UTF-8: words have to be that, or it is PostgreSQL that has to read them.

    It does so before it does anything with the message, and says so in the same words of any.
    """
    piece = sound(piece)
    if piece.data.isascii() or piece.tag not in _WORDS_AT or not piece.whole:
        return piece
    start = _WORDS_AT[piece.tag]
    end = piece.data.find(0, start)
    if piece.tag in (Frontend.BIND, Frontend.PARSE):
        end = piece.data.find(0, end + 1)
    words = piece.data[start : max(start, end)]
    if words.isascii():
        return piece
    bad = next(filterfalse(_is_utf8, words.split(b"\0")), None)
    return piece if bad is None else Piece(Frontend.DESCRIBE, describe_portal(bad), whole=True)


def is_refused(query: bytes, *, is_utf8: bool) -> bool:
    """Whether PostgreSQL refuses to read a Query, so it does not drop the unnamed statement. is_utf8: its client is."""
    return query in _REFUSED_QUERIES or (is_utf8 and not (query.isascii() or _is_utf8(query[5:])))


def _is_utf8(words: bytes) -> bool:
    try:
        words.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_grouped(piece: Piece) -> bool:
    """Whether it belongs to the extended protocol. A Sync with something in it is for PostgreSQL to refuse."""
    return piece.tag in _GROUPED and (piece.tag != Frontend.SYNC or piece.data == _SYNC)


def _has_two_strings(message: bytes) -> bool:
    end = message.find(0, 5)
    return end >= 0 and message.find(0, end + 1) >= 0


def _names_its_target(message: bytes) -> bool:
    """A Describe or Close; it may be one of a portal, which passes as it is."""
    return message[5:6] != b"S" or message.find(0, 6) == len(message) - 1


_ENDS_IN_SQL: Final = Piece(Frontend.QUERY, b"Q\0\0\0\5-", whole=True)
_GOES_ON: Final = Piece(Frontend.QUERY, b"Q\0\0\0\6\0\0", whole=True)
_REFUSED_QUERIES: Final = frozenset({_ENDS_IN_SQL.data, _GOES_ON.data})
_ENDS_IN_NAME: Final = Piece(Frontend.CLOSE, b"C\0\0\0\5P", whole=True)
_WORDS_AT: Final = {Frontend.BIND: 5, Frontend.CLOSE: 6, Frontend.DESCRIBE: 6, Frontend.PARSE: 5}
"""Where the words begin of messages that may go out under another name, or not at all."""
_HAS_MORE: Final = Piece(Frontend.CLOSE, b"C\0\0\0\7P\0\0", whole=True)
_OF_TARGETS: Final = frozenset({Frontend.CLOSE, Frontend.DESCRIBE})
_FLUSH: Final = flush()
_SYNC: Final = sync()
_CHECKS: Final[Mapping[int, Callable[[bytes], bool]]] = {
    Frontend.BIND: _has_two_strings,
    Frontend.CLOSE: _names_its_target,
    Frontend.DESCRIBE: _names_its_target,
    Frontend.EXECUTE: lambda message: message.find(0, 5) >= 0,
    Frontend.FLUSH: lambda message: message == _FLUSH,
    Frontend.PARSE: _has_two_strings,
    Frontend.QUERY: lambda message: message.find(0, 5) == len(message) - 1,
}
