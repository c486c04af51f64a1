"""What a query may be made of if its answer is to be kept: nodes of the tree, and names with a meaning of their own."""

from typing import Final

#: Nodes whose parts are looked at; another node is not understood.
BRANCHES: Final = frozenset({
    "SelectStmt", "RangeVar", "RangeSubselect", "RangeFunction", "JoinExpr", "CollateClause", "CommonTableExpr",
    "WindowDef", "SortBy", "GroupingSet", "List", "ResTarget", "FuncCall", "NamedArgExpr", "TypeCast", "A_Expr",
    "A_Indirection", "A_Indices", "A_ArrayExpr", "BoolExpr", "NullTest", "BooleanTest", "CaseExpr", "CaseWhen",
    "CoalesceExpr", "MinMaxExpr", "RowExpr", "SubLink", "GroupingFunc", "JsonIsPredicate", "JsonKeyValue",
    "JsonValueExpr", "JsonObjectConstructor", "JsonArrayConstructor", "JsonObjectAgg", "JsonArrayAgg",
    "JsonAggConstructor",
})  # fmt: skip
LEAVES: Final = frozenset({"A_Star", "ParamRef", "String", "Integer", "CTESearchClause", "JsonFormat"})
WRITES: Final = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})
#: Fields that are looked at where they stand.
LOOKED_AT: Final = frozenset({
    "typeName", "withClause", "funcname", "name", "operName", "useOp", "aliascolnames", "colnames", "usingClause",
    "collname",
})  # fmt: skip
CONSTANTS: Final = frozenset({"A_Const", "ParamRef"})
ODD_TYPES: Final = frozenset({"setof", "pct_type"})
#: Who asks, and where; constant for a key.
OWN_NAMES: Final = frozenset({
    "SVFOP_CURRENT_CATALOG", "SVFOP_CURRENT_ROLE", "SVFOP_CURRENT_USER", "SVFOP_SESSION_USER", "SVFOP_USER",
})  # fmt: skip
#: They change although no row does: VACUUM FULL moves rows, locks mark them.
SYSTEM_COLUMNS: Final = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax"})
#: Functions whose columns, in a FROM, have names that are known: their own, `key`, `value`.
NAMING: Final = frozenset({
    "generate_series", "generate_subscripts", "json_array_elements", "json_array_elements_text", "json_each",
    "json_each_text", "json_object_keys", "jsonb_array_elements", "jsonb_array_elements_text", "jsonb_each",
    "jsonb_each_text", "jsonb_object_keys", "regexp_matches", "regexp_split_to_table", "string_to_table", "unnest",
})  # fmt: skip


class RefusedError(Exception):
    """A reason against; its text is the class and the detail."""
