"""What a session is answered at its edge: requests that come while nothing is owed to it, if its configuration allows.

Four kinds: a transaction is begun, shaped or ended that the origin knows nothing of (`control`); a group of extended
messages can be answered one by one (`group`), as a prepare round trip can whose description is known (`early`); a whole
answer is remembered (`memory`). All else crosses, in the order in which it came.

A sans-IO core, and a part of `Session`: it has the transaction status that the client was told last.
"""

from typing import Final

from edge.control import Held, Outcome, control_of, outcome_of
from edge.early import NOTHING, Early
from edge.group import Group
from edge.memory import Memory, may_be_fact
from edge.memos import Memo, Settings
from edge.statements import Statements
from protos.pg.framer import Piece
from protos.pg.messages import command_complete, ready_for_query
from protos.pg.sql_statements import command_of
from protos.pg.tags import Frontend, TransactionStatus

_GROUPED: Final = frozenset({
    Frontend.BIND, Frontend.CLOSE, Frontend.DESCRIBE, Frontend.EXECUTE, Frontend.FLUSH, Frontend.PARSE, Frontend.SYNC,
})  # fmt: skip


class Answering:
    """Of one session."""

    __slots__ = ("_early", "_group", "_statements", "given", "held", "memory", "status", "to_client")

    def __init__(self, statements: Statements, early: Early, state: bytes) -> None:
        """state: a digest of the settings that the session has."""
        self._statements = statements
        self._early = early
        self._group: Group | None = None
        self.memory = Memory(early.memos, state)
        self.status: int = TransactionStatus.IDLE
        self.held: Held | None = None
        """The transaction that has begun here and nowhere else."""
        self.given: Settings | None = None
        """The settings that the session has by an answer of ours; the caller takes them."""
        self.to_client = b""
        """What is answered; the caller takes it."""

    @property
    def is_gathering(self) -> bool:
        """Whether the beginning of a group waits here for the rest of it."""
        return self._group is not None

    def give_up(self) -> list[Piece]:
        """What has been gathered has to cross."""
        group, self._group = self._group, None
        return [] if group is None else group.pieces

    def open_transaction(self) -> Held | None:
        """Something crosses: what opens its transaction, if that was held here."""
        held, self.held = self.held, None
        if held is not None:
            self.memory.opened(held)
        return held

    def take(self, piece: Piece, following: int = 0) -> bool:
        """Answer it here, now or with what comes next, if that can be done; then it does not cross.

        following: the tag of the message behind it, if that has come too.
        """
        early, group = self._early, self._group
        if not early.is_on:
            return False
        if piece.tag == Frontend.QUERY:
            return group is None and piece.whole and self._answer_query(piece.data)
        if piece.tag not in _GROUPED or (self.held is not None and self.held.has_failed):
            return False
        if group is None:
            # Most groups run a statement at once, so most need no closer look.
            if following == Frontend.BIND and piece.tag == Frontend.PARSE and not _may_run_here(piece.data):
                return False
            is_idle = self.status == TransactionStatus.IDLE
            group = self._group = Group(self._statements, early, self.memory, self.held, is_idle=is_idle)
        if not group.take(piece):
            return False
        if piece.tag in (Frontend.SYNC, Frontend.FLUSH):
            self._group = None
            self._settle_here(group, is_synced=piece.tag == Frontend.SYNC)
        return True

    def _answer_query(self, message: bytes) -> bool:
        sql = message[5:-1]
        is_idle = self.status == TransactionStatus.IDLE
        control = control_of(sql) if self._early.begin else None
        outcome = None if control is None else outcome_of(control, self.held, is_idle=is_idle)
        if outcome is not None:
            self._hold(outcome)
            answer = command_complete(outcome.tag)
        else:
            may_recall = may_be_fact(sql) and command_of(sql) is None
            has_failed = self.held is not None and self.held.has_failed
            memo = self.memory.recall(sql, self.held, is_idle=is_idle) if may_recall and not has_failed else None
            if memo is None:
                return False
            self._adopt(memo)
            answer = memo.answer
        self._statements.queried_here()
        self.to_client += answer + ready_for_query(self.status)
        return True

    def _adopt(self, memo: Memo) -> None:
        """The request of a memo has been answered with it."""
        if memo.settings is not None:
            self.given = memo.settings
            self.memory.state = memo.settings.state
            self._statements.registry.scope = memo.settings.scope

    def _settle_here(self, group: Group, *, is_synced: bool) -> None:
        statements = self._statements
        statements.changed_here(group.effects)
        for name, description in group.told_of_all():
            if description is not NOTHING:  # that a BEGIN has neither parameters nor rows cannot change
                statements.tell(name, description.digest)
        if group.outcome is not None:
            self._hold(group.outcome)
        if group.memo is not None:
            group.replies = [group.memo.answer]
            self._adopt(group.memo)
        self.to_client += b"".join(group.replies)
        if is_synced:
            self.to_client += ready_for_query(self.status)

    def _hold(self, outcome: Outcome) -> None:
        self.held = outcome.held
        self.status = TransactionStatus.IDLE if outcome.held is None else TransactionStatus.INTRANS


def _may_run_here(parse: bytes) -> bool:
    """Whether a statement can be more than prepared at the edge."""
    start = parse.find(0, 5) + 1
    end = parse.find(0, start)
    sql = parse[start:end]
    return may_be_fact(sql) or control_of(sql) is not None
