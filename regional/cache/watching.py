"""What goes through one origin connection, seen with the query cache's eyes.

Towards the origin: what does each message write (`ledger`), and is it the request that an edge has asked about
(`question`)? From the origin: what has been said beside the rows? Nothing of this is done while no configuration of the
database caches.

A statement is known by its text where it is bound. What cannot be looked at counts as a write of everything: a function
call of the protocol, a text that is streamed, a statement that nobody here has seen. An SQL EXECUTE is what it executes
where that has been made here right before, and its arguments are constants.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from protos.link.link_pb2 import Verdict
from protos.pg.description import split_name
from protos.pg.framer import Piece
from protos.pg.names import GONE, MISSING, STALE
from protos.pg.pipeline import Pipeline
from protos.pg.sql_statements import FIRST_BYTES, Kind, command_of
from protos.pg.tags import Backend, Frontend, TransactionStatus
from regional import plain
from regional.cache.known import Known
from regional.cache.ledger import Ledger
from regional.cache.question import Circumstances, Question
from regional.cache.verdicts import EVERYTHING, NOTHING, Writing
from regional.grammar import parse
from regional.prepared import name_in, statement_named_in

if TYPE_CHECKING:
    from regional.scrutiny import Scrutiny

#: What an answer that is kept does not have in it.
SPOILS: Final = frozenset({
    Backend.ERROR_RESPONSE, Backend.NOTICE_RESPONSE, Backend.NOTIFICATION_RESPONSE, Backend.PARAMETER_STATUS,
})  # fmt: skip
_OF_NOTHING: Final = frozenset({GONE, MISSING, STALE})
_ANYTHING: Final = Writing(everything=True)


class Watching:
    """Of one connection."""

    __slots__ = ("_judged_by", "_known", "_made", "_scrutiny", "_unnamed", "is_on", "ledger", "listens", "question")

    def __init__(self, known: Known, scrutiny: "Scrutiny") -> None:
        self.is_on = False
        """Whether some configuration of this database caches."""
        self.listens = False
        """Whether what the origin says is to be told."""
        self.ledger = Ledger()
        self.question: Question | None = None
        """About a request that has not been answered."""
        self._known = known
        self._judged_by = ""  # the catalogue by which the oldest was judged that is not published yet
        self._scrutiny = scrutiny
        self._unnamed: bytes | None = None  # the Parse message of the unnamed statement
        self._made: tuple[bytes, Writing] | None = None  # a statement made under a client's name, for what comes next

    def begin(self, *, is_on: bool) -> None:
        """A lease begins."""
        self.is_on = is_on
        self.question = None
        self.listens = bool(self.ledger)
        self._unnamed = None

    def doubt(self, pipeline: Pipeline) -> None:
        """Somebody caches from here on, in the middle of the lease."""
        self.is_on = self.listens = True
        self.ledger.doubt(pipeline.settled + pipeline.owed, pipeline.owed)

    # --- towards the origin ---

    def look(self, piece: Piece, texts: Mapping[bytes, bytes], pipeline: Pipeline) -> None:
        """A message that runs something, or may come to run, goes out.

        texts are the Parse messages that the client's messages refer to, by shared name.
        """
        tag = piece.tag
        group = pipeline.settled + pipeline.owed
        question = self.question
        if question is not None and question.group < 0:
            is_in_transaction = pipeline.status != TransactionStatus.IDLE
            question.begins(group, is_quiet=not pipeline.owed, is_in_transaction=is_in_transaction)
        elif question is not None and question.group != group:
            question = None
        if tag == plain.PLAIN:
            self._made = self._made_by(piece)
            return
        writing = NOTHING
        if tag == Frontend.QUERY:
            writing = self._query(piece, question)
        elif tag == Frontend.BIND:
            writing = self._bind(piece, texts, question)
        elif tag == Frontend.FUNCTION_CALL:
            writing = EVERYTHING
            if question is not None:
                question.is_not_whole("not a read")
        elif tag == Frontend.PARSE and name_in(piece.data, 5) == b"":
            self._unnamed = piece.data if piece.whole else None
        self._made = None
        if writing.everything or writing.tables:
            self._note(writing, group)

    def _note(self, writing: Writing, group: int) -> None:
        if not self.ledger:
            self._judged_by = self._known.digest
        self.ledger.note(writing, group)
        self.listens = True

    def _query(self, piece: Piece, question: Question | None) -> Writing:
        if not piece.whole:
            if question is not None:
                question.is_not_whole("too long")
            return EVERYTHING
        sql = piece.data[5:-1]
        if question is not None:
            question.executes(sql)
        return self._of_text(sql)

    def _bind(self, piece: Piece, texts: Mapping[bytes, bytes], question: Question | None) -> Writing:
        name, _ = split_name(statement_named_in(piece))
        if question is None and self._scrutiny.is_utf8:
            known = self._known.writings.get(name)
            if known is not None:
                return known
        text = self._unnamed if name == b"" else self._scrutiny.prepared.text_of(name) or texts.get(name)
        if text is None or not piece.whole:
            if question is not None:
                question.is_not_whole("too long")
            if text is None:
                return self._of_name(name)
        start = text.index(0, 5) + 1
        end = text.index(0, start)
        sql = text[start:end]
        if question is not None:
            question.executes(sql, text[end + 1 :], piece.data)
        writing = self._of_text(sql)
        if name and self._scrutiny.is_utf8 and not is_of_others(sql):
            self._known.remember(name, writing)
        return writing

    def _of_text(self, sql: bytes) -> Writing:
        if is_of_others(sql):
            command = command_of(sql)
            if command is not None and command.kind is Kind.EXECUTE and has_plain_arguments(sql):
                return self._of_name(command.name)
        return self._known.classifier.writing(sql, is_utf8=self._scrutiny.is_utf8)

    def _of_name(self, name: bytes) -> Writing:
        """What a statement without a text writes."""
        if name in _OF_NOTHING:
            return NOTHING
        return self._made[1] if self._made is not None and self._made[0] == name else EVERYTHING

    def _made_by(self, piece: Piece) -> tuple[bytes, Writing]:
        """A statement is made under a client's own name, or taken away: the name, and what it writes."""
        name, text = plain.made_by(piece.data)
        writing = EVERYTHING
        if text:
            start = text.index(0, 5) + 1
            writing = self._known.classifier.writing(text[start : text.index(0, start)], is_utf8=self._scrutiny.is_utf8)
        return name, writing

    # --- from the origin ---

    def heard(self, piece: Piece) -> None:
        """It said something that is no ReadyForQuery."""
        if piece.tag in SPOILS and self.question is not None:
            self.question.spoil()
        if self.ledger:
            self.ledger.heard(piece.tag, piece.data)

    def take_due(self) -> Writing | None:
        """What has to be published before the client reads on."""
        due = self._judged(self.ledger.take_due())
        self.listens = bool(self.ledger) or self.question is not None
        return due

    def take_all(self) -> Writing | None:
        """The connection is lost, or its lease ends: what may have been committed."""
        return self._judged(self.ledger.take_all())

    def _judged(self, due: Writing | None) -> Writing | None:
        """If the catalogue is another now, a trigger may have fired that was not there when a write was judged."""
        if due is None or self._judged_by == self._known.digest:
            return due
        return due | _ANYTHING

    # --- what the edge asks ---

    def verdict(self, met: Circumstances) -> Verdict:
        assert self.question is not None
        return self.question.verdict(met, self._known.generation)

    def keeps(self, settled_now: int, pipeline: Pipeline, *, is_clean: bool) -> bool:
        """Whether a frame that settles so many sync points is an answer that may be kept."""
        question = self.question
        if question is None or question.group >= pipeline.settled:
            return False
        self.question = None
        return is_clean and question.keeps(settled_now, pipeline.settled, self._known.generation)


def is_of_others(sql: bytes) -> bool:
    """Whether the text may be an EXECUTE, which is what something else is."""
    return sql[:1] in _BEGINS and b"xecute" in sql.lower()


_BEGINS: Final = frozenset(bytes([byte]) for byte in FIRST_BYTES)


def has_plain_arguments(sql: bytes) -> bool:
    """Whether an EXECUTE is of nothing but a name and constants, so that it does what its statement does."""
    statements = parse(sql)
    if not statements or len(statements) != 1 or "ExecuteStmt" not in statements[0]:
        return False
    return all(set(argument) <= {"A_Const"} for argument in statements[0]["ExecuteStmt"].get("params", ()))
