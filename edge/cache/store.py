"""Where the answers of all configurations are kept: so many bytes, of which those go first that are read least.

Theory of operation (S3-FIFO; Yang and others, SOSP 2023): an answer comes into a small queue, a tenth of the room. Most
are never read again, and leave from there: a scan passes through it and does not touch the rest. What was read
meanwhile goes on into the main queue; what comes back soon after it has left (the ghosts remember its key) goes there
at once. The head of the main queue gets another round for each time that it was read, of up to three. A hit therefore
only counts, and moves nothing.

What is dropped otherwise (invalidated, too old, replaced) stays in its queue as an empty shell until its turn comes, or
until there are more shells than answers.

Answers that are still being collected have a share of the same room, and give way first (rules 25): what has to be
collected beyond it is not kept.
"""

from collections import deque
from collections.abc import Hashable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edge.cache.answers import Answers

OVERHEAD_BYTES: Final = 800  # of an answer, beside its bytes and those of its request

_SMALL_SHARE: Final = 10  # the small queue has one part in so many
_COLLECTING_SHARE: Final = 4  # and what is being collected
_MAX_USES: Final = 3
_USES_TO_STAY: Final = 2
_MIN_GHOSTS: Final = 1000
_MIN_SHELLS: Final = 1000


class Kept:
    """An answer's place in the store."""

    __slots__ = ("_is_main", "answers", "key", "size", "uses")

    def __init__(self, answers: "Answers", key: Hashable, size: int) -> None:
        self.answers: Answers | None = answers
        """Whose it is; None once it is dropped."""
        self.key = key
        self.size = size
        """In bytes, all told."""
        self.uses = 0
        """How often it was read lately; the reader counts, up to any number."""
        self._is_main = False


class Store:
    """Of one edge process."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self.collecting_bytes = 0
        self._small_bytes = 0
        self._small: deque[Kept] = deque()
        self._main: deque[Kept] = deque()
        self._ghosts: dict[int, None] = {}  # hashes of keys, the oldest first
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, kept: Kept) -> bool:
        """Keep one more, if it is not larger than everything together may be."""
        if kept.size > self.max_bytes - self.max_bytes // _SMALL_SHARE:
            return False
        self.bytes += kept.size
        self._count += 1
        if self._ghosts.pop(hash(kept.key), 0) is None:
            self._append_main(kept)
        else:
            self._small.append(kept)
            self._small_bytes += kept.size
        self._make_room()
        return kept.answers is not None

    def drop(self, kept: Kept) -> None:
        """It is not good any more."""
        if kept.answers is None:
            return
        kept.answers = None
        self.bytes -= kept.size
        self._count -= 1
        if not kept._is_main:
            self._small_bytes -= kept.size
        if len(self._small) + len(self._main) > 2 * self._count + _MIN_SHELLS:
            self._small = deque(one for one in self._small if one.answers is not None)
            self._main = deque(one for one in self._main if one.answers is not None)

    def grow(self, kept: Kept, size: int) -> None:
        """It takes so many bytes more."""
        kept.size += size
        self.bytes += size
        if not kept._is_main:
            self._small_bytes += size
        self._make_room()

    # --- what is being collected ---

    def reserve(self, size: int) -> bool:
        """Whether so many bytes more may be collected; if not, nothing is reserved."""
        if self.collecting_bytes + size > self.max_bytes // _COLLECTING_SHARE:
            return False
        self.collecting_bytes += size
        self._make_room()
        return True

    def release(self, size: int) -> None:
        self.collecting_bytes -= size

    # --- making room ---

    def _make_room(self) -> None:
        while self.bytes + self.collecting_bytes > self.max_bytes and self._count:
            if self._small_bytes * _SMALL_SHARE > self.max_bytes or not self._main:
                self._leave_small()
            else:
                self._leave_main()

    def _leave_small(self) -> None:
        kept = self._small.popleft()
        if kept.answers is None:
            return
        if kept.uses >= _USES_TO_STAY:
            kept.uses = 0
            self._small_bytes -= kept.size
            self._append_main(kept)
            return
        self._evict(kept)
        self._ghosts[hash(kept.key)] = None
        while len(self._ghosts) > max(_MIN_GHOSTS, self._count):
            del self._ghosts[next(iter(self._ghosts))]

    def _leave_main(self) -> None:
        kept = self._main.popleft()
        if kept.answers is None:
            return
        if kept.uses:
            kept.uses = min(kept.uses, _MAX_USES) - 1
            self._main.append(kept)
        else:
            self._evict(kept)

    def _append_main(self, kept: Kept) -> None:
        kept._is_main = True
        self._main.append(kept)

    def _evict(self, kept: Kept) -> None:
        assert kept.answers is not None
        kept.answers.evicted(kept.key)
        self.drop(kept)
