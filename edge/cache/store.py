"""Where the answers of all configurations are kept: so many bytes, of which those go first that are read least.

Theory of operation (S3-FIFO; Yang and others, SOSP 2023): an answer comes into a small queue, a tenth of the room. Most
are never read again, and leave from there: a scan passes through it and does not touch the rest. What was read
meanwhile goes on into the main queue; what comes back soon after it has left (the ghosts remember its key) goes there
at once. The head of the main queue gets another round for each time that it was read, of up to three. A hit therefore
only counts, and moves nothing.

When all answers of a configuration are dropped at once, they are out of reach at once, and are taken out of here a few
at a time: with each answer that comes, and with each tick. Until then they count.

Answers that are still being collected have a share of the same room, and give way first (rules 25): what has to be
collected beyond it is not kept. Answers that clients have not taken yet have another (`unsent`).
"""

from collections import deque
from collections.abc import Hashable
from typing import TYPE_CHECKING, Final

from edge.cache.queue import Linked, Queue
from edge.cache.unsent import Unsent

if TYPE_CHECKING:
    from edge.cache.answers import Answer, Answers
    from edge.cache.shortcuts import Shortcuts

OVERHEAD_BYTES: Final = 800  # of an answer, beside its bytes and those of its request

_SMALL_SHARE: Final = 10  # the small queue has one part in so many
_COLLECTING_SHARE: Final = 4  # and what is being collected
_MAX_USES: Final = 3
_USES_TO_STAY: Final = 2
_MIN_GHOSTS: Final = 1000
_CLEARED_A_TICK: Final = 1000  # some 2 ms
_CLEARED_A_PUT: Final = 4


class Kept(Linked):
    """An answer's place in the store."""

    __slots__ = ("_is_main", "answers", "borrowers", "key", "size", "uses")

    def __init__(self, answers: "Answers", key: Hashable, size: int) -> None:
        self.answers: Answers | None = answers
        """Whose it is; None once it is dropped."""
        self.key = key
        self.size = size
        """In bytes, all told."""
        self.uses = 0
        """How often it was read lately; the reader counts, up to any number."""
        self.borrowers = 0
        """How many clients are being sent it in slices."""
        self._is_main = False


class Store:
    """Of one edge process."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self.collecting_bytes = 0
        self.unsent = Unsent(max_bytes, self._make_room)
        self._small_bytes = 0
        self._small: Queue[Kept] = Queue()
        self._main: Queue[Kept] = Queue()
        self._ghosts: set[int] = set()  # hashes of keys
        self._ghosts_in_order: deque[int] = deque()  # the oldest first; those that have come back as well
        self._left: deque[tuple[dict[Hashable, Answer], Shortcuts]] = deque()  # dropped all at once

    def __len__(self) -> int:
        return len(self._small) + len(self._main)

    def put(self, kept: Kept) -> bool:
        """Keep one more, if it is not larger than everything together may be."""
        self._clear(_CLEARED_A_PUT)
        if kept.size > self.max_bytes - self.max_bytes // _SMALL_SHARE:
            return False
        self.bytes += kept.size
        if hash(kept.key) in self._ghosts:
            self._ghosts.discard(hash(kept.key))
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
        if kept._is_main:
            self._main.remove(kept)
        else:
            self._small.remove(kept)
            self._small_bytes -= kept.size

    def drop_all(self, kept: "dict[Hashable, Answer]", shortcuts: "Shortcuts") -> None:
        """Those of a configuration, which nobody asks for any more."""
        if kept:
            self._left.append((kept, shortcuts))

    def tick(self) -> None:
        """Some time has passed."""
        self._clear(_CLEARED_A_TICK)
        self.unsent.tick()

    def _clear(self, number: int) -> None:
        """Take so many out that were dropped all at once."""
        while self._left and number:
            kept, shortcuts = self._left[0]
            for _ in range(min(number, len(kept))):
                number -= 1
                key, answer = kept.popitem()
                shortcuts.forget(key)
                self.drop(answer)
            if not kept:
                self._left.popleft()

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
        while self.bytes + self.collecting_bytes + self.unsent.bytes > self.max_bytes and len(self):
            if self._left:
                self._clear(_CLEARED_A_PUT)
            elif self._small_bytes * _SMALL_SHARE > self.max_bytes or not self._main:
                self._leave_small()
            else:
                self._leave_main()

    def _leave_small(self) -> None:
        kept = self._small.first
        if kept.uses >= _USES_TO_STAY:
            kept.uses = 0
            self._small.remove(kept)
            self._small_bytes -= kept.size
            self._append_main(kept)
            return
        self._evict(kept)
        self._ghosts.add(hash(kept.key))
        self._ghosts_in_order.append(hash(kept.key))
        while len(self._ghosts_in_order) > max(_MIN_GHOSTS, len(self)):
            self._ghosts.discard(self._ghosts_in_order.popleft())

    def _leave_main(self) -> None:
        kept = self._main.first
        if kept.uses:
            kept.uses = min(kept.uses, _MAX_USES) - 1
            self._main.remove(kept)
            self._main.append(kept)
        else:
            self._evict(kept)

    def _append_main(self, kept: Kept) -> None:
        kept._is_main = True
        self._main.append(kept)

    def _evict(self, kept: Kept) -> None:
        assert kept.answers is not None
        kept.answers.evicted(kept)
        self.drop(kept)
