"""Deadlines of one length: whatever was armed first expires first, so a dict in order of arming is the whole timer.

A wheel or a heap would serve any mixture of lengths; each of our limits (handshake, wait, stalled writer) has one
length for all its users, so arming and disarming cost one dict operation, and a tick looks at the oldest only.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

K = TypeVar("K")


class Deadlines(Generic[K]):
    """Keys that expire timeout_s after they were armed; 0 switches the limit off."""

    __slots__ = ("_armed", "timeout_s")

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._armed: dict[K, float] = {}

    def __len__(self) -> int:
        return len(self._armed)

    def __contains__(self, key: object) -> bool:
        return key in self._armed

    def __iter__(self) -> Iterator[K]:
        return iter(self._armed)

    def arm(self, key: K, now: float) -> None:
        """Start the time of key anew."""
        if self.timeout_s > 0:
            self._armed.pop(key, None)
            self._armed[key] = now + self.timeout_s

    def disarm(self, key: K) -> None:
        self._armed.pop(key, None)

    def expired(self, now: float) -> list[K]:
        """Take out and return the keys whose time is over."""
        over: list[K] = []
        for key, deadline in self._armed.items():
            if deadline > now:
                break
            over.append(key)
        for key in over:
            del self._armed[key]
        return over
