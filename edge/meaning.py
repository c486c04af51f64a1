"""A prepared statement's meaning and the shared name that stands for it (rules 8).

The name is a digest of everything that Parse reads: the SQL bytes, the parameter types, and the settings that the
session has. A statement with a date word in a string constant means another thing at each Parse ('now' is the moment of
the Parse), so its digest has the session in it as well, and nobody else ever gets it. So has that of an EXECUTE, whose
description hangs on what the session has under the name in it.

A statement of SQL's PREPARE is kept as its text. It goes by a shared name too, which is that of the PREPARE itself.
"""

import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

import attrs

from protos.errors import RemoteProtocolError
from protos.pg.first_look import may_be_fact, may_be_read
from protos.pg.framer import BEGINNING_BYTES
from protos.pg.messages import parse
from protos.pg.names import PREFIX, with_name
from protos.pg.sql_statements import FIRST_BYTES, Command, Kind, command_of

if TYPE_CHECKING:
    from edge.seen import Seen

# A word in what may be a string constant: behind a quote or a dollar, whatever ends there. An escape may hide one.
_DATE_WORD: Final = re.compile(rb"['$][^']*(?:now|today|tomorrow|yesterday)|(?:\be|u&)'[^']*\\", re.IGNORECASE)


Script = tuple[Command, bytes]
"""A command, and its text."""


@attrs.frozen(eq=False)
class Statement:
    """One meaning."""

    name: bytes
    parse: bytes
    """The whole Parse message, under the shared name."""
    scope: bytes
    is_sql: bool = False
    """It is a PREPARE, to be run."""
    script: Script | None = None
    """What it does to the session's statements if it is executed, and its text."""
    may_be_fact: bool = False
    """Whether it is worth looking whether its answer is remembered."""
    may_be_read: bool = False
    """Likewise whether it is kept."""
    seen: "Seen | None" = None
    """What it found when it was parsed, if it is an EXECUTE."""

    @property
    def is_execute(self) -> bool:
        return self.script is not None and self.script[0].kind is Kind.EXECUTE

    @property
    def is_too_long(self) -> bool:
        """It is over 1 MiB, so it is not kept here, and its name is its own in this lease."""
        return not self.parse

    @property
    def kept_bytes(self) -> int:
        """What keeping it costs."""
        return len(self.parse) + (0 if self.seen is None else self.seen.kept_bytes)


_interned: WeakValueDictionary[bytes, Statement] = WeakValueDictionary()


def statement_of(message: bytes, scope: bytes, salt: bytes = b"", *, is_sql: bool = False) -> Statement:
    """The shared statement of a Parse message.

    scope is the digest of the settings that Parse reads, salt what no other session has.
    """
    end = end_of(message, 5)
    body = message[end:]  # the SQL and the types, from the name's zero byte on
    person = b"sql" if is_sql else b""
    script = None if is_sql else script_of(body, 1)
    own = salt if script is not None or _DATE_WORD.search(body) else b""
    name = PREFIX + blake2b(body, digest_size=16, key=scope, salt=own, person=person).hexdigest().encode()
    known = _interned.get(name)
    if known is None:
        length = (len(body) + len(name) + 4).to_bytes(4, "big")
        sql = body[1 : body.find(0, 1)]
        is_read = script is None and own == b"" and may_be_read(sql)
        known = Statement(
            name, message[:1] + length + name + body, scope, is_sql, script, may_be_fact(sql), may_be_read=is_read
        )
        _interned[name] = known
    return known


def sql_statement_of(sql: bytes, scope: bytes, salt: bytes) -> Statement:
    """The statement that a PREPARE makes."""
    return statement_of(parse(b"", sql), scope, salt, is_sql=True)


def script_of(message: bytes, start: int) -> Script | None:
    """The command that the SQL which begins at start is, if it is one."""
    if len(message) <= start or message[start] not in FIRST_BYTES:
        return None
    sql = message[start : max(start, message.find(0, start))]
    command = command_of(sql)
    return None if command is None else (command, sql)


def end_of(message: bytes, start: int) -> int:
    """Where the zero-terminated string that begins at start ends. A message without its end does not come so far."""
    end = message.find(0, start)
    if end < 0:
        public = f"the names in a message of more than 1 MiB must end within {BEGINNING_BYTES} bytes"
        raise RemoteProtocolError("a name that goes on behind the beginning of its message", public=public)
    return end


def renamed(message: bytes, start: int, name: bytes) -> bytes:
    """The message (or the beginning of one) with another statement name at start."""
    return with_name(message, start, end_of(message, start), name)
