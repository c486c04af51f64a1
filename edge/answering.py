"""What a session is answered at its edge: requests that come while nothing is owed to it, if its configuration allows.

A transaction is begun, shaped or ended that the origin knows nothing of (`control`); a group of extended messages can
be answered one by one (`group`), as a prepare round trip can whose description is known (`early`); a whole answer is
remembered (`memory`), or kept (`cache`). A read may also wait here for the answer to somebody else's. All else crosses,
in the order in which it came.

A sans-IO core, and a part of `Session`: it has the transaction status that the client was told last.
"""

from edge.cache.answers import Answer, Answers
from edge.cache.reader import Reader
from edge.cache.shortcuts import key_of, serve_whole
from edge.cache.switch import may_be_switch
from edge.cache.unsent import Long
from edge.control import Control, Held, Outcome, Verb, control_of, described, outcome_of, reply_to, tell_switches
from edge.early import NOTHING, Early
from edge.group import Group
from edge.looked_at import is_grouped
from edge.memory import Memory
from edge.memos import Memo, Settings
from edge.statements import Statements
from edge.whole import begins_read, may_run_here, sql_of
from protos.errors import QueryCancelledError
from protos.pg.first_look import may_be_fact, may_be_read
from protos.pg.framer import Piece
from protos.pg.messages import command_complete, ready_for_query, service_error
from protos.pg.sql_statements import command_of
from protos.pg.tags import Frontend, TransactionStatus


class Answering:
    """Of one session."""

    __slots__ = (
        "_early", "_group", "_statements", "_waiting", "given", "held", "long", "memory", "reader", "status",
        "to_client",
    )  # fmt: skip

    def __init__(self, statements: Statements, early: Early, answers: Answers, settings: Settings) -> None:
        self._statements = statements
        self._early = early
        self._group: Group | None = None
        self._waiting: Group | Piece | None = None  # for the answer to somebody else's read
        self.reader = Reader(answers, settings)
        self.memory = Memory(early.memos, settings.state, self.reader.unsent)
        self.status: int = TransactionStatus.IDLE
        self.held: Held | None = None
        """The transaction that has begun here and nowhere else."""
        self.given: Settings | None = None
        """The settings that the session has by an answer of ours; the caller takes them."""
        self.long: Long | None = None
        """What is answered in slices; the caller takes it."""
        self.to_client = b""
        """What is answered, behind that; the caller takes it."""

    @property
    def is_gathering(self) -> bool:
        """Whether the beginning of a group waits here for the rest of it."""
        return self._group is not None

    @property
    def is_waiting(self) -> bool:
        """Whether a read waits for an answer that is on its way; nothing else may be taken meanwhile."""
        return self._waiting is not None

    def go_on(self) -> list[Piece]:
        """The wait is over: what of it has to cross, for it is not answered."""
        waiting, self._waiting = self._waiting, None
        answer = self.reader.take_result()
        if isinstance(waiting, Group) and answer is not None and waiting.take_answer(answer):
            self._settle_here(waiting, is_synced=True)
        elif isinstance(waiting, Piece) and answer is not None:
            self._serve(answer)
        elif waiting is not None:
            self.reader.lead_again()
            return waiting.pieces if isinstance(waiting, Group) else [waiting]
        return []

    def interrupt(self) -> None:
        """Something crosses behind a request whose answer was to be remembered or kept, or nothing comes of it."""
        self.memory.interrupt()
        if not self.is_waiting:
            self.reader.interrupt()

    def cancel(self) -> None:
        """The client does not want to wait any longer."""
        if not isinstance(self._waiting, Group):
            self._statements.queried_here()
        self._waiting = None
        self.reader.interrupt()
        if self.held is not None:
            self.hold(Held(self.held.opening, has_failed=True))
        self.to_client += service_error(QueryCancelledError()) + ready_for_query(self.status)

    def give_up(self) -> list[Piece]:
        """What has been gathered has to cross."""
        group, self._group = self._group, None
        return [] if group is None else group.pieces

    def say_last(self) -> None:
        """The session ends in the middle of a group: what of that is answered is said."""
        group, self._group = self._group, None
        if group is not None:
            self._settle_here(group, is_synced=False)

    def last_resort(self, error: bytes) -> bool:
        """Whether a read whose origin cannot be reached, as this error says, is answered with what there is of it."""
        found = self.reader.last_resort(error)
        if found is not None:
            self._give(*found)
        return found is not None

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
        if not self._may_answer(piece):
            return False
        if piece.tag == Frontend.QUERY:
            return group is None and piece.whole and self._answer_query(piece)
        if group is None:
            # Most groups run a statement at once, so most need no closer look.
            is_run = following == Frontend.BIND and piece.tag == Frontend.PARSE
            if is_run and not may_run_here(piece.data, reads=self.reader.is_on):
                return False
            is_idle = self.status == TransactionStatus.IDLE
            reader = self.reader if self._may_read(is_idle=is_idle) else None
            group = self._group = Group(self._statements, early, self.memory, reader, self.held, is_idle=is_idle)
        return self._take_into(group, piece)

    def _take_into(self, group: Group, piece: Piece) -> bool:
        if not group.take(piece):
            return False
        if piece.tag in (Frontend.SYNC, Frontend.FLUSH):
            self._group = None
            if self.reader.is_waiting:
                self._wait(group)
            else:
                self._settle_here(group, is_synced=piece.tag == Frontend.SYNC)
        return True

    def _may_answer(self, piece: Piece) -> bool:
        """Whether it is something that may be answered here."""
        reader = self.reader
        is_on = self._early.is_on or reader.is_allowed or self._group is not None
        if not reader.switches.may_be_told(piece.data, is_on=is_on):
            return False
        reader.tally.is_slow = False
        if reader.unsent.is_full and not may_be_switch(piece.data):
            reader.tally.is_slow = begins_read(piece, self._statements)
            return False
        has_failed = self.held is not None and self.held.has_failed
        return piece.tag == Frontend.QUERY or (is_grouped(piece) and not has_failed)

    def answer_whole(self, data: bytes) -> bytes:
        """What answers a simple query, or a group of messages in the same bytes as before, from the cache at once.

        Empty if nothing does. (Where caching is off nothing is kept.)
        """
        reader, status = self.reader, self.status
        if self._group is not None or self._waiting is not None or reader.switches.is_off:
            return b""
        if status != TransactionStatus.IDLE and not self._may_read(is_idle=False):
            return b""
        answer = serve_whole(data, reader, self._statements)
        if answer is None:
            return b""
        if reader.tally.to_client:
            answer = reader.tally.take_words() + answer
        return answer + ready_for_query(status)

    def _may_read(self, *, is_idle: bool) -> bool:
        """Whether answers that are kept may be served now."""
        held = self.held
        return self.reader.may_read(None if held is None or held.has_failed else held.opening, is_idle=is_idle)

    def _answer_query(self, piece: Piece) -> bool:
        sql, is_idle = piece.data[5:-1], self.status == TransactionStatus.IDLE
        may_read = self._may_read(is_idle=is_idle)
        if may_read:
            answer = self.reader.recall(sql)
            if answer is not None:
                self._serve(answer)
                return True
        if self._answer_with(self._known(sql, is_idle=is_idle)):
            self.reader.switches.ran_here(sql, in_transaction=not is_idle)
            return True
        if may_read and may_be_read(sql) and self.reader.expect(sql, sql, piece.data, _no_head):
            self._wait(piece)
            return True
        return False

    def _wait(self, request: Group | Piece) -> None:
        """Somebody else's answer may be it; what comes next is not the answer to this."""
        self._waiting = request
        self.memory.interrupt()

    def _serve(self, answer: Answer) -> None:
        """The answer to a simple query."""
        self.reader.serve(answer)
        self._statements.queried_here()
        self._give(b"", answer)
        self._say(ready_for_query(self.status))

    def _give(self, head: bytes, answer: Answer) -> None:
        """An answer that is kept, with what stands in front of its rows."""
        self._say(self.reader.tally.take_words() + head + answer.body)
        if answer.slices:
            assert self.long is None, "who is sent one is given no other"
            self.long, self.to_client = Long(answer, (self.to_client, *answer.slices)), b""
            self.reader.unsent.gathered_bytes += answer.size

    def _say(self, data: bytes) -> None:
        """The client is told this."""
        self.to_client += data
        self.reader.unsent.gathered_bytes += len(data)

    def take_unsettled(self, piece: Piece) -> bool:
        """Likewise while it is not known what the session has set: what begins a transaction does not hang on that."""
        if self.reader.unsent.is_full or not self._early.begin:
            return False
        is_idle = self.status == TransactionStatus.IDLE
        if piece.tag == Frontend.QUERY:
            control = control_of(piece.data[5:-1]) if self._group is None and piece.whole else None
            if control is None or control.verb is Verb.SWITCH:
                return False
            return self._answer_with(self._controlled(control, is_idle=is_idle))
        if not is_grouped(piece) or (self.held is not None and self.held.has_failed):
            return False
        if self._group is None:
            self._group = Group(self._statements, self._early, None, None, self.held, is_idle=is_idle)
        return self._take_into(self._group, piece)

    def _answer_with(self, answer: bytes | None) -> bool:
        """Answer a simple query, if there is an answer."""
        if answer is None:
            return False
        self._statements.queried_here()
        self._say(answer + ready_for_query(self.status))
        return True

    def _known(self, sql: bytes, *, is_idle: bool) -> bytes | None:
        """The answer to a simple query, where that is not a read's."""
        control = control_of(sql)
        answer = None if control is None else self._controlled(control, is_idle=is_idle)
        if answer is not None or (self.held is not None and self.held.has_failed):
            return answer
        command = command_of(sql)
        if command is not None:
            may_answer = self._early.prepare and (is_idle or self.held is not None)
            is_done = may_answer and command.tag and self._statements.deallocated_here(command)
            return command_complete(command.tag) if is_done else None
        memo = self.memory.recall(sql, self.held, is_idle=is_idle) if may_be_fact(sql) else None
        if memo is None:
            return None
        self._adopt(memo)
        return memo.answer

    def _controlled(self, control: Control, *, is_idle: bool) -> bytes | None:
        """The answer to a simple query that is a control statement."""
        is_on = self._early.begin or control.verb is Verb.SWITCH
        outcome = outcome_of(control, self.held, is_idle=is_idle) if is_on else None
        if outcome is None:
            return None
        self._come_to(outcome)
        return described(outcome) + reply_to(outcome, self.reader.switches)

    def _adopt(self, memo: Memo) -> None:
        """The request of a memo has been answered with it."""
        if memo.settings is not None:
            self.given = memo.settings
            self.memory.state = memo.settings.state
            self.reader.adopt(memo.settings)
            self._statements.registry.scope = memo.settings.scope

    def _settle_here(self, group: Group, *, is_synced: bool) -> None:
        statements = self._statements
        statements.changed_here(group.effects)
        for name, description in group.told_of_all():
            if description is not NOTHING:  # that a BEGIN has neither parameters nor rows cannot change
                statements.tell(name, description.digest)
        if group.outcome is not None:
            self._come_to(group.outcome)
            group.replies[group.executed_at] = reply_to(group.outcome, self.reader.switches)
        if group.memo is not None:
            self._adopt(group.memo)
            (sql,) = [sql_of(piece, statements) for piece in group.pieces if piece.tag == Frontend.BIND]
            self.reader.switches.ran_here(sql, in_transaction=self.status != TransactionStatus.IDLE)
        if group.kept is not None and group.answer is not None:
            self._give(group.answer, group.kept)
        else:
            self._say(b"".join(group.replies) if group.answer is None else group.answer)
        if is_synced:
            self._say(ready_for_query(self.status))
        shortcut = group.shortcut
        if shortcut is not None:
            data = b"".join(piece.data for piece in group.pieces)
            key = key_of(data, self.reader.settings.view, self._statements)
            self.reader.shorten(key, len(data), shortcut)

    def _come_to(self, outcome: Outcome) -> None:
        if outcome.switch is not None and not outcome.switch.is_bad:
            self.reader.switches.turn(outcome.switch, in_transaction=self.status != TransactionStatus.IDLE)
            return
        tell_switches(self.reader.switches, outcome, self.held)
        self.hold(outcome.held)

    def hold(self, held: Held | None) -> None:
        """The session's transaction is this one, or none."""
        self.held = held
        if held is None:
            self.status = TransactionStatus.IDLE
        else:
            self.status = TransactionStatus.INERROR if held.has_failed else TransactionStatus.INTRANS


def _no_head(answer: Answer) -> bytes:
    """What stands in front of the rows of an answer to a simple query: it is all one."""
    return b""
