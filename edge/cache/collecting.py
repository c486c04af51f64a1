"""The bytes of an answer that may be kept, gathered as they pass on to the client.

They are put together to slices as they come, so that no long answer is ever copied as a whole.
"""

from typing import Final

from edge.cache.parts import READY_BYTES
from edge.cache.store import Store

MAX_ANSWER_BYTES: Final = 50_000_000
SLICE_BYTES: Final = 256 << 10  # some 20 µs to copy, 100 to encrypt


class Collecting:
    """Of one session; what it holds counts in the store (rules 25)."""

    __slots__ = ("_chunks", "_chunks_bytes", "_size", "_slices", "_store", "is_on")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._chunks: list[bytes] = []  # of the slice that is not complete
        self._chunks_bytes = 0
        self._slices: list[bytes] = []
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
        self._chunks_bytes += size
        if self._chunks_bytes >= SLICE_BYTES:
            self._slices.append(b"".join(self._chunks))
            self._chunks, self._chunks_bytes = [], 0
        return True

    def take(self) -> list[bytes]:
        """All that has come: one slice, or several. The last has a ReadyForQuery whole, if there is one at its end."""
        slices = self._slices
        if self._slices and self._chunks_bytes < READY_BYTES:
            self._chunks.insert(0, self._slices.pop())
        slices.append(b"".join(self._chunks))
        self.drop()
        return slices

    def drop(self) -> None:
        """It is over, or nothing will come of it."""
        if self.is_on:
            self._store.release(self._size)
            self._chunks, self._slices, self._chunks_bytes, self._size, self.is_on = [], [], 0, 0, False
