"""Verdicts on texts, remembered up to so many bytes: quicker to look at than `Bounded`, which writes at each look.

Two generations stand for a least-recently-used order: what was not asked for in a whole one is forgotten.
"""

from typing import Generic, TypeVar

Verdict = TypeVar("Verdict")


class Memo(Generic[Verdict]):
    """Verdicts by text; each counts for its text and entry_bytes more."""

    __slots__ = ("_bytes", "_entry_bytes", "_max_bytes", "_older", "_recent")

    def __init__(self, max_bytes: int, *, entry_bytes: int) -> None:
        self._max_bytes = max_bytes // 2  # of a generation
        self._entry_bytes = entry_bytes
        self._recent: dict[bytes, Verdict] = {}
        self._older: dict[bytes, Verdict] = {}
        self._bytes = 0

    def get(self, text: bytes) -> Verdict | None:
        found = self._recent.get(text)
        if found is None:
            found = self._older.get(text)
            if found is not None:
                self.keep(text, found)
        return found

    def keep(self, text: bytes, verdict: Verdict) -> None:
        size = len(text) + self._entry_bytes
        self._bytes += size
        if self._bytes > self._max_bytes:
            self._older, self._recent = self._recent, {}
            self._bytes = size
        self._recent[text] = verdict

    @property
    def held_bytes(self) -> int:
        """What it may hold by now."""
        return self._bytes + self._max_bytes if self._older else self._bytes
