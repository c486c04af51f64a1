"""What a COPY FROM STDIN does to a pipeline: it swallows each Sync, sent before or after anybody knew of the COPY.

Such sync points are **forgone**: they get no ReadyForQuery. So are those that the origin skips after an error. Of those
that a COPY had been sent before it failed nobody can say which ones it had swallowed: some may get their ReadyForQuery
yet. That is **ambiguous** until something is answered that was sent behind them, or until all have got one.
"""

from collections import deque

from protos.errors import RemoteProtocolError
from protos.pg.replies import COPY_ENDS, EXTENDED, MAY_COPY, executes_behind
from protos.pg.tags import Frontend


class Forgone:
    """The sync points of one pipeline that are owed, but (it seems) not answered."""

    def __init__(self) -> None:
        self.count = 0
        self.is_ambiguous = False  #: Whether some may be answered yet.
        self._swallowed = 0  # those that the COPY going on has swallowed, it seems
        self._is_in_doubt = False  # a COPY has failed, in a Query whose own ReadyForQuery is still to come

    def swallow(self) -> None:
        """A Sync inside a COPY."""
        self.count += 1
        self._swallowed += 1

    def copied(self) -> None:
        """The COPY has ended well: it has swallowed all that it was sent."""
        self._swallowed = 0

    def failed(self, *, in_group: bool) -> None:
        """An error, in a group of extended-query messages or in a Query, and perhaps in a COPY."""
        if self._swallowed:
            self.is_ambiguous, self._is_in_doubt = self.is_ambiguous or in_group, not in_group
            self._swallowed = 0

    def ready(self) -> None:
        """What was going on has got its ReadyForQuery."""
        self.is_ambiguous, self._is_in_doubt = self.is_ambiguous or self._is_in_doubt, False
        self._swallowed = 0

    def answered_one(self) -> None:
        """One of them has got its ReadyForQuery after all."""
        self.count -= 1
        self.is_ambiguous = self.count > 0

    def take(self) -> int:
        """How many there were, all of which are settled now."""
        count, self.count, self.is_ambiguous = self.count, 0, False
        return count


def begin_copy(queue: deque[int | bytes], blind: int, forgone: Forgone) -> tuple[int, bool]:
    """Make the head of a pipeline's queue the message that turned out to be a COPY, without the Syncs that it swallows.

    blind: how many segments of the queue are blind. Return how many are left, and whether the COPY's end is to be sent.
    """
    if blind:
        while queue[0] in EXTENDED and executes_behind(queue):
            queue.popleft()  # it is the last one: the origin ends the session for any other message in a COPY
    head = queue[0] if queue else None
    if head not in MAY_COPY:
        raise RemoteProtocolError("unexpected CopyInResponse")
    kept = 1 if head == Frontend.QUERY and blind else 0  # blind segments that COPY does not swallow
    while len(queue) > 1 and queue[1] == Frontend.SYNC:
        del queue[1]
        forgone.swallow()
        blind = max(kept, blind - 1)
    if len(queue) > 1 and queue[1] in COPY_ENDS:
        del queue[1]
        return blind, False
    return blind, len(queue) == 1
