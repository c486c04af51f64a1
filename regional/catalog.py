"""What the origin's catalogue says about names: what a statement that uses one may leave behind.

The answers come from `CATALOG_QUERY` (how it finds them is told there); this is the pure lookup. Names are looked up
without search_path, which any client may change: an unqualified relation is as harmful as the worst of that name in any
schema, a function as the worst of all its overloads. A name that the snapshot does not know is no proof of anything.

A catalogue is a snapshot and ages: DDL that went another way is noticed when the next one is read. DDL that was seen
(`Residue.CATALOG`) makes it wrong at once.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Final, NamedTuple

import attrs

from regional.builtins import EFFECTS
from regional.catalog_query import CATALOG_QUERY as CATALOG_QUERY  # noqa: PLC0414 - handed on from here
from regional.residue import Residue
from regional.slices import SLICE, Slices, at_once

#: The bits of the query's answer, from the lowest.
_BITS: Final = (Residue.DISCARD, Residue.CLOSES, Residue.STATEMENTS, Residue.CATALOG, Residue.SEQUENCES, Residue.HIDES)
_HIDES: Final = 1 << _BITS.index(Residue.HIDES)
_RESIDUES: Final = tuple(
    reduce(or_, (residue for bit, residue in enumerate(_BITS) if bits >> bit & 1), Residue.CLEAN)
    for bits in range(1 << len(_BITS))
)


class Relation(NamedTuple):
    """What reading a relation may leave, and what writing it may."""

    read: Residue
    write: Residue


_UNKNOWN: Final = Relation(Residue.DISCARD, Residue.DISCARD)


@attrs.frozen(eq=False)
class Catalog:
    """One snapshot."""

    functions: Mapping[str, Residue]
    """Every function's name; clean if all of its overloads are, and no harmful type is called the same."""
    shadowed: frozenset[str]
    """Names of which a harmful function of the user's exists."""
    attributes: Mapping[str, Residue]
    """Harmful names that `value.name` would call: functions, and types as casts."""
    operators: Mapping[str, Residue]
    types: Mapping[str, Residue]
    type_oids: Mapping[int, Residue]
    """Types of the user's."""
    qualified: Mapping[tuple[str, str], Relation]
    unqualified: Mapping[str, Relation]
    every: Residue = Residue.CLEAN
    """What any statement may leave: a harmful operator or cast replaces a built-in one."""
    makes_temporary: bool = True
    """Whether functions may make temporary objects."""
    hides: bool = True
    """Whether anything of the user's may run DDL unseen."""
    is_utf8: bool = False
    """The server's encoding: a text outside ASCII is only read as the server reads it if that is UTF-8."""
    shape: str = ""
    """A digest of what PostgreSQL describes statements by: two that differ do not describe all of them alike."""
    digest: str = ""
    """Of all of it."""

    @classmethod
    def from_rows(cls, rows: Iterable[Sequence[bytes | None]]) -> "Catalog":
        """Make one of the rows of CATALOG_QUERY, in text format. Raises ValueError if they are no such thing."""
        return at_once(cls.making(rows, ""))

    @classmethod
    def making(cls, rows: Iterable[Sequence[bytes | None]], digest: str) -> "Slices[Catalog]":
        """The same, in slices."""
        builder = _Builder()
        for number, row in enumerate(rows):
            builder.add(row)
            if number % SLICE == 0:
                yield
        return (yield from builder.build(digest))

    def function(self, name: str) -> Residue:
        residue = self.functions.get(name)
        return EFFECTS.get(name, Residue.UNSEEN) if residue is None else residue

    def relation(self, schema: str | None, name: str) -> Relation:
        if schema is None:
            return self.unqualified.get(name, _UNKNOWN)
        return self.qualified.get((schema, name), _UNKNOWN)

    def type(self, name: str) -> Residue:
        """The residue of making a value of a type; a table's row type is as harmless as reading the table."""
        known = self.types.get(name)
        relation = self.unqualified.get(name)
        if known is None:
            return Residue.DISCARD if relation is None else relation.read
        return known if relation is None else known | relation.read


@attrs.define
class _Builder:
    """Gathers rows; see `regional/catalog_query.py` for what they mean."""

    functions: dict[str, tuple[int, int]] = attrs.field(factory=dict)
    operators: dict[str, Residue] = attrs.field(factory=dict)
    types: dict[str, Residue] = attrs.field(factory=dict)
    type_oids: dict[int, Residue] = attrs.field(factory=dict)
    relations: dict[tuple[str, str], Relation] = attrs.field(factory=dict)
    every: Residue = Residue.CLEAN
    encoding: str = ""
    makes_temporary: bool = True
    hides: bool = False
    shape: str = ""

    def add(self, row: Sequence[bytes | None]) -> None:
        kind, schema, name, oid, read, write = (b"" if value is None else value for value in row)
        text = name.decode("utf-8", "surrogateescape")
        first, second = int(read), int(write)
        if (second if kind == b"f" else first | second) & _HIDES:
            self.hides = True
        match kind:
            case b"f":
                self.functions[text] = first, second
            case b"o":
                self.operators[text] = _RESIDUES[first]
            case b"t":
                self.types[text] = self.types.get(text, Residue.CLEAN) | _RESIDUES[first]
                self.type_oids[int(oid)] = _RESIDUES[first]
            case b"r":
                self.relations[schema.decode("utf-8", "surrogateescape"), text] = Relation(
                    _RESIDUES[first], _RESIDUES[second]
                )
            case b"x":
                self.every |= _RESIDUES[first]
            case b"v":
                self.encoding = text
                self.makes_temporary = first > 0
            case b"s":
                self.shape = text
            case _:
                raise ValueError(f"a row of kind {kind!r}")

    def build(self, digest: str) -> Slices[Catalog]:
        if not self.encoding:
            raise ValueError("rows are missing")
        unqualified = self._unqualified()
        yield
        harmful = {name: relation.read for name, relation in unqualified.items() if relation.read}
        for name, residue in self.types.items():
            if residue:
                harmful[name] = residue | harmful.get(name, Residue.CLEAN)
        functions = {}
        for number, name in enumerate(self.functions):
            functions[name] = self._function(name, harmful)
            if number % SLICE == 0:
                yield
        return Catalog(
            functions=functions,
            shadowed=frozenset(name for name, (_, user) in self.functions.items() if user),
            attributes=harmful | {name: residue for name, residue in functions.items() if residue},
            operators=self.operators,
            types=self.types,
            type_oids=self.type_oids,
            qualified=self.relations,
            unqualified=unqualified,
            every=self.every,
            makes_temporary=self.makes_temporary,
            hides=self.hides,
            is_utf8=self.encoding == "UTF8",
            shape=self.shape,
            digest=digest,
        )

    def _function(self, name: str, harmful_types: Mapping[str, Residue]) -> Residue:
        """A call with one argument may be a cast to the type of that name."""
        builtin, user = self.functions[name]
        residue = harmful_types.get(name, Residue.CLEAN)
        if builtin or user:
            residue |= EFFECTS.get(name, _RESIDUES[builtin]) | _RESIDUES[user]
        return residue

    def _unqualified(self) -> dict[str, Relation]:
        worst: dict[str, Relation] = {}
        for (_, name), relation in self.relations.items():
            other = worst.get(name)
            if other is None or other is relation:
                worst[name] = relation
            else:
                worst[name] = Relation(other.read | relation.read, other.write | relation.write)
        return worst
