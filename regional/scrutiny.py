"""What the messages of a lease may leave on their origin connection, and what the client is told of it.

Each message of the client's is looked at once: what may its statement leave behind (cleanness), does it ask for what
its session cannot keep (refusals), is its prepared statement here (prepared)? Of the answers, errors and changed
parameters are. When nothing more is owed, `conclude` has the sum of it, as a residue.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from protos.link.link_pb2 import Begin
from protos.pg.description import split_name
from protos.pg.framer import Piece
from protos.pg.messages import parameter_status, query
from protos.pg.names import PREFIX, USED
from protos.pg.parsers import error_fields, parameter_status_of
from protos.pg.pipeline import Pipeline
from protos.pg.tags import Backend, Frontend
from regional import plain
from regional.configuration import SessionState
from regional.copies import DESCRIBES
from regional.facts import Facts
from regional.opening import FAILING, Opening
from regional.prepared import Prepared, may_set_locally, renamed_statement, statement_named_in, with_own_words
from regional.refusals import Refusals
from regional.resets import Resets
from regional.residue import Residue
from regional.session_state import MAY_PIN, notices, refusal
from regional.telling import Telling
from regional.verifying import OUTDATED, Claim, Verifying, as_outdated

if TYPE_CHECKING:
    from regional.tenant import Tenant

_LOOKED_AT: Final = frozenset({
    Frontend.QUERY, Frontend.PARSE, Frontend.BIND, Frontend.DESCRIBE, Frontend.FUNCTION_CALL, plain.PLAIN
})  # fmt: skip
_LOOKED_AT_AND_EXECUTE: Final = _LOOKED_AT | {Frontend.EXECUTE}
_UNKNOWN: Final = Residue.UNKNOWN


class Scrutiny:
    """Of one origin connection, lease by lease; the prepared statements outlive them."""

    __slots__ = (
        "_generation", "_opening", "_parameters", "_refusals", "_resets", "_startup", "_tenant", "_told", "asked",
        "facts", "has_own_settings", "is_utf8", "last_fatal", "login", "looked_at", "must_close", "prepared",
        "refused_write", "residue", "telling", "verifying", "was_read_only",
    )  # fmt: skip

    def __init__(self, tenant: "Tenant", parameters: dict[str, str]) -> None:
        """parameters: what the origin has reported, by name; kept up to date here."""
        self._tenant = tenant
        self._parameters = parameters
        self._generation = 0
        self.is_utf8 = True
        self.has_own_settings = False
        self.login = parameters.get("session_authorization", "")  # who the origin said we are when we logged in
        self.looked_at = _LOOKED_AT  # the messages that are to be looked at on their way to the origin
        self._refusals = Refusals()
        self._startup: Mapping[str, str] = {}  # the parameters that the session has given
        self._resets: Resets | None = None
        self._told: dict[str, str] = {}  # reported parameters that changed in this lease, with their values before it
        self._opening: Opening | None = None
        self.prepared = Prepared(tenant.knowledge.meaning)
        self.facts = Facts()
        self.verifying = Verifying(self.prepared, self._told_otherwise)
        self.telling = Telling(tenant.knowledge.meaning, self.prepared, tenant.knowledge.described)
        self.residue = Residue.CLEAN
        self.asked = Residue.CLEAN  # what the statements of this lease openly asked for
        self.must_close = ""  # why the connection may not be used again after this lease; empty if it may
        self.last_fatal = b""  # the FATAL ErrorResponse that the origin said to the client before it closed
        self.refused_write = False  # whether the origin has said 25006 in this lease: perhaps it has been demoted
        self.was_read_only = "on" in map(parameters.get, ("in_hot_standby", "default_transaction_read_only"))
        """Whether it said so when we logged in."""

    def begin(self, client_encoding: str, startup: Mapping[str, str], *, has_own_settings: bool) -> None:
        """A lease begins, of a session that gave the parameters in startup.

        has_own_settings: its statements have names that do not tell of the session's settings.
        """
        self._generation = self._tenant.knowledge.judge.generation
        self.has_own_settings = has_own_settings
        self.is_utf8 = client_encoding == "UTF8"
        self.asked = Residue.CLEAN
        self._startup = startup
        if self._resets is not None:
            self._resets = None
            self.looked_at = _LOOKED_AT
        if self._refusals:
            self._refusals = Refusals()
        if self._told:
            self._told = {}
        self._opening = None
        self.facts.begin()
        self.telling.begin()

    # --- towards the origin ---

    def look(self, piece: Piece, texts: Mapping[bytes, bytes], pipeline: Pipeline, out: list[bytes]) -> Piece | None:
        """What to send for this message, behind what is put into out; None for nothing, or for nothing yet.

        texts are the Parse messages that the client's messages refer to, by shared name.
        """
        tag = piece.tag
        if tag == Frontend.QUERY:
            return self._query(piece, pipeline)
        if tag in (Frontend.FUNCTION_CALL, plain.PLAIN):  # what they do is judged by nobody
            self.facts.spoil()
            self.residue |= Residue.UNSEEN
            return piece if tag != plain.PLAIN else self._make(piece, pipeline, out)
        if pipeline.in_copy_in:  # the origin will end the COPY with an error, whatever it says
            self.residue |= _UNKNOWN
            return piece
        if tag == Frontend.PARSE:
            return self._parse(piece, pipeline, out)
        if tag == Frontend.EXECUTE:
            assert self._resets is not None
            return self._resets.execute(piece, pipeline, self.prepared, out)
        return self._need(piece, texts, pipeline, out)

    def _make(self, piece: Piece, pipeline: Pipeline, out: list[bytes]) -> Piece | None:
        self.residue |= Residue.STATEMENTS
        plain.make(piece, self.prepared, pipeline, out, is_private=self._is_private)
        return None

    def _query(self, piece: Piece, pipeline: Pipeline) -> Piece | None:
        if not piece.whole:
            self.facts.spoil()
            self.residue |= _UNKNOWN
            return piece
        sql = piece.data[5:-1]
        self.facts.asked(sql)
        residue = self._tenant.judge(sql, is_utf8=self.is_utf8)
        if residue:
            residue = plain.names_kept(residue, sql, self.prepared, pipeline, piece)
        if may_set_locally(sql):
            self.has_own_settings = True
        if not residue:
            return piece
        instead = self._weigh(residue, piece, sql, pipeline)
        if instead is piece and residue.resets_settings and self._startup:
            return self._following.query(piece, sql, pipeline)
        return instead

    def _parse(self, piece: Piece, pipeline: Pipeline, out: list[bytes]) -> Piece | None:
        if not piece.whole:
            self.residue |= _UNKNOWN
            self.facts.spoil()
            self.must_close = self.prepared.parse_in_part(piece.data, pipeline, out) or self.must_close
            if self._resets is not None:
                self._resets.parsed(piece.data)
            return piece
        instead = self._judge_parse(piece.data, piece, pipeline)
        if instead is not piece:
            return instead
        if self._startup and self.residue.resets_settings:
            self._following.parsed(piece.data)
        if not piece.data.startswith(PREFIX, 5) or piece.data.startswith(USED, 5):
            self.prepared.parse(piece.data, pipeline, out, is_private=self._is_private)
            return piece
        early = self._tenant.configuration.early
        return self.telling.parse(piece, pipeline, out, is_private=self._is_private, answers_early=early.prepare)

    def _need(self, piece: Piece, texts: Mapping[bytes, bytes], pipeline: Pipeline, out: list[bytes]) -> Piece | None:
        """A Bind, or a Describe: what it is about must be here, and be described as the session was told."""
        if piece.tag == Frontend.DESCRIBE and piece.data[5:6] != b"S":
            return piece
        prepared = self.prepared
        name, digest = split_name(statement_named_in(piece))
        if digest:
            piece = renamed_statement(piece, name)
        text = prepared.text_of(name) or texts.get(name)
        if text is not None:
            # Also where it is here already: it runs again, and the catalogue may be another.
            instead = self._judge_parse(text, piece, pipeline)
            if instead is not piece:
                return instead
            self.telling.uses(name)
        plain.use(name, prepared, pipeline, out)
        if self.residue and self.residue.resets_settings:
            self._tenant.names.see(piece.data, always=True)  # set_config($1, $2, false)
            if self._startup and piece.tag == Frontend.BIND:
                self._following.bound(piece.data, name, text, pipeline)
                self.looked_at = _LOOKED_AT_AND_EXECUTE if self._following.wants_execute else _LOOKED_AT
        if text is not None:
            if digest and digest != prepared.copies.digest(name) and not pipeline.is_skipping:
                self.verifying.claim(Claim(name, digest, text, self._is_private), piece)
                return None
            prepared.need(name, text, pipeline, out, is_private=self._is_private)
        if piece.tag == Frontend.DESCRIBE:
            prepared.describe(name, pipeline)
        return piece

    def _told_otherwise(self, name: bytes, description: bytes) -> None:
        """A session was told another description than this one, which is the present one."""
        if not self.is_uncertain:
            self.telling.otherwise(name, description)

    def _judge_parse(self, message: bytes, piece: Piece, pipeline: Pipeline) -> Piece:
        """Judge a statement by its Parse message; types of parameters count, for a domain's check runs at Bind."""
        start = message.index(0, 5) + 1
        end = message.index(0, start)
        self.facts.asked(message[start:end])
        residue = self._tenant.judge(message[start:end], message[end + 1 :], is_utf8=self.is_utf8)
        if residue:
            residue = plain.names_kept(residue, message[start:end], self.prepared, pipeline, piece)
        if may_set_locally(message):
            self.has_own_settings = True
        return self._weigh(residue, piece, message, pipeline) if residue else piece

    def _weigh(self, residue: Residue, piece: Piece, text: bytes, pipeline: Pipeline) -> Piece:
        """Note what a statement may leave, unless it is refused; what goes out in its place."""
        if residue.asks:
            refused = refusal(residue, self._mode, is_alone=pipeline.is_idle and self._opening is None)
            if refused is not None and not pipeline.in_copy_in:
                return self._refusals.in_place_of(piece, refused)
            self.asked |= residue
        self.residue |= residue
        if residue.resets_settings:
            self._tenant.names.see(text)
        return piece

    @property
    def _following(self) -> Resets:
        """What follows a RESET of this lease."""
        if self._resets is None:
            self._resets = Resets(self._startup, self.verifying)
        return self._resets

    @property
    def _is_private(self) -> bool:
        """Whether a Parse here reads settings that others do not have, so its statement is for this lease alone."""
        return self.has_own_settings or bool(self.residue and self.residue.resets_settings)

    @property
    def _mode(self) -> SessionState:
        return self._tenant.configuration.session_state

    def opened_by(self, opening: Begin, pipeline: Pipeline) -> list[bytes]:
        """The messages that open the transaction of a client that has had the answers to them (rules 13)."""
        self._opening = Opening()
        out = [query(sql) for sql in (*opening.statements, *((FAILING,) if opening.failed else ()))]
        for message in out:
            self._query(Piece(Frontend.QUERY, message, whole=True), pipeline)
            pipeline.inject(Frontend.QUERY)
        self.facts.begin()  # those were not the client's
        self._opening.is_meant_to_fail = opening.failed
        return out

    @property
    def is_uncertain(self) -> bool:
        """Whether statements may mean something in this transaction that they do not mean elsewhere."""
        return self.has_own_settings or self.residue.changes_meaning

    # --- from the origin ---

    def heard(self, piece: Piece, pipeline: Pipeline) -> Piece:
        """What a reply says about the connection itself; what the client gets."""
        tag = piece.tag
        if self._resets is not None and not pipeline.is_answering_us:
            piece = self._resets.heard(piece, pipeline.settled)
        if tag == Backend.ERROR_RESPONSE:
            self.facts.spoil()
            is_ours = pipeline.is_answering_us
            self._failed(piece, pipeline, is_ours=is_ours)
            if self._opening is not None:
                piece = self._opening.answer(piece, is_ours=is_ours)
            piece = self.prepared.plain.explained(piece, pipeline.settled, is_ours=is_ours)
            return with_own_words(as_outdated(self._refusals.answer(piece) if self._refusals else piece))
        if tag == Backend.PARAMETER_STATUS:
            # It may be a SET LOCAL that will end by itself; but a value that changed is not proven clean.
            self.residue |= Residue.SETTINGS
            name, value = parameter_status_of(piece.data)
            self._told.setdefault(name, self._parameters.get(name, ""))
            self._parameters[name] = value
            if name == "client_encoding":
                self.is_utf8 = value == "UTF8"
        elif tag in (Backend.PARSE_COMPLETE, Backend.COMMAND_COMPLETE) and pipeline.is_watching:
            self.prepared.confirmed(piece.data)
        elif tag in DESCRIBES and pipeline.is_watching:
            statement, description = self.prepared.copies.heard(piece)
            self.verifying.described(description)
            if statement and not self.is_uncertain:
                self.telling.described(statement, description)
        return piece

    def _failed(self, piece: Piece, pipeline: Pipeline, *, is_ours: bool) -> None:
        """An error: the rest of its group of extended messages is skipped, with the Parses in it."""
        self.prepared.failed(pipeline.undone_by_error)
        if self.prepared.is_unsure:
            self.residue |= Residue.STATEMENTS
        if not piece.whole:
            return
        fields = error_fields(piece.data)
        if fields.get("C") == "25006":
            self.refused_write = True
        if fields.get("C") == "0A000" and fields.get("R") == OUTDATED:
            self.telling.outdated()
        if fields.get("V", fields.get("S")) in ("FATAL", "PANIC") and not is_ours:
            self.last_fatal = piece.data

    # --- the end of a lease ---

    def conclude(self) -> None:
        """Nothing more will come: what may be left, all told."""
        if self._tenant.knowledge.judge.generation != self._generation:
            self.residue |= Residue.DISCARD  # what was proven was proven of another catalogue
        if self.prepared.has_private:
            self.residue |= Residue.STATEMENTS

    @property
    def has_changed_session(self) -> bool:
        """Whether the session may have something now that it had not before, and is to keep it."""
        residue = self.residue
        if not residue or self._mode == "reset":
            return False
        return residue.resets_settings or (self._mode == "pin" and bool(residue & MAY_PIN))

    def last_words(self, told: set[Residue]) -> bytes:
        """What the client reads before its ReadyForQuery of what ends here. told: the kinds that it has read of."""
        if not self.asked and not self._told:
            return b""
        words = notices(self.asked, self._mode, told)
        if self._mode == "reset":
            for name, value in self._told.items():
                if self._parameters.get(name) != value:
                    words += parameter_status(name, value)
        return words
