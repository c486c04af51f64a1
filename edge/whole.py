"""A group of extended messages that runs one statement, as a request whose whole answer may be remembered, or kept.

    Parse?  Describe S?  Bind  Describe P?  Execute      each at most once, about one statement

Its bytes, but for the names that the client has chosen, are what a fact is remembered by (`memory`). A read is kept by
its statement, what it was told of that, and its values (`cache`), however its messages are grouped.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

import attrs

from edge.cache.answers import Answer
from edge.cache.parts import result_formats, with_formats
from edge.control import control_of
from edge.meaning import Statement
from edge.statements import Statements
from protos.errors import RemoteProtocolError
from protos.pg.description import split_description
from protos.pg.first_look import may_be_fact, may_be_read
from protos.pg.framer import Piece
from protos.pg.messages import bind_complete, describe_statement, execute, parse_complete, sync
from protos.pg.names import cut, with_name
from protos.pg.parsers import HEADER_BYTES, bind_names_of, execute_of, parse_of, target_of
from protos.pg.tags import Frontend

_STATEMENT: Final = ord("S")


_COMPLETE: Final[Mapping[int, bytes]] = {Frontend.PARSE: parse_complete(), Frontend.BIND: bind_complete()}


@attrs.frozen
class Read:
    """What is asked for: a statement with values."""

    statement: Statement
    told: bytes
    """The digest of the description that the client was told of it; empty for none. Rows must fit it (rules 10)."""
    bind: bytes
    """The rest of its Bind, behind the names."""
    max_rows: bytes

    @property
    def key(self) -> tuple[bytes, bytes, bytes, bytes]:
        return self.statement.name, self.told, self.bind, self.max_rows

    @property
    def renewal(self) -> bytes:
        """What asks for the same without a statement or portal of a name, and how it is described now."""
        parse = self.statement.parse
        return b"".join((
            with_name(parse, 5, parse.index(0, 5), b""), describe_statement(b""), _unnamed(self.bind),
            execute(b"", int(self.max_rows)), sync(),
        ))  # fmt: skip


def begins_read(piece: Piece, statements: Statements) -> bool:
    """Whether this message begins what looks like a read."""
    return may_be_read(sql_of(piece, statements))


def may_run_here(parse: bytes, *, reads: bool) -> bool:
    """Whether a statement can be more than prepared at the edge. reads: answers may be kept."""
    sql = parse[parse.find(0, 5) + 1 :].partition(b"\0")[0]
    return may_be_fact(sql) or control_of(sql) is not None or (reads and may_be_read(sql))


def sql_of(piece: Piece, statements: Statements) -> bytes:
    """The text of the statement that a Query or Bind runs, or a Parse is of; empty if there is none."""
    with suppress(RemoteProtocolError):  # PostgreSQL says what is wrong with it
        if piece.tag == Frontend.QUERY:
            return piece.data[HEADER_BYTES:-1]
        if piece.tag == Frontend.PARSE:
            return parse_of(piece.data).sql
        statement = statements.get(bind_names_of(piece.data)[1]) if piece.tag == Frontend.BIND else None
        if statement is not None:
            return parse_of(statement.parse).sql
    return b""


def _unnamed(rest: bytes) -> bytes:
    """A Bind of the unnamed statement to the unnamed portal."""
    return b"B" + (len(rest) + 6).to_bytes(4, "big") + b"\0\0" + rest


class Whole:
    """What has come of it."""

    def __init__(self, statements: Statements, *, reads: bool = False) -> None:
        """reads: answers may be kept."""
        self.parses: list[Piece] = []
        self.described: tuple[bytes, Statement] | None = None
        """The client's name and the statement of a Describe."""
        self._statements = statements
        self._reads = reads
        self._about: Statement | None = None
        self._name = b""  # the client's, of that
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
    def read(self) -> "Read | None":
        """What has come, if it is a read whose answer may be kept."""
        if self._last != Frontend.EXECUTE or self._about is None or not self._about.may_be_read:
            return None
        (bind,) = (rest for tag, _, rest in self._request if tag == Frontend.BIND)
        told = b"" if self._parsed is not None else self._statements.told(self._name)
        return Read(self._about, told, bind, self._request[-1][2])

    def compose(self, answer: Answer) -> bytes | None:
        """The replies to these messages up to the rows, which come last, given an answer to the same read.

        None if something of them is not known.
        """
        out: list[bytes] = []
        for tag, name, _ in self._request:
            if tag == Frontend.DESCRIBE:
                reply = answer.description if name else self._rows(answer)
                if not reply:
                    return None
                out.append(reply)
            elif tag != Frontend.EXECUTE:
                out.append(_COMPLETE[tag])
        return b"".join(out)

    def _rows(self, answer: Answer) -> bytes:
        if answer.rows or not answer.description:
            return answer.rows
        (bind,) = (rest for tag, _, rest in self._request if tag == Frontend.BIND)
        return with_formats(split_description(answer.description)[1], result_formats(bind, 0))

    @property
    def _last(self) -> int:
        return self._request[-1][0] if self._request else 0

    def _parse(self, piece: Piece) -> bool:
        name = cut(parse_of(piece.data).name)
        if self._request or (name and self._statements.is_in_use(name)):
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
        is_fit = statement is not None and (statement.may_be_fact or (self._reads and statement.may_be_read))
        if statement is None or not is_fit or any(one == tag for one, _, _ in self._request):
            return False
        if self._about is not None and (statement is not self._about or name != self._name):
            return False  # a Bind of another statement than the one that is parsed in front of it
        self._about, self._name = statement, name
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
