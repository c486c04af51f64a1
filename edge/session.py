"""An established session at the edge: what the client sends becomes what crosses the link; what comes back is counted.

A sans-IO core. The bytes of the client go through one framer; most pass unchanged. The session keeps three facts, which
are all that the edge has to know of an answer without parsing rows:

- `owed`: sync points (a simple query, a Sync, a function call) whose ReadyForQuery has not come yet,
- `has_unsynced`: extended-protocol messages went out after the last sync point,
- `status`: the transaction status of the last ReadyForQuery.

Three more come from the pool node: what the session has set for itself may be still unknown (`is_settling`), or tied
to its origin connection (`is_pinned`), and the transaction may have changed what statements mean (`is_uncertain`).
`is_quiet` (none of these, nothing owed, nothing unsynced, no transaction) is when a session may lose its link, its
pool node or its credentials without losing anything else (rules 1).

A request that comes while nothing is owed may be answered here (`answering`), if the configuration allows it; a read
may wait for the answer to somebody else's, and what comes behind it then waits too (`go_on`). A transaction that has
begun here is **held**: its client is told status T, and what opens it at the origin goes out in front of the first
statement that crosses (`opening`). Held is as good as quiet, but it is not a boundary.
A request may be refused as a whole, before any of it has run: no origin connection came free, no pool node is there.
The client then gets the error and a ReadyForQuery for each sync point owed, and if it is in the middle of a group of
extended messages the rest of the group is skipped up to its Sync, as PostgreSQL does after an error. Where that was the
first statement of a held transaction, the transaction has failed: it goes on being held, as one that has.
"""

import re
from typing import Final

from edge.answering import Answering
from edge.cache.answers import Answers
from edge.cache.store import Store
from edge.control import Held
from edge.early import Early
from edge.learning import Learning
from edge.looked_at import ENDS, VOID_BETWEEN, WHOLE, WHOLE_BETWEEN, in_utf8, is_refused, sound
from edge.memos import Settings
from edge.statements import Statements
from edge.whole import sql_of
from protos.errors import ServiceError
from protos.link.settings import SETTLING, UNCERTAIN
from protos.pg.framer import FRONTEND_LIMITS, Framer, FramingError, Piece
from protos.pg.messages import copy_fail, ready_for_query
from protos.pg.tags import Frontend, TransactionStatus

_NO_EARLY: Final = Early()
_NO_ANSWERS: Final = Answers(Store(0), lambda: 0.0)
_WHOLE_REQUESTS: Final = frozenset(bytes([tag]) for tag in (Frontend.BIND, Frontend.PARSE, Frontend.QUERY))
_QUERIES: Final = frozenset({Frontend.EXECUTE, Frontend.FUNCTION_CALL, Frontend.QUERY})
_TEXTS: Final = frozenset({Frontend.PARSE, Frontend.QUERY})
_BEGINS: Final = re.compile(rb"\b(?:begin|start)\b", re.IGNORECASE)


class Session:
    """One client's session, from its ReadyForQuery at connect on."""

    __slots__ = (
        "_deferred", "_framer", "_is_dropping", "_is_skipping", "_may_have_begun", "_opened", "has_unsynced", "here",
        "is_at_end", "is_pinned", "is_settling", "is_uncertain", "learning", "opening", "owed", "statements",
        "terminated", "violation",
    )  # fmt: skip

    def __init__(self, settings: Settings, early: Early = _NO_EARLY, answers: Answers = _NO_ANSWERS) -> None:
        """answers: those that are kept for its configuration."""
        self._framer = Framer(FRONTEND_LIMITS, WHOLE)
        self._deferred: list[Piece] = []  # what comes behind a read that waits
        self.statements = Statements(settings.scope)
        self.here = Answering(self.statements, early, answers, settings)
        """What is answered without the origin."""
        self._is_skipping = False  # up to the Sync
        self._is_dropping = False  # the rest of the message that is in the middle
        self._may_have_begun = False  # something pipelined may begin a transaction
        self._opened: Held | None = None  # what has been sent to open the transaction; nothing has come back yet
        self.owed = 0
        self.has_unsynced = False
        self.is_settling = self.is_pinned = self.is_uncertain = False
        self.learning = Learning(self.statements, early)
        """What can be learnt from its answers."""
        self.is_at_end = True
        """What `feed` returned last ends a request: what comes next begins another."""
        self.violation: ServiceError | None = None
        """What the session ends with as soon as nothing is owed to it."""
        self.terminated = False
        """The client said Terminate; what comes behind that is not read."""
        self.opening: Held | None = None
        """The transaction that is to be opened in front of what `feed` returned last; the caller takes it."""

    @property
    def status(self) -> int:
        """The transaction status that the client was told last."""
        return self.here.status

    @property
    def is_quiet(self) -> bool:
        return (
            not self.owed
            and not self.has_unsynced
            and (self.status == TransactionStatus.IDLE or self.here.held is not None)
            and not (self.is_settling or self.is_pinned)
        )

    @property
    def is_at_boundary(self) -> bool:
        """Whether it is quiet, and its client is in no transaction."""
        return self.is_quiet and self.here.held is None and not self.here.is_waiting

    def _is_at_rest(self) -> bool:
        """Whether what comes now may be answered here, if it does not hang on what the session has set."""
        here = self.here
        return not (
            self.owed
            or self.has_unsynced
            or self._is_skipping
            or self.is_pinned
            or self.is_uncertain
            or (here.status == TransactionStatus.INERROR and here.held is None)
        )

    def answer_whole(self, data: bytes) -> bytes:
        """What answers these bytes of the client from the cache at once; if it is empty, they are to be fed."""
        begins_whole = data[:1] in _WHOLE_REQUESTS and self._framer.is_at_boundary
        is_free = begins_whole and self._is_at_rest() and not self.is_settling
        return self.here.answer_whole(data) if is_free else b""

    def feed(self, data: bytes) -> bytes:
        """Take in bytes of the client; what to send to the origin for them.

        Raises RemoteProtocolError for garbage and StatementMemoryError; either ends the session. While something is
        owed to it that is its `violation`, and ends it later: what came before is done, as by PostgreSQL.
        """
        here = self.here
        if self.violation is not None:
            return b"" if self.owed else self._feed([], [])  # what came before the fault has been taken
        self._framer.whole = WHOLE if self.owed or self.has_unsynced else WHOLE_BETWEEN
        try:
            pieces = self._framer.feed(data)
        except FramingError as error:
            pieces, self.violation = error.pieces, error
        if here.is_waiting:
            self._deferred += pieces
            return b""
        return self._feed(pieces, [])

    def go_on(self) -> bytes:
        """A read need not wait any longer; what to send to the origin, for it and for what has come behind it."""
        out: list[bytes] = []
        for piece in self.here.go_on():
            self._take(piece, out)
        pieces, self._deferred = self._deferred, []
        return self._feed(pieces, out)

    def cancel(self) -> bytes:
        """A read does not want to wait any longer; likewise, for what has come behind it."""
        self.here.cancel()
        return self.go_on()

    def _feed(self, pieces: list[Piece], out: list[bytes]) -> bytes:
        try:
            self._take_all(pieces, out)
        except ServiceError as error:
            self.violation = error
        if self.terminated:
            self.violation = None
        if self.violation is not None and self.owed:
            out.append(copy_fail("the client has broken the protocol"))  # a COPY would wait for more
        elif self.violation is not None and not self.here.is_waiting:
            self.here.say_last()
            raise self.violation
        if self.here.reader.tally.to_client:
            self.here.to_client += self.here.reader.tally.take_words()
        return out[0] if len(out) == 1 else b"".join(out)

    def _take_all(self, pieces: list[Piece], out: list[bytes]) -> None:
        here = self.here
        for index, piece in enumerate(map(in_utf8 if here.reader.settings.is_utf8 else sound, pieces), 1):
            if self.terminated:
                return
            if self._is_skipping and piece.tag != Frontend.TERMINATE:
                self._skip(piece.tag)
            elif here.is_gathering or self._is_at_rest():
                following = pieces[index].tag if index < len(pieces) else 0
                if not (here.take_unsettled(piece) if self.is_settling else here.take(piece, following)):
                    for one in (*here.give_up(), piece):
                        self._take(one, out)
                elif here.is_waiting:
                    self._deferred = pieces[index:]
                    break
            else:
                here.interrupt()
                if piece.tag in _TEXTS and _BEGINS.search(piece.data):
                    self._may_have_begun = True
                self._take(piece, out)

    def answered(self, settled: int, status: int) -> None:
        """The origin has answered this many sync points; status is that of the last, perhaps with flags."""
        self.owed -= settled
        self.statements.answered(settled, is_over=not self.owed and status & 0xFF == TransactionStatus.IDLE)
        self.here.memory.answered(settled, status)
        self.here.reader.answered(settled, status)
        if status & SETTLING:
            self.is_settling = True
        self.is_uncertain = bool(status & UNCERTAIN)
        if not self.owed:
            self._may_have_begun = False
            self.here.reader.at_rest(status, is_settling=self.is_settling)
        self.learning.settled(is_certain=not (self.owed or self.is_uncertain or self.is_pinned))
        self.here.status = status & 0xFF
        self._opened = None

    def state_known(self, settings: Settings, *, is_pinned: bool) -> None:
        """What the session has set for itself is known."""
        self.here.memory.state_known(settings, is_pinned=is_pinned)
        self.here.reader.adopt(settings)
        self.is_settling = False
        self.is_pinned = is_pinned
        self.statements.registry.scope = settings.scope

    def refuse(self, response: bytes) -> bytes:
        """Nothing of what is owed was run, nor will be: what the client gets for it, given the ErrorResponse."""
        if self.is_quiet:  # it concerns nothing
            return b""
        is_answered = self.owed == 1 and not self.has_unsynced and self.here.last_resort(response)
        self.here.status = TransactionStatus.IDLE
        if is_answered:
            self.here.hold(self._opened)
            self._opened = None
        elif self._opened is not None or self._may_have_begun:
            # What comes behind it must not run outside of the transaction that its client is in, or takes itself to be.
            opening = (b"BEGIN",) if self._opened is None else self._opened.opening
            self.here.held, self._opened = Held(opening, has_failed=True), None
            self.here.status = TransactionStatus.INERROR
        self._may_have_begun = False
        self.here.reader.switches.refused(self.status)
        answer = ((b"" if is_answered else response) + ready_for_query(self.status)) * self.owed
        if self.has_unsynced:
            answer += response
            self._is_skipping = True
        self.owed, self.has_unsynced, self.opening = 0, False, None
        self.learning.stop()
        self.here.interrupt()
        self.statements.refused()
        self.channel_lost()
        return answer

    def heard(self, data: bytes) -> None:
        """Learn from an answer, if there is something to be learnt from it."""
        self.here.memory.heard(data)
        self.here.reader.heard(data)
        self.learning.heard(data, is_certain=not (self.is_uncertain or self.is_pinned))

    def channel_lost(self) -> None:
        """What was sent went nowhere, or is done: the rest of a message in the middle must not go to another origin."""
        self._is_dropping = True
        self.statements.channel_lost()
        self.here.memory.abandon()
        if not self.here.is_waiting:
            self.here.reader.interrupt()

    # --- what crosses ---

    def _take(self, piece: Piece, out: list[bytes]) -> None:
        taken = self._taken(*piece)
        if not taken:
            return
        held = self.here.open_transaction()
        if held is not None:
            self.opening = self._opened = held
        self.is_at_end = piece.whole and piece.tag in ENDS
        switches = self.here.reader.switches
        switches.passes(piece)
        was_at_rest = self._framer.whole is WHOLE_BETWEEN  # else an answer may be on its way to the client
        if not switches.are_as_at_start and piece.tag != Frontend.PARSE:
            switches.crosses(piece.tag, sql_of(piece, self.statements), self.owed, is_heard=was_at_rest)
        if piece.tag in _QUERIES:
            is_alone = was_at_rest and self.owed == (piece.tag != Frontend.EXECUTE)
            self.here.reader.tally.crossed(self.status, is_alone=is_alone)
        out.append(taken)

    def _taken(self, tag: int, piece: bytes, whole: bool) -> bytes:  # noqa: FBT001 - a Piece
        if tag:
            self._is_dropping = tag in VOID_BETWEEN and not self.owed and not self.has_unsynced
        if self._is_dropping:
            return b""
        if tag == 0 or tag in VOID_BETWEEN:
            return piece
        if tag == Frontend.QUERY:
            return self._take_query(piece, whole=whole)
        if tag in (Frontend.SYNC, Frontend.FUNCTION_CALL):
            self.owed += 1
            self.has_unsynced = False
            self.statements.synced()
            return piece
        if tag == Frontend.TERMINATE:
            self.terminated = True
            return b""
        return self._take_extended(tag, piece, whole=whole)

    def _take_query(self, piece: bytes, *, whole: bool) -> bytes:
        """A simple query ends the group of extended messages before it, as a Sync does."""
        self.owed += 1
        self.has_unsynced = self._is_dropping = False
        is_void = is_refused(piece, is_utf8=whole and self.here.reader.settings.is_utf8)
        self.statements.synced() if is_void else self.statements.queried(piece, whole=whole)
        return piece

    def _take_extended(self, tag: int, piece: bytes, *, whole: bool) -> bytes:
        statements = self.statements
        if not self.owed and not self.has_unsynced:
            self.learning.begin(is_at_rest=self._is_at_rest() and not self.is_settling)
        self.has_unsynced = True
        self.learning.sent(tag, piece, whole=whole)
        if tag == Frontend.PARSE:
            piece = statements.parse(piece, whole=whole)
        elif tag == Frontend.CLOSE:
            piece = statements.close(piece)
        elif tag == Frontend.BIND:
            piece = statements.bind(piece)
        elif tag == Frontend.EXECUTE:
            statements.execute(piece)
        elif tag == Frontend.DESCRIBE:
            piece = statements.describe(piece)
        statements.registry.place += 1
        return piece

    def _skip(self, tag: int) -> None:
        if tag == Frontend.SYNC:
            self._is_skipping = False
            self.statements.changed_here(())
            self.here.to_client += ready_for_query(self.status)
