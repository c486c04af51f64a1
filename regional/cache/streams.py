"""One stream of an origin's changes: a replication connection with a slot of its own, from its login to its end.

The slot is temporary: it is gone when the connection is, and no log is kept for us after that. The origin ends the
connection itself when it has heard nothing of us for WAL_SENDER_TIMEOUT, and gives up making the slot when a
transaction that was open already does not end within LOCK_TIMEOUT: nobody else could stop it if we were killed then.
"""

import secrets
import time
from collections.abc import Callable
from time import monotonic
from typing import Final

import attrs

from protos.pg.framer import Piece
from regional.cache.lines import Line
from regional.cache.pgoutput import PROTOCOL_VERSION, Changes, Committed, StatusWanted, status_update
from regional.cache.progress import Progress, Snapshot
from regional.cache.publication import SERVER, Holding, slot_statement, start_statement
from regional.configuration import Configuration, OriginSecret
from regional.dial import Dialer

SLOT_PREFIX: Final = "onetrip_cache_"
WAL_SENDER_TIMEOUT: Final = "10s"
LOCK_TIMEOUT: Final = "10s"
#: What a replication connection logs in with.
PARAMETERS: Final = {
    "replication": "database",
    "wal_sender_timeout": WAL_SENDER_TIMEOUT,
    "lock_timeout": LOCK_TIMEOUT,
    "statement_timeout": "0",
    "client_encoding": "UTF8",
}


@attrs.define(eq=False)
class Stream:
    """What is known of one stream."""

    holding: Holding
    """What was in the publication before the slot was made."""
    on_commit: Callable[[Committed], None]
    on_mark: Callable[[], None]
    """Called when it has come to a mark."""
    on_lost: Callable[[str], None]
    slot: str = attrs.field(factory=lambda: SLOT_PREFIX + secrets.token_hex(8))
    progress: Progress = attrs.field(factory=lambda: Progress(monotonic()))
    started_at: float = 0.0
    """When the slot was there and the stream began; 0.0 before."""
    line: Line | None = None
    _changes: Changes = attrs.field(factory=Changes)
    settles_at: int | None = None
    """Transactions with lower numbers may have committed before the stream began, and be seen by others later."""
    is_settled: bool = False

    async def open(self, dialer: Dialer, access: tuple[Configuration, OriginSecret], name: str) -> str:
        """Log in, make the slot, and begin. Returns which server and database this is.

        Raises ServiceError, RefusedError. Cancellation: safe; the caller closes.
        """
        login = await dialer.presenting(**PARAMETERS).dial(*access)
        self.line = Line(login.connection, self._copied)
        self.line.on_lost = self.on_lost
        ((server,),) = await self.line.rows(f"select {SERVER}".encode())
        await self.line.rows(slot_statement(self.slot))
        await self.line.rows(start_statement(self.slot, name, PROTOCOL_VERSION))
        self.started_at = monotonic()
        self.progress.caught_up_at = self.started_at
        return (server or b"").decode()

    @property
    def position(self) -> int:
        return self._changes.position

    @property
    def is_caught_up(self) -> bool:
        """Whether it has been seen at the end of the origin's log since it began."""
        return bool(self.started_at) and self.progress.caught_up_at > self.started_at

    @property
    def is_behind(self) -> bool:
        """Whether it has not come to a mark yet."""
        return bool(self.started_at) and self.progress.has_marks

    def looked(self, asked_at: float, end: int, snapshot: Snapshot) -> None:
        """The origin, asked at asked_at, said where its log ends and which transactions are over."""
        if not self.started_at or asked_at < self.started_at:
            return
        if self.settles_at is not None and snapshot.xmin >= self.settles_at:
            self.is_settled = True
        self.progress.mark(asked_at, end)
        self.progress.reached(self.position)

    def confirm(self, *, wants_reply: bool) -> None:
        """Tell the origin how far we are."""
        if self.line is not None and self.started_at:
            self.line.connection.write(status_update(self.position, now_s=time.time(), wants_reply=wants_reply))

    def close(self) -> None:
        if self.line is not None:
            self.line.close()

    def _copied(self, piece: Piece) -> None:
        before = self._changes.position
        match self._changes.take(piece.data, whole=piece.whole):
            case Committed() as committed:
                self.on_commit(committed)
            case StatusWanted():
                self.confirm(wants_reply=False)
        if self._changes.position != before and self.progress.reached(self._changes.position):
            self.on_mark()
