"""PostgreSQL's own grammar: the text of statements in, their raw parse trees out.

The parser is libpg_query, in the shared library that the `postgast` package carries. We call that library ourselves and
take the tree as JSON: the package's Python side goes through protobuf, which refuses trees that are a hundred deep.

What comes out is what gram.y of PostgreSQL 18 makes of the text before any name is looked up. Two things are not in the
text: the setting standard_conforming_strings (`escapes` is the reading under `off`), and an encoding in which the
second byte of a character may look like a quote or a backslash (the caller lets only UTF-8 through). What cannot be
read, if only by this version of the grammar, is None.
"""

import ctypes
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

#: A node of the tree: field names to scalars, lists and nodes; most nodes are wrapped as {"NodeType": {...}}.
Node = dict[str, Any]

# pg_query.h of libpg_query: PG_QUERY_DISABLE_STANDARD_CONFORMING_STRINGS
_BACKSLASH_ESCAPES: Final = 32
_NAMES: Final = ("libpg_query.so", "libpg_query.dylib")


class _Result(ctypes.Structure):
    """PgQueryParseResult."""

    _fields_ = (("tree", ctypes.c_char_p), ("stderr", ctypes.c_char_p), ("error", ctypes.c_void_p))


class _Scan(ctypes.Structure):
    """PgQueryScanResult; its first two fields are a PgQueryProtobuf."""

    _fields_ = (
        ("length", ctypes.c_size_t), ("data", ctypes.POINTER(ctypes.c_char)),
        ("stderr", ctypes.c_void_p), ("error", ctypes.c_void_p),
    )  # fmt: skip


class Token(NamedTuple):
    """Where a token stands, and its number in pg_query.proto."""

    start: int
    end: int
    kind: int


#: SQL_COMMENT and C_COMMENT of pg_query.proto.
COMMENTS: Final = frozenset({275, 276})


def _load() -> ctypes.PyDLL | None:
    """Open the library beside the package, without importing the package."""
    spec = find_spec("postgast")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for name in _NAMES:
            path = Path(place, name)
            if path.is_file():
                return _declared(path)
    return None


def _declared(path: Path) -> ctypes.PyDLL | None:
    try:
        # PyDLL keeps the GIL: a statement takes some 10 microseconds, and giving the GIL away may cost milliseconds.
        library = ctypes.PyDLL(str(path))
        library.pg_query_parse_opts.argtypes = [ctypes.c_char_p, ctypes.c_int]
        library.pg_query_parse_opts.restype = _Result
        library.pg_query_free_parse_result.argtypes = [_Result]
        library.pg_query_free_parse_result.restype = None
        library.pg_query_scan.argtypes = [ctypes.c_char_p]
        library.pg_query_scan.restype = _Scan
        library.pg_query_free_scan_result.argtypes = [_Scan]
        library.pg_query_free_scan_result.restype = None
    except (OSError, AttributeError):  # another platform's, or a libpg_query without options
        return None
    return library


#: None: nothing is ever proven.
_library: Final = _load()


# A longer text is asked about once.
_MAX_KEPT_BYTES: Final = 8 << 10
_last: tuple[bytes, bool, list[Node] | None] = (b"", False, [])


def parse(sql: bytes, *, escapes: bool = False) -> list[Node] | None:
    """Return the wrapped statements of SQL, or None if it could not be read. The text holds no zero byte.

    Several ask about one text in turn, so the last tree is kept: nobody may change it.
    """
    if _library is None or len(sql) > _MAX_KEPT_BYTES:
        return _parsed(sql, escapes=escapes)
    global _last  # noqa: PLW0603 - one tree is all that is worth keeping
    if _last[0] != sql or _last[1] != escapes:
        _last = (sql, escapes, _parsed(sql, escapes=escapes))
    return _last[2]


def _parsed(sql: bytes, *, escapes: bool) -> list[Node] | None:
    if _library is None:
        return None
    result = _library.pg_query_parse_opts(sql, _BACKSLASH_ESCAPES if escapes else 0)
    try:
        if result.error or not result.tree:
            return None
        tree = msgspec.json.decode(result.tree)
        return [statement["stmt"] for statement in tree["stmts"]]
    except (msgspec.MsgspecError, ValueError, RecursionError, KeyError):  # not UTF-8, or nested too deep
        return None
    finally:
        _library.pg_query_free_parse_result(result)


def scan(sql: bytes) -> list[Token] | None:
    """Return the tokens of a text, comments among them, or None if it could not be cut into tokens."""
    if _library is None or b"\0" in sql:
        return None
    result = _library.pg_query_scan(sql)
    try:
        return None if result.error else _tokens(result.data[: result.length])
    except IndexError:
        return None
    finally:
        _library.pg_query_free_scan_result(result)


def _tokens(raw: bytes) -> list[Token]:
    """Read a ScanResult of pg_query.proto: field 2, again and again, is a ScanToken; fields that are 0 are left out."""
    tokens = []
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        value, at = _varint(raw, at)
        if tag & 7 == 2:
            if tag >> 3 == 2:
                tokens.append(_token(raw, at, at + value))
            at += value
    return tokens


def _token(raw: bytes, at: int, end: int) -> Token:
    fields = {1: 0, 2: 0, 4: 0}
    while at < end:
        tag, at = _varint(raw, at)
        fields[tag >> 3], at = _varint(raw, at)
    return Token(fields[1], fields[2], fields[4])


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
