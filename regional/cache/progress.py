"""Whether a stream of changes has missed nothing, and which commits others see already.

Theory of operation: that a stream is quiet does not say that there is nothing to tell; the origin may be behind in
decoding its own log. So the origin is asked, over another connection, where its log ends (a mark). Once the stream has
come that far, everything that had committed when the mark was asked for has been told. `Progress` remembers that
moment; an answer is only as good as the moment is young.

A commit is decoded as soon as it is in the log, which is a moment before other sessions see it, and with synchronous
replication it may be long before. An answer that is read in between is an old one, and an invalidation that had gone
out already would not remove it. So `Unseen` keeps a commit until a snapshot of the origin's shows that its transaction
is over.
"""

from collections import deque
from typing import Final

import attrs

#: Marks that the stream has not come to. One is made a second, and a stream so far behind is given up.
MAX_MARKS: Final = 64
#: So many commits that nobody sees are more than an origin can have.
MAX_UNSEEN: Final = 100_000
_EPOCH: Final = 1 << 32


@attrs.define
class Progress:
    """How far one stream has come. Times are monotonic seconds, positions those of the origin's log."""

    caught_up_at: float
    """All that had committed by then has been told. At first, when the stream was asked for."""
    _marks: deque[tuple[float, int]] = attrs.field(factory=lambda: deque(maxlen=MAX_MARKS))

    @property
    def has_marks(self) -> bool:
        return bool(self._marks)

    def mark(self, asked_at: float, end: int) -> None:
        """The origin was asked at asked_at, and its log ended here then or later."""
        self._marks.append((asked_at, end))

    def reached(self, position: int) -> bool:
        """Note where the stream is; says whether it has come to a mark."""
        before = len(self._marks)
        while self._marks and self._marks[0][1] <= position:
            self.caught_up_at = self._marks.popleft()[0]
        return len(self._marks) < before


@attrs.frozen
class Snapshot:
    """Which transactions are over: txid_current_snapshot() of the origin."""

    xmin: int
    xmax: int
    running: frozenset[int]

    @classmethod
    def parse(cls, text: bytes) -> "Snapshot":
        """Read `XMIN:XMAX:XID,XID`."""
        xmin, xmax, running = text.split(b":")
        return cls(int(xmin), int(xmax), frozenset(int(xid) for xid in running.split(b",") if xid))

    def is_over(self, xid: int) -> bool:
        """Whether a transaction has ended; xid is its number's lower half, as all but this function use it."""
        # Numbers in use at one time are less than half of the circle apart.
        ahead = (xid - self.xmin) % _EPOCH
        full = self.xmin + (ahead if ahead < _EPOCH // 2 else ahead - _EPOCH)
        return full < self.xmax and full not in self.running


class UnseenOverflowError(Exception):
    """More commits wait to be seen than can be right."""


class Unseen:
    """Commits that other sessions may not see yet."""

    def __init__(self) -> None:
        self._waiting: dict[int, frozenset[int] | None] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, xid: int, tables: frozenset[int] | None) -> None:
        """Two streams may tell of the same transaction, and of different tables of it."""
        known = self._waiting.get(xid, frozenset())
        self._waiting[xid] = None if known is None or tables is None else known | tables
        if len(self._waiting) > MAX_UNSEEN:
            raise UnseenOverflowError

    def take_seen(self, snapshot: Snapshot) -> frozenset[int] | None:
        """What those have changed that are over now; they are forgotten. None is anything."""
        seen = [self._waiting.pop(xid) for xid in list(self._waiting) if snapshot.is_over(xid)]
        tables: set[int] = set()
        for changed in seen:
            if changed is None:
                return None
            tables |= changed
        return frozenset(tables)
