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

A request that comes while nothing is owed may be answered here (`early`, `control`, `group`), if the configuration
allows it. A transaction that has begun here is **held**: its client is told status T, and what opens it at the origin
goes out in front of the first statement that crosses (`opening`). Held is as good as quiet, but it is not a boundary.

A request may be refused as a whole, before any of it has run: no origin connection came free, no pool node is there.
The client then gets the error and a ReadyForQuery for each sync point owed, and if it is in the middle of a group of
extended messages the rest of the group is skipped up to its Sync, as PostgreSQL does after an error. Where that was the
first statement of a held transaction, the transaction has failed: it goes on being held, as one that has.
"""

import re
from typing import Final

from edge.answering import Answering
from edge.control import Held
from edge.early import Early
from edge.hearing import Hearing
from edge.memos import Settings
from edge.statements import Statements
from protos.errors import RemoteProtocolError
from protos.link.settings import SETTLING, UNCERTAIN
from protos.pg.framer import FRONTEND_LIMITS, Framer, Piece
from protos.pg.messages import ready_for_query
from protos.pg.tags import Frontend, TransactionStatus

# While a request is going on, CopyData and the rest of oversized messages pass through; everything else is looked at.
_WHOLE: Final = frozenset({
    Frontend.BIND, Frontend.CLOSE, Frontend.COPY_DONE, Frontend.COPY_FAIL, Frontend.DESCRIBE, Frontend.EXECUTE,
    Frontend.FLUSH, Frontend.FUNCTION_CALL, Frontend.PARSE, Frontend.PASSWORD, Frontend.QUERY, Frontend.SYNC,
    Frontend.TERMINATE,
})  # fmt: skip
# Between requests these mean nothing (a COPY has failed, and its client goes on sending): PostgreSQL ignores them, and
# we must not borrow a connection for them. So CopyData is looked at then, and a run is the rest of one message.
_VOID_BETWEEN: Final = frozenset({Frontend.COPY_DATA, Frontend.COPY_DONE, Frontend.COPY_FAIL, Frontend.FLUSH})
_WHOLE_BETWEEN: Final = _WHOLE | _VOID_BETWEEN
_ENDS: Final = frozenset({
    Frontend.COPY_DONE, Frontend.COPY_FAIL, Frontend.FUNCTION_CALL, Frontend.QUERY, Frontend.SYNC,
})  # fmt: skip
_NO_EARLY: Final = Early()
_TEXTS: Final = frozenset({Frontend.PARSE, Frontend.QUERY})
_BEGINS: Final = re.compile(rb"\b(?:begin|start)\b", re.IGNORECASE)


class Session:
    """One client's session, from its ReadyForQuery at connect on."""

    __slots__ = (
        "_early", "_framer", "_is_dropping", "_is_skipping", "_may_have_begun", "_may_hear", "_opened", "_parsed",
        "has_unsynced", "hearing", "here", "is_at_end", "is_pinned", "is_settling", "is_uncertain", "opening", "owed",
        "statements", "terminated",
    )  # fmt: skip

    def __init__(self, scope: bytes, early: Early = _NO_EARLY, state: bytes = b"") -> None:
        """scope, state: digests of the settings that Parse reads, and of all."""
        self._early = early
        self._framer = Framer(FRONTEND_LIMITS, _WHOLE)
        self.statements = Statements(scope)
        self.here = Answering(self.statements, early, state)
        """What is answered without the origin."""
        self._is_skipping = False  # up to the Sync
        self._is_dropping = False  # the rest of the message that is in the middle
        self._may_hear = False  # only Parses and Closes came since the session was at rest
        self._may_have_begun = False  # something pipelined may begin a transaction
        self._parsed: list[bytes] = []  # names, by those
        self._opened: Held | None = None  # what has been sent to open the transaction; nothing has come back yet
        self.owed = 0
        self.has_unsynced = False
        self.is_settling = False
        self.is_pinned = False
        self.is_uncertain = False
        self.hearing: Hearing | None = None
        """Listens to the answer that is due, where something can be learnt from it."""
        self.is_at_end = True
        """What `feed` returned last ends a request: what comes next begins another."""
        self.terminated = False
        """The client said Terminate."""
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
        return self.is_quiet and self.here.held is None

    @property
    def _is_at_rest(self) -> bool:
        """Whether what comes now may be answered here."""
        return not (
            self.owed
            or self.has_unsynced
            or (self.status == TransactionStatus.INERROR and self.here.held is None)
            or self._is_skipping
            or self.is_settling
            or self.is_pinned
            or self.is_uncertain
        )

    def feed(self, data: bytes) -> bytes:
        """Take in bytes of the client; what to send to the origin for them.

        Raises RemoteProtocolError for garbage and StatementMemoryError; either ends the session.
        """
        framer = self._framer
        framer.whole = _WHOLE if self.owed or self.has_unsynced else _WHOLE_BETWEEN
        out: list[bytes] = []
        pieces = framer.feed(data)
        for index, piece in enumerate(pieces, 1):
            if self._is_skipping and piece.tag != Frontend.TERMINATE:
                self._skip(piece.tag)
            elif self.here.is_gathering or self._is_at_rest:
                following = pieces[index].tag if index < len(pieces) else 0
                if not self.here.take(piece, following):
                    for one in (*self.here.give_up(), piece):
                        self._take(one, out)
            else:
                self.here.memory.interrupt()
                if piece.tag in _TEXTS and _BEGINS.search(piece.data):
                    self._may_have_begun = True
                self._take(piece, out)
        return out[0] if len(out) == 1 else b"".join(out)

    def answered(self, settled: int, status: int) -> None:
        """The origin has answered this many sync points; status is that of the last, perhaps with flags."""
        self.owed -= settled
        self.statements.answered(settled)
        self.here.memory.answered(settled, status)
        if status & SETTLING:
            self.is_settling = True
        self.is_uncertain = bool(status & UNCERTAIN)
        if not self.owed:
            self._may_have_begun = False
        if self._parsed:
            self._tell_parsed()
        self.here.status = status & 0xFF
        self._opened = None

    def state_known(self, settings: Settings, *, is_pinned: bool) -> None:
        """What the session has set for itself is known."""
        self.here.memory.state_known(settings, is_pinned=is_pinned)
        self.is_settling = False
        self.is_pinned = is_pinned
        self.statements.registry.scope = settings.scope

    def refuse(self, response: bytes) -> bytes:
        """Nothing of what is owed was run, nor will be: what the client gets for it, given the ErrorResponse."""
        self.here.status = TransactionStatus.IDLE
        if self._opened is not None or self._may_have_begun:
            # What comes behind it must not run outside of the transaction that its client is in, or takes itself to be.
            opening = (b"BEGIN",) if self._opened is None else self._opened.opening
            self.here.held, self._opened = Held(opening, has_failed=True), None
            self.here.status = TransactionStatus.INERROR
        self._may_have_begun = False
        answer = (response + ready_for_query(self.status)) * self.owed
        if self.has_unsynced:
            answer += response
            self._is_skipping = True
        self.owed = 0
        self.has_unsynced = False
        self.opening = self.hearing = None
        self._parsed = []
        self.here.memory.interrupt()
        self.statements.refused()
        self.channel_lost()
        return answer

    def _tell_parsed(self) -> None:
        """What has just been parsed has the description that the pool node has sent with the answer, if it has."""
        parsed, self._parsed = self._parsed, []
        if self.owed or self.is_uncertain or self.is_pinned:
            return
        for name in parsed:
            statement = self.statements.get(name)
            description = None if statement is None else self._early.description_of(statement.name)
            if description is not None:
                self.statements.tell(name, description.digest)

    def heard(self, data: bytes) -> None:
        """Learn from an answer, if there is something to be learnt from it."""
        self.here.memory.heard(data)
        hearing = self.hearing
        if hearing is None or not hearing.is_over(data):
            return
        self.hearing = None
        if hearing.description is not None and not (self.is_uncertain or self.is_pinned):
            self._early.learn(hearing.statement.name, hearing.description)
            if self.statements.get(hearing.name) is hearing.statement:  # the name may be another's by now
                self.statements.tell(hearing.name, hearing.description.digest)

    def channel_lost(self) -> None:
        """What was sent went nowhere, or is done: the rest of a message in the middle must not go to another origin."""
        self._is_dropping = True
        self.statements.channel_lost()

    # --- what crosses ---

    def _take(self, piece: Piece, out: list[bytes]) -> None:
        if self.terminated:
            return
        taken = self._taken(*piece)
        if not taken:
            return
        held = self.here.open_transaction()
        if held is not None:
            self.opening = self._opened = held
        self.is_at_end = piece.whole and piece.tag in _ENDS
        out.append(taken)

    def _taken(self, tag: int, piece: bytes, whole: bool) -> bytes:  # noqa: FBT001 - a Piece
        if tag:
            self._is_dropping = tag in _VOID_BETWEEN and not self.owed and not self.has_unsynced
        if self._is_dropping:
            return b""
        if tag == 0 or tag in _VOID_BETWEEN:
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
        if tag == Frontend.PASSWORD:
            raise RemoteProtocolError("password message in a session", public="invalid frontend message type 112")
        return self._take_extended(tag, piece, whole=whole)

    def _take_query(self, piece: bytes, *, whole: bool) -> bytes:
        """A simple query ends the group of extended messages before it, as a Sync does."""
        self.owed += 1
        self.has_unsynced = False
        self._is_dropping = False
        self.statements.queried(piece, whole=whole)
        return piece

    def _take_extended(self, tag: int, piece: bytes, *, whole: bool) -> bytes:
        statements = self.statements
        if not self.owed and not self.has_unsynced:
            self._may_hear = self._early.prepare and self._is_at_rest
        self.has_unsynced = True
        if tag == Frontend.PARSE:
            if self._may_hear and whole and piece[5]:  # the unnamed one is mostly gone by then
                self._parsed.append(piece[5 : piece.index(0, 5)])
            piece = statements.parse(piece, whole=whole)
        elif tag == Frontend.CLOSE:
            piece = statements.close(piece)
        else:
            if tag == Frontend.BIND:
                piece = statements.bind(piece)
            elif tag == Frontend.EXECUTE:
                statements.execute(piece)
            elif tag == Frontend.DESCRIBE:
                if self._may_hear:
                    self._listen(piece)
                piece = statements.describe(piece)
            self._may_hear = False
        statements.registry.place += 1
        return piece

    def _listen(self, describe: bytes) -> None:
        """What comes is the description of this statement."""
        if describe[5:6] == b"S":
            name = describe[6:-1]
            statement = self.statements.get(name)
            if statement is not None and statement.script is None:
                self.hearing = Hearing(name, statement)

    def _skip(self, tag: int) -> None:
        if tag == Frontend.SYNC:
            self._is_skipping = False
            self.statements.changed_here(())
            self.here.to_client += ready_for_query(self.status)
