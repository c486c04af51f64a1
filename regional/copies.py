"""The shared statements of one origin connection: when each was parsed there, and how PostgreSQL described it.

A description is learnt from the replies to a Describe of a statement, the client's or one of ours, and belongs to the
Parse before it. It stays true as long as that Parse does: PostgreSQL refuses with 0A000 to run a prepared statement
whose result has become another one. So who was told the same description may run it without another look.
"""

from collections import deque
from typing import Final

import attrs

from protos.pg.description import digest_of
from protos.pg.framer import Piece
from protos.pg.tags import Backend
from regional.meaning import Meaning

#: The replies that make a description.
DESCRIBES: Final = frozenset({Backend.PARAMETER_DESCRIPTION, Backend.ROW_DESCRIPTION, Backend.NO_DATA})

_NOTHING: Final = (b"", b"")


@attrs.define(eq=False)
class Copy:
    """A statement on a connection."""

    moment: int
    """When its Parse was sent; see `Meaning`."""
    digest: bytes = b""
    """Of its description; empty while that is not known."""


class Copies:
    """Of one connection."""

    __slots__ = ("_asked", "_by_name", "_parameters", "meaning")

    def __init__(self, meaning: Meaning) -> None:
        self.meaning = meaning
        self._by_name: dict[bytes, Copy] = {}
        # What was described, with the sync points before it; None where it is no shared statement.
        self._asked: deque[tuple[bytes, Copy | None, int]] = deque()
        self._parameters = b""  # the first half of a description

    def parsed(self, name: bytes) -> None:
        """A Parse of it is sent."""
        self._by_name[name] = Copy(self.meaning.now)

    def renewed(self, name: bytes) -> None:
        """It is current, whatever was in doubt."""
        self._by_name[name].moment = self.meaning.now

    def gone(self, name: bytes) -> None:
        """It is not there any more, or nobody knows."""
        self._by_name.pop(name, None)

    def taken(self, name: bytes) -> Copy | None:
        """Nobody knows whether it is still there; what is to be put back if it is."""
        return self._by_name.pop(name, None)

    def put_back(self, name: bytes, copy: Copy) -> None:
        """It was there all the time."""
        self._by_name[name] = copy

    def clear(self) -> None:
        self._by_name.clear()
        self._asked.clear()
        self._parameters = b""

    def is_current(self, name: bytes) -> bool:
        """Whether it is as good as if it were parsed now."""
        copy = self._by_name.get(name)
        return copy is not None and self.meaning.is_current(name, copy.moment)

    def digest(self, name: bytes) -> bytes:
        """How it is described here; empty if that is not known."""
        copy = self._by_name.get(name)
        return b"" if copy is None else copy.digest

    def described(self, name: bytes, group: int) -> None:
        """A Describe of a statement is sent, with so many sync points before it."""
        self._asked.append((name, self._by_name.get(name), group))

    def heard(self, piece: Piece) -> tuple[bytes, bytes]:
        """One of the replies DESCRIBES, and none is missed: the shared statement and description that it completes.

        Both empty if there is none. The statement as it is here now is meant.
        """
        if piece.tag == Backend.PARAMETER_DESCRIPTION:
            self._parameters = piece.data if piece.whole else b""
            if not piece.whole and self._asked:
                self._asked.popleft()
            return _NOTHING
        parameters, self._parameters = self._parameters, b""
        if not parameters or not self._asked:
            return _NOTHING  # of a portal, or of a query
        name, copy, _ = self._asked.popleft()
        if not piece.whole or copy is None:
            return _NOTHING
        copy.digest = digest_of(parameters, piece.data)
        return (name, parameters + piece.data) if copy is self._by_name.get(name) else _NOTHING

    def failed(self, settled: int) -> None:
        """An error came; settled sync points lie before the end of what it undoes."""
        self._parameters = b""
        while self._asked and self._asked[0][2] <= settled:
            self._asked.popleft()

    def settled(self, settled: int) -> None:
        """A ReadyForQuery came; what was sent before it is decided."""
        while self._asked and self._asked[0][2] < settled:
            self._asked.popleft()
