"""What an answer is made of, so that a request in another grouping of messages can be given it.

An answer to a group of extended messages is cut, when it comes, into what belongs to the statement (its description),
to the portal (its RowDescription, in the formats of the Bind) and to the Execute (the rows). What a client asks for
later is put together of these. The answer to a simple query stays whole.
"""

from collections.abc import Hashable
from typing import Final, NamedTuple

from protos.pg.description import digest_of, split_description
from protos.pg.parsers import end_of_message
from protos.pg.tags import Backend

READY_BYTES: Final = 6
_STATEMENT: Final = frozenset({Backend.PARSE_COMPLETE, Backend.BIND_COMPLETE})


class Parts(NamedTuple):
    """Of one answer, without its ReadyForQuery."""

    description: bytes
    """ParameterDescription and RowDescription of the statement; empty if its client did not ask for them."""
    rows: bytes
    """RowDescription of the portal; likewise."""
    body: bytes
    """The rows and the CommandComplete; of a simple query everything."""
    slices: tuple[bytes, ...] = ()
    """Of a long answer, the same instead; it is never put together."""

    @property
    def size(self) -> int:
        return len(self.description) + len(self.rows) + len(self.body) + sum(map(len, self.slices))


def parts_of(slices: list[bytes], *, is_query: bool) -> Parts | None:
    """The parts of an answer that has come so; None if it is none, or has not ended outside of a failed transaction.

    is_query: it is that to a simple query.
    """
    if not slices or not is_settled(slices[-1]):
        return None
    first, is_short = slices[0], len(slices) == 1
    head = Head(b"", b"", 0) if is_query else _head_of(first, len(first) - READY_BYTES if is_short else len(first))
    if head is None:
        return None
    if is_short:
        return Parts(head.description, head.rows, first[head.size : -READY_BYTES])
    body = (first[head.size :], *slices[1:-1], slices[-1][:-READY_BYTES])
    return Parts(head.description, head.rows, b"", body)


def is_settled(answer: bytes) -> bool:
    """Whether it ends with a ReadyForQuery outside of a failed transaction."""
    return answer[-READY_BYTES:-1] == b"Z\0\0\0\5" and answer[-1:] in b"IT"


class Head(NamedTuple):
    """What stands in front of the rows of an answer to a group of extended messages."""

    description: bytes
    rows: bytes
    size: int


def _head_of(answer: bytes, end: int) -> Head | None:
    """That of an answer which has come up to here; None if it is no such answer."""
    start = 0
    parameters = description = rows = b""
    while start < end:
        tag, stop = answer[start], end_of_message(answer, start)
        if tag == Backend.PARAMETER_DESCRIPTION:
            parameters = answer[start:stop]
        elif tag == Backend.ROW_DESCRIPTION and parameters and not description:
            description = parameters + answer[start:stop]
        elif tag == Backend.ROW_DESCRIPTION:
            rows = answer[start:stop]
        elif tag not in _STATEMENT:
            break
        start = stop
    if start >= end or answer[start] not in (Backend.DATA_ROW, Backend.COMMAND_COMPLETE):
        return None
    return Head(description, rows, start)


def fits(parts: Parts, key: Hashable) -> bool:
    """Whether these rows are what the clients of a key were told of, as far as the answer says (rules 10)."""
    match key:
        case (_, (_, bytes(told), _, _)) if told and parts.description:
            return digest_of(*split_description(parts.description)) == told
    return True


def with_formats(rows: bytes, formats: list[int]) -> bytes:
    """A statement's RowDescription as that of a portal with these result formats, as in a Bind."""
    if not any(formats):
        return rows
    result = bytearray(rows)
    count = int.from_bytes(rows[5:7], "big")
    if len(formats) not in (1, count):
        return b""
    start = 7
    for column in range(count):
        start = rows.index(0, start) + 1 + 18
        result[start - 2 : start] = formats[column if len(formats) > 1 else 0].to_bytes(2, "big")
    return bytes(result)


def result_formats(bind: bytes, start: int) -> list[int]:
    """The result formats of a Bind whose parameter formats begin at start. Raises IndexError if it is cut off."""
    count, start = _number(bind, start)
    start += 2 * count
    count, start = _number(bind, start)
    for _ in range(count):
        size = int.from_bytes(bind[start : start + 4], "big", signed=True)
        start += 4 + max(size, 0)
    count, start = _number(bind, start)
    return [_number(bind, start + 2 * index)[0] for index in range(count)]


def _number(data: bytes, start: int) -> tuple[int, int]:
    if start + 2 > len(data):
        raise IndexError("a Bind that is too short")
    return int.from_bytes(data[start : start + 2], "big"), start + 2
