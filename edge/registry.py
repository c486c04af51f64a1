"""What the names of one session's statements stand for, as far as it is known, and what they would if a change failed.

Changes are taken for done when they are sent (`in_flight`). `present` is what a name stands for if all goes well;
`alternatives` says it for each outcome; `take_back` undoes what has not happened. The unnamed statement has an empty
name here, and is kept as its Parse message: most of them are never used again, so it is not digested before it is.

A Parse of the unnamed statement that fails drops the one before it; one that is skipped does not.
"""

import os
from typing import Final

import attrs

from edge.conditions import (
    CERTAIN,
    Condition,
    Conditions,
    Knowledge,
    after_failure,
    after_settling,
    expects_success,
)
from edge.in_flight import Behind, Change, InFlight
from edge.meaning import Script, Statement, sql_statement_of, statement_of
from edge.seen import Alternative, Seen
from protos.errors import StatementMemoryError
from protos.pg.description import NAME_BYTES
from protos.pg.sql_statements import Kind

SALT_BYTES: Final = 16
# Of one name at once, said with every use of it: what bytes of a client cost must not grow with their square.
MAX_ALTERNATIVES: Final = 100
# To the description of an EXECUTE of an EXECUTE: what is beyond is not described.
MAX_STEPS: Final = 8


class Registry:
    """Of one session."""

    __slots__ = (
        "_bytes", "_named", "_salt", "_unsure", "asked", "in_flight", "place", "scope", "settled", "too_long",
        "unnamed",
    )  # fmt: skip

    def __init__(self, scope: bytes) -> None:
        self.scope = scope
        """The digest of the settings that the session has."""
        self._salt = b""
        self._named: dict[bytes, Statement] = {}
        self._bytes = 0
        self.in_flight = InFlight()
        self._unsure: list[Seen] = []  # what hangs on outcomes that are not known yet
        self.too_long: set[bytes] = set()
        """Names that a Parse over 1 MiB may have in this lease."""
        self.unnamed: Statement | bytes | None = None
        self.asked = 0
        """Sync points sent on this channel."""
        self.settled = 0
        """Those that are answered."""
        self.place = 0
        """Messages of the extended protocol since the last sync point."""

    def __len__(self) -> int:
        return len(self._named)

    def __contains__(self, name: bytes) -> bool:
        """Whether the name is in use if all goes well."""
        return name in self._named

    # --- what a name stands for ---

    def present(self, name: bytes) -> Statement | None:
        """What it stands for if all goes well."""
        if not name:
            return self._digested(self.unnamed)
        statement = self._named.get(name)
        if statement is not None and statement.scope != self.scope:
            statement = self._named[name] = self._renewed(statement)
        return statement

    def is_in_doubt(self, name: bytes) -> bool:
        """Whether it hangs on the outcome of an earlier group.

        What has changed in the same group is for certain: whoever comes to use it, comes behind it.
        """
        in_flight = self.in_flight
        return bool(in_flight.names) and in_flight.has(name, self.asked)

    def alternatives(self, name: bytes) -> list[Alternative]:
        """What it may stand for, what is later first. The last is for certain, if nothing before it has happened."""
        result: list[Alternative] = []
        after: Statement | bytes | None = self._named.get(name) if name else self.unnamed
        changes = self.in_flight.of(name) if self.is_in_doubt(name) else ()
        for change in changes:
            conditions = change.conditions
            if change.sync_point < self.asked:
                conditions = (Condition(change.sync_point, change.place), *conditions)
            result.append((conditions, self._digested(after if change.is_expected else change.after)))
            if not conditions:
                return result
            if change.is_expected:
                after = change.before_of(name)
        if len(result) > MAX_ALTERNATIVES:
            raise StatementMemoryError(detail=f"More than {MAX_ALTERNATIVES} changes of one statement wait at once.")
        return [*result, (CERTAIN, self._digested(after))]

    def _digested(self, meaning: Statement | bytes | None) -> Statement | None:
        """The statement, by the present settings."""
        if meaning is None:
            return None
        if isinstance(meaning, bytes):
            return statement_of(meaning, self.scope, self.salt)
        return meaning if meaning.scope == self.scope else self._renewed(meaning)

    def _renewed(self, statement: Statement) -> Statement:
        if statement.is_too_long:
            return statement
        renewed = statement_of(statement.parse, self.scope, self.salt, is_sql=statement.is_sql)
        return renewed if statement.seen is None else attrs.evolve(renewed, seen=statement.seen)

    @property
    def salt(self) -> bytes:
        """What no other session has."""
        if not self._salt:
            self._salt = os.urandom(SALT_BYTES)
        return self._salt

    def meaning_of(self, message: bytes) -> Statement:
        """What a Parse message of the session's means."""
        statement = statement_of(message, self.scope, self.salt)
        return statement if statement.script is None else self._looking(statement)

    def _looking(self, statement: Statement) -> Statement:
        """An EXECUTE that is parsed finds what the name in it stands for. Without room that is not kept."""
        assert statement.script is not None
        command = statement.script[0]
        if command.kind is not Kind.EXECUTE:
            return statement
        seen = Seen(self.alternatives(command.name))
        has_room = (
            seen.steps <= MAX_STEPS
            and self._bytes + len(statement.parse) + seen.kept_bytes <= StatementMemoryError.BOUND
        )
        if not has_room or (len(self._unsure) >= MAX_ALTERNATIVES and not seen.is_sure):
            return statement
        if not seen.is_sure:
            self._unsure.append(seen)
        return attrs.evolve(statement, seen=seen)

    # --- changes ---

    def has_room(self, message: bytes) -> bool:
        """Whether the statement of a Parse may be kept beside the others."""
        return self._bytes + len(message) + NAME_BYTES <= StatementMemoryError.BOUND

    def made(self, name: bytes, message: bytes) -> Statement:
        """A Parse of this name goes out."""
        statement = self.meaning_of(message)
        self._change(name, statement)
        return statement

    def ran(self, script: Script, conditions: Conditions = CERTAIN) -> None:
        """A command goes out, and does this if the conditions hold."""
        command, sql = script
        name = command.name
        is_expected = expects_success(conditions)
        if command.kind is Kind.FORGET_ALL:
            self._all_gone(conditions, is_expected=is_expected)
            return
        is_made = command.kind is Kind.PREPARE
        if not self.is_in_doubt(name) and (name in self._named) == is_made:
            return  # PostgreSQL refuses it
        after = sql_statement_of(sql, self.scope, self.salt) if is_made else None
        self._change(name, after, conditions, is_expected=is_expected)

    def made_too_long(self, name: bytes, own: bytes) -> None:
        """A Parse over 1 MiB of this name goes out, under one of its own."""
        self._change(name, Statement(own, b"", self.scope))
        self.too_long.add(name)

    def made_unnamed(self, meaning: Statement | bytes | None) -> None:
        """A Parse or Close of the unnamed statement goes out."""
        self.in_flight.note(Change(self.asked, self.place, b"", self.unnamed))
        self.unnamed = meaning

    def drop_unnamed(self) -> None:
        """A Query goes out, which drops the unnamed statement, unless it is skipped."""
        may_be_skipped = bool(self.place) or self.asked > self.settled
        if may_be_skipped and (self.unnamed is not None or b"" in self.in_flight.names):
            self.made_unnamed(None)
        else:
            self.unnamed = None

    def gone(self, name: bytes) -> None:
        """A Close or DEALLOCATE of this name goes out."""
        self._change(name, None)

    def _all_gone(self, conditions: Conditions, *, is_expected: bool) -> None:
        before_all = self._named if is_expected else {}
        self.in_flight.note(Change(self.asked, self.place, None, None, before_all, conditions, is_expected=is_expected))
        if is_expected:
            self._named, self._bytes = {}, 0

    def _change(
        self, name: bytes, after: Statement | None, conditions: Conditions = CERTAIN, *, is_expected: bool = True
    ) -> None:
        if after is not None and self._bytes + after.kept_bytes > StatementMemoryError.BOUND:
            raise StatementMemoryError.over_bound()
        if is_expected:
            self.in_flight.note(Change(self.asked, self.place, name, self._named.get(name), None, conditions))
            self._set(name, after)
        else:
            self.in_flight.note(Change(self.asked, self.place, name, None, None, conditions, after, is_expected=False))

    def _set(self, name: bytes, meaning: Statement | None) -> None:
        old = self._named.pop(name, None)
        if old is not None:
            self._bytes -= old.kept_bytes
        if meaning is not None:
            self._named[name] = meaning
            self._bytes += meaning.kept_bytes

    # --- outcomes ---

    def happened_here(self) -> None:
        """What was noted last did not go out, for it has happened at the edge. Nothing else is in flight."""
        self.in_flight = InFlight()
        self.place = 0

    def next_sync_point(self) -> None:
        """A sync point goes out."""
        self.asked += 1
        self.place = 0

    def answered(self, settled: int) -> None:
        """So many sync points more are answered."""
        self.settled += settled
        if self.in_flight.names or self._unsure:
            self._learn(after_settling(self.settled))
            self.in_flight.settle(self.settled)

    def lease_is_over(self) -> None:
        """What was good for that only is gone; what is on its way since is not."""
        for name in [one for one in self.too_long if one not in self.in_flight.names]:
            self.too_long.remove(name)
            statement = self._named.get(name)
            if statement is not None and statement.is_too_long:
                self._set(name, None)

    def take_back(self, sync_point: int, end: int, place: int) -> None:
        """Of the messages between these sync points, those from the place on have not happened."""
        for change, behind in self.in_flight.take_back(sync_point, end, place):
            if change.name == b"" and change.at == (sync_point, place):
                self._restore(b"", None, behind.of(b""))
            else:
                self._undo(change, behind)
        self._learn(after_failure(sync_point, end, place))

    def _learn(self, knowledge: Knowledge) -> None:
        """More is known of what has happened."""
        if self._unsure:
            for seen in self._unsure:
                seen.learn(knowledge)
            self._unsure = [seen for seen in self._unsure if not seen.is_sure]
        if not self.in_flight.has_conditions:
            return
        for change, behind in self.in_flight.learn(knowledge):
            self._undo(change, behind)
        for change, behind in self.in_flight.come_true():
            self._put_in_row(change, behind)

    def _undo(self, change: Change, behind: Behind) -> None:
        if change.name is not None:
            self._restore(change.name, change.before, behind.of(change.name))
            return
        for name, statement in (change.before_all or {}).items():
            self._restore(name, statement, behind.of(name))

    def _put_in_row(self, change: Change, behind: Behind) -> None:
        """A change was not expected, and happens: what comes behind it has it before it."""
        if change.name is None:
            self._put_all_in_row(change, behind)
            return
        later = behind.of(change.name)
        change.before = self._named.get(change.name) if later is None else later.before_of(change.name)
        self._restore(change.name, change.after, later)

    def _put_all_in_row(self, change: Change, behind: Behind) -> None:
        """Likewise one of all names. What they stand for there is moved at once, for such changes may be many."""
        moved = self._named if behind.every is None else behind.every.before_all or {}
        kept = {name: moved.pop(name) for name in behind.named if name in moved}
        change.before_all = moved
        if behind.every is None:
            self._bytes -= sum(statement.kept_bytes for statement in moved.values())
            self._named = kept
        else:
            behind.every.before_all = kept
        for name, later in behind.named.items():
            if name:
                change.replace_before(name, later.before)
                later.before = None

    def _restore(self, name: bytes, before: Statement | bytes | None, later: Change | None) -> None:
        if later is not None:
            later.replace_before(name, before)
        elif not name:
            self.unnamed = before
        elif not isinstance(before, bytes):
            self._set(name, before)

    def channel_lost(self) -> None:
        """Places are counted anew; nothing is on its way."""
        self.in_flight = InFlight()
        self._learn(after_settling(self.asked))
        self.asked = self.settled = self.place = 0

    def refused(self) -> None:
        """Nothing of what is owed was run, nor will be."""
        self.take_back(self.settled, self.asked + 1, -1)
        self.channel_lost()
