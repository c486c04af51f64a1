"""What a statement reads, and whether its answer may be kept: every name in its tree is followed to the catalogue.

The walk knows the nodes that a plain query is made of; another node, another name, another shape of the tree is a
reason against. A statement is of the first class that is found, with a detail behind a colon where there is one:

- not a read, several statements, not understood, too long
- bypassed: its first comment says so (`bypass.py`)
- locks rows, writes (in a WITH), stores (INTO), sampled
- volatile function, stable function, date word: the answer depends on more than tables and settings
- no table: who asks `SELECT 1` wants to know whether the database is there
- temporary table, system table, foreign table, unlogged table, row security, system column
- unknown name, type: what is not in the snapshot, or has functions that nobody vouches for
- catalogue unknown: there is no snapshot yet

Types decide, not names. A function or operator passes if all of its overloads with that many arguments pass. That a
user's function is IMMUTABLE is believed. A cast to a date passes if what it casts is shown to be no string, for else
the date parser runs on data, where 'now' may stand (`operands.py`); so does AT TIME ZONE of what is no time of day.
"""

from collections.abc import Callable
from typing import Final

from regional.cache.allowed import (
    BRANCHES,
    CONSTANTS,
    LEAVES,
    LOOKED_AT,
    NAMING,
    ODD_TYPES,
    OWN_NAMES,
    SYSTEM_COLUMNS,
    WRITES,
    RefusedError,
)
from regional.cache.operands import Operands, name_given
from regional.cache.reach import VERDICTS, Reach
from regional.cache.reach_query import DATE, MAKES_TIME, REFUSED, STRING, TIME
from regional.cache.verdicts import Reading
from regional.cache.words import has_date_word as has_date_word  # noqa: PLC0414 - handed on from here
from regional.grammar import Node, parse
from regional.nodes import LATER_SYNTAX, NO_SCOPE, Scope, names, visit_parts, with_queries

MAX_BYTES: Final = 64 << 10

_NO_NAME: Final = {"sval": ""}
_JSON: Final = LATER_SYNTAX.keys() & BRANCHES
_JSON_NAMES: Final = tuple(name for kind in _JSON for name in LATER_SYNTAX[kind])


class Read:
    """The walk over one statement."""

    def __init__(self, reach: Reach) -> None:
        self.tables: set[int] = set()
        self.zoned: list[Node] = []
        self._reach = reach
        self._direct: set[int] = set()
        self._names: set[str] = set()
        self._targets: list[tuple[str, Node]] = []
        self._casts: list[Node] = []
        self._has_time = False
        self._has_open_names = False
        self._top: set[int] = set()

    def follow(self, select: Node) -> None:
        """Raises RefusedError if the answer may not be kept."""
        if self._reach.is_replaced:
            raise RefusedError("stable function: an operator or cast of the database's own")
        self._top.add(id(select))
        self._visit("SelectStmt", select, NO_SCOPE)
        self._finish()

    def _visit(self, kind: str, node: Node, scope: Scope) -> None:
        if kind in LEAVES:
            return
        check = _CHECKS.get(kind)
        if check is not None:
            inside = check(self, node, scope)
            if inside is not None:
                visit_parts(self._visit, kind, node, inside, LOOKED_AT)
        elif kind in BRANCHES:
            visit_parts(self._visit, kind, node, scope, LOOKED_AT)
        else:
            raise RefusedError(f"writes: {kind}" if kind in WRITES else f"not understood: {kind}")

    def _finish(self) -> None:
        if not self.tables:
            raise RefusedError("no table")
        if not (self._casts or (self._has_time and self.zoned)):
            return
        operands = Operands(self._reach, self._names, self._direct, has_open_names=self._has_open_names)
        operands.trust(self._targets)
        if operands.may_be(STRING, self._casts):
            raise RefusedError("date word: in a text that is cast")
        if self._has_time and operands.may_be(TIME, self.zoned):
            raise RefusedError("stable function: timezone")

    def _sample(self, node: Node, scope: Scope) -> None:
        raise RefusedError("sampled")

    def _select(self, node: Node, scope: Scope) -> Scope:
        if "intoClause" in node:
            raise RefusedError("stores")
        if "lockingClause" in node:
            raise RefusedError("locks rows")
        if id(node) in self._top:
            self._top.update(id(node[arm]) for arm in ("larg", "rarg") if arm in node)
        else:
            for target in node.get("targetList", ()):
                self._name_target(target["ResTarget"])
        queries, inside = with_queries(node, scope)
        for query, visible in queries:
            self._visit("CommonTableExpr", query, visible)
        return inside

    def _name_target(self, target: Node) -> None:
        """A column of a subquery has a name that is not a table's column's: by an alias, or out of an expression."""
        value = target["val"]
        column = value.get("ColumnRef")
        own = None if column is None else column["fields"][-1].get("String", {}).get("sval")
        name = target.get("name") or (name_given(value) if column is None else None)
        if name is not None and name != own:
            self._targets.append((name, value))

    def _with(self, node: Node, scope: Scope) -> Scope:
        self._names.update(names(node.get("aliascolnames", [])))
        return scope

    def _alias(self, node: Node, scope: Scope) -> None:
        self._names.add(node["aliasname"])
        self._names.update(names(node.get("colnames", [])))

    def _relation(self, node: Node, scope: Scope) -> Scope:
        schema, name = node.get("schemaname"), node["relname"]
        if schema is None and name in scope:
            return scope
        access = self._reach.relation(schema, name)
        if access is None:
            is_temporary = schema is not None and schema.startswith("pg_temp")
            raise RefusedError(f"{'temporary table' if is_temporary else 'unknown name'}: {name}")
        if access.why:
            raise RefusedError(access.why)
        self.tables |= access.tables
        self._direct |= access.direct
        if access.bits & TIME:
            self._has_time = True
        return scope

    def _function_in_from(self, node: Node, scope: Scope) -> Scope:
        if "coldeflist" in node:
            raise RefusedError("not understood: a column definition list")
        for item in node["functions"]:
            call = item["List"]["items"][0].get("FuncCall")
            if call is None or call["funcname"][-1]["String"]["sval"] not in NAMING:
                self._has_open_names = True
        return scope

    def _call(self, node: Node, scope: Scope) -> Scope:
        name = node["funcname"][-1]["String"]["sval"]
        arguments = node.get("args", ())
        count = len(arguments)
        if "agg_within_group" in node:
            count += len(node["agg_order"])
        reach = self._reach
        found = reach.function(name, count)
        self._names.add(name)
        if count == 1 and (type_bits := reach.type(name)) is not None:  # it may be a cast
            self._cast_to(name, type_bits, arguments[0])
        elif found is None:
            raise RefusedError(f"unknown name: {name}")
        if found is not None:
            if found.verdict:
                raise RefusedError(f"{VERDICTS[found.verdict]}: {name}")
            if found.bits & MAKES_TIME:
                self._has_time = True
        if name == "timezone":
            self.zoned.append(arguments[-1])
        return scope

    def _cast_to(self, name: str, type_bits: int | None, operand: Node | None) -> None:
        if type_bits is None or type_bits & REFUSED:
            raise RefusedError(f"type: {name}")
        if type_bits & TIME:
            self._has_time = True
        if type_bits & DATE and (operand is None or not operand.keys() & CONSTANTS):
            self._casts.append({"RowExpr": {}} if operand is None else operand)

    def _cast(self, node: Node, scope: Scope) -> Scope:
        wanted = node["typeName"]
        if wanted.keys() & ODD_TYPES:
            raise RefusedError("type: not understood")
        name = names(wanted["names"])[-1]
        self._names.add(name)
        self._cast_to(name, self._reach.type(name), node["arg"])
        return scope

    def _operator(self, node: Node, scope: Scope) -> Scope:
        if "BETWEEN" in node["kind"]:
            return scope
        name = node["name"][-1]["String"]["sval"]
        found = self._reach.operators.get((name, 2 if "lexpr" in node else 1))
        if found is None:
            raise RefusedError(f"unknown name: {name}")
        if found.verdict:
            raise RefusedError(f"{VERDICTS[found.verdict]}: {name}")
        if found.bits & MAKES_TIME:
            self._has_time = True
        return scope

    def _named_operator(self, node: Node, scope: Scope) -> Scope:
        name = node.get("operName") or node.get("useOp")
        return self._operator({"kind": "", "name": name, "lexpr": None}, scope) if name else scope

    def _constant(self, node: Node, scope: Scope) -> None:
        value = node.get("sval")
        if value is not None and "sval" in value and has_date_word(value["sval"].encode("utf-8", "surrogatepass")):
            raise RefusedError("date word")

    def _column(self, node: Node, scope: Scope) -> None:
        fields = node["fields"]
        name = fields[-1].get("String", _NO_NAME)["sval"]
        if name in SYSTEM_COLUMNS:
            raise RefusedError(f"system column: {name}")
        if len(fields) > 1 and name in self._reach.row_functions:
            self._attribute(name)

    def _indirection(self, node: Node, scope: Scope) -> Scope:
        for item in node["indirection"]:
            if "String" in item:
                self._attribute(item["String"]["sval"])
                type_bits = self._reach.type(item["String"]["sval"])
                if type_bits is not None:
                    self._cast_to(item["String"]["sval"], type_bits, None)
        return scope

    def _attribute(self, name: str) -> None:
        """`value.name` may call a function."""
        found = self._reach.function(name, 1)
        if found is not None and found.verdict:
            raise RefusedError(f"{VERDICTS[found.verdict]}: {name}")
        type_bits = self._reach.type(name)
        if type_bits is not None and type_bits & REFUSED:
            raise RefusedError(f"type: {name}")

    def _value(self, node: Node, scope: Scope) -> None:
        if node["op"] not in OWN_NAMES:
            raise RefusedError(f"stable function: {node['op'].removeprefix('SVFOP_').lower()}")
        self._names.add(node["op"].removeprefix("SVFOP_").lower())

    def _json(self, node: Node, scope: Scope) -> Scope:
        """Newer syntax, which an older server reads as a call."""
        if "output" in node or "output" in node.get("constructor", {}):
            raise RefusedError("not understood: RETURNING")
        for name in _JSON_NAMES:
            if any(overload.verdict for overload in self._reach.functions.get(name, ())):
                raise RefusedError(f"volatile function: {name}")
        return scope


#: What returns None ends here.
_CHECKS: Final[dict[str, Callable[[Read, Node, Scope], Scope | None]]] = {
    "SelectStmt": Read._select,
    "CommonTableExpr": Read._with,
    "Alias": Read._alias,
    "RangeVar": Read._relation,
    "RangeFunction": Read._function_in_from,
    "RangeTableSample": Read._sample,
    "FuncCall": Read._call,
    "TypeCast": Read._cast,
    "A_Expr": Read._operator,
    "SubLink": Read._named_operator,
    "SortBy": Read._named_operator,
    "A_Const": Read._constant,
    "ColumnRef": Read._column,
    "A_Indirection": Read._indirection,
    "SQLValueFunction": Read._value,
    **dict.fromkeys(_JSON, Read._json),
}


def read(sql: bytes, reach: Reach) -> tuple[Reading, bool]:
    """Return what a text reads, and whether a time of day among its parameters would change that."""
    tables: set[int] = set()
    calls_timezone = False
    # A backslash is read in two ways, and which one counts is a setting of the session's.
    for escapes in (False, True) if b"\\" in sql else (False,):
        statements = parse(sql, escapes=escapes)
        if statements is None:
            return Reading("not understood"), False
        if len(statements) != 1:
            return Reading("several statements" if statements else "not a read"), False
        ((kind, node),) = statements[0].items()
        if kind != "SelectStmt":
            return Reading("not a read"), False
        walk = Read(reach)
        try:
            walk.follow(node)
        except RefusedError as refused:
            return Reading(str(refused)), False
        except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError):  # a shape not foreseen
            return Reading("not understood"), False
        tables |= walk.tables
        calls_timezone |= bool(walk.zoned)
    return Reading(tables=frozenset(tables)), calls_timezone
