"""A group of extended-query messages that the edge may be able to answer itself.

It is taken message by message, from a moment on when the session is at rest: nothing is owed to it, nothing was sent
behind the last sync point, and what it has set is known. As long as every message can be answered here, nothing is
sent; at a Sync or Flush the replies go to the client. The first message that has to cross takes all before it along,
as if there had been no group. What can be answered:

    Parse           of a control statement (BEGIN …), or of one whose description is known, under a name not in use
    Describe S      of a statement whose description is known
    Bind, Describe P, Execute    of a control statement that can be answered, in the unnamed portal, once in a group
    Close S         of a statement of the session; Close P where no portal can be
    Sync, Flush

While it is not known what the session has set, a group may still begin, shape or end a transaction: its statements are
control statements then, and nothing else of it is answered here.

A group that cannot be answered message by message may be one whose whole answer is remembered (`memory`) or kept
(`cache`): one statement that looks like a fact or a read, from its Parse or Bind to the Sync. Then it is taken up to
there; or it waits there for the answer to somebody else's read.

Nothing is changed before the group has been answered: `effects` are what the session's statements take over then.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Final

from edge.cache.answers import Answer
from edge.cache.parts import result_formats, with_formats
from edge.cache.reader import Reader
from edge.cache.shortcuts import Shortcut
from edge.control import Control, Held, Outcome, Verb, control_of, outcome_of
from edge.early import Description, Early
from edge.hearing import Hearing
from edge.meaning import Statement
from edge.memory import Memory
from edge.memos import Memo
from edge.statements import Statements
from edge.whole import Read, Whole
from protos.errors import RemoteProtocolError
from protos.pg.framer import Piece
from protos.pg.messages import bind_complete, close_complete, command_complete, no_data, parse_complete
from protos.pg.names import cut
from protos.pg.parsers import bind_names_of, execute_of, parse_of, target_of
from protos.pg.tags import Frontend

_NO_TYPES: Final = b"\0\0"
_NO_PARAMETERS: Final = b"\0\0\0\0"  # no formats of parameters, and no parameters
_STATEMENT: Final = ord("S")
# Of the messages of one group, and of what describes statements in its answer. What is longer crosses, for nothing of
# it is said before its end.
MAX_BYTES: Final = 256 << 10
OVERHEAD_BYTES: Final = 300  # of one message, beside its own


class Group:
    """What came since the session was at rest."""

    def __init__(  # noqa: PLR0913 - where answers may come from
        self,
        statements: Statements,
        early: Early,
        memory: Memory | None,
        reader: Reader | None,
        held: Held | None,
        *,
        is_idle: bool,
    ) -> None:
        """memory: None where it is not known what the session has set; reader: None where no answer may be served.

        is_idle: no transaction is open or held.
        """
        self.pieces: list[Piece] = []
        """What has been taken, for the case that it has to cross."""
        self.replies: list[bytes] = []
        self.effects: list[Piece] = []
        """The Parses and Closes in it."""
        self.told: list[tuple[bytes, Description]] = []
        """Names of statements, and what the client is told of them."""
        self.outcome: Outcome | None = None
        self.executed_at = 0
        """The place of the reply to its Execute."""
        self.answer: bytes | None = None
        """That to the whole; without its rows, where it was kept."""
        self.kept: Answer | None = None
        """Where it is from, if it was kept."""
        self.memo: Memo | None = None
        """Likewise, if it was remembered."""
        self._reader = reader
        self._whole: Whole | None = None  # it is not answered message by message
        self._memory = memory
        self._statements = statements
        self._early = early
        self._held = held
        self._is_idle = is_idle
        self._names: dict[bytes, Statement | None] = {}  # as they are in the group
        self._bound: Outcome | None = None
        self._is_about_switch = False  # no origin knows those
        self._bytes = 0
        self._formats: list[int] = []

    def told_of_all(self) -> list[tuple[bytes, Description]]:
        """What the client is told of statements, in the answer to the whole too."""
        if self.answer is None or self._whole is None or self._whole.described is None:
            return self.told
        hearing = Hearing(*self._whole.described)
        hearing.is_over(self.answer)
        return [] if hearing.description is None else [(hearing.name, hearing.description)]

    def take(self, piece: Piece) -> bool:
        """Whether this one, too, can be answered here. A Sync or Flush that can be ends the group."""
        self._bytes += len(piece.data) + OVERHEAD_BYTES
        is_fit = piece.whole and self._bytes <= MAX_BYTES
        try:
            taken = is_fit and (self._take(piece) or self._take_whole(piece))
        except (RemoteProtocolError, IndexError):  # PostgreSQL says what is wrong with it
            taken = False
        if taken:
            self.pieces.append(piece)
        return taken

    def _take(self, piece: Piece) -> bool:
        tag = piece.tag
        if self._whole is not None:
            return False
        if tag in (Frontend.SYNC, Frontend.FLUSH):
            # What was executed must be settled by its Sync, and nothing can be left of a portal that was not executed.
            if self.outcome is None:
                return self._bound is None and (self._early.prepare or self._is_about_switch)
            return tag == Frontend.SYNC
        take = self._TAKES.get(tag)
        return take is not None and self.outcome is None and take(self, piece)

    def _take_whole(self, piece: Piece) -> bool:
        """Go on as a group whose answer may be remembered."""
        if self._memory is None or self.outcome is not None or self._bound is not None:
            return False
        if self._whole is None:
            whole = Whole(self._statements, reads=self._reader is not None)
            if not all(whole.take(one) for one in self.pieces):
                return False
            self._whole = whole
        if piece.tag != Frontend.SYNC:
            return self._whole.take(piece)
        if not self._whole.request:
            return False
        self.effects = self._whole.parses
        if self._recall_kept(self._whole) or self._recall(self._memory, self._whole.request):
            return True
        return self._expect(self._whole)

    def _recall(self, memory: Memory, request: Hashable) -> bool:
        self.memo = memory.recall(request, self._held, is_idle=self._is_idle)
        if self.memo is not None:
            self.answer = self.memo.answer
        return self.memo is not None

    def _recall_kept(self, whole: Whole) -> bool:
        read = self._read(whole)
        answer = None if read is None or self._reader is None else self._reader.recall(read.key)
        return answer is not None and self.take_answer(answer)

    def _expect(self, whole: Whole) -> bool:
        """Nobody has the answer; whether it is waited for."""
        read = self._read(whole)
        if read is None or self._reader is None:
            return False
        return self._reader.expect(read.key, read.statement.name, read.renewal, whole.compose)

    def _read(self, whole: Whole) -> Read | None:
        """What is asked for, if its answer may be kept."""
        read = None if self._reader is None else whole.read
        # In a transaction what is left of a portal that has given only some of its rows must be at the origin.
        return read if read is None or self._is_idle or read.max_rows == b"0" else None

    def take_answer(self, kept: Answer) -> bool:
        """Whether this is the answer to the whole."""
        assert self._whole is not None
        self.answer = self._whole.compose(kept)
        if self.answer is None or self._reader is None:
            return False
        self._reader.serve(kept)
        self.kept = kept
        return True

    @property
    def shortcut(self) -> Shortcut | None:
        """From these bytes to this answer, if that is all that has come of them."""
        if self.kept is None or self.answer is None or self._whole is None or self._whole.described is not None:
            return None
        read = self._whole.read
        if read is None or read.max_rows != b"0" or self.kept.slices:  # it may not be served everywhere, or is long
            return None
        return Shortcut(self.kept, self.answer + self.kept.body, sum(len(piece.data) for piece in self.effects))

    def _parse(self, piece: Piece) -> bool:
        name, sql, types = parse_of(piece.data)
        name = cut(name)
        if name and (self._names[name] is not None if name in self._names else self._statements.is_in_use(name)):
            return False
        statement = self._statements.meaning_of(piece.data)
        self.told = [told for told in self.told if told[0] != name]
        if statement.script is not None:
            return False
        if self._control(sql, types) is None:
            description = self._described(statement, None)
            if description is None:
                return False
            self.told.append((name, description))  # its driver may describe a portal, and keep that
        self._names[name] = statement
        self.effects.append(piece)
        self.replies.append(parse_complete())
        return True

    def _describe(self, piece: Piece) -> bool:
        kind, name = target_of(piece.data)
        if kind != _STATEMENT:
            if name or self._bound is None:
                return False
            rows = b"" if self._bound.switch is None else self._bound.switch.rows
            self.replies.append(with_formats(rows, self._formats) if rows else no_data())
            return bool(self.replies[-1])
        statement = self._statement(name)
        if statement is None or statement.script is not None:
            return False
        _, sql, types = parse_of(statement.parse)
        description = self._described(statement, self._control(sql, types))
        if description is None:
            return False
        self.told.append((name, description))
        self._bytes += len(description)
        self.replies += (description.parameters, description.rows)
        return True

    def _described(self, statement: Statement, control: Control | None) -> Description | None:
        """How it is described, if that is known whatever the session has set."""
        if control is None and self._memory is None:
            return None
        return self._early.told_of(statement.name, control)

    def _bind(self, piece: Piece) -> bool:
        message = piece.data
        portal, name = bind_names_of(message)
        rest = message[5 + len(portal) + 1 + len(name) + 1 :]
        statement = self._statement(name)
        if portal or statement is None or self._bound is not None or not rest.startswith(_NO_PARAMETERS):
            return False
        _, sql, types = parse_of(statement.parse)
        control = self._control(sql, types)
        self._bound = None if control is None else outcome_of(control, self._held, is_idle=self._is_idle)
        if self._bound is None:
            return False
        self._formats = result_formats(rest, 0)
        self.replies.append(bind_complete())
        return True

    def _execute(self, piece: Piece) -> bool:
        portal, _ = execute_of(piece.data)
        if portal or self._bound is None:
            return False
        self.outcome, self._bound = self._bound, None
        self.executed_at = len(self.replies)
        self.replies.append(command_complete(self.outcome.tag))
        return True

    def _close(self, piece: Piece) -> bool:
        kind, name = target_of(piece.data)
        if not self._early.prepare:
            return False
        if kind == _STATEMENT:
            if self._statement(name) is None:
                return False
            self._names[cut(name)] = None
            self.effects.append(piece)
        elif not self._is_idle and self._held is None:
            return False
        self.replies.append(close_complete())
        return True

    def _control(self, sql: bytes, types: bytes) -> Control | None:
        control = control_of(sql) if types == _NO_TYPES else None
        if control is not None and control.verb is Verb.SWITCH:
            self._is_about_switch = self._memory is not None
            return control if self._is_about_switch else None
        return control if self._early.begin else None

    def _statement(self, name: bytes) -> Statement | None:
        name = cut(name)
        return self._names[name] if name in self._names else self._statements.get(name)

    _TAKES: Final[Mapping[int, Callable[["Group", Piece], bool]]] = {
        Frontend.PARSE: _parse,
        Frontend.DESCRIBE: _describe,
        Frontend.BIND: _bind,
        Frontend.EXECUTE: _execute,
        Frontend.CLOSE: _close,
    }
