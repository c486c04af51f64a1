"""What edges are told of the statements that one origin connection prepares: how they are described, and what is past.

An edge that knows a statement's description answers the next Parse and Describe of it itself. It hears the replies to a
client's own Describe, but many drivers send none; so the first Parse of a statement since some DDL has it described
behind its client's back. What a transaction sees of its own DDL, or under its own settings, is told to nobody.
"""

from collections.abc import Callable
from typing import Final

from protos.pg.framer import Piece
from protos.pg.messages import describe_statement
from protos.pg.pipeline import Pipeline
from protos.pg.tags import Frontend
from regional.meaning import Meaning
from regional.prepared import MAX_STATEMENTS, Prepared, name_in

# Names that are remembered of one lease, before those are forgotten that the connection has no more.
MAX_NAMES: Final = 2 * MAX_STATEMENTS


class Telling:
    """Of one connection."""

    __slots__ = ("_awaited", "_meaning", "_on_other", "_prepared", "_used", "on_described")

    def __init__(self, meaning: Meaning, prepared: Prepared, on_other: Callable[[bytes, bytes], None]) -> None:
        """on_other hears how a statement is described now, if some session was told otherwise; empty: nobody knows."""
        self.on_described: Callable[[bytes, bytes], object] = lambda name, description: None
        """Called with how a statement is described now, which the edge of this lease may not know."""
        self._used: set[bytes] = set()  # the shared statements that this lease has used
        self._awaited: set[bytes] = set()  # what we have described for the edge
        self._meaning = meaning
        self._on_other = on_other
        self._prepared = prepared

    def begin(self) -> None:
        """A lease begins."""
        if self._used:
            self._used = set()
        if self._awaited:
            self._awaited = set()

    def uses(self, name: bytes) -> None:
        """A message of this lease is about this shared statement."""
        self._used = self._noted(self._used, name)

    def parse(
        self, piece: Piece, pipeline: Pipeline, out: list[bytes], *, is_private: bool, answers_early: bool
    ) -> Piece | None:
        """What to send for a client's Parse of a shared statement, behind what is put into out; None for nothing.

        answers_early: the edge may answer the next one. Otherwise no Parse is answered but by the origin, so that each
        of them waits for locks, and fails, as PostgreSQL's does.
        """
        name, prepared = name_in(piece.data, 5), self._prepared
        describes = answers_early and not is_private
        if describes:
            known = self._meaning.description_of(name)
            if known:
                self.on_described(name, known)
                describes = False
        must_run = describes or not answers_early
        if not prepared.parse(piece.data, pipeline, out, is_private=is_private, describes=must_run):
            return None
        if not describes:
            return piece
        self._awaited = self._noted(self._awaited, name)
        pipeline.sent(Frontend.PARSE)
        prepared.describe(name, pipeline)
        pipeline.inject(Frontend.DESCRIBE)
        out += (piece.data, describe_statement(name))
        return None

    def described(self, name: bytes, description: bytes) -> None:
        """The origin has said how a shared statement is described, and others would hear the same."""
        if self._prepared.copies.is_current(name) and self._meaning.description_of(name) != description:
            self._meaning.learn(name, description)
            if name in self._awaited:
                self.on_described(name, description)

    def otherwise(self, name: bytes, description: bytes) -> None:
        """Likewise, and some session was told another description than this."""
        self._on_other(name, description)
        self._prepared.copies.renewed(name)

    def outdated(self) -> None:
        """One of the statements used has another result now than when it was parsed here."""
        copies = self._prepared.copies
        for name in self._used:
            if copies.is_current(name):
                self._on_other(name, b"")

    def _noted(self, names: set[bytes], name: bytes) -> set[bytes]:
        """These names with one more. Of a statement that is not here any more nothing will be told."""
        if len(names) >= MAX_NAMES:
            names = {one for one in names if one in self._prepared}
        names.add(name)
        return names
