"""Plans that a new temporary object makes wrong, on a connection that has had temporary objects before.

PostgreSQL keeps the plans of prepared statements and of what functions run, and takes one for good as long as names are
looked up in the same schemas. In a session of its own the first temporary object makes a schema, so all plans are made
anew. A shared connection has that schema from an earlier session, for DISCARD TEMP empties it and leaves it; so a plan
of that session goes on with the permanent table that a new temporary one hides (plancache.c and namespace.c).

On such a connection DISCARD PLANS is sent in front of what may make a temporary object, and its answer is swallowed.
What may, is what is not proven clean and is DDL, or speaks of temporary objects; and any of it where the catalogue has
functions that speak of them.

It is sent as messages of the extended protocol, which leave the client's unnamed statement and portal alone:

- in front of the first message of a group, with a Sync of ours. Behind an Execute of ours in its own group a CALL could
  not commit, and VACUUM would fail;
- within a group, right before the Execute, where that stands in a transaction anyway: behind what leaves one open, as
  COMMIT, VACUUM or DISCARD ALL do not, or where one goes on since the last answer (what is known to do nothing but to
  close has changed nothing);
- behind a Query in a group, whose transaction may have failed by then, as a Query of ours: an error in a message of the
  extended protocol would have the origin skip what the client sends next, and a Sync would end what it skips already.
  The client's Query has taken its unnamed statement and portal, and has ended the group's own transaction;
- in front of a BEGIN of ours;
- in front of what ends a transaction that is known to go on: the next one may be chained to it;
- else, and where it would take the snapshot before a SET TRANSACTION or LOCK of the same text, in front of what runs
  next.

What is skipped with its group, because something before it has failed, has not been discarded, but nor has that run for
which it was. If it had been due before, or that was a text which may have ended the failed transaction, it is due
again: that is noticed when all is answered.
"""

import re
from collections.abc import Mapping
from itertools import takewhile
from typing import Final

from protos.pg.description import split_name
from protos.pg.framer import Piece
from protos.pg.messages import bind, close_portal, close_statement, execute, parse, query, sync
from protos.pg.pipeline import Pipeline
from protos.pg.tags import Frontend, TransactionStatus
from regional.builtins import TEMPORARY_WORDS
from regional.cleanness import Judge
from regional.controls import CONTROLS, ends, leaves_open, statement_of, statements_of, wants_no_snapshot
from regional.plain import PLAIN, made_by
from regional.prepared import Prepared, name_in, statement_named_in
from regional.residue import Residue

NAME: Final = b"onetrip_plans"
_COMMAND: Final = b"DISCARD PLANS"
_DISCARD: Final = (
    close_statement(NAME),  # of an earlier one that failed
    parse(NAME, _COMMAND), bind(NAME, NAME), execute(NAME), close_portal(NAME), close_statement(NAME),
)  # fmt: skip

_speaks: Final = re.compile(TEMPORARY_WORDS.encode(), re.IGNORECASE).search
_CANNOT_FAIL: Final = re.compile(rb"C....[PS][^\0]*\0", re.DOTALL).fullmatch  # a Close
_SYNC_POINTS: Final = frozenset({Frontend.QUERY, Frontend.FUNCTION_CALL})
_PREPARES: Final = frozenset({Frontend.PARSE, Frontend.BIND, Frontend.DESCRIBE})
_CHANGES_NOTHING: Final = _PREPARES | {Frontend.SYNC, Frontend.CLOSE}  # of a transaction, if it does not fail
_LOOKED_AT: Final = _SYNC_POINTS | _PREPARES | {Frontend.EXECUTE, PLAIN}


def may_make_temporary(residue: Residue, *texts: bytes, knows_makers: bool) -> bool:
    """Whether a statement may make a temporary object; texts are its own and its arguments.

    knows_makers: functions that it calls may.
    """
    if not residue.leaves_temporary:
        return False
    return knows_makers or residue.may_run_ddl or any(map(_speaks, texts))


def _has_control(piece: Piece) -> bool:
    """Whether it is a text that may end a failed transaction, and then run something."""
    return any("TransactionStmt" in one for one in statements_of(piece))


class Plans:
    """Of one origin connection."""

    __slots__ = (
        "_awaited", "_controls", "_enders", "_has_acted", "_has_ended", "_has_prepared", "_has_run", "_is_bare",
        "_is_behind_query", "_is_due", "_is_fresh", "_is_needed", "_is_utf8", "_judge", "_knows_makers", "_openers",
        "_portals", "_prepared", "_unnamed", "is_at_risk",
    )  # fmt: skip

    def __init__(self, judge: Judge, prepared: Prepared) -> None:
        self._judge = judge
        self._prepared = prepared
        self._is_utf8 = True
        self.is_at_risk = False
        """Whether it has a temporary schema that its session would not have; else nothing is to be done."""
        self._is_due = False  # plans are to be discarded before anything else runs
        self._awaited = 0  # how often they have been discarded when all that was sent for that is done
        self._is_needed = False  # else it is not due again
        self._begin()

    def begin(self) -> None:
        """A lease begins."""
        if self.is_at_risk:
            self._begin()

    def _begin(self) -> None:
        self._is_fresh = False  # nothing has run since they were discarded
        self._is_bare = True  # nothing but Close since the last Sync can have failed, or has begun a transaction
        self._has_acted = True  # since the last answer its transaction may have ended, or failed up to a Sync
        self._has_run = False  # an Execute since the last sync point that has left a transaction open
        self._has_ended = False  # an Execute since the last sync point that may have ended its transaction
        self._is_behind_query = False  # a Query in the group, and no Execute since
        self._has_prepared = False  # but what may be the unnamed statement or portal
        self._unnamed: bytes | None = None  # the Parse message of the unnamed statement
        self._portals: set[bytes] = set()  # that may make a temporary object
        self._controls: set[bytes] = set()  # that run no plan, where plans were due
        self._enders: set[bytes] = set()  # that end a transaction, likewise
        self._openers: set[bytes] = set()  # that leave a transaction open
        self._knows_makers = False  # what nobody could judge may be called in this lease

    def cleaned(self, *, has_schema: bool) -> None:
        """The connection has been cleaned; has_schema: it had a temporary schema then."""
        self.is_at_risk = has_schema
        self._is_due = self._is_needed = False
        self._awaited = self._prepared.plans_discarded

    def kept(self) -> None:
        """Its session holds temporary objects and keeps it, so a connection of its own would have that schema, too."""
        self.is_at_risk = self._is_due or (self._is_needed and self._prepared.plans_discarded < self._awaited)

    def open(self, pipeline: Pipeline, out: list[bytes]) -> None:
        """A transaction is opened by us: what is due comes before it, for within it there may be modes to be set."""
        self._see_what_is_done(pipeline)
        if self._is_due and pipeline.is_idle:
            self._is_bare = self._is_needed = True
            self._send(Frontend.QUERY, pipeline, out)
            self._is_due, self._is_fresh = False, True

    def look(
        self, piece: Piece, texts: Mapping[bytes, bytes], pipeline: Pipeline, out: list[bytes], *, is_utf8: bool
    ) -> None:
        """A message of the client's goes out, behind what is put into out.

        texts are the Parse messages that the client's messages refer to, by shared name; is_utf8: so is their encoding.
        """
        self._see_what_is_done(pipeline)
        self._is_utf8 = is_utf8
        tag = piece.tag
        self._is_bare = self._is_bare or not pipeline.may_skip
        if tag == Frontend.SYNC:
            self._has_acted = self._has_acted or not self._is_bare
            self._is_bare, self._has_run, self._has_ended, self._is_behind_query = True, False, False, False
        elif tag == Frontend.CLOSE:
            self._is_bare = self._is_bare and _CANNOT_FAIL(piece.data) is not None
        elif tag in _LOOKED_AT and not pipeline.in_copy_in and not pipeline.is_skipping:
            may_make = self._may_make(piece, texts)
            if tag == PLAIN:
                self._knows_makers = self._knows_makers or may_make
                self._has_prepared = True
                self._is_bare = self._is_bare and piece.whole and not pipeline.may_skip
                return
            runs_a_plan = self._is_due and not self._runs_no_plan(piece, texts, pipeline)
            if runs_a_plan or (may_make and not (self._is_due or self._is_fresh)):
                self._discard(piece, pipeline, out)
            self._went_out(piece, texts)
        self._has_acted = self._has_acted or tag not in _CHANGES_NOTHING

    def _see_what_is_done(self, pipeline: Pipeline) -> None:
        """What has not been discarded when all is answered was skipped."""
        if pipeline.has_unsynced or not pipeline.is_answered:
            return
        self._has_acted = False
        done = self._prepared.plans_discarded
        if self._awaited != done:
            self._is_due = self._is_due or (self._is_needed and done < self._awaited)
            self._awaited, self._is_needed, self._is_fresh = done, False, False

    def _is_in_transaction(self, pipeline: Pipeline) -> bool:
        """Whether that is certain, when the message that goes out now is run."""
        is_known = not self._has_ended and not (pipeline.owed and self._has_acted)
        return is_known and pipeline.status == TransactionStatus.INTRANS

    def _runs_no_plan(self, piece: Piece, texts: Mapping[bytes, bytes], pipeline: Pipeline) -> bool:
        """Whether it is a message of the extended protocol about what may have to come before any snapshot."""
        tag, data = piece.tag, piece.data
        if tag == Frontend.EXECUTE:
            portal = name_in(data, 5)
            return portal in self._controls and not (portal in self._enders and self._is_in_transaction(pipeline))
        if tag not in _PREPARES or not piece.whole:
            return False
        if tag == Frontend.DESCRIBE and data[5:6] != b"S":
            return True
        statement = statement_of(data if tag == Frontend.PARSE else self._text_of(piece, texts))
        is_control = not CONTROLS.isdisjoint(statement)
        if tag == Frontend.BIND:
            (self._controls.add if is_control else self._controls.discard)(name_in(data, 5))
            (self._enders.add if ends(statement) else self._enders.discard)(name_in(data, 5))
        return is_control

    def _went_out(self, piece: Piece, texts: Mapping[bytes, bytes]) -> None:
        tag, has_run = piece.tag, False
        if tag == Frontend.BIND:
            opens = leaves_open(self._text_of(piece, texts))
            (self._openers.add if opens else self._openers.discard)(name_in(piece.data, 5))
        elif tag == Frontend.EXECUTE:
            has_run = name_in(piece.data, 5) in self._openers
            self._has_ended = self._has_ended or not has_run
        if tag not in _PREPARES:
            self._is_fresh = False
        self._is_bare = self._is_bare and tag in _SYNC_POINTS
        is_blind = tag in _SYNC_POINTS and not self._is_bare  # it may be skipped, and so may what comes next
        self._has_run = has_run or is_blind or (self._has_run and tag in _PREPARES)
        self._is_behind_query = is_blind or (self._is_behind_query and tag in _PREPARES)
        self._has_prepared = tag in _PREPARES or tag == Frontend.FUNCTION_CALL  # which takes neither

    def _discard(self, piece: Piece, pipeline: Pipeline, out: list[bytes]) -> None:
        """Discard plans in front of this message, or as soon as that can be."""
        is_in_transaction = self._is_in_transaction(pipeline)
        if pipeline.status == TransactionStatus.INERROR and not (pipeline.owed or self._has_ended):
            # Only a text that ends the transaction first runs anything.
            self._is_due = self._is_due or _has_control(piece)
            return
        if piece.tag == Frontend.PARSE or (piece.tag in _PREPARES and not self._is_due):
            # In a transaction what plans or runs it is early enough: its modes may still be set.
            can_be = self._is_bare and not is_in_transaction
        elif piece.tag in _PREPARES:  # for a Bind plans
            can_be = self._is_bare or self._has_run or is_in_transaction
        else:
            can_be = (self._is_bare or self._has_run or is_in_transaction) and not self._has_to_wait(piece, pipeline)
            if piece.tag == Frontend.FUNCTION_CALL and self._is_behind_query and not self._is_bare:
                can_be = not self._has_prepared
        if can_be:
            self._is_needed = self._is_needed or self._is_due or _has_control(piece)
            self._send(piece.tag, pipeline, out)
            self._is_due, self._is_fresh = False, True
        elif piece.tag not in _PREPARES:
            self._is_due = True

    def _has_to_wait(self, piece: Piece, pipeline: Pipeline) -> bool:
        """Whether a text begins with what may have to come before any snapshot of its transaction."""
        statements = [] if pipeline.is_idle else statements_of(piece)
        if not statements:
            return False
        controls = list(takewhile(lambda one: not CONTROLS.isdisjoint(one), statements))
        if len(controls) == len(statements):  # it makes nothing: plans have been due before
            first = next((one for one in controls if ends(one) or wants_no_snapshot(one)), {})
            return not (ends(first) and self._is_in_transaction(pipeline))
        return not self._is_due and any(map(wants_no_snapshot, controls))

    def _send(self, tag: int, pipeline: Pipeline, out: list[bytes]) -> None:
        """In front of a message with this tag."""
        is_free = tag == Frontend.QUERY or (tag != Frontend.EXECUTE and not self._has_prepared)
        if self._is_behind_query and is_free and not self._is_bare:
            messages: tuple[bytes, ...] = (query(_COMMAND),)
        else:
            self._prepared.expect(pipeline)
            messages = (*_DISCARD, sync()) if self._is_bare else _DISCARD
        self._awaited += 1
        for message in messages:
            pipeline.inject(message[0])
            out.append(message)

    # --- what may make a temporary object ---

    def _may_make(self, piece: Piece, texts: Mapping[bytes, bytes]) -> bool:
        tag, data = piece.tag, piece.data
        if tag == Frontend.EXECUTE:
            return name_in(data, 5) in self._portals
        if tag == PLAIN:
            _, text = made_by(data)
            return bool(text) and self._of_statement(text)
        if not piece.whole:
            self._knows_makers = True
            return True
        if tag in _SYNC_POINTS:
            return self._of_text(data[5:-1], b"", data) if tag == Frontend.QUERY else self._of(Residue.DISCARD, data)
        if tag != Frontend.PARSE:
            return self._of_use(piece, texts)
        if not name_in(data, 5):
            self._unnamed = data
        return self._of_statement(data)

    def _of_use(self, piece: Piece, texts: Mapping[bytes, bytes]) -> bool:
        """Of a Bind or Describe."""
        data = piece.data
        if piece.tag == Frontend.DESCRIBE and data[5:6] != b"S":
            return False
        text = self._text_of(piece, texts)
        may_make = self._of(Residue.DISCARD, data) if text is None else self._of_statement(text, data)
        if piece.tag == Frontend.BIND:
            (self._portals.add if may_make else self._portals.discard)(name_in(data, 5))
        return may_make

    def _text_of(self, piece: Piece, texts: Mapping[bytes, bytes]) -> bytes | None:
        """The Parse message of the statement that a Bind or Describe names."""
        name, _ = split_name(statement_named_in(piece))
        return (self._prepared.text_of(name) or texts.get(name)) if name else self._unnamed

    def _of_statement(self, message: bytes, *more: bytes) -> bool:
        """Of a Parse message; more: what else may name what is made."""
        start = message.index(0, 5) + 1
        end = message.index(0, start)
        return self._of_text(message[start:end], message[end + 1 :], message, *more)

    def _of_text(self, sql: bytes, types_raw: bytes, *texts: bytes) -> bool:
        return self._of(self._judge.verdict(sql, types_raw, is_utf8=self._is_utf8), *texts)

    def _of(self, residue: Residue, *texts: bytes) -> bool:
        catalog = self._judge.catalog
        knows_makers = self._knows_makers or catalog is None or catalog.makes_temporary
        return may_make_temporary(residue, *texts, knows_makers=knows_makers)
