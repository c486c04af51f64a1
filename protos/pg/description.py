"""How a session says which description of a statement it was told, so that a Bind can be checked against it (rules 10).

A statement's description is what PostgreSQL answers to a Describe of it: a ParameterDescription, and a RowDescription
or NoData. A session that was told one names the statement `NAME:DIGEST` from then on, where NAME is its shared name
(see edge/statements.py) and DIGEST that of the two messages. The pool node compares before anything runs.
"""

from hashlib import blake2b
from typing import Final

from protos.errors import RemoteProtocolError
from protos.pg.names import PREFIX
from protos.pg.parsers import end_of_message
from protos.pg.tags import Backend

NAME_BYTES: Final = len(PREFIX) + 32
DIGEST_BYTES: Final = 16
"""Of its hexadecimal digits."""

_FIRST_COLUMN: Final = 7
_COLUMN_BYTES: Final = 18  # behind its name
_PLACE_BYTES: Final = 6  # of which the first
_QUALIFIED_BYTES: Final = NAME_BYTES + 1 + DIGEST_BYTES
_ROWS: Final = frozenset({Backend.ROW_DESCRIPTION, Backend.NO_DATA})


def digest_of(parameters: bytes, rows: bytes) -> bytes:
    """The digest of a description, given its two messages whole, as PostgreSQL sent them for a Describe S.

    Which table a column is of does not count: a prepared statement runs on, too, where another table has come to the
    place of one (equalTupleDescs in src/backend/access/common/tupdesc.c), and no later execution is told otherwise.
    """
    return blake2b(parameters + _without_places(rows), digest_size=DIGEST_BYTES // 2).hexdigest().encode()


def _without_places(rows: bytes) -> bytes:
    """A RowDescription without the table and number of each column."""
    parts, start = [rows[:_FIRST_COLUMN]], _FIRST_COLUMN
    while (end := rows.find(0, start) + 1) > 0:
        parts += rows[start:end], rows[end + _PLACE_BYTES : end + _COLUMN_BYTES]
        start = end + _COLUMN_BYTES
    return b"".join(parts)


def qualified(name: bytes, digest: bytes) -> bytes:
    """The name by which a session that was told this description calls a shared statement."""
    return name + b":" + digest


def split_name(name: bytes) -> tuple[bytes, bytes]:
    """A statement's name without the digest, and the digest; empty if there is none."""
    if len(name) == _QUALIFIED_BYTES and name.startswith(PREFIX) and name[NAME_BYTES:].startswith(b":"):
        return name[:NAME_BYTES], name[NAME_BYTES + 1 :]
    return name, b""


def split_description(data: bytes) -> tuple[bytes, bytes]:
    """The two messages of a description that stand one behind the other."""
    end = end_of_message(data)
    parameters, rows = data[:end], data[end:]
    if (
        data[:1] != bytes([Backend.PARAMETER_DESCRIPTION])
        or len(rows) < 5
        or rows[0] not in _ROWS
        or end_of_message(rows) != len(rows)
    ):
        message = "not the description of a statement"
        raise RemoteProtocolError(message)
    return parameters, rows
