"""Which nodes a raw parse tree may hold in a statement that is proven clean, and how its parts are found.

In the tree most nodes come wrapped with their type, `{"FuncCall": {...}}`; where a C struct has a field of one type,
the node stands bare. `TYPED` names those fields. What is not in these tables is no part of any proof: a new node, or a
new bare field, of a later grammar makes its statement unclean until somebody has read what it does.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from regional.grammar import Node

#: Nodes whose parts are nodes to be looked at in turn.
_BRANCHES: Final = (
    "SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt",
    "RangeVar", "RangeSubselect", "RangeFunction", "RangeTableSample", "RangeTableFunc", "RangeTableFuncCol",
    "JoinExpr", "ColumnDef", "CollateClause",
    "CommonTableExpr", "CTECycleClause", "OnConflictClause", "InferClause", "IndexElem", "MergeWhenClause",
    "ReturningClause", "WindowDef", "SortBy", "GroupingSet", "List", "ResTarget",
    "FuncCall", "NamedArgExpr", "TypeCast", "TypeName", "A_Expr", "A_Indirection", "A_Indices", "A_ArrayExpr",
    "BoolExpr", "NullTest", "BooleanTest", "CaseExpr", "CaseWhen", "CoalesceExpr", "MinMaxExpr", "RowExpr", "SubLink",
    "MultiAssignRef", "GroupingFunc", "XmlExpr", "XmlSerialize",
    "JsonKeyValue", "JsonValueExpr", "JsonOutput", "JsonObjectConstructor", "JsonArrayConstructor",
    "JsonArrayQueryConstructor", "JsonObjectAgg", "JsonArrayAgg", "JsonAggConstructor", "JsonIsPredicate",
    "JsonParseExpr", "JsonScalarExpr", "JsonSerializeExpr", "JsonFuncExpr", "JsonArgument", "JsonBehavior",
)  # fmt: skip

#: Nodes that end here: constants, names whose meaning is in the node around them, options that are words.
LEAVES: Final = frozenset({
    "A_Const", "A_Star", "ParamRef", "ColumnRef", "SetToDefault", "CurrentOfExpr", "SQLValueFunction", "String",
    "Integer", "Alias", "LockingClause", "CTESearchClause", "ReturningOption", "JsonFormat", "JsonReturning",
    "MergeSupportFunc",
})  # fmt: skip

#: The bare nodes of a node: field to type.
TYPED: Final[Mapping[str, Mapping[str, str]]] = {name: {} for name in _BRANCHES} | {
    "SelectStmt": {"larg": "SelectStmt", "rarg": "SelectStmt"},
    "InsertStmt": {"onConflictClause": "OnConflictClause", "returningClause": "ReturningClause"},
    "UpdateStmt": {"returningClause": "ReturningClause"},
    "DeleteStmt": {"returningClause": "ReturningClause"},
    "MergeStmt": {"returningClause": "ReturningClause"},
    "RangeVar": {"alias": "Alias"},
    "RangeSubselect": {"alias": "Alias"},
    "RangeFunction": {"alias": "Alias"},
    "RangeTableFunc": {"alias": "Alias"},
    "RangeTableFuncCol": {"typeName": "TypeName"},
    "JoinExpr": {"join_using_alias": "Alias", "alias": "Alias"},
    "ColumnDef": {"typeName": "TypeName", "collClause": "CollateClause"},
    "CommonTableExpr": {"search_clause": "CTESearchClause", "cycle_clause": "CTECycleClause"},
    "OnConflictClause": {"infer": "InferClause"},
    "FuncCall": {"over": "WindowDef"},
    "TypeCast": {"typeName": "TypeName"},
    "XmlSerialize": {"typeName": "TypeName"},
    "JsonKeyValue": {"value": "JsonValueExpr"},
    "JsonValueExpr": {"format": "JsonFormat"},
    "JsonOutput": {"typeName": "TypeName", "returning": "JsonReturning"},
    "JsonObjectConstructor": {"output": "JsonOutput"},
    "JsonArrayConstructor": {"output": "JsonOutput"},
    "JsonArrayQueryConstructor": {"output": "JsonOutput", "format": "JsonFormat"},
    "JsonObjectAgg": {"constructor": "JsonAggConstructor", "arg": "JsonKeyValue"},
    "JsonArrayAgg": {"constructor": "JsonAggConstructor", "arg": "JsonValueExpr"},
    "JsonAggConstructor": {"output": "JsonOutput", "over": "WindowDef"},
    "JsonIsPredicate": {"format": "JsonFormat"},
    "JsonParseExpr": {"expr": "JsonValueExpr", "output": "JsonOutput"},
    "JsonScalarExpr": {"output": "JsonOutput"},
    "JsonSerializeExpr": {"expr": "JsonValueExpr", "output": "JsonOutput"},
    "JsonFuncExpr": {
        "context_item": "JsonValueExpr", "output": "JsonOutput", "on_empty": "JsonBehavior", "on_error": "JsonBehavior",
    },
    "JsonArgument": {"val": "JsonValueExpr"},
}  # fmt: skip

#: Syntax that an older server, which does not know it, reads as a call of a function with one of these names.
LATER_SYNTAX: Final[Mapping[str, tuple[str, ...]]] = {
    "JsonObjectConstructor": ("json_object",),
    "JsonArrayConstructor": ("json_array",),
    "JsonArrayQueryConstructor": ("json_array",),
    "JsonObjectAgg": ("json_objectagg",),
    "JsonArrayAgg": ("json_arrayagg",),
    "JsonParseExpr": ("json",),
    "JsonScalarExpr": ("json_scalar",),
    "JsonSerializeExpr": ("json_serialize",),
    "JsonFuncExpr": ("json_exists", "json_query", "json_value"),
    "MergeSupportFunc": ("merge_action",),
}

#: What an older server calls instead of a function that a newer grammar puts in: extract is of 14, the other of 13.
FORMERLY: Final[Mapping[str, str]] = {"extract": "date_part", "similar_to_escape": "similar_escape"}

#: The type that stands for a node which no table knows.
STRANGER: Final = ""

#: Names from WITH clauses: without a schema they stand for no relation.
Scope = frozenset[str]
NO_SCOPE: Final[Scope] = frozenset()


def parts(kind: str, node: Node, *, without: tuple[str, ...] = ()) -> Iterator[tuple[str, Node]]:
    """Yield (type, node) for each node in NODE, a branch; a type that is in no table is for the caller to refuse."""
    typed = TYPED[kind]
    for field, value in node.items():
        if field in without:
            continue
        if value.__class__ is dict:
            if field in typed:
                yield typed[field], value
            else:
                yield from _unwrapped(value)
        elif value.__class__ is list:
            for item in value:
                if item.__class__ is dict:
                    yield from _unwrapped(item)
                elif item.__class__ is list:
                    yield STRANGER, {}


def _unwrapped(wrapped: Node) -> Iterator[tuple[str, Node]]:
    """A wrapped node; nothing at all stands for a NULL in a list."""
    if len(wrapped) == 1:
        ((kind, node),) = wrapped.items()
        yield (kind, node) if node.__class__ is dict else (STRANGER, {})
    elif wrapped:
        yield STRANGER, {}


def visit_parts(
    visit: Callable[[str, Node, Scope], None], kind: str, node: Node, scope: Scope, without: frozenset[str]
) -> None:
    """Visit the nodes in NODE, a branch; where the tree has another shape, this or the visitor raises."""
    typed = TYPED[kind]
    for field, value in node.items():
        if value.__class__ is list:
            if field not in without:
                for item in value:
                    for inner in item:
                        visit(inner, item[inner], scope)
        elif value.__class__ is dict and field not in without:
            if field in typed:
                visit(typed[field], value, scope)
            else:
                for inner in value:
                    visit(inner, value[inner], scope)


def with_queries(node: Node, scope: Scope) -> tuple[list[tuple[Node, Scope]], Scope]:
    """Return the queries of a statement's WITH clause, each with the names that it sees, and those its body sees."""
    clause = node.get("withClause")
    if clause is None:
        return [], scope
    queries: list[Node] = [item["CommonTableExpr"] for item in clause["ctes"]]
    inside = scope | {query["ctename"] for query in queries}
    visible = inside if clause.get("recursive") else scope
    found = []
    for query in queries:
        found.append((query, visible))
        visible |= {query["ctename"]}
    return found, inside


def names(items: list[Node]) -> list[str]:
    """Return the identifiers of a qualified name; `*` is left out."""
    return [item["String"].get("sval", "") for item in items if "String" in item]
