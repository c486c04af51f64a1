"""The shared prepared statements of one origin connection: which are there, and what has to be sent for one that is
not.

A shared name stands for one meaning (see edge/statements.py), so a Parse of a statement that is here already need not
be sent: the client gets its ParseComplete all the same, in its place. A Bind or Describe of one that is not here has
its Parse injected before it, and the reply to that is swallowed. Least recently used statements make room.

A Parse counts as done when its ParseComplete comes. An error ends its group of messages, and with it the Parses of that
group that were not confirmed before, and the Closes that were to make room; both are noted by the number of sync points
before them. Whether such a statement is there is *doubtful* then, and so it is for a later group that was sent before
anybody knew. A doubtful one is closed before it is made again: PostgreSQL does not mind a Close of what is not there.

A text that may have taken statements away makes all of them doubtful. When its lease has ended the connection is asked
which ones it has (`reconcile`), and those that were not touched are as good as before.
"""

import re
from collections import deque
from collections.abc import Iterable
from typing import Final

from protos.errors import RemoteProtocolError, StatementMemoryError
from protos.pg.framer import Piece
from protos.pg.messages import close_statement, command_complete, parse, parse_complete, service_error
from protos.pg.names import FULL, MISSING, PREFIX, USED, with_name
from protos.pg.pipeline import Pipeline
from protos.pg.tags import Frontend, TransactionStatus
from regional.copies import Copies, Copy
from regional.meaning import Meaning
from regional.own_names import OwnNames

MAX_STATEMENTS: Final = 500
MAX_DOUBTFUL: Final = 100
# Set for a transaction; what it is named after decides whether Parse reads it. Those with a dot are an application's.
_SETS_LOCALLY: Final = re.compile(
    rb"\blocal\b(?!\s+(?:[a-z_][a-z0-9_$]*\.|(?:statement|lock|idle_in_transaction_session)_timeout\b|work_mem\b))",
    re.IGNORECASE,
)
_USED_TEXT: Final = parse(USED, b"")
_NO_STATEMENT: Final = b'Mprepared statement "%s" does not exist\0' % MISSING
_PARSED: Final = parse_complete()
_PLANS_DISCARDED: Final = command_complete("DISCARD PLANS")
_FULL: Final = b'Mprepared statement "%s" does not exist\0' % FULL
_NO_UNNAMED_STATEMENT: Final = b"Munnamed prepared statement does not exist\0"


class Prepared:
    """Of one connection."""

    __slots__ = (
        "_before", "_closing", "_doubtful", "_names", "_private", "_unconfirmed", "copies", "plain", "plans_discarded",
    )  # fmt: skip

    def __init__(self, meaning: Meaning | None = None) -> None:
        self.copies = Copies(meaning or Meaning())
        self._names: dict[bytes, bytes] = {}  # to the Parse message, least recently used first
        self.plain = OwnNames()
        self.plans_discarded = 0
        """How often, as far as replies were looked at."""
        self._private: set[bytes] = set()  # parsed under settings of a transaction; they have to go with the lease
        self._before: dict[bytes, tuple[bytes, Copy | None]] = {}  # what was here before it became doubtful
        # With the sync points before them; an empty name is a Parse of no shared statement.
        self._unconfirmed: deque[tuple[bytes, int]] = deque()
        self._closing: deque[tuple[bytes, int]] = deque()
        self._doubtful: set[bytes] = set()

    @property
    def has_private(self) -> bool:
        """A statement here was parsed under settings of its transaction; it has to go with the lease."""
        return bool(self._private)

    @property
    def is_worth_asking(self) -> bool:
        """Whether statements may be here that are as good as before, whatever a lease has done."""
        return bool(self._names or self._before)

    @property
    def is_unsure(self) -> bool:
        """There may be too many statements that nobody knows of: better to begin anew."""
        return len(self._doubtful) > MAX_DOUBTFUL

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def parse(
        self, message: bytes, pipeline: Pipeline, out: list[bytes], *, is_private: bool, describes: bool = False
    ) -> bool:
        """Look at a client's Parse; False if it need not be sent.

        is_private: it means something else here than its shared name says, so nobody else may use it.
        describes: it will be described, so it has to be as if nobody had parsed it before.
        """
        name = name_in(message, 5)
        if pipeline.is_skipping:
            return True
        if not name.startswith(PREFIX):
            self.expect(pipeline)
            return True
        if name == USED:
            # It has no text, so even a failed transaction takes it.
            self.need(USED, _USED_TEXT, pipeline, out, is_private=False)
            self.expect(pipeline)
            return True
        if is_private:
            self._private.add(name)
            if self._names.pop(name, None) is not None:
                self._doubtful.add(name)
        elif self._has(name, pipeline):
            is_calm = not pipeline.owed and pipeline.status != TransactionStatus.INERROR
            if is_calm and not describes and self.copies.is_current(name):
                self._touch(name)
                pipeline.answer(parse_complete())
                return False
            # In a failed transaction, which a pipeline may be about to become, PostgreSQL refuses to parse. And what
            # was parsed before some DDL would give the session the 0A000 of somebody else's statement (rules 9).
            self._doubtful.add(name)
        self._add(name, message, pipeline, out)
        return True

    def parse_in_part(self, beginning: bytes, pipeline: Pipeline, out: list[bytes]) -> str:
        """Look at the beginning of a client's Parse that is streamed; why its connection has to close, if it has."""
        name = name_in(beginning, 5)
        self.plain.frees(name, pipeline, out)
        self.parse(beginning, pipeline, out, is_private=False)
        return "" if name == USED else "a statement over 1 MiB"

    def expect(self, pipeline: Pipeline) -> None:
        """A Parse of no shared statement goes out."""
        self._unconfirmed.append((b"", _group(pipeline)))

    def doubt(self) -> None:
        """A statement goes out that may take all away."""
        if len(self._before) + len(self._names) > MAX_STATEMENTS:
            self._before.clear()
        self._before |= {name: (text, self.copies.taken(name)) for name, text in self._names.items()}
        self._doubtful.update(self._names)
        self._names.clear()

    def text_of(self, name: bytes) -> bytes | None:
        """The Parse message of a shared statement that is, or may be, here."""
        return self._names.get(name)

    def need(self, name: bytes, text: bytes, pipeline: Pipeline, out: list[bytes], *, is_private: bool) -> None:
        """A Bind or Describe wants this shared statement: see to it that it is here, unless the origin skips that."""
        if pipeline.is_skipping:
            return
        if self._has(name, pipeline):
            self._touch(name)
        else:
            self.make(name, text, pipeline, out, is_private=is_private)

    def make(self, name: bytes, text: bytes, pipeline: Pipeline, out: list[bytes], *, is_private: bool) -> None:
        """Parse this shared statement, anew if it is here."""
        if name in self._names:
            self._doubtful.add(name)
        if is_private:
            self._private.add(name)
        self._add(name, text, pipeline, out)
        pipeline.inject(Frontend.PARSE)
        out.append(text)

    def describe(self, name: bytes, pipeline: Pipeline) -> None:
        """A Describe of a statement, shared or not, is about to be sent: learn from its replies."""
        if not self.copies.digest(name):
            pipeline.watch()
        if not pipeline.is_skipping:
            self.copies.described(name, _group(pipeline))

    def confirmed(self, done: bytes) -> None:
        """A ParseComplete or CommandComplete came; empty if that is kept from the client."""
        if done.startswith(_PARSED):
            if self._unconfirmed:
                self._unconfirmed.popleft()
        elif done == _PLANS_DISCARDED:
            self.plans_discarded += 1
        else:
            self.plain.done(done)

    def failed(self, settled: int) -> None:
        """An error came; settled sync points lie before the end of what it undoes."""
        self.copies.failed(settled)
        while self._unconfirmed and self._unconfirmed[0][1] <= settled:
            name, _ = self._unconfirmed.popleft()
            if self._names.pop(name, None) is not None:
                self._doubtful.add(name)
                self.copies.gone(name)
        while self._closing and self._closing[0][1] <= settled:
            self._doubtful.add(self._closing.popleft()[0])
        self.plain.failed(settled)

    def settled(self, settled: int) -> None:
        """A ReadyForQuery came; what was sent before it is decided."""
        self.copies.settled(settled)
        while self._unconfirmed and self._unconfirmed[0][1] < settled:
            self._unconfirmed.popleft()
        while self._closing and self._closing[0][1] < settled:
            self._closing.popleft()
        self.plain.settled(settled)

    def reconcile(self, there: Iterable[bytes]) -> list[bytes]:
        """The lease has ended, and the connection has these shared names; those that it is not to keep.

        It has none of clients' own names any more then.
        """
        found = dict.fromkeys(there)
        known = self._before | {name: (text, None) for name, text in self._names.items()}
        kept = {name: known[name] for name in known if name in found and name not in self._private}
        for name, (_, copy) in kept.items():
            if copy is not None and name not in self._names:
                self.copies.put_back(name, copy)
        for name in self._names.keys() - kept.keys():
            self.copies.gone(name)
        self._names = {name: text for name, (text, _) in kept.items()}
        for what in (self.plain, self._before, self._private, self._doubtful):
            what.clear()
        return [name for name in found if name not in kept]

    def forget(self) -> None:
        """They are gone from the connection, all of them."""
        self.copies.clear()
        self.plain.clear()
        self._names.clear()
        self._unconfirmed.clear()
        self._closing.clear()
        self._doubtful.clear()
        self._private.clear()
        self._before.clear()

    def _has(self, name: bytes, pipeline: Pipeline) -> bool:
        """Whether it is there for certain, if what was sent in this group goes well."""
        if name not in self._names:
            return False
        if self._unconfirmed:
            latest = next((before for one, before in reversed(self._unconfirmed) if one == name), None)
            if latest is not None and latest < _group(pipeline):
                self._doubtful.add(name)
                return False
        return True

    def _add(self, name: bytes, text: bytes, pipeline: Pipeline, out: list[bytes]) -> None:
        pipeline.watch()
        group = _group(pipeline)
        if name in self._doubtful or any(one == name for one, _ in self._closing):
            self._doubtful.discard(name)
            self._names.pop(name, None)
            self._close(name, group, pipeline, out)
        if len(self._names) >= MAX_STATEMENTS:
            oldest = next(iter(self._names))
            del self._names[oldest]
            self.copies.gone(oldest)
            self._close(oldest, group, pipeline, out)
        self._before.pop(name, None)
        self._names[name] = text
        self.copies.parsed(name)
        self._unconfirmed.append((name, group))

    def _close(self, name: bytes, group: int, pipeline: Pipeline, out: list[bytes]) -> None:
        pipeline.inject(Frontend.CLOSE)
        out.append(close_statement(name))
        self._closing.append((name, group))

    def _touch(self, name: bytes) -> None:
        self._names[name] = self._names.pop(name)


def statement_named_in(piece: Piece) -> bytes:
    """The statement that a Parse, a Bind or a Describe is about."""
    return name_in(piece.data, _name_start(piece))


def renamed_statement(piece: Piece, name: bytes) -> Piece:
    """A Parse, Bind or Describe of a statement, or the beginning of one, that names another."""
    data = piece.data
    start = _name_start(piece)
    return Piece(piece.tag, with_name(data, start, start + len(name_in(data, start)), name), piece.whole)


def _name_start(piece: Piece) -> int:
    if piece.tag == Frontend.BIND:  # behind the portal's
        return 5 + len(name_in(piece.data, 5)) + 1
    return 5 if piece.tag == Frontend.PARSE else 6


def name_in(message: bytes, start: int) -> bytes:
    """The zero-terminated name at start."""
    end = message.find(0, start)
    if end < 0:
        raise RemoteProtocolError("a name without an end", public="invalid string in message")
    return message[start:end]


def with_own_words(error: Piece) -> Piece:
    """An ErrorResponse as PostgreSQL words it where the unnamed statement is missing: our name for that is nobody's.

    Where the session has no room for another statement, it is that which is said.
    """
    if not error.whole or PREFIX not in error.data:
        return error
    if _FULL in error.data:
        return Piece(error.tag, service_error(StatementMemoryError.over_bound(), "ERROR"), whole=True)
    if _NO_STATEMENT not in error.data:
        return error
    body = error.data[5:].replace(_NO_STATEMENT, _NO_UNNAMED_STATEMENT)
    return Piece(error.tag, error.data[:1] + (len(body) + 4).to_bytes(4, "big") + body, whole=True)


def may_set_locally(sql: bytes) -> bool:
    """Whether a text may be a SET LOCAL of something that Parse reads. Any mention of the word counts."""
    return b"local" in sql.lower() and _SETS_LOCALLY.search(sql) is not None


def _group(pipeline: Pipeline) -> int:
    """The number of sync points that the client has sent so far."""
    return pipeline.settled + pipeline.owed
