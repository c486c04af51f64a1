"""What the origin's catalogue says for the query cache: what a name may mean, what reading and writing it reaches.

The answers come from `REACH_QUERY` (its docstring has the rows); here they become look-ups. Names are looked up without
search_path: an unqualified relation is every relation of that name, in any schema. Reading a table depends on its
descendants too, and a view on what it reads.

A snapshot ages: DDL that went another way shows as another `digest`. Temporary tables of other sessions are in it, by
their names, but not in its digest; the answer for a session that has some itself is not for this snapshot to give.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import attrs

from regional.cache import reach_query as bits
from regional.nodes import FORMERLY
from regional.slices import SLICE, Slices, at_once

_NOBODY: Final[frozenset[int]] = frozenset()
#: Flags of a relation to the class of why it is not read from the cache, worst first.
_REASONS: Final = (
    (bits.TEMPORARY, "temporary table"), (bits.SYSTEM, "system table"), (bits.FOREIGN, "foreign table"),
    (bits.SEQUENCE, "system table"), (bits.ROW_SECURITY, "row security"), (bits.UNLOGGED, "unlogged table"),
    (bits.BAD_TYPE, "type"),
)  # fmt: skip
VERDICTS: Final = ("", "stable function", "volatile function", "sampled", "not understood")


class Overload(NamedTuple):
    """Functions or operators of one name that take the same numbers of arguments."""

    least: int
    most: int
    """-1: any number."""
    verdict: int
    bits: int


class Access(NamedTuple):
    """What reading by a name reaches."""

    why: str
    tables: frozenset[int]
    direct: frozenset[int]
    """The relations that have the name."""
    bits: int
    """What its columns may be, as bits of a type."""


_NOTHING: Final = Access("", _NOBODY, _NOBODY, 0)


class Function(NamedTuple):
    """A function that may write."""

    oid: int
    kind: int
    """1: its body says what it writes; 2: nothing does; 3: it is an aggregate, made of these."""
    body: str
    parts: frozenset[int]


class Relation(NamedTuple):
    """A relation by itself."""

    schema: str
    name: str
    flags: int
    below: frozenset[int]
    """Children of a table, what a view reads."""


class Trigger(NamedTuple):
    """A user's trigger."""

    type: int
    """pg_trigger.tgtype."""
    function: int


class Rule(NamedTuple):
    """A rule that is not a view's own."""

    verdict: int
    relations: frozenset[int]
    functions: frozenset[int]


@attrs.frozen(eq=False)
class Reach:
    """One snapshot of the origin's catalogue."""

    digest: str
    role_settings: str
    """A digest of what ALTER ROLE and ALTER DATABASE have set for our sessions: only those that begin later have it."""
    database: str
    """The database's identity, the same for all configurations that lead to it."""
    is_read_committed: bool
    is_utf8: bool
    is_replaced: bool
    """Something that is not immutable stands for what statements use without naming it."""
    relations: Mapping[int, Relation]
    unqualified: Mapping[str, Access]
    qualified: Mapping[tuple[str, str], Access]
    accesses: Mapping[int, Access]
    functions: Mapping[str, tuple[Overload, ...]]
    row_functions: frozenset[str]
    """Refused ones that `row.name` may call."""
    operators: Mapping[tuple[str, int], Overload]
    operator_functions: Mapping[str, frozenset[int]]
    types: Mapping[str, int]
    type_oids: Mapping[int, int]
    columns: Mapping[int, Mapping[str, frozenset[int]]]
    """By a bit of types: columns' names to the relations in which they may be that. Under STRING are all names."""
    writers: Mapping[int, Function]
    writers_named: Mapping[str, frozenset[int]]
    """What using a name may call: of a function, a type, an attribute."""
    referencing: Mapping[int, tuple[tuple[str, int], ...]]
    """A table to those with foreign keys to it, with the actions on delete and update."""
    triggers: Mapping[int, tuple[Trigger, ...]]
    rules: Mapping[int, tuple[Rule, ...]]
    calls_read: Mapping[int, frozenset[int]]
    calls_write: Mapping[int, frozenset[int]]
    followable_names: Mapping[int, tuple[str, str]]
    """Of permanent plain tables that logical decoding can follow: they have a replica identity."""

    @classmethod
    def from_rows(cls, rows: Iterable[Sequence[bytes | None]], digest: str = "") -> "Reach":
        """Make one of the rows of REACH_QUERY, in text format. Raises ValueError if they are no such thing."""
        return at_once(cls.making(rows, digest))

    @classmethod
    def making(cls, rows: Iterable[Sequence[bytes | None]], digest: str) -> "Slices[Reach]":
        """The same, in slices; a database of thousands of tables takes a tenth of a second."""
        builder = _Builder()
        for number, row in enumerate(rows):
            builder.add(row)
            if number % SLICE == 0:
                yield
        for number, oid in enumerate(builder.relations):
            builder.name(oid)
            if number % SLICE == 0:
                yield
        return builder.build(digest)

    def named(self, name: str) -> frozenset[int]:
        """What `schema.table` or `table` may mean, with all that reading it reads."""
        schema, dot, table = name.partition(".")
        access = self.qualified.get((schema, table)) if dot else self.unqualified.get(name)
        return _NOBODY if access is None else access.tables | access.direct

    def relation(self, schema: str | None, name: str) -> Access | None:
        return self.unqualified.get(name) if schema is None else self.qualified.get((schema, name))

    def function(self, name: str, count: int) -> Overload | None:
        """What calling a function with so many arguments may be; None if there is no such function."""
        found = None
        for overload in self.functions.get(name, ()):
            if overload.least <= count and (count <= overload.most or overload.most < 0):
                found = overload if found is None else _worse(found, overload)
        if found is None and name in FORMERLY:
            return self.function(FORMERLY[name], 2)  # 12 adds the escape that SIMILAR TO leaves out
        return found

    def type(self, name: str) -> int | None:
        """The bits of a type; None if it is not known."""
        known, row = self.types.get(name), self.unqualified.get(name)
        if row is None:
            return known
        return (known or 0) | row.bits | bits.STRING | (bits.REFUSED if row.why else 0)


def _worse(one: Overload, other: Overload) -> Overload:
    return Overload(one.least, one.most, max(one.verdict, other.verdict), one.bits | other.bits)


def _numbers(text: str) -> frozenset[int]:
    return frozenset(map(int, text.split()))


@attrs.define
class _Builder:
    """Gathers rows; see `regional/cache/reach_query.py` for what they mean."""

    names: dict[str, str] = attrs.field(factory=dict)
    relations: dict[int, Relation] = attrs.field(factory=dict)
    views: dict[int, str] = attrs.field(factory=dict)
    functions: dict[str, tuple[Overload, ...]] = attrs.field(factory=dict)
    row_functions: set[str] = attrs.field(factory=set)
    operators: dict[tuple[str, int], Overload] = attrs.field(factory=dict)
    operator_functions: dict[str, frozenset[int]] = attrs.field(factory=dict)
    types: dict[str, int] = attrs.field(factory=dict)
    type_oids: dict[int, int] = attrs.field(factory=dict)
    columns: dict[int, dict[str, frozenset[int]]] = attrs.field(factory=lambda: {bits.STRING: {}, bits.TIME: {}})
    writers: dict[int, Function] = attrs.field(factory=dict)
    writers_named: dict[str, frozenset[int]] = attrs.field(factory=dict)
    referencing: dict[int, tuple[tuple[str, int], ...]] = attrs.field(factory=dict)
    triggers: dict[int, tuple[Trigger, ...]] = attrs.field(factory=dict)
    rules: dict[int, tuple[Rule, ...]] = attrs.field(factory=dict)
    calls: dict[str, dict[int, frozenset[int]]] = attrs.field(factory=lambda: {"r": {}, "w": {}})
    is_replaced: bool = False
    accesses: dict[int, Access] = attrs.field(factory=dict)
    unqualified: dict[str, Access] = attrs.field(factory=dict)
    qualified: dict[tuple[str, str], Access] = attrs.field(factory=dict)

    def add(self, row: Sequence[bytes | None]) -> None:
        if len(row) != 6:
            raise ValueError(f"a row of {len(row)} columns")
        kind, schema, name, oid, flags, more = ((value or b"").decode("utf-8", "surrogateescape") for value in row)
        take = getattr(self, f"_{kind}", None) if len(kind) == 1 else None
        if take is None:
            raise ValueError(f"a row of kind {kind!r}")
        take(schema, name, int(oid), int(flags), more)

    def _v(self, schema: str, name: str, oid: int, flags: int, more: str) -> None:
        self.names |= {"database": schema, "encoding": name, "isolation": more}

    def _e(self, schema: str, name: str, oid: int, flags: int, more: str) -> None:
        self.names["role_settings"] = more

    def _s(self, schema: str, name: str, oid: int, flags: int, more: str) -> None:
        """The digest covers all rows."""

    def _x(self, schema: str, name: str, oid: int, flags: int, more: str) -> None:
        self.is_replaced = True

    def _t(self, schema: str, name: str, oid: int, flags: int, more: str) -> None:
        self.types[name] = self.types.get(name, 0) | flags
        self.type_oids[oid] = flags

    def _f(self, schema: str, name: str, oid: int, flags: int, more: str) -> None:
        if flags:
            self.row_functions.add(name)
        self.functions[name] = tuple(Overload(*map(int, spec.split())) for spec in more.split(","))

    def _o(self, schema: str, name: str, oid: int, flags: int, more: str) -> None:
        self.operators[name, int(schema)] = Overload(int(schema), int(schema), flags, oid)
        if more:
            self.operator_functions[name] = self.operator_functions.get(name, _NOBODY) | _numbers(more)

    def _r(self, schema: str, name: str, oid: int, flags: int, more: str) -> None:
        self.relations[oid] = Relation(schema, name, flags, _numbers(more))

    def _a(self, schema: str, name: str, oid: int, flags: int, more: str) -> None:
        self.columns[flags][name] = _numbers(more)

    def _w(self, schema: str, name: str, oid: int, flags: int, more: str) -> None:
        why = VERDICTS[flags]
        self.views[oid] = f"{why}: {name}" if why and name else why

    def _b(self, schema: str, name: str, oid: int, flags: int, more: str) -> None:
        parts = _numbers(more) if flags == 3 else _NOBODY
        self.writers[oid] = Function(oid, flags, more, parts)
        if schema != "t":  # no name calls a trigger's function
            self.writers_named[name] = self.writers_named.get(name, _NOBODY) | {oid}

    def _n(self, schema: str, name: str, oid: int, flags: int, more: str) -> None:
        self.writers_named[name] = self.writers_named.get(name, _NOBODY) | _numbers(more)

    def _k(self, schema: str, name: str, oid: int, flags: int, more: str) -> None:
        self.referencing[oid] = (*self.referencing.get(oid, ()), (schema, int(more)))

    def _g(self, schema: str, name: str, oid: int, flags: int, more: str) -> None:
        self.triggers[oid] = (*self.triggers.get(oid, ()), Trigger(flags, int(more)))

    def _u(self, schema: str, name: str, oid: int, flags: int, more: str) -> None:
        self.rules[oid] = (*self.rules.get(oid, ()), Rule(flags, _numbers(more), _numbers(name)))

    def _d(self, schema: str, name: str, oid: int, flags: int, more: str) -> None:
        self.calls[schema][oid] = _numbers(more)

    def build(self, digest: str) -> Reach:
        if "database" not in self.names:
            raise ValueError("rows are missing")
        return Reach(
            digest=digest,
            role_settings=self.names.get("role_settings", ""),
            database=self.names["database"],
            is_read_committed=self.names["isolation"] == "read committed",
            is_utf8=self.names["encoding"] == "UTF8",
            is_replaced=self.is_replaced,
            relations=self.relations,
            unqualified=self.unqualified,
            qualified=self.qualified,
            accesses=self.accesses,
            functions=self.functions,
            row_functions=frozenset(self.row_functions),
            operators=self.operators,
            operator_functions=self.operator_functions,
            types=self.types,
            type_oids=self.type_oids,
            columns=self.columns,
            writers=self.writers,
            writers_named=self.writers_named,
            referencing=self.referencing,
            triggers=self.triggers,
            rules=self.rules,
            calls_read=self.calls["r"],
            calls_write=self.calls["w"],
            followable_names={oid: each[:2] for oid, each in self.relations.items() if each.flags & bits.FOLLOWABLE},
        )

    def name(self, oid: int) -> None:
        """All rows are here: see what reading this relation by its name reaches."""
        schema, name, _, _ = self.relations[oid]
        access = self.qualified[schema, name] = self._follow(oid, ())
        other = self.unqualified.get(name, _NOTHING)
        tables, direct = other.tables | access.tables, other.direct | access.direct
        self.unqualified[name] = Access(other.why or access.why, tables, direct, other.bits | access.bits)

    def _follow(self, oid: int, above: tuple[int, ...]) -> Access:
        """Close a relation over what it is made of."""
        if oid in self.accesses:
            return self.accesses[oid]
        relation = self.relations.get(oid)
        if relation is None or oid in above:  # as a read, the catalogue had changed; views that read each other fail
            return Access("unknown name", _NOBODY, _NOBODY, 0)
        flags = relation.flags
        why = next((f"{why}: {relation.name}" for flag, why in _REASONS if flags & flag), "")
        tables = _NOBODY if flags & bits.VIEW else frozenset((oid,))
        if flags & bits.VIEW and not why and not flags & bits.SYSTEM:
            why = self.views.get(oid, "unknown name")
        may_be = (bits.TIME if flags & bits.HAS_TIME else 0) | (bits.DATE if flags & bits.HAS_DATE else 0)
        for below in relation.below:
            other = self._follow(below, (*above, oid))
            why = why or other.why
            tables |= other.tables
            may_be |= other.bits
        return self.accesses.setdefault(oid, Access(why, tables, frozenset((oid,)), may_be))
