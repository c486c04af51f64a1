"""What one session is answered from memory, and which of its answers are remembered.

A request that looks like a fact is looked up in the configuration's memos, by the session's settings, what opened its
transaction, and its bytes: as long as a transaction has run nothing but facts, it is what it was when it was opened. If
it has to cross, its answer is recorded; the pool node says at its end whether it is a fact. What the request has set is
known when the session's State has come, so it is kept then.
"""

from collections.abc import Hashable
from typing import Final

from edge.cache.unsent import Share
from edge.control import Held
from edge.memos import MAX_ANSWER_BYTES, MAX_REQUEST_BYTES, Memo, Memos, Settings, size_of
from protos.link.settings import CATALOG, FACT, SETTLING
from protos.pg.parsers import HEADER_BYTES, end_of_message
from protos.pg.tags import Backend, TransactionStatus

READY_BYTES: Final = 6  # of the ReadyForQuery at the end

_UNFIT: Final = frozenset({
    Backend.COPY_BOTH_RESPONSE, Backend.COPY_IN_RESPONSE, Backend.COPY_OUT_RESPONSE, Backend.ERROR_RESPONSE,
    Backend.NOTIFICATION_RESPONSE, Backend.PORTAL_SUSPENDED,
})  # fmt: skip


class Memory:
    """Of one session."""

    __slots__ = (
        "_data",
        "_flags",
        "_generation",
        "_key",
        "_memos",
        "_opened_at",
        "_opening",
        "_request_bytes",
        "_size",
        "_unsent",
        "state",
    )

    def __init__(self, memos: Memos, state: bytes, unsent: Share) -> None:
        """unsent: of the session's answers, what its client has not taken."""
        self.state = state
        """A digest of all settings that the session has, and of those that it began with."""
        self._memos = memos
        self._unsent = unsent
        # What opened the transaction at the origin, and the memos' generation then; None once it has run other things.
        self._opening: tuple[bytes, ...] | None = None
        self._opened_at = 0
        self._key: Hashable = None  # of the request whose answer is recorded
        self._data: list[bytes] = []
        self._size = 0
        self._request_bytes = 0
        self._flags = 0
        self._generation = 0

    def recall(self, request: Hashable, held: Held | None, *, is_idle: bool) -> Memo | None:
        """The answer to a request; if there is none, what comes next is recorded as that.

        Nor is there one for a client that does not take what it gets.
        is_idle: the session is in no transaction, held or other.
        """
        opening = () if is_idle else self._opening if held is None else held.opening
        request_bytes = size_of(request)
        if opening is None or request_bytes > MAX_REQUEST_BYTES:
            return None
        key = (self.state, opening, request)
        memo = self._memos.get(key)
        if memo is None:
            self._key, self._data, self._size, self._flags = key, [], 0, 0
            self._request_bytes = request_bytes
            # A transaction may go on seeing what was there when it was opened.
            self._generation = self._memos.generation if is_idle or held is not None else self._opened_at
            return None
        return memo if self._unsent.may_have(len(memo.answer)) else None

    def opened(self, held: Held) -> None:
        """The transaction that was held goes to the origin."""
        self._opening = None if held.has_failed else held.opening
        self._opened_at = self._memos.generation

    def interrupt(self) -> None:
        """Another request has crossed, or nothing will come of this one.

        An answer that is whole waits for its State, which comes before anything else is run for the session.
        """
        if not self._flags:
            self.abandon()

    def abandon(self) -> None:
        """Nothing will come of it in any case."""
        if self._key is not None:
            self._key, self._data, self._flags = None, [], 0

    def heard(self, data: bytes) -> None:
        """Bytes of an answer."""
        if self._key is not None:
            self._size += len(data)
            self._data.append(data)
            if self._size > MAX_ANSWER_BYTES or self._flags:  # the pool node has something to add
                self.abandon()

    def answered(self, settled: int, status: int) -> None:
        """Something has been answered, perhaps a request."""
        if status & 0xFF == TransactionStatus.IDLE or self._key is None or not status & FACT:
            self._opening = None
        if self._key is None:
            return
        if self._flags or settled != 1 or not status & FACT:
            self.abandon()
        elif status & SETTLING:
            self._flags = status
        else:
            self._keep(status, None)

    def state_known(self, settings: Settings, *, is_pinned: bool) -> None:
        """These are the session's settings now."""
        self.state = settings.state
        if self._flags and not is_pinned:
            self._keep(self._flags, settings)
        self.abandon()

    def _keep(self, status: int, settings: Settings | None) -> None:
        answer = b"".join(self._data)
        if self._generation == self._memos.generation and _is_whole(answer):
            self._memos.keep(
                self._key, answer[:-READY_BYTES], settings,
                ages=bool(status & CATALOG), request_bytes=self._request_bytes,
            )  # fmt: skip
        self.abandon()


def _is_whole(answer: bytes) -> bool:
    """Whether these are messages with one ReadyForQuery, at their end, and nothing is left of what was asked."""
    start = 0
    while start + HEADER_BYTES <= len(answer):
        end = end_of_message(answer, start)
        if answer[start] in _UNFIT or (answer[start] == Backend.READY_FOR_QUERY) != (end == len(answer)):
            return False
        start = end
    return start == len(answer) >= READY_BYTES
