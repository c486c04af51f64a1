"""What a transaction has said of the cache: taken back where PostgreSQL would take back a SET, and kept where not.

It is there from the first such statement of a transaction to its end. The origin knows nothing of it, so it is read off
the answers: a CommandComplete of COMMIT keeps what was said, and so does the ReadyForQuery of a request that was a
transaction by itself and did not fail; any other end takes it back. What is done to savepoints, and what resets all, is
read off the statements that cross (several in one text, if no quotes and comments are in it), and counts when the
CommandComplete comes. What stands behind an error in the same request is never done; what stands in the next one may
be, so each is remembered with the number of its request. A savepoint that is not known is from before: ROLLBACK TO it
takes back everything.
"""

import re
from collections import deque
from collections.abc import Mapping
from typing import Final

import attrs

from protos.pg.framer import BACKEND_LIMITS, Framer
from protos.pg.names import cut
from protos.pg.parsers import HEADER_BYTES
from protos.pg.tags import Backend, TransactionStatus

_BLANK: Final = rb"[ \t\n\r\f]"
_SAVEPOINT: Final = re.compile(
    rb"%b*(?:(savepoint)|(release)(?:%b+savepoint)?"
    rb"|rollback(?:%b+(?:work|transaction))?%b+to(?:%b+savepoint)?)"
    rb"%b+(\"(?:[^\"]|\"\")+\"|[a-z_\x80-\xff][a-z0-9_$\x80-\xff]*)%b*" % ((_BLANK,) * 7),
    re.IGNORECASE,
)
_RESET: Final = re.compile(rb"%b*(?:(?:(discard)|reset)%b+(all)|reset%b+[^;]+)%b*" % ((_BLANK,) * 4), re.IGNORECASE)
_CLEAR: Final = re.compile(rb"(?:(?!--|/\*)[^'\"$])*")  # every ; in it ends a statement
_MAX_BYTES: Final = 200  # of a text with such statements
_MAX_MARKS: Final = 1000  # a savepoint beyond is one that is not known
_HEARD: Final = frozenset({Backend.COMMAND_COMPLETE, Backend.ERROR_RESPONSE, Backend.READY_FOR_QUERY})


@attrs.frozen
class Said:
    """What holds now, and what will if the transaction is committed, by name."""

    now: Mapping[str, bool]
    then: Mapping[str, bool]


@attrs.frozen
class _Sent:
    """A statement that has crossed, and is not done yet."""

    request: int
    tag: bytes
    """Of its CommandComplete."""
    savepoint: bytes = b""
    resets: bool = False


class Uncommitted:
    """Of one transaction, and of those that were sent behind it."""

    __slots__ = (
        "_answered", "_asked", "_at_start", "_framer", "_has_failed", "_marks", "_sent", "before", "is_over", "said",
    )  # fmt: skip

    def __init__(self, said: Said, at_start: Mapping[str, bool], owed: int = 0) -> None:
        """said: what held when it began; owed: how many requests before it are not answered yet."""
        self.said = said
        self.before = said
        """What held when the transaction began."""
        self.is_over = False
        """It has ended, and nothing has been sent that it would be needed for."""
        self._at_start = Said(at_start, at_start)
        self._marks: list[tuple[bytes, Said]] = []  # savepoints since, and what held there
        self._sent: deque[_Sent] = deque()
        self._asked = owed  # requests that have crossed, of those that are counted
        self._answered = 0
        self._has_failed = False  # the request that is being answered
        self._framer = Framer(BACKEND_LIMITS, _HEARD)

    # --- what crosses ---

    def sent(self, sql: bytes) -> None:
        """Statements cross; nothing has come back for them yet."""
        for tag, savepoint, resets in _found_in(sql):
            if len(self._sent) < _MAX_MARKS:
                self._sent.append(_Sent(self._asked, tag, savepoint, resets))

    def asked(self) -> None:
        """With this a request is complete that a ReadyForQuery will answer."""
        self._asked += 1

    def refused(self, status: int) -> None:
        """Of what was sent nothing was done, nor will be; the transaction status is this."""
        self._sent.clear()
        self._answered = self._asked
        if status == TransactionStatus.IDLE:
            self._end(self.before)

    # --- what comes back ---

    def heard(self, data: bytes) -> None:
        """Bytes of answers, from the beginning of one on."""
        for tag, message, _ in self._framer.feed(data):
            if tag == Backend.COMMAND_COMPLETE:
                self.completed(message[HEADER_BYTES:-1])
            elif tag == Backend.ERROR_RESPONSE:
                self._has_failed = True
            elif tag == Backend.READY_FOR_QUERY:
                self._settled(message[HEADER_BYTES])

    def completed(self, tag: bytes) -> None:
        """Something is done."""
        if tag in (b"COMMIT", b"PREPARE TRANSACTION"):
            self._end(Said(self.said.then, self.said.then))
            return
        is_known = bool(self._sent) and self._sent[0].request == self._answered and self._sent[0].tag == tag
        if is_known:
            self._done(self._sent.popleft())
        elif tag == b"ROLLBACK":
            self._end(self.before)

    def _done(self, sent: _Sent) -> None:
        marks = self._marks
        if sent.resets:
            self.said = self._at_start
        if not sent.savepoint:
            return
        if sent.tag == b"SAVEPOINT":
            if len(marks) < _MAX_MARKS:
                marks.append((sent.savepoint, self.said))
            return
        place = next((place for place in reversed(range(len(marks))) if marks[place][0] == sent.savepoint), None)
        if sent.tag == b"ROLLBACK":
            self.said = self.before if place is None else marks[place][1]
            del marks[0 if place is None else place + 1 :]
        else:
            del marks[0 if place is None else place :]

    def _settled(self, status: int) -> None:
        """A request is answered; what of it is not done will not be."""
        has_failed, self._has_failed = self._has_failed, False
        self._answered += 1
        while self._sent and self._sent[0].request < self._answered:
            self._sent.popleft()
        if status == TransactionStatus.IDLE:
            self._end(self.before if has_failed else Said(self.said.then, self.said.then))

    def _end(self, said: Said) -> None:
        self.said = self.before = said
        self._marks.clear()
        self.is_over = not self._sent


def resets_all(sql: bytes) -> bool:
    """Whether a statement in it has all settings lead back to those at startup."""
    return any(resets for _, _, resets in _found_in(sql))


def _found_in(sql: bytes) -> list[tuple[bytes, bytes, bool]]:
    """What a text does to savepoints and resets: the tags of its answers, a savepoint, whether all is reset."""
    if len(sql) > _MAX_BYTES:
        return []
    parts = sql.split(b";") if _CLEAR.fullmatch(sql) else [sql.strip(b" \t\n\r\f;")]
    return [found for part in parts if (found := _found(part)) is not None]


def _found(statement: bytes) -> tuple[bytes, bytes, bool] | None:
    if found := _SAVEPOINT.fullmatch(statement):
        tag = b"SAVEPOINT" if found[1] else b"RELEASE" if found[2] else b"ROLLBACK"
        name = found[3][1:-1].replace(b'""', b'"') if found[3].startswith(b'"') else found[3].lower()
        return tag, cut(name), False
    if found := _RESET.fullmatch(statement):
        return b"DISCARD ALL" if found[1] else b"RESET", b"", found[2] is not None
    return None
