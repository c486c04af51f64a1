"""An established session at the edge: what the client sends becomes what crosses the link; what comes back is counted.

A sans-IO core. The bytes of the client go through one framer; most pass unchanged. The session keeps three facts, which
are all that the edge has to know of an answer without parsing rows:

- `owed`: sync points (a simple query, a Sync, a function call) whose ReadyForQuery has not come yet,
- `has_unsynced`: extended-protocol messages went out after the last sync point,
- `status`: the transaction status of the last ReadyForQuery.

Two more come from the pool node: what the session has set for itself may be still unknown (`is_settling`), or tied to
its origin connection (`is_pinned`).

`is_quiet` (none of these, nothing owed, nothing unsynced, no transaction) is when a session may lose its link, its
pool node or its credentials without losing anything else (rules 1).

A request may be refused as a whole, before any of it has run: no origin connection came free, no pool node is there.
The client then gets the error and a ReadyForQuery for each sync point owed, and if it is in the middle of a group of
extended messages the rest of the group is skipped up to its Sync, as PostgreSQL does after an error.
"""

from typing import Final

from edge.statements import Statement, Statements
from protos.errors import RemoteProtocolError
from protos.link.settings import SETTLING, UNCERTAIN
from protos.pg.framer import FRONTEND_LIMITS, Framer
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
_READY_IDLE: Final = ready_for_query(TransactionStatus.IDLE)


class Session:
    """One client's session, from its ReadyForQuery at connect on."""

    __slots__ = (
        "_framer", "_is_dropping", "_is_skipping", "_statements", "has_unsynced", "is_at_end", "is_pinned",
        "is_settling", "needed", "owed", "status", "terminated", "to_client",
    )  # fmt: skip

    def __init__(self, scope: bytes) -> None:
        self._framer = Framer(FRONTEND_LIMITS, _WHOLE)
        self._statements = Statements(scope)
        self._is_skipping = False  # up to the Sync
        self._is_dropping = False  # the rest of the message that is in the middle
        self.owed = 0
        self.has_unsynced = False
        self.status: int = TransactionStatus.IDLE
        self.is_settling = False
        self.is_pinned = False
        self.is_at_end = True
        """What `feed` returned last ends a request: what comes next begins another."""
        self.terminated = False
        """The client said Terminate."""
        self.needed: list[Statement] = []
        """Statements that what `feed` returned last refers to; the caller takes them."""
        self.to_client = b""
        """What `feed` answers itself; the caller takes it."""

    @property
    def is_quiet(self) -> bool:
        return (
            not self.owed
            and not self.has_unsynced
            and self.status == TransactionStatus.IDLE
            and not (self.is_settling or self.is_pinned)
        )

    def feed(self, data: bytes) -> bytes:
        """Take in bytes of the client; what to send to the origin for them.

        Raises RemoteProtocolError for garbage and StatementMemoryError; either ends the session.
        """
        framer = self._framer
        framer.whole = _WHOLE if self.owed or self.has_unsynced else _WHOLE_BETWEEN
        pieces = framer.feed(data)
        if len(pieces) == 1 and pieces[0].tag == Frontend.QUERY and not self._is_skipping:
            self.is_at_end = pieces[0].whole
            return self._take_query(pieces[0].data)
        out: list[bytes] = []
        for tag, piece, whole in pieces:
            if self._is_skipping and tag != Frontend.TERMINATE:
                self._skip(tag)
                continue
            taken = self._take(tag, piece, whole=whole)
            if self.terminated:
                break
            if taken:
                self.is_at_end = whole and tag in _ENDS
                out.append(taken)
        return b"".join(out)

    def answered(self, settled: int, status: int) -> None:
        """The origin has answered this many sync points; status is that of the last, perhaps with SETTLING."""
        self.owed -= settled
        status &= ~UNCERTAIN
        if status & SETTLING:
            status ^= SETTLING
            self.is_settling = True
        self.status = status

    def state_known(self, scope: bytes, *, is_pinned: bool) -> None:
        """What the session has set for itself is known, and with it the scope of its statements."""
        self.is_settling = False
        self.is_pinned = is_pinned
        self._statements.scope = scope

    def refuse(self, response: bytes) -> bytes:
        """Nothing of what is owed was run, nor will be: what the client gets for it, given the ErrorResponse."""
        answer = (response + _READY_IDLE) * self.owed
        if self.has_unsynced:
            answer += response
            self._is_skipping = True
        self.owed = 0
        self.has_unsynced = False
        self.status = TransactionStatus.IDLE
        self.channel_lost()
        return answer

    def channel_lost(self) -> None:
        """What was sent went nowhere, or is done: the rest of a message in the middle must not go to another origin."""
        self._is_dropping = True

    def _take(self, tag: int, piece: bytes, *, whole: bool) -> bytes:
        if tag:
            self._is_dropping = tag in _VOID_BETWEEN and not self.owed and not self.has_unsynced
        if self._is_dropping:
            return b""
        if tag == 0 or tag in _VOID_BETWEEN:
            return piece
        if tag == Frontend.QUERY:
            return self._take_query(piece)
        if tag in (Frontend.SYNC, Frontend.FUNCTION_CALL):
            self.owed += 1
            self.has_unsynced = False
            self._statements.synced()
            return piece
        if tag == Frontend.TERMINATE:
            self.terminated = True
            return b""
        if tag == Frontend.PASSWORD:
            raise RemoteProtocolError("password message in a session", public="invalid frontend message type 112")
        self.has_unsynced = True
        return self._take_extended(tag, piece, whole=whole)

    def _take_query(self, piece: bytes) -> bytes:
        """A simple query ends the group of extended messages before it, as a Sync does."""
        self.owed += 1
        self.has_unsynced = False
        self._is_dropping = False
        self._statements.queried()
        return piece

    def _take_extended(self, tag: int, piece: bytes, *, whole: bool) -> bytes:
        statements = self._statements
        statement = None
        if tag == Frontend.PARSE:
            piece, statement = statements.parse(piece, whole=whole)
        elif tag == Frontend.BIND:
            piece, statement = statements.bind(piece)
        elif tag == Frontend.DESCRIBE:
            piece, statement = statements.describe(piece)
        elif tag == Frontend.CLOSE:
            piece = statements.close(piece)
        if statement is not None and (not self.needed or self.needed[-1] is not statement):
            self.needed.append(statement)
        return piece

    def _skip(self, tag: int) -> None:
        if tag == Frontend.SYNC:
            self._is_skipping = False
            self._statements.synced()
            self.to_client += _READY_IDLE
