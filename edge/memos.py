"""Whole answers that an edge remembers: to what drivers and ORMs ask at connect, and to their settings.

The pool node says of an answer that it is a *fact* (`regional/facts.py`): it, and what the request did to its session,
are a function of the session's settings and perhaps of the catalogue. So the same request, by a session with the same
settings, gets the same answer, and has the same settings then. A fact about the catalogue is remembered for a while,
since DDL may go another way; all are dropped when the pool node says that something has changed.
"""

from collections.abc import Hashable, Sequence
from typing import Final

import attrs

from edge.cache.switch import Switch
from protos.bounded import Bounded
from protos.link.link_pb2 import Setting

MAX_BYTES: Final = 4 << 20  # per configuration
MAX_ANSWER_BYTES: Final = 256 << 10
CATALOG_AGE_S: Final = 30.0
MAX_REQUEST_BYTES: Final = 8 << 10
OVERHEAD_BYTES: Final = 500  # of one that is kept, beside its request and its answer


@attrs.frozen
class Settings:
    """All settings of a session."""

    settings: Sequence[Setting]
    scope: bytes
    """A digest of those that Parse reads (rules 8)."""
    state: bytes
    """A digest of all."""
    view: bytes = b""
    """A digest of those that an answer may hang on, the role among them."""
    sets_isolation: bool = False
    """Whether one of them says what isolation transactions have."""
    switches: Sequence[Switch] = ()
    """What they say of the cache."""
    is_utf8: bool = True
    """Whether that is what its client speaks."""


def size_of(request: Hashable) -> int:
    """The bytes of a request: those of a simple query, or of the parts of a group."""
    if isinstance(request, tuple):
        return sum(map(size_of, request))
    return len(request) if isinstance(request, bytes) else 0


@attrs.frozen
class Memo:
    """What a request is answered with, and leaves."""

    answer: bytes
    """Without its ReadyForQuery."""
    settings: Settings | None
    """Those that the session has then; None if they stay as they are."""
    expires_at: float
    """By the clock of `Memos`; 0.0 means not by age."""


class Memos:
    """Of one configuration at this edge."""

    def __init__(self) -> None:
        self._memos: Bounded[Hashable, Memo] = Bounded(MAX_BYTES)
        self._now = 0.0
        self.generation = 0
        """Grows whenever all are dropped: an answer that was asked for before is older than what has changed."""

    def __len__(self) -> int:
        return len(self._memos)

    def tick(self, now: float) -> None:
        """The time, in seconds of a monotonic clock."""
        self._now = now

    def get(self, key: Hashable) -> Memo | None:
        """The answer to a request; its key tells the session's settings as well."""
        memo = self._memos.get(key)
        if memo is not None and memo.expires_at and memo.expires_at <= self._now:
            self._memos.forget(key)
            return None
        return memo

    def keep(
        self, key: Hashable, answer: bytes, settings: Settings | None, *, ages: bool, request_bytes: int = 0
    ) -> None:
        """Remember an answer; ages: it is about the catalogue."""
        memo = Memo(answer, settings, self._now + CATALOG_AGE_S if ages else 0.0)
        self._memos.put(key, memo, request_bytes + len(answer) + OVERHEAD_BYTES)

    def forget_all(self) -> None:
        self._memos.clear()
        self.generation += 1
