"""A session's prepared statements, which live at the edge and have one shared name for one meaning beside the database.

Theory of operation: a client's names are its own, but origin connections are shared, so `s1` of one session must never
meet `s1` of another. Each Parse is sent under a shared name, a digest of everything that gives the statement its
meaning: the SQL bytes, the parameter types, and the settings that the session began with (rules 8). Bind, Describe and
Close are renamed likewise. Two sessions with the same statement share it on an origin connection; different ones
cannot collide. The pool node prepares a statement where it is missing from the text that travelled over the link once.

The unnamed statement of a session is given to the origin as it is while Parse and Bind stand in one group up to a Sync.
A Bind in a later group may be served by another connection, so from there on it goes by its shared name too.

What a session sets later changes the scope of what it parses from then on, and of what it uses again: PostgreSQL parses
a statement anew, too, once search_path or the role is another. (It does not do so for DateStyle or TimeZone, so a
constant in the text of an older statement may be read in the newer way here: the table of differences has it.)

Names are compared by their first 63 bytes, as PostgreSQL cuts them (rules 12). Not kept here: a Parse over 1 MiB, which
is streamed; it is good until its lease ends.
"""

from hashlib import blake2b
from typing import Final
from weakref import WeakValueDictionary

import attrs

from edge.memory import may_be_fact
from protos.errors import RemoteProtocolError, StatementMemoryError
from protos.pg.description import qualified
from protos.pg.tags import Frontend

PREFIX: Final = b"onetrip:"
"""Begins every shared name. Where a client chooses such a name itself, it is changed so that it cannot hit ours."""

MISSING: Final = PREFIX + b"none"  # never prepared: a Bind to it gets PostgreSQL's own error
MAX_NAME_BYTES: Final = 63
MAX_SESSION_BYTES: Final = 16 << 20  # of statement text (rules 12)


@attrs.frozen(eq=False)
class Statement:
    """One meaning."""

    name: bytes
    parse: bytes
    """The whole Parse message, under the shared name."""
    scope: bytes
    may_be_fact: bool = False


_interned: WeakValueDictionary[bytes, Statement] = WeakValueDictionary()


def statement_of(parse: bytes, scope: bytes) -> Statement:
    """The shared statement of a Parse message; scope is the digest of the settings that Parse reads."""
    end = _end_of(parse, 5)
    body = parse[end:]  # the SQL and the types, from the name's zero byte on
    name = PREFIX + blake2b(body, digest_size=16, key=scope).hexdigest().encode()
    known = _interned.get(name)
    if known is None:
        length = (len(body) + len(name) + 4).to_bytes(4, "big")
        known = _interned[name] = Statement(name, parse[:1] + length + name + body, scope, may_be_fact(body))
    return known


class Statements:
    """The statements of one session."""

    __slots__ = ("_bytes", "_named", "_told", "_unnamed", "_unnamed_is_fresh", "scope")

    def __init__(self, scope: bytes) -> None:
        self.scope = scope
        """The digest of the settings that the session has."""
        self._named: dict[bytes, Statement] = {}
        self._told: dict[bytes, bytes] = {}  # by the client's names, the digests of the descriptions it was told
        self._bytes = 0
        self._unnamed: bytes | None = None
        self._unnamed_is_fresh = False

    def __len__(self) -> int:
        return len(self._named)

    def get(self, name: bytes) -> Statement | None:
        """What this name means now; the empty one means the unnamed statement."""
        name = cut(name)
        if name:
            return self._fresh(name)
        return None if self._unnamed is None else statement_of(self._unnamed, self.scope)

    def meaning_of(self, parse: bytes) -> Statement:
        """What a Parse message of the session's means."""
        return statement_of(parse, self.scope)

    def tell(self, name: bytes, digest: bytes) -> None:
        """The client has been told this description of a statement; what runs from now on must fit it (rules 10)."""
        self._told[cut(name)] = digest

    def synced(self) -> None:
        """The group of messages has come to its Sync: another connection may serve the next one."""
        self._unnamed_is_fresh = False

    def queried(self) -> None:
        """A simple query drops the unnamed statement, as in PostgreSQL."""
        self._unnamed = None
        self._told.pop(b"", None)
        self._unnamed_is_fresh = False

    def parse(self, message: bytes, *, whole: bool) -> tuple[bytes, Statement | None]:
        """What to send for a Parse, and the statement that the pool node has to know for it."""
        name = cut(message[5 : _end_of(message, 5)])
        self._told.pop(name, None)
        if not name:
            self._unnamed = message if whole else None
            self._unnamed_is_fresh = True
            return message, None
        self._forget(name)
        if not whole:
            return _hidden(message, 5, name), None
        statement = statement_of(message, self.scope)
        if self._bytes + len(statement.parse) > MAX_SESSION_BYTES:
            raise StatementMemoryError(
                detail=f"It has {self._bytes} bytes in {len(self._named)} statements; {MAX_SESSION_BYTES} are allowed.",
                hint="Close statements that are not used any more, or use unnamed ones.",
            )
        self._named[name] = statement
        self._bytes += len(statement.parse)
        return statement.parse, statement

    def bind(self, message: bytes) -> tuple[bytes, Statement | None]:
        """What to send for a Bind (or the beginning of one), and the statement it needs."""
        start = _end_of(message, 5) + 1
        return self._renamed(message, start, asks=False)

    def describe(self, message: bytes) -> tuple[bytes, Statement | None]:
        """What to send for a Describe, and the statement it needs."""
        if message[5:6] != b"S":
            return message, None
        return self._renamed(message, 6, asks=True)

    def close(self, message: bytes) -> bytes:
        """What to send for a Close: the shared statement stays, the client gets its CloseComplete in its place."""
        if message[5:6] != b"S":
            return message
        name = cut(message[6 : _end_of(message, 6)])
        if not name:
            self.queried()
            return message
        self._forget(name)
        return _with_name(message, 6, MISSING)

    def _renamed(self, message: bytes, start: int, *, asks: bool) -> tuple[bytes, Statement | None]:
        """asks: it wants to be told the description, whatever it has been told before."""
        end = _end_of(message, start)
        name = cut(message[start:end])
        if name:
            statement = self._fresh(name)
        elif self._unnamed_is_fresh:
            return message, None
        elif self._unnamed is not None:
            statement = statement_of(self._unnamed, self.scope)
        else:
            return _with_name(message, start, MISSING), None
        if statement is None:
            return _hidden(message, start, name), None
        digest = None if asks else self._told.get(name)
        shared = statement.name if digest is None else qualified(statement.name, digest)
        return _with_name(message, start, shared), statement

    def _fresh(self, name: bytes) -> Statement | None:
        """By name, as it is under the session's present settings."""
        statement = self._named.get(name)
        if statement is not None and statement.scope != self.scope:
            statement = self._named[name] = statement_of(statement.parse, self.scope)
        return statement

    def _forget(self, name: bytes) -> None:
        self._told.pop(name, None)
        old = self._named.pop(name, None)
        if old is not None:
            self._bytes -= len(old.parse)


def _hidden(message: bytes, start: int, name: bytes) -> bytes:
    """The message with the client's own name, but one that begins like ours changed so that it cannot hit ours."""
    return _with_name(message, start, b"?" + name[1:]) if name.startswith(PREFIX) else message


def cut(name: bytes) -> bytes:
    """A name as PostgreSQL compares it."""
    return name[:MAX_NAME_BYTES]


def _end_of(message: bytes, start: int) -> int:
    """Where the zero-terminated string that begins at start ends."""
    end = message.find(0, start)
    if end < 0:
        kind = {Frontend.PARSE: "Parse", Frontend.BIND: "Bind"}.get(message[0], "Describe or Close")
        raise RemoteProtocolError(f"a name without an end in {kind}", public="invalid string in message")
    return end


def _with_name(message: bytes, start: int, name: bytes) -> bytes:
    """The message (or the beginning of one) with another statement name at start."""
    end = _end_of(message, start)
    length = int.from_bytes(message[1:5], "big") + len(name) - (end - start)
    return message[:1] + length.to_bytes(4, "big") + message[5:start] + name + message[end:]
