"""Know which replies one origin connection owes, and to what, so that answers of ours fall in their places.

Theory of operation: PostgreSQL answers in the order in which it was asked, so a queue of what was asked is all the
state there is. A **sync point** is a message that is answered up to a ReadyForQuery: Query, FunctionCall or Sync; what
lies between two of them is a **segment**. An error in an extended-query message makes the origin skip everything, Query
too, up to the next Sync; an error in a simple query ends that query only.

A segment of the client's that is closed needs no look at its replies: its ReadyForQuery settles all of it. Such
segments at the head of the queue are **blind**, and while all are, the pipeline is *plain*: `whole` then asks for few
messages and rows pass as runs. A message of ours whose reply is swallowed (`inject`), a reply of ours to a message that
was not sent on (`answer`) and an open segment are **watched**: each reply is seen and matched with the head of the
queue. What is blind stays blind, because some of its replies may have passed unseen already.

COPY FROM STDIN: from CopyInResponse until CopyDone or CopyFail the origin swallows each Sync, those too that were sent
behind the Execute before anybody knew that it was a COPY. After an error in there nobody can say which ones it had
swallowed: the pipeline is then *ambiguous* and its connection must not be used for anybody else.
"""

from collections import deque
from struct import Struct

from protos.errors import LocalProtocolError, RemoteProtocolError
from protos.pg.framer import Piece
from protos.pg.progress import Progress
from protos.pg.replies import (
    ANY_EXTENDED,
    ANY_SYNC,
    ANY_SYNC_POINT,
    COPY_ENDS,
    ENDED_BY,
    EXTENDED,
    MAY_COPY,
    OURS,
    SYNC_POINTS,
    UP_TO_READY,
    WHOLE_WHEN_PLAIN,
    WHOLE_WHEN_WATCHED,
    executes_behind,
    up_to_sync,
)
from protos.pg.tags import STATUSES, Backend, Frontend, TransactionStatus

_length_at = Struct(">I").unpack_from


class Pipeline:
    """What one origin connection owes to one client."""

    def __init__(self) -> None:
        self.status: int = TransactionStatus.IDLE  #: What ReadyForQuery said last.
        self.settled = 0  #: How many sync points of the client are settled; the others are `owed`.
        self.has_unsynced = False  #: Whether extended-query messages were sent since the last sync point.
        self.in_copy_in = False  #: Whether the origin waits for the data of a COPY FROM STDIN.
        #: Whether the number of replies owed is unknown for good: close the connection after this lease.
        self.is_ambiguous = False
        #: The last ErrorResponse that was swallowed because it concerned nothing but messages of ours.
        self.failure: bytes | None = None
        self.is_skipping = False  #: Whether the origin skips what is sent now, up to a Sync.
        self.progress = Progress()  #: How far what lies between two sync points has come.
        # What is owed, in order: a tag of the client's, a tag of ours (negative), or a reply of ours (bytes).
        self._queue: deque[int | bytes] = deque()
        self._asked = 0  # sync points of the client
        self._blind = 0  # how many segments at the head of the queue are blind
        self._forgone = 0  # sync points that get no ReadyForQuery: skipped, or swallowed by COPY
        self._swallowed = 0  # those that the COPY going on has swallowed, it seems
        self._is_watched = False  # something in the queue is not the client's, or not simple
        self._tail_bytes = 0  # what is still to come of an oversized message
        self._tail_is_ours = False

    @property
    def owed(self) -> int:
        """Sync points of the client that are not settled."""
        return self._asked - self.settled

    @property
    def whole(self) -> frozenset[int]:
        """The messages that the framer must give whole from now on."""
        return WHOLE_WHEN_WATCHED if self._is_watched or self.has_unsynced else WHOLE_WHEN_PLAIN

    @property
    def is_idle(self) -> bool:
        """Whether the origin has answered everything and holds no transaction."""
        return not self._queue and self.status == TransactionStatus.IDLE and not self.has_unsynced

    @property
    def is_answered(self) -> bool:
        """Whether the origin has said all that it will say to what it got, unless it gets more."""
        return all(isinstance(entry, bytes) for entry in self._queue)

    @property
    def is_watching(self) -> bool:
        """Whether the replies that come now belong to a watched segment."""
        return not self._blind and (self._is_watched or self.has_unsynced)

    @property
    def is_answering_us(self) -> bool:
        """Whether what comes now is said to a message of ours, and to nobody else: see `inject` for the errors."""
        is_ours = not self._blind and bool(self._queue) and self._queue[0] in OURS
        return is_ours and next(filter(ANY_SYNC_POINT.__contains__, self._queue), 0) in OURS

    @property
    def may_skip(self) -> bool:
        """Whether the origin may be skipping when what is sent now gets there, or what is sent behind it."""
        return self.has_unsynced or not ANY_EXTENDED.isdisjoint(up_to_sync(reversed(self._queue)))

    @property
    def undone_by_error(self) -> int:
        """How many sync points lie before the end of what an error that comes now undoes: Queries are skipped, too."""
        if self._blind or not self._queue or self._queue[0] not in ANY_EXTENDED:
            return self.settled
        return self.settled + sum(entry in SYNC_POINTS for entry in up_to_sync(self._queue))

    # What goes to the origin.

    def watch(self) -> None:
        """See each reply to what is sent from here on."""
        self._is_watched = True

    def sent(self, tag: int) -> None:
        """Note that a message of the client's went to the origin."""
        if tag in SYNC_POINTS:
            self._asked += 1
            self._sync_point(tag, tag)
        elif tag in EXTENDED:
            self.has_unsynced = True
            if not self.is_skipping:
                self._queue.append(tag)
        elif tag in COPY_ENDS:
            if self.in_copy_in:
                self.in_copy_in = False
            elif self._queue and not self.is_skipping:
                # Sent without waiting for a CopyInResponse: it ends the COPY that may turn out to be before it.
                self._queue.append(tag)
                self._is_watched = True

    def inject(self, tag: int) -> None:
        """Note that a message of ours went to the origin; what the origin says to it is swallowed.

        An error in an extended-query message of ours does reach the client if the segment ends with the client's own
        Sync: the origin then skips what the client sent, and somebody must say why.
        """
        if self.in_copy_in or -tag not in OURS:
            raise LocalProtocolError(f"message type {tag} cannot be injected here")
        self._is_watched = True
        if tag in SYNC_POINTS:
            self._sync_point(tag, -tag)
            return
        self.has_unsynced = True
        if not self.is_skipping:
            self._queue.append(-tag)

    def answer(self, reply: bytes) -> None:
        """Put a reply of ours in its place: behind the replies to all that was sent before it.

        `received` returns it when its turn comes, or `due` where nothing is in front of it. It is dropped where the
        origin would have skipped the message that it answers.
        """
        if not self.is_skipping:
            self._queue.append(reply)
            self._is_watched = True

    def due(self) -> bytes:
        """Take the replies of ours that nothing is in front of."""
        if self._blind or self._tail_bytes:
            return b""
        queue, replies = self._queue, []
        while queue:
            head = queue[0]
            if isinstance(head, bytes):
                replies.append(head)
                self.progress.done += 1
            elif head not in COPY_ENDS:
                return b"".join(replies)
            queue.popleft()
        self._is_watched = False
        return b"".join(replies)

    def _sync_point(self, tag: int, entry: int) -> None:
        if tag == Frontend.SYNC:
            if self.in_copy_in:
                self._forgone += 1
                self._swallowed += 1
                return
            self.is_skipping = False
        elif self.is_skipping:
            self._forgone += entry > 0
            return
        elif self.has_unsynced:
            # An error before this Query would skip it: only looking at the replies tells whose the ReadyForQuery is.
            self._is_watched = True
        self.has_unsynced = False
        self._queue.append(entry)
        if not self._is_watched:
            self._blind += 1

    # What comes from the origin.

    def received(self, piece: Piece) -> bytes:
        """Note what the origin said; return what the client gets now: this, replies of ours around it, or nothing."""
        tag, data, is_whole = piece
        if tag == Backend.READY_FOR_QUERY:
            return self._ready(data)
        if not tag:
            if self._tail_bytes:
                return self._tail(data)
            self._pass(data)
            return self.due() + self._unless_ours(data) if self._is_watched else data
        before = self.due() if self._is_watched else b""
        forwarded = self._reply(tag, data)
        if not is_whole:
            self._tail_bytes = _length_at(data, 1)[0] + 1 - len(data)
            self._tail_is_ours = not forwarded
        return before + forwarded + self.due() if self._is_watched else before + forwarded

    def _ready(self, data: bytes) -> bytes:
        """Settle the sync point that this ReadyForQuery answers."""
        queue = self._queue
        if len(data) != 6 or data[5] not in STATUSES:
            raise RemoteProtocolError("malformed ReadyForQuery")
        if self._blind:
            self._blind -= 1
            while queue.popleft() not in SYNC_POINTS:
                pass
            before, is_ours = b"", False
        else:
            before = self.due()
            if not queue or queue[0] not in ANY_SYNC_POINT:
                return before + self._surplus_ready(data)
            is_ours = queue.popleft() in OURS
        self.status = data[5]
        self._swallowed = 0
        self.in_copy_in = False
        self.progress.settle(is_ours=is_ours)
        if is_ours:
            return before + self.due()
        self.settled, self._forgone = self.settled + 1 + self._forgone, 0
        return before + data + self.due() if self._is_watched else data

    def _surplus_ready(self, data: bytes) -> bytes:
        """Take a ReadyForQuery that nothing in the queue asks for: a Sync that COPY had not swallowed after all."""
        if not self.is_ambiguous:
            raise RemoteProtocolError("unexpected ReadyForQuery")
        self.status = data[5]
        self.is_skipping = False
        if self._forgone:
            self._forgone -= 1
            self.settled += 1
        return data

    def _reply(self, tag: int, data: bytes) -> bytes:
        """Match a message with the head of the queue; return it if it is the client's."""
        if tag == Backend.ERROR_RESPONSE:
            return self._error(data)
        if tag == Backend.COPY_IN_RESPONSE:
            self._copy_in()
            return data
        if self._blind or tag == Backend.NOTIFICATION_RESPONSE:
            self._pass(data)
            return data
        forwarded, ended = self._unless_ours(data), ENDED_BY.get(tag)
        if ended is None:
            return forwarded
        if (head := self._queue[0] if self._queue else None) in UP_TO_READY:
            return forwarded
        if head not in {ended, -ended}:
            raise RemoteProtocolError(f"backend message type {tag} answers nothing that was asked")
        self.progress.done += self._queue.popleft() == ended
        self._swallowed = 0
        return forwarded

    def _pass(self, data: bytes) -> None:
        if self._blind and self._queue[0] in EXTENDED:
            self.progress.passed(data)

    def _unless_ours(self, data: bytes) -> bytes:
        """Return data unless the origin is busy with a message of ours."""
        return b"" if not self._blind and self._queue and self._queue[0] in OURS else data

    def _tail(self, data: bytes) -> bytes:
        """Take the rest of an oversized message, and what else is in the same run."""
        size = min(self._tail_bytes, len(data))
        self._tail_bytes -= size
        forwarded = b"" if self._tail_is_ours else data[:size]
        return forwarded if self._tail_bytes else forwarded + self.due() + self._unless_ours(data[size:])

    def _error(self, data: bytes) -> bytes:
        """Note that the origin gave up what is at the head, and all up to the next Sync if that is how it goes on."""
        self.is_ambiguous, self._swallowed = self.is_ambiguous or self._swallowed > 0, 0
        self.in_copy_in = False
        if self._blind or not (queue := self._queue):
            self.progress.fail(in_group=bool(self._queue) and self._queue[0] in EXTENDED)
            return data
        is_extended = queue[0] in ANY_EXTENDED
        if is_extended:
            self._skip()
        if queue and queue[0] in OURS:
            self.failure = data
            return b""
        self.progress.fail(in_group=is_extended)
        return data

    def _skip(self) -> None:
        """Drop what the origin skips. Messages still on their way there are skipped as well, up to a Sync."""
        queue = self._queue
        while queue and queue[0] not in ANY_SYNC:
            self._forgone += queue.popleft() in SYNC_POINTS
        if not queue:
            self.is_skipping = self.has_unsynced = True

    def _copy_in(self) -> None:
        """Find the message that turned out to be a COPY FROM STDIN, and what it takes of those behind it."""
        queue = self._queue
        if self._blind:
            while queue[0] in EXTENDED and executes_behind(queue):
                queue.popleft()  # it is the last one: the origin ends the session for any other message in a COPY
        head = queue[0] if queue else None
        if head not in MAY_COPY:
            raise RemoteProtocolError("unexpected CopyInResponse")
        kept = 1 if head == Frontend.QUERY and self._blind else 0  # blind segments that COPY does not swallow
        while len(queue) > 1 and queue[1] == Frontend.SYNC:
            del queue[1]
            self._forgone += 1
            self._swallowed += 1
            self._blind = max(kept, self._blind - 1)
        if len(queue) > 1 and queue[1] in COPY_ENDS:
            del queue[1]
        elif len(queue) == 1:
            self.in_copy_in = True
        if head == Frontend.EXECUTE:
            self.has_unsynced = not any(entry in SYNC_POINTS for entry in queue)
