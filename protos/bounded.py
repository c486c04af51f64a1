"""A memory of so many bytes, in which the least recently used makes room."""

from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Bounded(Generic[Key, Value]):
    """Values by key, each with the bytes that it counts for."""

    __slots__ = ("_max_bytes", "_values", "bytes")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._values: dict[Key, tuple[Value, int]] = {}  # least recently used first
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Key) -> Value | None:
        """What is there; it counts as used."""
        entry = self._values.pop(key, None)
        if entry is None:
            return None
        self._values[key] = entry
        return entry[0]

    def put(self, key: Key, value: Value, size: int) -> None:
        """Take the place of what was there; what is larger than everything may be is not kept."""
        self.forget(key)
        self._values[key] = value, size
        self.bytes += size
        while self.bytes > self._max_bytes:
            self.forget(next(iter(self._values)))

    def forget(self, key: Key) -> None:
        entry = self._values.pop(key, None)
        if entry is not None:
            self.bytes -= entry[1]

    def clear(self) -> None:
        self._values.clear()
        self.bytes = 0
