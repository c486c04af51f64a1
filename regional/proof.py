"""The proof that a query or a row change leaves nothing: every name in its tree is followed to what the catalogue says.

The walk visits each node once, with its own stack, so that no depth of nesting is too deep. It adds up a residue and
never takes anything away; a node that it does not know adds `DISCARD`. Names that come from a WITH clause are tracked,
because they are no relations; all other names are the catalogue's, whatever the search_path.

Three things that look harmless are calls: `t.name` and `(value).name`, if there is a function or type `name`; a cast to
a domain; newer syntax, for a server so old that it reads it as a function's name.
"""

from typing import Final

from regional.builtins import EFFECTS
from regional.catalog import Catalog, Relation
from regional.grammar import Node
from regional.nodes import FORMERLY, LATER_SYNTAX, LEAVES, NO_SCOPE, TYPED, Scope, names, parts, with_queries
from regional.residue import Residue

#: Set for a transaction only, these still change what comes after: the random generator stays seeded, and in another
#: encoding the statements of the transaction are not what we read.
UNCLEAN_LOCALLY: Final = {"seed": Residue.SETTINGS | Residue.CLOSES, "client_encoding": Residue.SETTINGS}

#: Who asks, and where names are looked up: forgetting these silently would change what a statement means.
GIVES_MEANING: Final = frozenset({"role", "session_authorization", "row_security", "search_path"})

_SAMPLERS: Final = frozenset({"bernoulli", "system"})
_UNKNOWN: Final = Relation(Residue.UNSEEN, Residue.UNSEEN)


class Proof:
    """What the nodes followed so far may leave."""

    def __init__(self, catalog: Catalog | None) -> None:
        self.residue = Residue.CLEAN
        self.reads_literals = False
        """The value of some constant has counted, not only its being there."""
        self.catalog = catalog
        self._todo: list[tuple[str, Node, Scope]] = []
        self._may_default = False  # an UPDATE of a table whose defaults call nextval()

    def add(self, residue: Residue) -> None:
        if residue:
            self.residue |= residue

    def follow(self, kind: str, node: Node) -> None:
        """Add what this node and everything in it may leave."""
        if self.catalog is not None:
            self.add(self.catalog.every)
        todo = self._todo
        todo.append((kind, node, NO_SCOPE))
        while todo:
            self._visit(*todo.pop())

    def follow_wrapped(self, wrapped: Node) -> None:
        ((kind, node),) = wrapped.items()
        self.follow(kind, node)

    def read(self, relation: Node) -> None:
        """Add what reading a bare RangeVar may leave."""
        self.add(self._relation(relation).read)

    def write(self, kind: str, relation: Node) -> None:
        """Add what writing to a bare RangeVar may leave. Only some writes call the defaults."""
        residue = self._relation(relation).write
        if residue is Residue.SEQUENCES and kind in {"UpdateStmt", "DeleteStmt"}:
            self._may_default = True
        else:
            self.add(residue)

    def _visit(self, kind: str, node: Node, scope: Scope) -> None:
        if kind in LATER_SYNTAX:
            self._later_syntax(kind)
        if kind in LEAVES:
            self._leaf(kind, node)
            return
        if kind not in TYPED:
            self.add(Residue.UNSEEN)
            return
        without: tuple[str, ...] = ()
        if kind.endswith("Stmt"):
            scope = self._enter(node, scope)
            without = ("withClause", "relation", "intoClause")
            if kind != "SelectStmt":
                self.write(kind, node["relation"])
            elif "intoClause" in node:
                into = node["intoClause"]
                self.add(residue_of_new(into.get("rel", {}), into.get("onCommit")))
        else:
            self._check(kind, node, scope)
        self._todo += [(part, inner, scope) for part, inner in parts(kind, node, without=without)]

    def _enter(self, node: Node, scope: Scope) -> Scope:
        """Follow the WITH clause of a statement, and return the names that its body sees."""
        queries, inside = with_queries(node, scope)
        self._todo += [("CommonTableExpr", query, visible) for query, visible in queries]
        return inside

    def _check(self, kind: str, node: Node, scope: Scope) -> None:
        """Look at the names that a branch itself has."""
        match kind:
            case "RangeVar" if "schemaname" in node or node.get("relname") not in scope:
                self.read(node)
            case "FuncCall":
                self._call(node)
            case "TypeName":
                self._type(node)
            case "A_Expr" if "BETWEEN" not in node["kind"]:  # which names no operator
                self._operator(node["name"])
            case "SubLink" | "SortBy":
                self._operator(node.get("operName") or node.get("useOp"))
            case "A_Indirection":
                self._attributes(names(node["indirection"]))
            case "RangeTableSample":
                self._sampler(names(node["method"]))
            case "IndexElem" if "opclass" in node:
                self.add(Residue.UNSEEN)

    def _leaf(self, kind: str, node: Node) -> None:
        if kind == "ColumnRef":
            fields = node["fields"]
            if len(fields) > 1:
                self._attributes(names(fields[1:]))
        elif kind == "SetToDefault" and self._may_default:
            self.add(Residue.SEQUENCES)

    def _relation(self, node: Node) -> Relation:
        if self.catalog is None:
            return _UNKNOWN
        return self.catalog.relation(node.get("schemaname"), node.get("relname", ""))

    def _call(self, node: Node) -> None:
        """A schema before the name proves nothing: some syntax becomes pg_catalog.name() only in a newer grammar."""
        name = names(node["funcname"])[-1]
        if self.catalog is None:
            self.add(EFFECTS.get(name, Residue.UNSEEN))
            if name == "set_config":
                self._set_config(node)
        elif name == "set_config" and name not in self.catalog.shadowed:
            self._set_config(node)
        elif name in FORMERLY and name not in self.catalog.functions:
            self.add(self.catalog.function(FORMERLY[name]))
            self._attributes([name])  # written by hand it may be a cast
        else:
            self.add(self.catalog.function(name))

    def _set_config(self, node: Node) -> None:
        self.reads_literals = True
        match node.get("args"):
            case [{"A_Const": {"sval": {"sval": str(name)}}}, _, {"A_Const": {"boolval": {"boolval": True}}}]:
                self.add(UNCLEAN_LOCALLY.get(name.lower(), Residue.CLEAN))
            case [{"A_Const": {"sval": {"sval": str(name)}}}, *_]:
                self.add(UNCLEAN_LOCALLY.get(name.lower(), Residue.SETTINGS))
                if name.lower() in GIVES_MEANING:
                    self.add(Residue.CHANGES_MEANING)
            case _:
                self.add(Residue.SETTINGS)

    def _type(self, node: Node) -> None:
        found = names(node.get("names", []))
        if not found or self.catalog is None or node.get("setof") or node.get("pct_type"):
            self.add(Residue.UNSEEN)
        else:
            self.add(self.catalog.type(found[-1]))

    def _operator(self, items: list[Node] | None) -> None:
        """What is written without an operator uses the comparison operators; Catalog.every answers for those."""
        if items is None:
            return
        found = names(items)
        if self.catalog is None or not found:
            self.add(Residue.UNSEEN)
        else:
            self.add(self.catalog.operators.get(found[-1], Residue.UNSEEN))

    def _attributes(self, found: list[str]) -> None:
        for name in found:
            if self.catalog is None:
                self.add(EFFECTS.get(name, Residue.CLEAN))
            elif name in self.catalog.attributes:
                self.add(self.catalog.attributes[name])

    def _sampler(self, found: list[str]) -> None:
        if self.catalog is None or found[-1] not in _SAMPLERS or found[-1] in self.catalog.shadowed:
            self.add(Residue.UNSEEN)

    def _later_syntax(self, kind: str) -> None:
        for name in LATER_SYNTAX[kind]:
            if self.catalog is None or name in self.catalog.shadowed:
                self.add(Residue.UNSEEN)


def residue_of_new(relation: Node, on_commit: str | None) -> Residue:
    """A new relation, a bare RangeVar, and whatever computed its rows. A temporary one is not in the catalogue."""
    if relation.get("relpersistence") != "t":
        return Residue.DISCARD | Residue.CATALOG
    return Residue.DISCARD if on_commit == "ONCOMMIT_DROP" else Residue.DISCARD | Residue.MAKES_TEMPORARY
