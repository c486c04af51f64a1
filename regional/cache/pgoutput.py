"""What PostgreSQL's logical decoding says, as its output plugin pgoutput writes it: which tables a transaction changed.

Theory of operation: a stream is a COPY in both directions. Each CopyData of the origin is XLogData with one message of
pgoutput in it, or a keepalive; we answer with standby status updates. In version 1 of pgoutput's protocol a transaction
comes whole and once it has committed: Begin, its changes, Commit. Of a change only the table's oid is read, so a
transaction of any size costs the set of its tables. The oid is that of the partition that has the row.

`position` is how far the stream is known to have come: all that committed before it has been given out. Nothing is kept
here for later, so it is also what may be confirmed.

Source: src/backend/replication/walsender.c, WalSndPrepareWrite(), WalSndKeepalive(), ProcessStandbyReplyMessage();
src/backend/replication/logical/proto.c.
"""

import struct
from struct import Struct
from typing import Final

import attrs

from protos.errors import RemoteProtocolError
from protos.pg.messages import copy_data
from protos.pg.parsers import HEADER_BYTES

PROTOCOL_VERSION: Final = 1
#: A message that is longer comes as its beginning, which has the oid. What is longer than this is a wide row, or names
#: some 16,000 tables to be truncated.
MAX_WHOLE_BYTES: Final = 1 << 16
#: A transaction that has changed more than these has changed everything.
MAX_TABLES: Final = 10_000

# XLogData is its type, where it starts, where the WAL ends, and the time; then comes what pgoutput says.
_BODY: Final = HEADER_BYTES + 25

_CHANGES: Final = frozenset(b"IUD")
# What says nothing of rows: Relation, Type, Origin, Message.
_OTHERS: Final = frozenset(b"RYOM")
_BEGIN: Final = ord("B")
_COMMIT: Final = ord("C")
_TRUNCATE: Final = ord("T")

_oid_at = Struct(">I").unpack_from
_keepalive_at = Struct(">QqB").unpack_from
_begin_at = Struct(">QqI").unpack_from
_commit_at = Struct(">BQQq").unpack_from
_truncate_at = Struct(">IB").unpack_from
_status = Struct(">cQQQqB").pack


@attrs.frozen
class Committed:
    """A transaction has committed; other sessions may not see it yet."""

    xid: int
    tables: frozenset[int] | None
    """What it has changed, by oid; None is anything."""


@attrs.frozen
class StatusWanted:
    """The origin wants to be told at once how far we are."""


Event = Committed | StatusWanted


class Changes:
    """One stream. CopyData messages in, events out."""

    def __init__(self) -> None:
        self.position = 0
        self._xid: int | None = None
        self._tables: set[int] | None = set()

    def take(self, message: bytes, *, whole: bool = True) -> Event | None:
        """Take a CopyData, or the beginning of one that is not whole. Raises RemoteProtocolError."""
        try:
            return self._take(message, whole)
        except (struct.error, IndexError):
            raise RemoteProtocolError("a message of logical decoding ends too early") from None

    def _take(self, message: bytes, whole: bool) -> Event | None:  # noqa: FBT001 - a private step
        match message[HEADER_BYTES]:
            case 0x77:  # w: XLogData
                kind = message[_BODY]
                if kind in _CHANGES:
                    self._changed(_oid_at(message, _BODY + 1))
                    return None
                return self._bounds(kind, message, whole=whole)
            case 0x6B:  # k: a keepalive
                end, _, wants_reply = _keepalive_at(message, HEADER_BYTES + 1)
                self.position = max(self.position, end)
                return StatusWanted() if wants_reply else None
        raise RemoteProtocolError(f"a stream of logical decoding holds a message {message[HEADER_BYTES]}")

    def _changed(self, oids: tuple[int, ...]) -> None:
        if self._xid is None:
            raise RemoteProtocolError("logical decoding tells of a change outside of a transaction")
        if self._tables is not None:
            self._tables.update(oids)
            if len(self._tables) > MAX_TABLES:
                self._tables = None

    def _bounds(self, kind: int, message: bytes, *, whole: bool) -> Committed | None:
        if kind == _BEGIN and self._xid is None:
            _, _, self._xid = _begin_at(message, _BODY + 1)
            self._tables = set()
        elif kind == _COMMIT and self._xid is not None:
            _, _, end, _ = _commit_at(message, _BODY + 1)
            xid, self._xid = self._xid, None
            self.position = max(self.position, end)
            tables, self._tables = self._tables, set()
            return Committed(xid, None if tables is None else frozenset(tables)) if tables != set() else None
        elif kind == _TRUNCATE:
            self._truncated(message, whole=whole)
        elif kind not in _OTHERS:
            raise RemoteProtocolError(f"logical decoding says {kind}, which is not expected here")
        return None

    def _truncated(self, message: bytes, *, whole: bool) -> None:
        count, _ = _truncate_at(message, _BODY + 1)
        if not whole:
            self._changed(())
            self._tables = None
            return
        self._changed(struct.unpack_from(f">{count}I", message, _BODY + 6))


def status_update(position: int, *, now_s: float, wants_reply: bool) -> bytes:
    """Say that all up to the position has been dealt with. now_s is Unix time."""
    microseconds = int((now_s - _EPOCH_S) * 1_000_000)
    return copy_data(_status(b"r", position, position, position, microseconds, wants_reply))


# PostgreSQL counts time from 2000-01-01.
_EPOCH_S: Final = 946_684_800


def position_of(text: bytes) -> int:
    """Read a pg_lsn, as in 16/B374D848."""
    high, _, low = text.partition(b"/")
    return int(high, 16) << 32 | int(low, 16)
