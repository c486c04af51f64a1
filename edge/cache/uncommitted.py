"""What a transaction has said of the cache: taken back where PostgreSQL would take back a SET, and kept where not.

It is there from the first such statement of a transaction to its end. The origin knows nothing of it, so its end is
heard: a CommandComplete of COMMIT keeps what was said, and any other end takes it back. What is done to savepoints is
read off the statements that cross, where one is all of its text, and counts when its CommandComplete comes. A savepoint
that is not known is from before: ROLLBACK TO it takes back everything.
"""

import re
from collections import deque
from collections.abc import Mapping
from typing import Final

import attrs

from protos.pg.framer import BACKEND_LIMITS, Framer
from protos.pg.names import cut
from protos.pg.parsers import HEADER_BYTES
from protos.pg.tags import Backend

_BLANK: Final = rb"[ \t\n\r\f]"
_SAVEPOINT: Final = re.compile(
    rb"[ \t\n\r\f;]*(?:(savepoint)|(release)(?:%b+savepoint)?"
    rb"|rollback(?:%b+(?:work|transaction))?%b+to(?:%b+savepoint)?)"
    rb"%b+(\"(?:[^\"]|\"\")+\"|[a-z_\x80-\xff][a-z0-9_$\x80-\xff]*)[ \t\n\r\f;]*" % ((_BLANK,) * 5),
    re.IGNORECASE,
)
_MAX_BYTES: Final = 200  # of such a statement
_MAX_MARKS: Final = 1000  # a savepoint beyond is one that is not known


@attrs.frozen
class Said:
    """What holds now, and what will if the transaction is committed, by name."""

    now: Mapping[str, bool]
    then: Mapping[str, bool]


class Uncommitted:
    """Of one transaction."""

    __slots__ = ("_framer", "_marks", "_sent", "before")

    def __init__(self, before: Said) -> None:
        self.before = before
        """What held when it began."""
        self._marks: list[tuple[bytes, Said]] = []  # savepoints since, and what held there
        self._sent: deque[tuple[bytes, bytes]] = deque()  # a tag that is to come, and a savepoint
        self._framer = Framer(BACKEND_LIMITS, frozenset({Backend.COMMAND_COMPLETE}))

    def sent(self, sql: bytes) -> None:
        """A statement crosses."""
        found = _SAVEPOINT.fullmatch(sql) if len(sql) <= _MAX_BYTES else None
        if found is None:
            return
        tag = b"SAVEPOINT" if found[1] else b"RELEASE" if found[2] else b"ROLLBACK"
        name = found[3][1:-1].replace(b'""', b'"') if found[3].startswith(b'"') else found[3].lower()
        if len(self._sent) < _MAX_MARKS:
            self._sent.append((tag, cut(name)))

    def heard(self, data: bytes) -> list[bytes]:
        """Bytes of answers, from the beginning of one on; the tags of what is done."""
        pieces = self._framer.feed(data)
        return [piece.data[HEADER_BYTES:-1] for piece in pieces if piece.tag == Backend.COMMAND_COMPLETE]

    def failed(self) -> None:
        """What was sent behind an error is not done."""
        self._sent.clear()

    def completed(self, tag: bytes, said: Said) -> Said | None:
        """What holds after this is done, where that was said before; None: the transaction is over."""
        if tag in (b"COMMIT", b"PREPARE TRANSACTION"):
            return None
        name = self._sent.popleft()[1] if self._sent and self._sent[0][0] == tag else None
        if name is None:
            return None if tag == b"ROLLBACK" else said
        if tag == b"SAVEPOINT":
            if len(self._marks) < _MAX_MARKS:
                self._marks.append((name, said))
            return said
        place = next((place for place in reversed(range(len(self._marks))) if self._marks[place][0] == name), None)
        if tag == b"RELEASE":
            del self._marks[len(self._marks) if place is None else place :]
            return said
        del self._marks[0 if place is None else place + 1 :]
        return self.before if place is None else self._marks[place][1]
