"""What clients were answered here and have not taken yet: bounded for each, and for all together.

What comes over a link is bounded by credit. What an edge answers by itself is not, so it is counted: a client for which
more than MAX_OF_CLIENT wait is not answered here, and is counted as slow. All clients together have a part of the
store's room. Whoever has much of it is refused first: a client may have at most one part in _PARTS of what is free, so
those that take nothing leave room for those that do.

A long answer is not copied for each client, but lent to it and sent in slices. It counts once, however many it is lent
to, until the last of them has its last slice; in the store it counts besides, as long as it is kept there.

What a client has not taken may also come of its link. That is taken off by whoever measures (`Passage.unsent`).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

import attrs

if TYPE_CHECKING:
    from edge.cache.store import Kept

MAX_OF_CLIENT: Final = 256 << 10
MIN_BYTES: Final = 8 << 20  # for all clients together, however small the store is: facts are not kept there
_STORE_SHARE: Final = 4  # one part in so many of the store's room
_PARTS: Final = 16


@attrs.frozen
class Long:
    """An answer that is sent in slices."""

    kept: "Kept"
    slices: tuple[bytes, ...]
    """With what stands in front of it."""


class Transport(Protocol):
    """The part of a connection that is asked here."""

    @property
    def pending_bytes(self) -> int:
        """Of all that was written, what waits."""


@attrs.define
class _Nowhere:
    """The transport of a client that has none yet."""

    pending_bytes: int = 0


class Unsent:
    """Of one edge process."""

    def __init__(self, store_bytes: int, on_grown: Callable[[], None]) -> None:
        self.max_bytes = max(store_bytes // _STORE_SHARE, MIN_BYTES)
        self.bytes = 0
        self._leaving: list[Share] = []
        self._on_grown = on_grown

    def change(self, size: int) -> None:
        """So many bytes more, or less."""
        self.bytes += size
        if size > 0:
            self._on_grown()

    def leave(self, share: "Share") -> None:
        """Its client ends, and is sent what is left; nobody else counts it from now on."""
        self._leaving.append(share)

    def tick(self) -> None:
        """Some time has passed."""
        for share in self._leaving:
            share.count()
        self._leaving = [share for share in self._leaving if not share.is_over]


class Share:
    """Of one client."""

    __slots__ = ("_bytes", "_lent", "_unsent", "gathered_bytes", "measure", "transport")

    def __init__(self, unsent: Unsent) -> None:
        self._unsent = unsent
        self._bytes = 0
        self._lent: Kept | None = None
        self.gathered_bytes = 0
        """Of answers that were not written yet; the writer takes them off by counting."""
        self.transport: Transport = _Nowhere()
        """Where it waits, and what has come of a link."""
        self.measure: Callable[[], tuple[int, int]] = lambda: (0, 0)
        """Of that, what no credit bounds: what was copied for it, and what is still to be sent of what was lent."""

    @property
    def is_over(self) -> bool:
        """Whether all was taken."""
        return not self._bytes and self._lent is None

    @property
    def is_full(self) -> bool:
        """Whether nothing more can be said without making it worse."""
        waiting = self.gathered_bytes + self.transport.pending_bytes
        return waiting > 0 and not self._has_room(waiting)

    def _has_room(self, waiting: int) -> bool:
        unsent = self._unsent
        return waiting <= MAX_OF_CLIENT and waiting * _PARTS <= unsent.max_bytes - unsent.bytes

    def may_have(self, size: int, lent: "Kept | None" = None) -> bool:
        """Whether it may be answered with so many bytes more, or be lent this instead."""
        unsent = self._unsent
        waiting = self.gathered_bytes + self.transport.pending_bytes
        if not waiting and lent is None:
            return size <= unsent.max_bytes - unsent.bytes
        if lent is None:
            needed = self.gathered_bytes + size
        elif self._lent is not None or waiting > MAX_OF_CLIENT:
            return False
        else:
            needed = self.gathered_bytes + (0 if lent.borrowers else lent.size)
        return needed <= unsent.max_bytes - unsent.bytes and self._has_room(waiting)

    def lend(self, kept: "Kept") -> None:
        """It is sent this in slices."""
        self._lent = kept
        kept.borrowers += 1
        if kept.borrowers == 1:
            self._unsent.change(kept.size)

    def count(self) -> None:
        """Something was written, or taken."""
        copied, lent = self.measure()
        self.gathered_bytes = 0
        if self._lent is not None and not lent:
            kept, self._lent = self._lent, None
            kept.borrowers -= 1
            if not kept.borrowers:
                self._unsent.change(-kept.size)
        if copied != self._bytes:
            more, self._bytes = copied - self._bytes, copied
            self._unsent.change(more)

    def leave(self) -> None:
        """Its client ends."""
        self.count()
        if not self.is_over:
            self._unsent.leave(self)
