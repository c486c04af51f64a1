"""The bytes of an answer that may be kept, gathered as they pass on to the client."""

from typing import Final

from edge.cache.store import Store

MAX_ANSWER_BYTES: Final = 50_000_000


class Collecting:
    """Of one session; what it holds counts in the store (rules 25)."""

    __slots__ = ("_chunks", "_size", "_store", "is_on")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._chunks: list[bytes] = []
        self._size = 0
        self.is_on = False

    def begin(self) -> None:
        self.drop()
        self.is_on = True

    def add(self, data: bytes) -> bool:
        """Whether there is room for it."""
        size = len(data)
        if self._size + size > MAX_ANSWER_BYTES or not self._store.reserve(size):
            return False
        self._size += size
        self._chunks.append(data)
        return True

    def take(self) -> bytes:
        """All that has come."""
        data = b"".join(self._chunks)
        self.drop()
        return data

    def drop(self) -> None:
        """It is over, or nothing will come of it."""
        if self.is_on:
            self._store.release(self._size)
            self._chunks, self._size, self.is_on = [], 0, False
