"""Make PostgreSQL's messages; what takes them apart is in `parsers` and can be called from here too.

A builder returns one whole message and is named as the documentation names it, in lower case. Names and SQL are bytes,
in whatever encoding the session has; text that has no encoding of its own (parameters, the words of errors) is str in
UTF-8, with surrogateescape for bytes that are not, so that taking apart and making again gives the same bytes.
"""
# ruff: noqa: PLC0414 - an alias of its own name is how a name is handed on under mypy --strict

from collections.abc import Iterable, Mapping, Sequence
from struct import Struct
from typing import Final

from protos.errors import LocalProtocolError, ServiceError
from protos.pg.parsers import ParseMessage as ParseMessage
from protos.pg.parsers import authentication_of as authentication_of
from protos.pg.parsers import backend_key_of as backend_key_of
from protos.pg.parsers import bind_names_of as bind_names_of
from protos.pg.parsers import command_tag_of as command_tag_of
from protos.pg.parsers import data_row_of as data_row_of
from protos.pg.parsers import error_fields as error_fields
from protos.pg.parsers import execute_of as execute_of
from protos.pg.parsers import negotiated_of as negotiated_of
from protos.pg.parsers import parameter_status_of as parameter_status_of
from protos.pg.parsers import parse_of as parse_of
from protos.pg.parsers import password_of as password_of
from protos.pg.parsers import query_of as query_of
from protos.pg.parsers import renamed as renamed
from protos.pg.parsers import sasl_initial_of as sasl_initial_of
from protos.pg.parsers import sasl_mechanisms_of as sasl_mechanisms_of
from protos.pg.parsers import status_of as status_of
from protos.pg.parsers import target_of as target_of
from protos.pg.startup import cancel_request as cancel_request
from protos.pg.tags import STATUSES, Backend, Frontend

_header = Struct(">BI").pack
_int16 = Struct(">H").pack
_int32 = Struct(">I").pack
_key = Struct(">I").pack

# The int32 of AuthenticationXxx: AUTH_REQ_* of src/include/libpq/protocol.h.
AUTHENTICATION_OK: Final = 0
AUTHENTICATION_CLEARTEXT_PASSWORD: Final = 3
AUTHENTICATION_MD5_PASSWORD: Final = 5
AUTHENTICATION_SASL: Final = 10
AUTHENTICATION_SASL_CONTINUE: Final = 11
AUTHENTICATION_SASL_FINAL: Final = 12

TEXT_OID: Final = 25
_NULL: Final = b"\xff\xff\xff\xff"


def _message(tag: int, body: bytes = b"") -> bytes:
    return _header(tag, len(body) + 4) + body


def _cstring(value: bytes) -> bytes:
    if b"\0" in value:
        raise LocalProtocolError("a string of the protocol cannot hold a NUL")
    return value + b"\0"


def _text(value: str) -> bytes:
    """Encode words for a client; whatever they quote, they must not break the message."""
    try:
        encoded = value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        encoded = value.encode("utf-8", "replace")
    return encoded.replace(b"\0", b"") + b"\0"


# Frontend messages.

_SYNC: Final = _message(Frontend.SYNC)
_FLUSH: Final = _message(Frontend.FLUSH)
_TERMINATE: Final = _message(Frontend.TERMINATE)
_COPY_DONE: Final = _message(Frontend.COPY_DONE)


def query(sql: bytes) -> bytes:
    return _message(Frontend.QUERY, _cstring(sql))


def parse(name: bytes, sql: bytes, types: Sequence[int] = ()) -> bytes:
    oids = b"".join([_int32(oid) for oid in types])
    return _message(Frontend.PARSE, _cstring(name) + _cstring(sql) + _int16(len(types)) + oids)


def bind(
    portal: bytes,
    statement: bytes,
    values: Sequence[bytes | None] = (),
    formats: Sequence[int] = (),
    result_formats: Sequence[int] = (),
) -> bytes:
    """Make a Bind; formats are 0 for text and 1 for binary, none for all text, one for all the same."""
    body = [_cstring(portal), _cstring(statement), _formats(formats), _values(values), _formats(result_formats)]
    return _message(Frontend.BIND, b"".join(body))


def _formats(formats: Sequence[int]) -> bytes:
    return _int16(len(formats)) + b"".join([_int16(code) for code in formats])


def _values(values: Sequence[bytes | None]) -> bytes:
    return _int16(len(values)) + b"".join([_NULL if v is None else _int32(len(v)) + v for v in values])


def describe_statement(name: bytes) -> bytes:
    return _message(Frontend.DESCRIBE, b"S" + _cstring(name))


def describe_portal(name: bytes) -> bytes:
    return _message(Frontend.DESCRIBE, b"P" + _cstring(name))


def close_statement(name: bytes) -> bytes:
    return _message(Frontend.CLOSE, b"S" + _cstring(name))


def close_portal(name: bytes) -> bytes:
    return _message(Frontend.CLOSE, b"P" + _cstring(name))


def execute(portal: bytes = b"", max_rows: int = 0) -> bytes:
    return _message(Frontend.EXECUTE, _cstring(portal) + _int32(max_rows))


def sync() -> bytes:
    return _SYNC


def flush() -> bytes:
    return _FLUSH


def terminate() -> bytes:
    return _TERMINATE


def copy_fail(reason: str) -> bytes:
    return _message(Frontend.COPY_FAIL, _text(reason))


def password_message(password: bytes) -> bytes:
    return _message(Frontend.PASSWORD, _cstring(password))


def sasl_initial_response(mechanism: str, data: bytes | None) -> bytes:
    response = _NULL if data is None else _int32(len(data)) + data
    return _message(Frontend.PASSWORD, _cstring(mechanism.encode("ascii")) + response)


def sasl_response(data: bytes) -> bytes:
    return _message(Frontend.PASSWORD, data)


# Messages of both directions.


def copy_data(data: bytes) -> bytes:
    return _message(Frontend.COPY_DATA, data)


def copy_done() -> bytes:
    return _COPY_DONE


# Backend messages.

_READY: Final = {status: _message(Backend.READY_FOR_QUERY, bytes([status])) for status in STATUSES}
_PARSE_COMPLETE: Final = _message(Backend.PARSE_COMPLETE)
_BIND_COMPLETE: Final = _message(Backend.BIND_COMPLETE)
_CLOSE_COMPLETE: Final = _message(Backend.CLOSE_COMPLETE)
_NO_DATA: Final = _message(Backend.NO_DATA)
_EMPTY_QUERY_RESPONSE: Final = _message(Backend.EMPTY_QUERY_RESPONSE)
_PORTAL_SUSPENDED: Final = _message(Backend.PORTAL_SUSPENDED)


def _authentication(kind: int, data: bytes = b"") -> bytes:
    return _message(Backend.AUTHENTICATION, _int32(kind) + data)


def authentication_ok() -> bytes:
    return _authentication(AUTHENTICATION_OK)


def authentication_cleartext_password() -> bytes:
    return _authentication(AUTHENTICATION_CLEARTEXT_PASSWORD)


def authentication_md5_password(salt: bytes) -> bytes:
    return _authentication(AUTHENTICATION_MD5_PASSWORD, salt)


def authentication_sasl(mechanisms: Iterable[str]) -> bytes:
    names = b"".join([_cstring(name.encode("ascii")) for name in mechanisms])
    return _authentication(AUTHENTICATION_SASL, names + b"\0")


def authentication_sasl_continue(data: bytes) -> bytes:
    return _authentication(AUTHENTICATION_SASL_CONTINUE, data)


def authentication_sasl_final(data: bytes) -> bytes:
    return _authentication(AUTHENTICATION_SASL_FINAL, data)


def negotiate_protocol_version(minor: int, names: Sequence[str]) -> bytes:
    """Make a NegotiateProtocolVersion; on the wire PostgreSQL puts major and minor together, whatever its page says."""
    return _message(
        Backend.NEGOTIATE_PROTOCOL_VERSION,
        _int32(3 << 16 | minor) + _int32(len(names)) + b"".join([_text(name) for name in names]),
    )


def parameter_status(name: str, value: str) -> bytes:
    return _message(Backend.PARAMETER_STATUS, _text(name) + _text(value))


def backend_key_data(process_id: int, secret: bytes) -> bytes:
    return _message(Backend.BACKEND_KEY_DATA, _key(process_id) + secret)


def ready_for_query(status: int) -> bytes:
    return _READY[status]


def parse_complete() -> bytes:
    return _PARSE_COMPLETE


def bind_complete() -> bytes:
    return _BIND_COMPLETE


def close_complete() -> bytes:
    return _CLOSE_COMPLETE


def no_data() -> bytes:
    return _NO_DATA


def empty_query_response() -> bytes:
    return _EMPTY_QUERY_RESPONSE


def portal_suspended() -> bytes:
    return _PORTAL_SUSPENDED


def command_complete(tag: str) -> bytes:
    return _message(Backend.COMMAND_COMPLETE, _text(tag))


def parameter_description(types: Sequence[int]) -> bytes:
    return _message(Backend.PARAMETER_DESCRIPTION, _int16(len(types)) + b"".join([_int32(oid) for oid in types]))


def row_description(names: Sequence[str]) -> bytes:
    """Make a RowDescription of columns that are all of type text, which belong to no table."""
    kind = Struct(">IhIhih").pack(0, 0, TEXT_OID, -1, -1, 0)
    return _message(Backend.ROW_DESCRIPTION, _int16(len(names)) + b"".join([_text(name) + kind for name in names]))


def data_row(values: Sequence[bytes | None]) -> bytes:
    return _message(Backend.DATA_ROW, _values(values))


def error_response(fields: Mapping[str, str]) -> bytes:
    """Make an ErrorResponse of its fields, by their one-letter codes."""
    return _message(Backend.ERROR_RESPONSE, _fields(fields))


def notice_response(fields: Mapping[str, str]) -> bytes:
    """Make a NoticeResponse of its fields, by their one-letter codes."""
    return _message(Backend.NOTICE_RESPONSE, _fields(fields))


def _fields(fields: Mapping[str, str]) -> bytes:
    return b"".join([code.encode("ascii") + _text(text) for code, text in fields.items()]) + b"\0"


def service_error(error: ServiceError, severity: str | None = None) -> bytes:
    """Make the ErrorResponse that tells a client of one of our errors, and nothing that is only for our logs."""
    severity = severity or error.severity
    fields = {"S": severity, "V": severity, "C": error.sqlstate, "M": error.public_message}
    if error.detail:
        fields["D"] = error.detail
    if error.hint:
        fields["H"] = error.hint
    return error_response(fields)
