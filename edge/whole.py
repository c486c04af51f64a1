"""A group of extended messages that runs one statement, as a request whose whole answer may be remembered.

    Parse?  Describe S?  Bind  Describe P?  Execute      each at most once, about one statement that looks like a fact

Its bytes, but for the names that the client has chosen, are what it is remembered by.
"""

from collections.abc import Callable, Mapping
from typing import Final

from edge.meaning import Statement
from edge.statements import Statements
from protos.pg.framer import Piece
from protos.pg.names import cut
from protos.pg.parsers import bind_names_of, execute_of, parse_of, target_of
from protos.pg.tags import Frontend

_STATEMENT: Final = ord("S")


class Whole:
    """What has come of it."""

    def __init__(self, statements: Statements) -> None:
        self.parses: list[Piece] = []
        self.described: tuple[bytes, Statement] | None = None
        """The client's name and the statement of a Describe."""
        self._statements = statements
        self._parsed: tuple[bytes, Statement] | None = None
        self._request: list[tuple[int, bytes, bytes]] = []

    @property
    def request(self) -> tuple[tuple[int, bytes, bytes], ...]:
        """What has come, to be remembered by; empty as long as nothing has been executed."""
        return tuple(self._request) if self._last == Frontend.EXECUTE else ()

    def take(self, piece: Piece) -> bool:
        """Whether it still is such a request, with this message. Raises RemoteProtocolError."""
        take = self._TAKES.get(piece.tag)
        return take is not None and take(self, piece)

    @property
    def _last(self) -> int:
        return self._request[-1][0] if self._request else 0

    def _parse(self, piece: Piece) -> bool:
        name = cut(parse_of(piece.data).name)
        if self._request or (name and self._statements.get(name) is not None):
            return False
        self._parsed = name, self._statements.meaning_of(piece.data)
        self.parses.append(piece)
        return self._is_about(name, Frontend.PARSE, b"")

    def _describe(self, piece: Piece) -> bool:
        kind, name = target_of(piece.data)
        if kind != _STATEMENT:
            self._request.append((Frontend.DESCRIBE, b"", b""))
            return not name and self._request[-2:-1] != [] and self._request[-2][0] == Frontend.BIND
        return self._last in (0, Frontend.PARSE) and self._is_about(name, Frontend.DESCRIBE, b"")

    def _bind(self, piece: Piece) -> bool:
        portal, name = bind_names_of(piece.data)
        values = piece.data[5 + len(portal) + 1 + len(name) + 1 :]
        return not portal and self._is_about(name, Frontend.BIND, values)

    def _execute(self, piece: Piece) -> bool:
        portal, max_rows = execute_of(piece.data)
        is_bound = any(tag == Frontend.BIND for tag, _, _ in self._request) and self._last != Frontend.EXECUTE
        self._request.append((Frontend.EXECUTE, b"", b"%d" % max_rows))
        return not portal and is_bound

    def _is_about(self, name: bytes, tag: int, rest: bytes) -> bool:
        parsed = self._parsed
        statement = parsed[1] if parsed is not None and parsed[0] == cut(name) else self._statements.get(name)
        if statement is None or not statement.may_be_fact or any(one == tag for one, _, _ in self._request):
            return False
        if tag == Frontend.DESCRIBE:
            self.described = name, statement
        self._request.append((tag, statement.name, rest))
        return True

    _TAKES: Final[Mapping[int, Callable[["Whole", Piece], bool]]] = {
        Frontend.PARSE: _parse,
        Frontend.DESCRIBE: _describe,
        Frontend.BIND: _bind,
        Frontend.EXECUTE: _execute,
    }
