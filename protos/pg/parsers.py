"""Take PostgreSQL's messages apart: only what a node must know of them, and only after checking their form.

Every function takes one whole message (tag, length, body). Bytes that are no such message raise `RemoteProtocolError`,
in the words of PostgreSQL's pq_getmsg functions (src/backend/libpq/pqformat.c), and nothing else.
"""

from struct import Struct
from typing import Final, NamedTuple

from protos.errors import RemoteProtocolError
from protos.pg.tags import STATUSES, Backend, Frontend

HEADER_BYTES: Final = 5

_int16_at = Struct(">H").unpack_from
_int32_at = Struct(">i").unpack_from
_uint32_at = Struct(">I").unpack_from
_header = Struct(">BI").pack

_STATEMENT: Final = ord("S")
_PORTAL: Final = ord("P")


class ParseMessage(NamedTuple):
    """A Parse; `types_raw` is its number of parameter types and their oids, as they were on the wire."""

    name: bytes
    sql: bytes
    types_raw: bytes


def _invalid(what: str) -> RemoteProtocolError:
    return RemoteProtocolError(what, public=what)


def _check(message: bytes, *tags: int) -> None:
    if len(message) < HEADER_BYTES or message[0] not in tags or _uint32_at(message, 1)[0] != len(message) - 1:
        raise _invalid("invalid message format")


def _string_end(message: bytes, start: int) -> int:
    """Find the NUL that ends the string at start."""
    end = message.find(b"\0", start)
    if end < 0:
        raise _invalid("invalid string in message")
    return end


def _only_string(message: bytes) -> bytes:
    """Return the one string that is all of the body."""
    end = _string_end(message, HEADER_BYTES)
    if end != len(message) - 1:
        raise _invalid("invalid message format")
    return message[HEADER_BYTES:end]


def _decode(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def end_of_message(data: bytes, start: int = 0) -> int:
    """Where the message that begins at start ends; further than there is if its length is not there yet."""
    if len(data) < start + HEADER_BYTES:
        return start + HEADER_BYTES
    return start + 1 + int.from_bytes(data[start + 1 : start + HEADER_BYTES], "big")


# Frontend messages.


def query_of(message: bytes) -> bytes:
    """Return the SQL of a Query."""
    _check(message, Frontend.QUERY)
    return _only_string(message)


def parse_of(message: bytes) -> ParseMessage:
    _check(message, Frontend.PARSE)
    name_end = _string_end(message, HEADER_BYTES)
    sql_end = _string_end(message, name_end + 1)
    types_raw = message[sql_end + 1 :]
    if len(types_raw) < 2:
        raise _invalid("insufficient data left in message")
    if len(types_raw) != 2 + 4 * _int16_at(types_raw)[0]:
        raise _invalid("invalid message format")
    return ParseMessage(message[HEADER_BYTES:name_end], message[name_end + 1 : sql_end], types_raw)


def bind_names_of(message: bytes) -> tuple[bytes, bytes]:
    """Return portal and statement of a Bind. The rest of it is for the origin to judge."""
    _check(message, Frontend.BIND)
    portal_end = _string_end(message, HEADER_BYTES)
    statement_end = _string_end(message, portal_end + 1)
    return message[HEADER_BYTES:portal_end], message[portal_end + 1 : statement_end]


def execute_of(message: bytes) -> tuple[bytes, int]:
    """Return portal and the most rows wanted (0 is all) of an Execute."""
    _check(message, Frontend.EXECUTE)
    end = _string_end(message, HEADER_BYTES)
    if len(message) != end + 5:
        raise _invalid("invalid message format")
    return message[HEADER_BYTES:end], _int32_at(message, end + 1)[0]


def target_of(message: bytes) -> tuple[int, bytes]:
    """Return what a Describe or Close is about: ord("S") for a statement or ord("P") for a portal, and its name."""
    _check(message, Frontend.DESCRIBE, Frontend.CLOSE)
    if len(message) < HEADER_BYTES + 2:
        raise _invalid("insufficient data left in message")
    kind = message[HEADER_BYTES]
    if kind not in {_STATEMENT, _PORTAL}:
        name = "DESCRIBE" if message[0] == Frontend.DESCRIBE else "CLOSE"
        raise _invalid(f"invalid {name} message subtype {kind}")
    end = _string_end(message, HEADER_BYTES + 1)
    if end != len(message) - 1:
        raise _invalid("invalid message format")
    return kind, message[HEADER_BYTES + 1 : end]


def renamed(message: bytes, name: bytes) -> bytes:
    """Return the same Parse, Bind, Describe or Close with another statement name."""
    _check(message, Frontend.PARSE, Frontend.BIND, Frontend.DESCRIBE, Frontend.CLOSE)
    start = HEADER_BYTES
    if message[0] == Frontend.BIND:
        start = _string_end(message, start) + 1
    elif message[0] != Frontend.PARSE:
        if target_of(message)[0] != _STATEMENT:
            raise _invalid("only a statement can be renamed")
        start += 1
    end = _string_end(message, start)
    length = len(message) - 1 + len(name) - (end - start)
    return b"".join((_header(message[0], length), message[HEADER_BYTES:start], name, message[end:]))


def password_of(message: bytes) -> bytes:
    """Return the password of a PasswordMessage."""
    _check(message, Frontend.PASSWORD)
    return _only_string(message)


def sasl_initial_of(message: bytes) -> tuple[str, bytes | None]:
    """Return mechanism and data (None: none came along) of a SASLInitialResponse."""
    _check(message, Frontend.PASSWORD)
    end = _string_end(message, HEADER_BYTES)
    if len(message) < end + 5:
        raise _invalid("insufficient data left in message")
    mechanism = message[HEADER_BYTES:end].decode("ascii", "backslashreplace")
    size, data = _int32_at(message, end + 1)[0], message[end + 5 :]
    if size == -1 and not data:
        return mechanism, None
    if size != len(data):
        raise _invalid("invalid message format")
    return mechanism, data


# Backend messages.


def authentication_of(message: bytes) -> tuple[int, bytes]:
    """Return which kind of authentication message this is, and its data."""
    _check(message, Backend.AUTHENTICATION)
    if len(message) < HEADER_BYTES + 4:
        raise _invalid("insufficient data left in message")
    return _uint32_at(message, HEADER_BYTES)[0], message[HEADER_BYTES + 4 :]


def sasl_mechanisms_of(data: bytes) -> list[str]:
    """Return the mechanisms that an AuthenticationSASL offers, from the data that `authentication_of` returned."""
    if not data.endswith(b"\0"):
        raise _invalid("invalid string in message")
    names = data.split(b"\0")
    return [name.decode("ascii", "backslashreplace") for name in names[: names.index(b"")]]


def negotiated_of(message: bytes) -> tuple[int, list[str]]:
    """Return the minor version and the options not known of a NegotiateProtocolVersion."""
    _check(message, Backend.NEGOTIATE_PROTOCOL_VERSION)
    if len(message) < HEADER_BYTES + 8:
        raise _invalid("insufficient data left in message")
    version, count = _uint32_at(message, HEADER_BYTES)[0], _uint32_at(message, HEADER_BYTES + 4)[0]
    names = message[HEADER_BYTES + 8 :].split(b"\0")
    if names.pop() or len(names) != count:
        raise _invalid("invalid message format")
    return version & 0xFFFF, [_decode(name) for name in names]


def error_fields(message: bytes) -> dict[str, str]:
    """Return the fields of an ErrorResponse or NoticeResponse by their one-letter codes."""
    _check(message, Backend.ERROR_RESPONSE, Backend.NOTICE_RESPONSE)
    *fields, end = message[HEADER_BYTES:].split(b"\0")
    if end or not fields or fields.pop() or not all(fields):
        raise _invalid("invalid message format")
    return {chr(field[0]): _decode(field[1:]) for field in fields}


def parameter_status_of(message: bytes) -> tuple[str, str]:
    """Return name and value of a ParameterStatus."""
    _check(message, Backend.PARAMETER_STATUS)
    strings = message[HEADER_BYTES:].split(b"\0")
    if len(strings) != 3 or strings[2]:
        raise _invalid("invalid message format")
    return _decode(strings[0]), _decode(strings[1])


def backend_key_of(message: bytes) -> tuple[int, bytes]:
    """Return process id and secret of a BackendKeyData: 4 bytes in protocol 3.0, up to 256 in 3.2."""
    _check(message, Backend.BACKEND_KEY_DATA)
    secret = message[HEADER_BYTES + 4 :]
    if not 4 <= len(secret) <= 256:
        raise _invalid("invalid message format")
    return _uint32_at(message, HEADER_BYTES)[0], secret


def status_of(message: bytes) -> int:
    """Return the transaction status of a ReadyForQuery."""
    _check(message, Backend.READY_FOR_QUERY)
    if len(message) != HEADER_BYTES + 1 or message[HEADER_BYTES] not in STATUSES:
        raise _invalid("invalid message format")
    return message[HEADER_BYTES]


def command_tag_of(message: bytes) -> str:
    """Return the command tag of a CommandComplete, such as "INSERT 0 1"."""
    _check(message, Backend.COMMAND_COMPLETE)
    return _decode(_only_string(message))


def data_row_of(message: bytes) -> list[bytes | None]:
    """Return the values of a DataRow."""
    _check(message, Backend.DATA_ROW)
    size = len(message)
    if size < HEADER_BYTES + 2:
        raise _invalid("insufficient data left in message")
    values: list[bytes | None] = []
    position = HEADER_BYTES + 2
    for _ in range(_int16_at(message, HEADER_BYTES)[0]):
        if position + 4 > size:
            raise _invalid("insufficient data left in message")
        length = _int32_at(message, position)[0]
        position += 4
        if length == -1:
            values.append(None)
            continue
        if not 0 <= length <= size - position:
            raise _invalid("insufficient data left in message")
        values.append(message[position : position + length])
        position += length
    if position != size:
        raise _invalid("invalid message format")
    return values
