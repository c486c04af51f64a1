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

A COPY FROM STDIN swallows each Sync. Where one fails it is **ambiguous** which (`copying`): a ReadyForQuery that
answers nothing in the queue is one of theirs then, and any other reply shows that what was sent before its message is
settled. Where nothing is left that could bring one, an empty query of ours does, the **fence**.
"""

from collections import deque
from struct import Struct

from protos.errors import LocalProtocolError, RemoteProtocolError
from protos.pg.copying import Forgone, begin_copy
from protos.pg.framer import Piece
from protos.pg.progress import Progress
from protos.pg.replies import (
    ANY_EXTENDED,
    ANY_SYNC,
    ANY_SYNC_POINT,
    AT_ANY_TIME,
    COPY_ENDS,
    ENDED_BY,
    EXTENDED,
    OURS,
    SYNC_POINTS,
    UP_TO_READY,
    WHOLE_WHEN_PLAIN,
    WHOLE_WHEN_WATCHED,
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
        #: The last ErrorResponse that was swallowed because it concerned nothing but messages of ours.
        self.failure: bytes | None = None
        self.is_skipping = False  #: Whether the origin skips what is sent now, up to a Sync.
        self.progress = Progress()  #: How far what lies between two sync points has come.
        self._queue: deque[int | bytes] = deque()  # tags of the client's, tags of ours (negative), replies of ours
        self._asked = 0  # sync points of the client
        self._blind = 0  # how many segments at the head of the queue are blind
        self._forgone = Forgone()
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
        return self.status == TransactionStatus.IDLE and not (
            self._queue or self.has_unsynced or self._forgone.is_ambiguous
        )

    @property
    def is_ambiguous(self) -> bool:
        """Whether nobody knows how many ReadyForQuery are still to come."""
        return self._forgone.is_ambiguous

    @property
    def wants_fence(self) -> bool:
        """Whether nothing but a fence can show that no other ReadyForQuery comes."""
        return self.is_ambiguous and not (self._queue or self.has_unsynced)

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
                self._forgone.swallow()
                return
            self.is_skipping = False
        elif self.is_skipping:
            self._forgone.count += entry > 0
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
            if self.is_ambiguous:
                self._end_ambiguity(tag)
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
        if len(data) != 6 or data[5] not in STATUSES:
            raise RemoteProtocolError("malformed ReadyForQuery")
        self.status = data[5]
        queue, before, is_ours = self._queue, self.due(), False
        if self._forgone.is_ambiguous and (not queue or queue[0] not in ANY_SYNC):
            return before + self._surplus_ready(data)
        if self._blind:
            self._blind -= 1
            while queue.popleft() not in SYNC_POINTS:
                pass
        elif queue and queue[0] in ANY_SYNC_POINT:
            is_ours = queue.popleft() in OURS
        else:
            raise RemoteProtocolError("unexpected ReadyForQuery")
        self._forgone.ready()
        self.in_copy_in = False
        self.progress.settle(is_ours=is_ours)
        if is_ours:
            return before + self.due()
        self.settled += 1 if self._forgone.is_ambiguous else 1 + self._forgone.take()
        return before + data + self.due() if self._is_watched else data

    def _surplus_ready(self, data: bytes) -> bytes:
        """Take a ReadyForQuery that nothing in the queue asks for: a Sync that COPY had not swallowed after all."""
        self.is_skipping = False
        self.has_unsynced = self.has_unsynced and bool(self._queue)
        self._forgone.answered_one()
        self.settled += 1
        return data

    def _end_ambiguity(self, tag: int) -> None:
        """Take a reply that is no ReadyForQuery, so all that was sent before what it answers is settled."""
        head = self._queue[0] if self._queue else None
        if head is None or head in ANY_SYNC or (head == -Frontend.QUERY and tag != Backend.EMPTY_QUERY_RESPONSE):
            raise RemoteProtocolError("a COPY that failed has not swallowed what was sent behind it")
        self.settled += self._forgone.take()

    def _reply(self, tag: int, data: bytes) -> bytes:
        """Match a message with the head of the queue; return it if it is the client's."""
        if tag == Backend.ERROR_RESPONSE:
            return self._error(data)
        if self.is_ambiguous and tag not in AT_ANY_TIME:
            self._end_ambiguity(tag)
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
        self._forgone.copied()
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
        queue = self._queue
        in_group = bool(queue) and queue[0] in ANY_EXTENDED
        if self.is_ambiguous and queue and queue[0] not in ANY_SYNC:
            self._end_ambiguity(Backend.ERROR_RESPONSE)
        self._forgone.failed(in_group=in_group)
        self.in_copy_in = False
        if in_group:
            self._skip()
        if queue and queue[0] in OURS and not self._blind:
            self.failure = data
            return b""
        self.progress.fail(in_group=in_group)
        return data

    def _skip(self) -> None:
        """Drop what the origin skips. Messages still on their way there are skipped as well, up to a Sync."""
        queue = self._queue
        while queue and queue[0] not in (SYNC_POINTS if self._blind else ANY_SYNC):
            self._forgone.count += queue.popleft() in SYNC_POINTS
        if not queue:
            self.is_skipping = self.has_unsynced = True

    def _copy_in(self) -> None:
        """A message turned out to be a COPY FROM STDIN."""
        queue = self._queue
        self._blind, self.in_copy_in = begin_copy(queue, self._blind, self._forgone)
        if queue[0] == Frontend.EXECUTE:
            self.has_unsynced = SYNC_POINTS.isdisjoint(queue)
