"""What one origin connection's lease has written and not published, and when it has to be (rules 21).

Theory of operation: each message that may write is noted when it goes to the origin, with the number of sync points
sent before it. What is noted is due

- at the ReadyForQuery of status I behind it, and earlier where the origin says that a transaction has ended inside of a
  message or of a group: at COMMIT, CALL, DO and the like, whose replies are seen as they pass;
- when the connection is lost, or its lease ends in any other way, for an unknown outcome counts as committed.

Only a proven rollback is not published: a transaction was open, nothing but `ROLLBACK` was said since the ReadyForQuery
before, which is what PostgreSQL says to a COMMIT that has failed too, and now none is open. What may stay in spite of a
rollback is published even then.
"""

from collections import deque
from typing import Final

from protos.pg.tags import Backend, TransactionStatus
from regional.cache.verdicts import EVERYTHING, NOTHING, Writing

MAX_HEARD_BYTES: Final = 128  # of what the origin says, where it may be nothing but ROLLBACK

_ROLLED_BACK: Final = b"C\0\0\0\x0dROLLBACK\0"
# What else may stand around it: ParseComplete, BindComplete, CloseComplete, NoData, no parameters.
_BESIDE: Final = (b"1\0\0\0\x04", b"2\0\0\0\x04", b"3\0\0\0\x04", b"n\0\0\0\x04", b"t\0\0\0\x06\0\0")
# Command tags at which something may have been committed.
_ENDS: Final = (b"COMMIT\0", b"PREPARE TRANSACTION\0", b"COMMIT PREPARED\0", b"CALL\0", b"DO\0")
_TAIL_BYTES: Final = max(map(len, _ENDS)) - 1
_IDLE: Final = TransactionStatus.IDLE


class Ledger:
    """Of one connection."""

    __slots__ = ("_due", "_heard", "_is_ended_inside", "_pending", "_tail")

    def __init__(self) -> None:
        self._pending: deque[tuple[int, Writing]] = deque()  # with the sync points sent before
        self._due = NOTHING
        self._heard = b""  # since the last ReadyForQuery
        self._tail = b""  # the end of what was heard last, for a command tag may be cut in two
        self._is_ended_inside = False

    def __bool__(self) -> bool:
        """Whether there is something that has not been published."""
        return bool(self._pending)

    def note(self, writing: Writing, group: int) -> None:
        """A message goes to the origin; group sync points were sent before it."""
        if not (writing.everything or writing.tables):
            return
        pending = self._pending
        if pending and pending[-1][0] == group:
            pending[-1] = (group, pending[-1][1] | writing)
        else:
            pending.append((group, writing))

    def heard(self, tag: int, data: bytes) -> None:
        """The origin said something that is no ReadyForQuery; to be told while there is something pending."""
        if len(self._heard) <= MAX_HEARD_BYTES:
            self._heard += data[: MAX_HEARD_BYTES + 1]
        text = self._tail + data
        if any(end in text for end in _ENDS) or (tag == Backend.NOTICE_RESPONSE and self._may_have_committed):
            self._is_ended_inside = True
        self._tail = text[-_TAIL_BYTES:]

    @property
    def _may_have_committed(self) -> bool:
        """Whether something is running that may commit before it is answered."""
        return any(writing.outlives_rollback for _, writing in self._pending)

    def ready(self, settled: int, before: int, status: int) -> None:
        """A ReadyForQuery came: so many sync points are settled; the statuses before and now."""
        heard, self._heard, self._tail = self._heard, b"", b""
        pending = self._pending
        if status != _IDLE or not pending:
            return
        is_undone = before != _IDLE and _says_rollback_only(heard)
        while pending and pending[0][0] < settled:
            writing = pending.popleft()[1]
            if writing.outlives_rollback or not is_undone:
                self._due |= writing

    def take_due(self) -> Writing | None:
        """What has to be published before the bytes that were heard go to the client."""
        due, self._due = self._due, NOTHING
        if self._is_ended_inside:
            self._is_ended_inside = False
            for _, writing in self._pending:  # they stay pending: what comes behind is committed later
                due |= writing
        return None if due is NOTHING else due

    def take_all(self) -> Writing | None:
        """The connection is lost, or its lease ends: what may have been committed."""
        due = self._due
        for _, writing in self._pending:
            due |= writing
        self.forget()
        return None if due is NOTHING else due

    def rolled_back(self) -> None:
        """A ROLLBACK of our own has undone what was open."""
        left = [(group, writing) for group, writing in self._pending if writing.outlives_rollback]
        self._pending = deque(left)

    def forget(self) -> None:
        self._pending.clear()
        self._due = NOTHING
        self._heard = self._tail = b""
        self._is_ended_inside = False

    def doubt(self, group: int, owed: int) -> None:
        """What was sent so far was not looked at."""
        self.note(EVERYTHING, group - owed)
        self.note(EVERYTHING, group)


def _says_rollback_only(replies: bytes) -> bool:
    before, found, behind = replies.partition(_ROLLED_BACK)
    if not found:
        return False
    for beside in _BESIDE:
        before, behind = before.replace(beside, b""), behind.replace(beside, b"")
    return not before and not behind
