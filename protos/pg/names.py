"""Names of prepared statements: those that the two tiers agree on, and how a message gets another one.

A shared name is PREFIX and 32 hexadecimal digits (edge/meaning.py). The others stand for no statement in particular.
No client's name that begins like them reaches an origin.
"""

from typing import Final

MAX_NAME_BYTES: Final = 63
"""NAMEDATALEN - 1: what PostgreSQL keeps of any name."""

PREFIX: Final = b"onetrip:"

#: Never prepared, so a Bind to them gets PostgreSQL's own error; the first is for the unnamed statement.
MISSING: Final = PREFIX + b"none"
GONE: Final = PREFIX + b"gone"

#: Prepared on every connection that needs it, so a Parse of it gets PostgreSQL's own error.
USED: Final = PREFIX + b"used"

#: Never prepared: it stands where a session was told another description than the present one.
STALE: Final = PREFIX + b"stale"

#: Never prepared: it stands where a session would have more statements than it may.
FULL: Final = PREFIX + b"full"

#: With a number: which statement is meant is said beside the message.
TOKEN: Final = PREFIX + b"?"


def cut(name: bytes) -> bytes:
    """A name as PostgreSQL compares it."""
    return name[:MAX_NAME_BYTES]


def with_name(message: bytes, start: int, end: int, name: bytes) -> bytes:
    """A message, or the beginning of one, with another name in the place of the one from start to its zero byte."""
    length = int.from_bytes(message[1:5], "big") + len(name) - (end - start)
    return message[:1] + length.to_bytes(4, "big") + message[5:start] + name + message[end:]
