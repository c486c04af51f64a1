"""What a client says: messages, sent in chunks, and how it knows that a chunk is answered.

A conversation prints itself as the calls that make it, so that a failed one can be pasted into a test.
"""

import enum
from struct import Struct
from typing import Final

import attrs

from protos.pg import messages
from protos.pg.tags import Frontend

SYNC_POINTS: Final = frozenset("QSF")
MARK: Final = messages.sync() + messages.query(b"")
"""What ends a chunk: whatever it has come to, but for a COPY that goes on, PostgreSQL answers the query."""

_header = Struct(">BI").pack
_short = Struct(">H").pack
_long = Struct(">I").pack


@attrs.frozen(repr=False)
class Say:
    """One message, by its name in `protos.pg.messages` and its arguments as text."""

    name: str
    arguments: tuple[object, ...]
    data: bytes = attrs.field(eq=False)

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(map(repr, self.arguments))})"

    @property
    def tag(self) -> str:
        return chr(self.data[0])

    @property
    def sql(self) -> str:
        """The SQL of a Query or Parse; not that of a raw one."""
        if self.name == "raw":
            return ""
        return str(self.arguments[1 if self.tag == "P" else 0]) if self.tag in "QP" else ""


def query(sql: str) -> Say:
    return Say("query", (sql,), messages.query(sql.encode()))


def parse(name: str, sql: str, *types: int) -> Say:
    return Say("parse", (name, sql, *types), messages.parse(name.encode(), sql.encode(), types))


def bind(portal: str, statement: str, *values: str | None, binary: bool = False) -> Say:
    """BINARY asks for results in binary."""
    encoded = [None if value is None else value.encode() for value in values]
    data = messages.bind(portal.encode(), statement.encode(), encoded, (), (1,) if binary else ())
    return Say("bind_binary" if binary else "bind", (portal, statement, *values), data)


def bind_binary(portal: str, statement: str, *values: str | None) -> Say:
    return bind(portal, statement, *values, binary=True)


def execute(portal: str = "", max_rows: int = 0) -> Say:
    return Say("execute", (portal, max_rows), messages.execute(portal.encode(), max_rows))


def describe_statement(name: str) -> Say:
    return Say("describe_statement", (name,), messages.describe_statement(name.encode()))


def describe_portal(name: str) -> Say:
    return Say("describe_portal", (name,), messages.describe_portal(name.encode()))


def close_statement(name: str) -> Say:
    return Say("close_statement", (name,), messages.close_statement(name.encode()))


def close_portal(name: str) -> Say:
    return Say("close_portal", (name,), messages.close_portal(name.encode()))


def sync() -> Say:
    return Say("sync", (), messages.sync())


def flush() -> Say:
    return Say("flush", (), messages.flush())


def copy_data(text: str) -> Say:
    return Say("copy_data", (text,), messages.copy_data(text.encode()))


def copy_done() -> Say:
    return Say("copy_done", (), messages.copy_done())


def copy_fail(reason: str) -> Say:
    return Say("copy_fail", (reason,), messages.copy_fail(reason))


def call(function: int, *values: str) -> Say:
    """A FunctionCall with arguments and result as text."""
    encoded = [value.encode() for value in values]
    counted = b"".join(_long(len(value)) + value for value in encoded)
    body = _long(function) + _short(0) + _short(len(encoded)) + counted + _short(0)
    return Say("call", (function, *values), _header(Frontend.FUNCTION_CALL, len(body) + 4) + body)


def raw(data: bytes) -> Say:
    """Bytes as they are, which need not be a message."""
    return Say("raw", (data,), data)


class Until(enum.Enum):
    """How a client knows that a chunk is answered."""

    READY = enum.auto()
    """A ReadyForQuery for each sync point in it."""
    COPY_OR_READY = enum.auto()
    """CopyInResponse; or ReadyForQuery, if it did not come to that."""
    READY_IF_COPYING = enum.auto()
    """ReadyForQuery if the COPY of the chunk before has begun; nothing otherwise, for PostgreSQL ignores it."""
    FLUSHED = enum.auto()
    """The last reply to each message, or an error."""
    MARKED = enum.auto()
    """The answer to an empty query, which is said behind it; no message of the chunk is one."""


class When(enum.Enum):
    """In which transaction status a chunk is said; otherwise it is left out. Both sides agree on the status."""

    ALWAYS = ""
    IDLE = "I"
    TOGETHER = "together"
    """Where the chunk before it was said."""


@attrs.frozen
class Chunk:
    """Messages that are sent at once; then their answers are awaited."""

    says: tuple[Say, ...]
    until: Until = Until.READY
    when: When = When.ALWAYS
    topic: str = ""
    """The row of the table of differences that this chunk is there to show."""

    def __repr__(self) -> str:
        rest = [f"until={self.until}"] if self.until is not Until.READY else []
        rest += [f"when={self.when}"] if self.when is not When.ALWAYS else []
        rest += [f"topic={self.topic!r}"] if self.topic else []
        return f"chunk({', '.join([*map(repr, self.says), *rest])})"

    @property
    def data(self) -> bytes:
        return b"".join(say.data for say in self.says) + (MARK if self.until is Until.MARKED else b"")

    @property
    def sync_points(self) -> int:
        return sum(say.tag in SYNC_POINTS for say in self.says)


def chunk(*says: Say, until: Until = Until.READY, when: When = When.ALWAYS, topic: str = "") -> Chunk:
    return Chunk(says, until, when, topic)


class Ending(enum.Enum):
    """How a client leaves."""

    TERMINATE = enum.auto()
    VANISH = enum.auto()


@attrs.frozen
class Neighbour:
    """Another client of Onetrip does this meanwhile; else it changes who is served by which connection, and no more."""

    sql: str
    writes: bool = False
    """It does so beside both sides: what it changes is seen."""


@attrs.frozen
class Conversation:
    """One session from its connect to its end."""

    parameters: tuple[tuple[str, str], ...]
    steps: tuple[Chunk | Neighbour, ...]
    ending: Ending = Ending.TERMINATE
    name: str = attrs.field(default="", eq=False)

    def __repr__(self) -> str:
        lines = "".join(f"\n        {step!r}," for step in self.steps)
        return f"Conversation(\n    {self.parameters!r},\n    ({lines}\n    ),\n    {self.ending},\n)"
