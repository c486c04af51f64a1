"""Whether an expression may be a string, or a time of day.

Of a string a cast to a date runs the date parser on data, where 'now' may stand; a time of day becomes one with a zone
without being asked, whose offset is today's. What is not shown to be none may be one. A column is none if no relation
of the statement has it as such, and nothing inside the statement gives its name to something else. A parameter is none:
its value and its type are looked at elsewhere. Nor is a constant: it was looked at.
"""

from typing import Final

from regional.cache.admitted import TRANSPARENT
from regional.cache.reach import Reach
from regional.cache.reach_query import STRING, TIME
from regional.grammar import Node
from regional.nodes import names

#: Names that expressions and functions give to columns by themselves (FigureColname in parse_target.c, OUT arguments).
_GIVEN: Final = frozenset({
    "key", "value", "case", "coalesce", "greatest", "least", "array", "row", "nullif", "exists", "grouping",
})  # fmt: skip
_CONSTANTS: Final = frozenset({"A_Const", "ParamRef"})
_TYPED_CONSTANTS: Final = frozenset({"ival", "fval", "boolval", "bsval"})
_NO_STRINGS: Final = frozenset({"BoolExpr", "NullTest", "BooleanTest", "GroupingFunc"})
_BOOLEAN: Final = frozenset({
    "AEXPR_OP_ANY", "AEXPR_OP_ALL", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT", "AEXPR_IN", "AEXPR_LIKE", "AEXPR_ILIKE",
    "AEXPR_SIMILAR", "AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN", "AEXPR_BETWEEN_SYM", "AEXPR_NOT_BETWEEN_SYM",
})  # fmt: skip


class Operands:
    """Looks at expressions of one statement, once all of it has been walked."""

    def __init__(self, reach: Reach, given: set[str], direct: set[int], *, has_open_names: bool) -> None:
        """given: what the statement gives names to. direct: the relations that it names. has_open_names: some of its
        columns have names that are not in its text."""
        self._reach = reach
        self._given = given
        self._harmless: set[str] = set()
        self._are_constants_open = False
        self._direct = direct
        self._has_open_names = has_open_names
        self._columns = reach.columns[STRING]
        self._bits = STRING

    def trust(self, targets: list[tuple[str, Node]]) -> None:
        """Take back from the given names those of columns of subqueries that are neither strings nor times of day.

        At first all are under suspicion, so what is taken back has been shown without what is still to be shown. A
        constant or parameter gets its type from what it is united with, so as a column it may be anything.
        """
        self._are_constants_open = True
        others = self._given
        while True:
            self._given = others | {name for name, _ in targets}
            left = [each for each in targets if self.may_be(STRING, [each[1]]) or self.may_be(TIME, [each[1]])]
            if len(left) == len(targets):
                self._are_constants_open = False
                return
            self._harmless |= {name for name, _ in targets}
            targets = left

    def may_be(self, wanted: int, operands: list[Node]) -> bool:
        """May one of them be of that bit of types?"""
        self._columns = self._reach.columns[wanted]
        self._bits = wanted | STRING  # what a function returns "any" of counts as a string
        return self._any(operands)

    def _may_be(self, wrapped: Node) -> bool:
        if not wrapped:
            return False  # an ELSE that is not there
        ((kind, node),) = wrapped.items()
        if kind in _CONSTANTS:
            return self._are_constants_open and not node.keys() & _TYPED_CONSTANTS
        if kind in _NO_STRINGS:
            return False
        look = _LOOKS.get(kind)
        return True if look is None else look(self, node)

    def _any(self, items: list[Node]) -> bool:
        return any(self._may_be(item) for item in items)

    def _column(self, node: Node) -> bool:
        last = node["fields"][-1]
        if "String" not in last or self._has_open_names:
            return True
        name = last["String"]["sval"]
        if name in self._given or name in _GIVEN or name.startswith("column"):
            return True
        if name not in self._reach.columns[STRING] and name not in self._harmless:
            return True
        return not self._columns.get(name, frozenset()).isdisjoint(self._direct)

    def _cast(self, node: Node) -> bool:
        found = self._reach.type(node["typeName"]["names"][-1]["String"]["sval"])
        return found is None or bool(found & self._bits)

    def _call(self, node: Node) -> bool:
        arguments = node.get("args", [])
        name = node["funcname"][-1]["String"]["sval"]
        if name in TRANSPARENT:
            return self._any(arguments) or self._any([item["SortBy"]["node"] for item in node.get("agg_order", ())])
        found = self._reach.function(name, len(arguments))
        return found is None or bool(found.bits & self._bits)

    def _expression(self, node: Node) -> bool:
        if node["kind"] in _BOOLEAN:
            return False
        if node["kind"] == "AEXPR_NULLIF":
            return self._may_be(node["lexpr"])
        name = node["name"][-1]["String"]["sval"]
        found = self._reach.operators.get((name, 2 if "lexpr" in node else 1))
        return found is None or bool(found.bits & self._bits)

    def _case(self, node: Node) -> bool:
        results = [item["CaseWhen"]["result"] for item in node["args"]]
        return self._any([*results, node.get("defresult", {})])

    def _list(self, node: Node) -> bool:
        return self._any([*node.get("args", ()), *node.get("elements", ())])

    def _sublink(self, node: Node) -> bool:
        if node["subLinkType"] not in {"EXPR_SUBLINK", "ARRAY_SUBLINK"}:
            return False
        return self._select(node["subselect"]["SelectStmt"])

    def _select(self, node: Node) -> bool:
        if "larg" in node:
            return self._select(node["larg"]) or self._select(node["rarg"])
        if "targetList" not in node:
            return True
        return self._any([item["ResTarget"]["val"] for item in node["targetList"]])

    def _indirection(self, node: Node) -> bool:
        if any("A_Indices" not in item for item in node["indirection"]):
            return True
        return self._may_be(node["arg"])


def name_given(wrapped: Node) -> str | None:
    """The name that a column without an alias takes from inside its expression, as FigureColname does."""
    ((kind, node),) = wrapped.items()
    match kind:
        case "TypeCast" | "CollateClause":
            return name_given(node["arg"])
        case "CaseExpr" if "defresult" in node:
            return name_given(node["defresult"])
        case "ColumnRef" | "A_Indirection":
            found = names(node.get("fields", node.get("indirection", [])))
            return found[-1] if found else name_given(node["arg"]) if "arg" in node else None
        case "SubLink":
            targets = node["subselect"]["SelectStmt"].get("targetList")
            return (
                None
                if not targets
                else targets[0]["ResTarget"].get("name") or name_given(targets[0]["ResTarget"]["val"])
            )
    return None


_LOOKS: Final = {
    "ColumnRef": Operands._column,
    "TypeCast": Operands._cast,
    "FuncCall": Operands._call,
    "A_Expr": Operands._expression,
    "CaseExpr": Operands._case,
    "CoalesceExpr": Operands._list,
    "MinMaxExpr": Operands._list,
    "A_ArrayExpr": Operands._list,
    "SubLink": Operands._sublink,
    "A_Indirection": Operands._indirection,
}
