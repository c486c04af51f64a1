"""Cut a PostgreSQL byte stream into messages without ever waiting for one.

Theory of operation: after startup every message is a tag byte, an int32 length that counts itself, and a body. Tags
that the caller named in `whole` come out one by one and complete; all other messages come out as runs of bytes, as they
arrive and however many there are in a row, so that a row set of 1 GiB costs no memory and no object a message. Only an
incomplete header, or an incomplete message that was asked for whole, is kept back. A message that was asked for whole
but is larger than `max_whole_bytes` comes out as its beginning, and its rest as runs (rules 30).
"""

from collections.abc import Mapping
from struct import Struct
from typing import Final, NamedTuple, NoReturn

from protos.errors import RemoteProtocolError
from protos.pg.tags import Backend, Frontend

# Only messages that we act on are read whole; larger ones are streamed and unclassified (rules 30).
MAX_WHOLE_BYTES: Final = 1 << 20

# How much of an oversized message comes first at the least, so that a statement's name can be read from it.
BEGINNING_BYTES: Final = 1024

HEADER_BYTES: Final = 5

# PQ_SMALL_MESSAGE_LIMIT and PQ_LARGE_MESSAGE_LIMIT of src/include/libpq/libpq.h (PostgreSQL 14 and later).
SMALL_MESSAGE_LIMIT: Final = 10_000
LARGE_MESSAGE_LIMIT: Final = 0x3FFFFFFF - 1

#: The longest that each frontend message may say it is: SocketBackend in src/backend/tcop/postgres.c. The messages of
#: authentication are not among them; see AUTHENTICATION_LIMITS.
FRONTEND_LIMITS: Final[Mapping[int, int]] = {
    Frontend.BIND: LARGE_MESSAGE_LIMIT,
    Frontend.CLOSE: SMALL_MESSAGE_LIMIT,
    Frontend.COPY_DATA: LARGE_MESSAGE_LIMIT,
    Frontend.COPY_DONE: SMALL_MESSAGE_LIMIT,
    Frontend.COPY_FAIL: SMALL_MESSAGE_LIMIT,
    Frontend.DESCRIBE: SMALL_MESSAGE_LIMIT,
    Frontend.EXECUTE: SMALL_MESSAGE_LIMIT,
    Frontend.FLUSH: SMALL_MESSAGE_LIMIT,
    Frontend.FUNCTION_CALL: LARGE_MESSAGE_LIMIT,
    Frontend.PARSE: LARGE_MESSAGE_LIMIT,
    Frontend.QUERY: LARGE_MESSAGE_LIMIT,
    Frontend.SYNC: SMALL_MESSAGE_LIMIT,
    Frontend.TERMINATE: SMALL_MESSAGE_LIMIT,
}

#: What a client may send while it authenticates: PG_MAX_AUTH_TOKEN_LENGTH of src/include/libpq/auth.h.
AUTHENTICATION_LIMITS: Final[Mapping[int, int]] = {Frontend.PASSWORD: 65_535}

# VALID_LONG_MESSAGE_TYPE of src/interfaces/libpq/fe-protocol3.c bounds by 30,000 what is never long. libpq bounds the
# others by nothing but the int32. ParameterDescription and ParameterStatus are here as well: they can be long, whatever
# libpq thinks of it, and it is for the driver to complain.
_SHORT_REPLY_LIMIT: Final = 30_000
_LONG_REPLY_LIMIT: Final = 0x7FFFFFFF
_LONG_REPLIES: Final = frozenset(
    {
        Backend.COPY_DATA,
        Backend.DATA_ROW,
        Backend.ERROR_RESPONSE,
        Backend.FUNCTION_CALL_RESPONSE,
        Backend.NOTICE_RESPONSE,
        Backend.NOTIFICATION_RESPONSE,
        Backend.PARAMETER_DESCRIPTION,
        Backend.PARAMETER_STATUS,
        Backend.ROW_DESCRIPTION,
    }
)

#: The longest that each backend message may say it is.
BACKEND_LIMITS: Final[Mapping[int, int]] = {
    tag: _LONG_REPLY_LIMIT if tag in _LONG_REPLIES else _SHORT_REPLY_LIMIT
    for name, tag in vars(Backend).items()
    if name.isupper()
}

_header_at = Struct(">BI").unpack_from
_make_tuple = tuple.__new__  # half the cost of calling the class


class Piece(NamedTuple):
    """A message, or bytes that need no looking at.

    `tag` 0 is a run of bytes passed through. Otherwise `data` is a whole message (tag, length, body) or, where `whole`
    is False, the beginning of an oversized one; the runs that follow hold its rest.
    """

    tag: int
    data: bytes
    whole: bool


class FramingError(RemoteProtocolError):
    """The stream cannot be followed any further; `pieces` are those that came before the fault in the same feed."""

    def __init__(self, message: str, pieces: list[Piece]) -> None:
        super().__init__(message, public=message)
        self.pieces = pieces


class Framer:
    """One direction of one connection: bytes in, pieces out.

    `whole` may be replaced at any time; the new set applies from the next message that begins.
    """

    __slots__ = (
        "_buffer",
        "_failure",
        "_held_bytes",
        "_limits",
        "_max_whole_bytes",
        "_need",
        "_passing_bytes",
        "whole",
    )

    def __init__(
        self, limits: Mapping[int, int], whole: frozenset[int], *, max_whole_bytes: int = MAX_WHOLE_BYTES
    ) -> None:
        self.whole = whole
        self._limits = limits
        self._max_whole_bytes = max_whole_bytes
        self._buffer = bytearray()  # an incomplete header, or an incomplete message that is wanted whole
        self._need = HEADER_BYTES  # how long the buffer must get before it is worth another look
        self._held_bytes = 0  # size of the message in the buffer if it was begun as a whole one
        self._passing_bytes = 0  # what is left of the message being passed through
        self._failure: FramingError | None = None

    @property
    def rest(self) -> bytes:
        """What came in and has not come out."""
        return bytes(self._buffer)

    @property
    def is_at_boundary(self) -> bool:
        """Whether everything so far was complete messages."""
        return not self._buffer and not self._passing_bytes

    def feed(self, data: bytes) -> list[Piece]:
        """Take bytes as they came; return what they complete."""
        if self._buffer:
            return self._feed_buffer(data)
        if not self._passing_bytes and len(data) >= HEADER_BYTES:
            # By far the most common: exactly one message, and one that is wanted.
            tag, length = _header_at(data)
            if (
                length + 1 == len(data)
                and tag in self.whole
                and 4 <= length <= self._limits.get(tag, 0)
                and length < self._max_whole_bytes
            ):
                return [_make_tuple(Piece, (tag, data, True))]
        return self._cut(data)

    def _feed_buffer(self, data: bytes) -> list[Piece]:
        """Go on with what was kept. Looks only when there is enough, so that single bytes cost no more than a block."""
        if self._failure is not None:
            raise self._failure
        buffer = self._buffer
        buffer += data
        if len(buffer) < self._need:
            return []
        held_bytes, self._held_bytes = self._held_bytes, 0
        data = bytes(buffer)
        buffer.clear()
        if not held_bytes:
            return self._cut(data)
        piece = Piece(data[0], data[:held_bytes], whole=True)
        try:
            return [piece, *self._cut(data[held_bytes:])]
        except FramingError as error:
            error.pieces.insert(0, piece)
            raise

    def _cut(self, data: bytes) -> list[Piece]:
        """Cut data, with an empty buffer before it, at the messages that are wanted."""
        size = len(data)
        position = self._passing_bytes  # of the next header
        if position >= size:
            self._passing_bytes = position - size
            return [Piece(0, data, whole=True)] if data else []
        self._passing_bytes = 0
        pieces: list[Piece] = []
        begin = 0  # of the run that has not come out yet
        limits, whole, last_header = self._limits, self.whole, size - HEADER_BYTES
        while position <= last_header:
            tag, length = _header_at(data, position)
            if not 4 <= length <= limits.get(tag, 0):
                self._fail(data, begin, position, pieces)
            end = position + 1 + length
            if tag not in whole:
                position = end
                continue
            if end > size or length >= self._max_whole_bytes:
                arrived_bytes = self._begin(data, position, length)
                if not arrived_bytes:
                    break
                if begin < position:
                    pieces.append(Piece(0, data[begin:position], whole=True))
                begin = position + arrived_bytes
                pieces.append(Piece(tag, data[position:begin], whole=False))
                position = end
                continue
            if begin < position:
                pieces.append(_make_tuple(Piece, (0, data[begin:position], True)))
            pieces.append(_make_tuple(Piece, (tag, data[position:end], True)))
            begin = position = end
        return self._finish(data, begin, position, pieces)

    def _begin(self, data: bytes, position: int, length: int) -> int:
        """Say how many bytes of a wanted message that cannot come out whole now come out; 0 is to keep it."""
        arrived_bytes = len(data) - position
        if length < self._max_whole_bytes:
            self._held_bytes = self._need = length + 1
            return 0
        self._need = min(BEGINNING_BYTES, length + 1)
        return 0 if arrived_bytes < self._need else min(arrived_bytes, length + 1)

    def _finish(self, data: bytes, begin: int, position: int, pieces: list[Piece]) -> list[Piece]:
        """Keep an incomplete header or wanted message, pass on everything before it."""
        size = len(data)
        if position > size:
            self._passing_bytes = position - size
            position = size
        elif position < size:
            self._buffer += data[position:]
            if size - position < HEADER_BYTES:
                self._need = HEADER_BYTES
        if begin < position:
            pieces.append(_make_tuple(Piece, (0, data[begin:position], True)))
        return pieces

    def _fail(self, data: bytes, begin: int, position: int, pieces: list[Piece]) -> NoReturn:
        tag = data[position]
        if begin < position:
            pieces.append(Piece(0, data[begin:position], whole=True))
        peer = "backend" if Backend.READY_FOR_QUERY in self._limits else "frontend"
        text = "invalid message length" if tag in self._limits else f"invalid {peer} message type {tag}"
        self._buffer += data[position : position + HEADER_BYTES]
        self._failure = FramingError(text, pieces)
        raise self._failure
