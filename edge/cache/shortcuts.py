"""Requests that are answered from the cache as they stand, so that nobody has to take them apart.

A simple query that comes alone is its own key. A group of extended messages costs ten times as much: it has to be cut,
each message looked at, the answer put together. Drivers send the same bytes again and again, so the bytes of a whole
group, from its Parse of the unnamed statement or its Bind to its Sync, are a key as well: with what the statement's
name stands for in the session, and what the session was told of it. What is found is the answer as it was put together
then; whether it may be served is asked each time.
"""

from collections.abc import Hashable
from struct import Struct
from typing import TYPE_CHECKING, Final

import attrs

from protos.pg.framer import Piece
from protos.pg.tags import Frontend

if TYPE_CHECKING:
    from edge.cache.answers import Answer
    from edge.cache.reader import Reader
    from edge.statements import Statements

MAX_BYTES: Final = 8 << 10  # of request and answer; what is longer takes the long way, which hardly matters then
MAX_OF_AN_ANSWER: Final = 4
_HEADER: Final = Struct(">BI")
_NAME: Final = 5  # where that of a Parse's statement or a Bind's portal begins


@attrs.frozen
class Shortcut:
    """From a request's bytes to its answer."""

    answer: "Answer"
    composed: bytes
    """What the client gets, without ReadyForQuery."""
    parse_bytes: int
    """The length of the Parse that it begins with; 0 for none."""


class Shortcuts:
    """Of one configuration; each goes with its answer."""

    def __init__(self) -> None:
        self.by_key: dict[Hashable, Shortcut] = {}
        self._keys: dict[Hashable, list[Hashable]] = {}  # by the keys of their answers

    def __len__(self) -> int:
        return len(self.by_key)

    def add(self, key: Hashable, request_bytes: int, shortcut: Shortcut) -> int:
        """Remember one; the bytes that it takes, 0 if it is not worth it."""
        size = 2 * request_bytes + len(shortcut.composed)
        keys = self._keys.setdefault(shortcut.answer.key, [])
        if size > MAX_BYTES or len(keys) >= MAX_OF_AN_ANSWER or key in self.by_key:
            return 0
        keys.append(key)
        self.by_key[key] = shortcut
        return size

    def forget(self, answer_key: Hashable) -> None:
        """An answer is gone."""
        for key in self._keys.pop(answer_key, ()):
            del self.by_key[key]


def is_one_query(data: bytes) -> bool:
    """Whether these are the bytes of a simple query, and no others."""
    return len(data) > _HEADER.size and data[-1] == 0 and _HEADER.unpack_from(data)[1] == len(data) - 1


def key_of(data: bytes, view: bytes, statements: "Statements") -> tuple[bytes, ...] | None:
    """By what a whole group of messages is known, whatever its client calls the statement; None if by nothing."""
    if len(data) <= _NAME or data[_NAME]:
        return None  # not all of it is there, or it makes something of a name
    if data[0] == Frontend.PARSE:
        return (view, data)
    end = data.find(0, _NAME + 1)
    statement, told = statements.meant(data[_NAME + 1 : end])
    return None if statement is None else (view, statement.name, told, data[end:])


def serve_whole(data: bytes, reader: "Reader", statements: "Statements") -> bytes | None:
    """What the client gets to a whole request, without ReadyForQuery, if there is an answer that may be served now."""
    if data[0] == Frontend.QUERY:
        answer = reader.recall(data[5:-1]) if is_one_query(data) else None
        if answer is None or answer.slices:  # a long one is not written at once
            return None
        statements.queried_here()
        reader.serve(answer)
        return answer.body
    shortcut = reader.shortcut(key_of(data, reader.settings.view, statements))
    if shortcut is None:
        return None
    if shortcut.parse_bytes:
        statements.changed_here((Piece(Frontend.PARSE, data[: shortcut.parse_bytes], whole=True),))
    reader.serve(shortcut.answer)
    return shortcut.composed
