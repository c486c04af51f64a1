"""Requests that were answered from the cache in the same words before, so that nobody has to take them apart again.

A group of extended messages costs ten times what a simple query does: it has to be cut, each message looked at, the
answer put together. Drivers send the same bytes again and again, so the bytes of a whole group, from its Parse of the
unnamed statement or its Bind to its Sync, are a key of their own: with what the statement's name stands for in the
session, and what the session was told of it. What is found is the answer as it was put together then; whether it may
be served is asked each time.
"""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from edge.cache.answers import Answer

MAX_BYTES: Final = 8 << 10  # of request and answer; what is longer takes the long way, which hardly matters then
MAX_OF_AN_ANSWER: Final = 4


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
