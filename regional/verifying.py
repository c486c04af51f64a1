"""Verify, before a statement runs, that PostgreSQL describes it as its session was told (rules 10).

A session whose Parse or Describe was answered at the edge names its statement `NAME:DIGEST` in a Bind or Describe. If
this connection has the statement and the same description is known of it, nothing more is to be done. Otherwise the
message and all that comes behind it are held, and the statement is parsed and described here first:

    FREE ──claim──► WAITING ──all is answered──► ASKED ──described──► FREE
                       └──the origin skips, or is in a COPY──┘└──refused──┘

WAITING is for what was sent before: until it is answered nobody knows whether the origin will skip what comes (after an
error), swallow it (in a COPY), or run it. A Flush makes sure that the answer comes. ASKED sends messages of ours whose
replies no client sees: Close, Parse, Describe, Flush. They work in any state, in the middle of a group too.

- The description is the same: what was held goes on under the statement's own name.
- It is another: the message goes on under a name that does not exist, so that skipping and transaction status are the
  origin's own, and its error becomes the 0A000 that PostgreSQL gives where a result has changed.
- The Parse was refused (a table is gone, the transaction has failed): that error is the client's, in the place of the
  reply to its message, and the origin skips the rest. PostgreSQL would have said the same to a Bind.

A message that is no claim may be held likewise, until all before it is answered (`wait`).

The statement is parsed anew also where it is here with another description: that is an older one, parsed before some
DDL by another session, whose 0A000 would be none of this session's business (rules 9).
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

import attrs

from protos.pg.framer import Piece
from protos.pg.messages import describe_statement, error_response, flush
from protos.pg.names import STALE
from protos.pg.parsers import error_fields
from protos.pg.pipeline import Pipeline
from protos.pg.tags import Frontend
from regional.prepared import Prepared, renamed_statement

OUTDATED: Final = "RevalidateCachedQuery"
"""The routine that says 0A000 for a changed result; drivers know it by that, for the text is translated."""


@attrs.frozen
class Claim:
    """A statement as its session was told of it."""

    name: bytes
    digest: bytes
    text: bytes
    """Its Parse message."""
    is_private: bool
    """It means something else in this lease than its name says."""


class Verifying:
    """Of one connection."""

    __slots__ = (
        "_asked", "_claim", "_description", "_flushed", "_held", "_on_other", "_prepared", "_then", "is_holding",
    )  # fmt: skip

    def __init__(self, prepared: Prepared, on_other: Callable[[bytes, bytes], None]) -> None:
        """on_other hears of a statement with another description than its session was told."""
        self._prepared = prepared
        self._on_other = on_other
        self._claim: Claim | None = None
        self._then: Callable[[Piece], Piece] | None = None  # what becomes of a message that just waits
        self._held: deque[Piece] = deque()
        self._flushed = False
        self._asked = False
        self._description = b""
        self.is_holding = False
        """Whether what comes from the client has to wait."""

    def claim(self, claim: Claim, piece: Piece) -> None:
        """Verify this before the message, which is named as the origin is to read it, goes on."""
        self._claim = claim
        self.is_holding = True
        self._held.append(piece)

    def wait(self, piece: Piece, then: Callable[[Piece], Piece]) -> None:
        """Hold a message until all before it is answered; it goes on as then has it."""
        self._then = then
        self.is_holding = True
        self._held.append(piece)

    def hold(self, pieces: Iterable[Piece]) -> None:
        """Keep what comes behind it."""
        self._held.extend(pieces)

    def drop(self) -> None:
        """The client is gone, and nothing of it may run any more."""
        self._held.clear()
        self._claim = self._then = None
        self.is_holding = self._flushed = self._asked = False
        self._description = b""

    def described(self, description: bytes) -> None:
        """A Describe of a statement was answered: that of the claim, if there is one, since nothing else is owed."""
        if self._asked:
            self._description = description

    def go_on(self, pipeline: Pipeline, out: list[bytes]) -> list[Piece]:
        """Take the next step, if it is time; what is held no longer.

        The first message was looked at before it was held, the others were not.
        """
        claim = self._claim
        if not self.is_holding:
            return []
        if pipeline.is_skipping or pipeline.in_copy_in:
            return self._release()
        if not pipeline.is_answered:
            if pipeline.has_unsynced and not self._flushed:
                self._flushed = True
                out.append(flush())
            return []
        if claim is None:
            if self._then is not None:
                self._held[0] = self._then(self._held[0])
            return self._release()
        if not self._asked:
            self._ask(claim, pipeline, out)
            return []
        if self._prepared.copies.digest(claim.name) != claim.digest:
            self._on_other(claim.name, self._description)
            self._held[0] = renamed_statement(self._held[0], STALE)
        if self._held[0].tag == Frontend.DESCRIBE:
            self._prepared.describe(claim.name, pipeline)
        return self._release()

    def _ask(self, claim: Claim, pipeline: Pipeline, out: list[bytes]) -> None:
        prepared = self._prepared
        prepared.make(claim.name, claim.text, pipeline, out, is_private=claim.is_private)
        prepared.describe(claim.name, pipeline)
        pipeline.inject(Frontend.DESCRIBE)
        out += (describe_statement(claim.name), flush())
        self._asked = True

    def _release(self) -> list[Piece]:
        pieces = list(self._held)
        self.drop()
        return pieces


def as_outdated(error: Piece) -> Piece:
    """An ErrorResponse that says that STALE does not exist, as PostgreSQL words it where a result has changed."""
    if STALE not in error.data or not error.whole:
        return error
    fields = error_fields(error.data)
    if fields.get("C") != "26000":
        return error
    fields |= {"C": "0A000", "M": "cached plan must not change result type", "F": "plancache.c", "R": OUTDATED}
    return Piece(error.tag, error_response(fields), whole=True)
