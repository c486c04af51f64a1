"""What a session has sent and its origin connection has not taken yet, with the statements that it refers to."""

from collections import deque
from collections.abc import Mapping
from itertools import dropwhile
from typing import Final

from protos.pg.framer import FRONTEND_LIMITS, Framer, Piece
from protos.pg.tags import Frontend

_COPY: Final = (0, Frontend.COPY_DONE, Frontend.COPY_FAIL)
_WHOLE: Final = frozenset({
    Frontend.BIND, Frontend.CLOSE, Frontend.COPY_DONE, Frontend.COPY_FAIL, Frontend.DESCRIBE, Frontend.EXECUTE,
    Frontend.FLUSH, Frontend.FUNCTION_CALL, Frontend.PARSE, Frontend.QUERY, Frontend.SYNC,
})  # fmt: skip


class Requests:
    """Of one session. True while something waits."""

    __slots__ = ("_framer", "_has_come", "_texts", "_waiting")

    def __init__(self) -> None:
        self._framer = Framer(FRONTEND_LIMITS, _WHOLE)
        self._waiting: deque[list[Piece]] = deque()
        self._texts: dict[bytes, bytes] = {}  # statements that the latest bytes refer to
        self._has_come = False  # bytes have, since a statement was named

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def texts(self) -> Mapping[bytes, bytes]:
        """The Parse messages that the latest request refers to, by shared name."""
        return self._texts

    def refer(self, text: bytes, *, is_holding: bool) -> None:
        """The next bytes refer to this statement; is_holding: the connection at work holds messages back.

        What is sent on a channel stays in order. So the bytes that referred to what was named before are all here by
        now, and it may go when none of them waits: a transaction may name statements without end.
        """
        if self._has_come and not is_holding and not self._waiting and self._framer.is_at_boundary:
            self._texts.clear()
        self._has_come = False
        self._texts[text[5 : text.index(0, 5)]] = text

    def feed(self, data: bytes) -> list[Piece]:
        """Take bytes of the client. Raises RemoteProtocolError."""
        self._has_come = True
        return self._framer.feed(data)

    def hold(self, pieces: list[Piece]) -> bool:
        """Let them wait; whether they are the first."""
        self._waiting.append(pieces)
        return len(self._waiting) == 1

    def put_back(self, pieces: list[Piece]) -> None:
        """Let them wait before everything else."""
        self._waiting.appendleft(pieces)

    def take(self) -> list[Piece]:
        """Everything that waits."""
        waiting, self._waiting = self._waiting, deque()
        return waiting[0] if len(waiting) == 1 else [piece for pieces in waiting for piece in pieces]

    def drop(self) -> None:
        self._waiting.clear()

    @property
    def is_inside_message(self) -> bool:
        """Whether the origin has the beginning of a message whose rest is still to come."""
        return not self._framer.is_at_boundary and not self._framer.rest


def without_copy(pieces: list[Piece]) -> list[Piece]:
    """Leave out what comes first and is of a COPY: it has failed, and its client has not noticed yet."""
    return list(dropwhile(lambda piece: piece.tag in _COPY, pieces))
