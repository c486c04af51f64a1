"""What writing to a relation or calling a function may change, followed through the catalogue.

A write to a table is one to its descendants, and goes on over foreign-key actions, triggers, rules, and the functions
that defaults, checks and indexes call; to a view, it goes to whatever the view reads. What a function of SQL or
PL/pgSQL writes is read off its body's tokens (`bodies.py`); what any other may write is not known, so it is everything.
"""

from collections.abc import Iterable
from typing import Final

from regional.cache.bodies import CASCADE, DELETE, INSERT, TRUNCATE, UPDATE, body_of
from regional.cache.reach import Reach, Trigger
from regional.cache.reach_query import IN_PARTITIONS, TEMPORARY, VIEW
from regional.cache.verdicts import EVERYTHING, NOTHING, Writing

ANY: Final = INSERT | UPDATE | DELETE
#: Bits of pg_trigger.tgtype (src/include/catalog/pg_trigger.h).
_TRIGGERED_BY: Final = {INSERT: 1 << 2, DELETE: 1 << 3, UPDATE: 1 << 4, TRUNCATE: 1 << 5}
_ACTIONS: Final = frozenset("cnd")
_STABLE: Final = 1
_BODY: Final = 1
_AGGREGATE: Final = 3
_OPAQUE: Final = Writing(everything=True)


class Effects:
    """Adds up what is written; each relation and function is followed once."""

    def __init__(self, reach: Reach) -> None:
        self.tables: set[int] = set()
        self.everything = False
        self.outlives_rollback = False
        self._reach = reach
        self._written: dict[int, int] = {}
        self._read: set[int] = set()
        self._called: set[int] = set()

    def writing(self) -> Writing:
        if self.everything:
            return EVERYTHING if self.outlives_rollback else _OPAQUE
        return Writing(frozenset(self.tables)) if self.tables else NOTHING

    def know_nothing(self) -> None:
        self.everything = self.outlives_rollback = True

    def write_named(self, schema: str | None, name: str, how: int) -> None:
        """A name that is not known may be anything."""
        access = self._reach.relation(schema, name)
        if access is None:
            if schema is None or not schema.startswith("pg_temp"):
                self.everything = True
            return
        for oid in access.direct:
            self.write(oid, how)

    def write(self, oid: int, how: int) -> None:
        """Rows of a relation change."""
        todo = [(oid, how)]
        while todo and not self.everything:
            oid, how = todo.pop()
            relation = self._reach.relations.get(oid)
            if relation is None:
                self.everything = True
                return
            if relation.flags & IN_PARTITIONS and how & UPDATE:  # a row may move to another partition
                how |= INSERT | DELETE
            how &= ~self._written.get(oid, 0)
            if not how:
                continue
            self._written[oid] = self._written.get(oid, 0) | how
            if not relation.flags & (VIEW | TEMPORARY):
                self.tables.add(oid)
            todo += [(below, how) for below in relation.below]
            todo += self._referencing(oid, how)
            self.call_all(self._reach.calls_write.get(oid, ()))
            if relation.flags & VIEW:
                self.call_all(self._reach.calls_read.get(oid, ()))
            self._fire(self._reach.triggers.get(oid, ()), how)
            for rule in self._reach.rules.get(oid, ()):
                todo += [(other, ANY) for other in rule.relations]
                self.call_all(rule.functions)
                if rule.verdict > _STABLE:
                    self.everything = True

    def _referencing(self, oid: int, how: int) -> Iterable[tuple[int, int]]:
        for actions, other in self._reach.referencing.get(oid, ()):
            on_delete, on_update = actions[0], actions[1]
            if how & DELETE and on_delete in _ACTIONS:
                yield other, DELETE if on_delete == "c" else UPDATE
            if how & UPDATE and on_update in _ACTIONS:
                yield other, UPDATE
            if how & CASCADE:
                yield other, TRUNCATE | CASCADE

    def _fire(self, triggers: Iterable[Trigger], how: int) -> None:
        for trigger in triggers:
            if any(how & each and trigger.type & bit for each, bit in _TRIGGERED_BY.items()):
                self.call_all((trigger.function,))

    def read_named(self, schema: str | None, name: str) -> None:
        """Reading may call the functions of views and policies."""
        access = self._reach.relation(schema, name)
        for oid in () if access is None else access.direct:
            self.read(oid)

    def read(self, oid: int) -> None:
        if oid in self._read:
            return
        self._read.add(oid)
        self.call_all(self._reach.calls_read.get(oid, ()))
        relation = self._reach.relations.get(oid)
        for below in () if relation is None else relation.below:
            self.read(below)

    def call_named(self, name: str) -> None:
        self.call_all(self._reach.writers_named.get(name, ()))

    def call_all(self, functions: Iterable[int]) -> None:
        for oid in functions:
            function = self._reach.writers.get(oid)
            if function is None or oid in self._called or self.everything:
                continue
            self._called.add(oid)
            body = body_of(function.body) if function.kind == _BODY else None
            if function.kind == _AGGREGATE:
                self.call_all(function.parts)
            elif body is None:
                self.know_nothing()
            else:
                for schema, name, how in body.writes:
                    self.write_named(schema, name, how)
                for name in body.names:
                    self.call_named(name)
                    self.call_all(self._reach.operator_functions.get(name, ()))
                    self.read_named(None, name)
