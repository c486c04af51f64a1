"""What may no longer hold of kept answers once a statement has run: the tables it writes, or everything.

The commands are told apart by the grammar; a query, of whatever command, is walked for what it writes in a WITH and for
what it calls. Where the writes of a name go is the catalogue's to say (`effects.py`). DDL, what runs text or code that
is not seen (DO, CALL, EXECUTE), and every command that is not in a table here count as everything. Too much is always
allowed; one too few is a wrong row.

Rows that nobody keeps answers of do not count: sequences, temporary tables. Nor do commands that change none: VACUUM,
SET, LOCK, NOTIFY, FETCH (its cursor was judged when it was declared), and PREPARE TRANSACTION, since COMMIT PREPARED is
everything.
"""

from collections.abc import Callable
from typing import Final

from regional.cache.bodies import CASCADE, DELETE, INSERT, TRUNCATE, UPDATE
from regional.cache.effects import Effects
from regional.cache.reach import Reach
from regional.cache.verdicts import EVERYTHING, NOTHING, Writing
from regional.grammar import Node, parse
from regional.nodes import LATER_SYNTAX, LEAVES, NO_SCOPE, TYPED, Scope, names, visit_parts, with_queries

_OPAQUE: Final = Writing(everything=True)
_HARMLESS: Final = frozenset({
    "VariableSetStmt", "VariableShowStmt", "FetchStmt", "ClosePortalStmt", "LockStmt", "NotifyStmt", "ListenStmt",
    "UnlistenStmt", "DeallocateStmt", "LoadStmt", "DiscardStmt", "ConstraintsSetStmt", "CheckPointStmt", "VacuumStmt",
    "ReindexStmt", "ClusterStmt",
})  # fmt: skip
_CHANGES: Final = {
    "InsertStmt": INSERT,
    "UpdateStmt": UPDATE,
    "DeleteStmt": DELETE,
    "MergeStmt": INSERT | UPDATE | DELETE,
}
_QUERIES: Final = frozenset({"SelectStmt", *_CHANGES})

#: Functions behind syntax that older servers read in another way.
_PUT_IN: Final = frozenset({"extract", "is_normalized", "normalize", "similar_to_escape", "system_user", "timezone"})

_NAMING: Final = frozenset({
    "RangeVar", "FuncCall", "TypeName", "A_Expr", "SubLink", "SortBy", "A_Indirection",
})  # fmt: skip
#: Fields of a statement that are looked at where they stand, and such as hold names only.
_LOOKED_AT: Final = frozenset({"withClause", "relation", "intoClause"})
_NAMES: Final = frozenset({"funcname", "name", "operName", "useOp", "names"})


def written(sql: bytes, reach: Reach | None) -> Writing:
    """Return what the statements of a text write."""
    whole = NOTHING
    # A backslash is read in two ways, and which one counts is a setting of the session's.
    for escapes in (False, True) if b"\\" in sql else (False,):
        statements = parse(sql, escapes=escapes)
        if statements is None:
            return EVERYTHING
        try:
            for statement in statements:
                whole |= _of_statement(statement, reach)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError):  # a shape not foreseen
            return EVERYTHING
    return whole


def _of_statement(statement: Node, reach: Reach | None) -> Writing:
    ((kind, node),) = statement.items()
    if kind in _HARMLESS:
        return NOTHING
    if kind in _QUERIES:
        return _of_query(kind, node, reach)
    look = _LOOKS.get(kind)
    return _OPAQUE if look is None else look(node, reach)


def _of_query(kind: str, node: Node, reach: Reach | None) -> Writing:
    if kind == "SelectStmt" and "intoClause" in node:
        return _into(node["intoClause"], _walked("SelectStmt", node, reach))
    return _walked(kind, node, reach)


def _into(into: Node, query: Writing) -> Writing:
    """A new table is DDL; a temporary one is nobody else's."""
    return query if into["rel"].get("relpersistence") == "t" else query | _OPAQUE


def _walked(kind: str, node: Node, reach: Reach | None) -> Writing:
    if reach is None:
        return EVERYTHING
    effects = Effects(reach)
    _Walk(reach, effects).follow(kind, node)
    return effects.writing()


def _transaction(node: Node, reach: Reach | None) -> Writing:
    return EVERYTHING if node["kind"] == "TRANS_STMT_COMMIT_PREPARED" else NOTHING


def _unseen(node: Node, reach: Reach | None) -> Writing:
    return EVERYTHING


def _explain(node: Node, reach: Reach | None) -> Writing:
    if any(option["DefElem"]["defname"] == "analyze" for option in node.get("options", ())):
        return _of_statement(node["query"], reach)
    return NOTHING


def _query(node: Node, reach: Reach | None) -> Writing:
    return _of_statement(node["query"], reach)


def _copy(node: Node, reach: Reach | None) -> Writing:
    if "query" in node:
        return _query(node, reach)
    if reach is None:
        return EVERYTHING
    effects = Effects(reach)
    relation = node["relation"]
    if node.get("is_from"):
        effects.write_named(relation.get("schemaname"), relation["relname"], INSERT)
    else:
        effects.read_named(relation.get("schemaname"), relation["relname"])
    if "whereClause" in node:
        ((kind, condition),) = node["whereClause"].items()
        _Walk(reach, effects).follow(kind, condition)
    return effects.writing()


def _truncate(node: Node, reach: Reach | None) -> Writing:
    if reach is None:
        return _OPAQUE
    effects = Effects(reach)
    for item in node["relations"]:
        relation = item["RangeVar"]
        how = TRUNCATE | CASCADE if node.get("behavior") == "DROP_CASCADE" else TRUNCATE
        effects.write_named(relation.get("schemaname"), relation["relname"], how)
    return effects.writing()


def _refresh(node: Node, reach: Reach | None) -> Writing:
    if reach is None:
        return _OPAQUE
    effects = Effects(reach)
    relation = node["relation"]
    effects.write_named(relation.get("schemaname"), relation["relname"], INSERT)
    return effects.writing()


def _create_table(node: Node, reach: Reach | None) -> Writing:
    return NOTHING if node["relation"].get("relpersistence") == "t" else _OPAQUE


def _create_table_as(node: Node, reach: Reach | None) -> Writing:
    return _into(node["into"], _of_statement(node["query"], reach))


_LOOKS: Final[dict[str, Callable[[Node, Reach | None], Writing]]] = {
    "TransactionStmt": _transaction,
    "CallStmt": _unseen,
    "DoStmt": _unseen,
    "ExecuteStmt": _unseen,
    "ExplainStmt": _explain,
    "DeclareCursorStmt": _query,
    "PrepareStmt": _query,
    "CopyStmt": _copy,
    "TruncateStmt": _truncate,
    "RefreshMatViewStmt": _refresh,
    "CreateStmt": _create_table,
    "CreateTableAsStmt": _create_table_as,
}


class _Walk:
    """Follows each node of a query once."""

    def __init__(self, reach: Reach, effects: Effects) -> None:
        self._reach = reach
        self._effects = effects

    def follow(self, kind: str, node: Node) -> None:
        self._visit(kind, node, NO_SCOPE)

    def _visit(self, kind: str, node: Node, scope: Scope) -> None:
        if kind == "ColumnRef":
            for name in names(node["fields"][1:]):
                self._effects.call_named(name)
        elif kind in LATER_SYNTAX:
            for name in LATER_SYNTAX[kind]:
                self._effects.call_named(name)
        if kind in LEAVES or self._effects.everything:
            return
        if kind not in TYPED:
            self._effects.know_nothing()
            return
        is_statement = kind.endswith("Stmt")
        if is_statement:
            scope = self._enter(kind, node, scope)
        elif kind in _NAMING:
            self._look(kind, node, scope)
        visit_parts(self._visit, kind, node, scope, _LOOKED_AT if is_statement else _NAMES)

    def _enter(self, kind: str, node: Node, scope: Scope) -> Scope:
        """Count what a statement writes, follow its WITH clause, and return the names that its body sees."""
        if kind in _CHANGES:
            relation = node["relation"]
            how = _CHANGES[kind]
            if node.get("onConflictClause", {}).get("action") == "ONCONFLICT_UPDATE":
                how |= UPDATE
            self._effects.write_named(relation.get("schemaname"), relation["relname"], how)
        queries, inside = with_queries(node, scope)
        for query, visible in queries:
            self._visit("CommonTableExpr", query, visible)
        return inside

    def _look(self, kind: str, node: Node, scope: Scope) -> None:
        effects = self._effects
        match kind:
            case "RangeVar" if "schemaname" in node or node["relname"] not in scope:
                effects.read_named(node.get("schemaname"), node["relname"])
            case "FuncCall":
                self._call(names(node["funcname"])[-1])
            case "TypeName":
                for name in names(node.get("names", [])):
                    effects.call_named(name)
            case "A_Expr":
                if "BETWEEN" not in node["kind"]:
                    self._operator(node["name"])
            case "SubLink" | "SortBy":
                self._operator(node.get("operName") or node.get("useOp") or [])
            case "A_Indirection":
                for name in names(node["indirection"]):
                    effects.call_named(name)

    def _call(self, name: str) -> None:
        """A name that is not in the snapshot may have been made since; not if only a newer grammar has put it in."""
        reach = self._reach
        if name in reach.functions or reach.type(name) is not None or name in _PUT_IN:
            self._effects.call_named(name)
        else:
            self._effects.know_nothing()

    def _operator(self, items: list[Node]) -> None:
        for name in names(items):
            self._effects.call_all(self._reach.operator_functions.get(name, ()))
            if (name, 1) not in self._reach.operators and (name, 2) not in self._reach.operators:
                self._effects.know_nothing()
