"""Which requests an edge may remember the answers of: drivers' and ORMs' questions at connect, and their settings.

A request is a **fact** if its answer, and what it does to its session, are a function of the session's settings and of
the catalogue, and of nothing else. Three kinds, by how long that holds:

- *settings*: SET and RESET, `set_config` with constants, and what an asyncpg pool says when a connection is given
  back. Outside of a transaction only, for else they would be undone with it.
- *lasting*: `version()`, and SHOW of a parameter that PostgreSQL reports: the pool node hears when it changes, and
  tells the edges.
- *catalogue*: reading PostgreSQL's own catalogue of types, tables and the like, `current_schema()`, SHOW of anything
  else. It holds until DDL is seen, and for 30 s at most (edge/memos.py), for DDL may go another way.

It is judged by PostgreSQL's grammar, on one statement that is alone between two sync points and did not fail; what is
not in these lists is no fact. A `SELECT 1` is none: whoever asks it wants to know whether the database is there.
"""

from collections.abc import Callable, Iterator
from enum import IntFlag
from functools import lru_cache
from typing import Any, Final

from protos.link.settings import CATALOG, FACT
from protos.pg.first_look import MAX_FACT_BYTES, may_be_fact
from protos.pg.tags import TransactionStatus
from regional.grammar import Node, parse

_ROLES: Final = frozenset({"role", "session_authorization", "seed"})  # another role has other rights
_SETS: Final = frozenset({"VAR_SET_VALUE", "VAR_SET_DEFAULT", "VAR_RESET", "VAR_RESET_ALL"})
# Drivers ask these to find a primary.
_OF_THE_MOMENT: Final = frozenset({"in_hot_standby", "transaction_read_only", "all", "session_authorization"})
_REPORTED: Final = frozenset({
    "client_encoding", "datestyle", "integer_datetimes", "intervalstyle", "server_encoding", "server_version",
    "server_version_num", "standard_conforming_strings", "timezone",
})  # fmt: skip
_RELATIONS: Final = frozenset({
    "pg_aggregate", "pg_am", "pg_amop", "pg_amproc", "pg_attrdef", "pg_attribute", "pg_cast", "pg_class",
    "pg_collation", "pg_constraint", "pg_conversion", "pg_depend", "pg_description", "pg_enum", "pg_extension",
    "pg_index", "pg_inherits", "pg_language", "pg_namespace", "pg_opclass", "pg_operator", "pg_opfamily",
    "pg_partitioned_table", "pg_proc", "pg_range", "pg_rewrite", "pg_trigger", "pg_type",
})  # fmt: skip
_FUNCTIONS: Final = frozenset({
    "array_agg", "array_length", "array_lower", "array_position", "array_to_string", "array_upper", "bool_and",
    "bool_or", "cardinality", "col_description", "concat", "count", "current_database", "current_schema",
    "current_schemas", "format", "format_type", "generate_series", "generate_subscripts", "left", "length", "lower",
    "max", "min", "obj_description", "pg_get_constraintdef", "pg_get_expr", "pg_get_indexdef", "pg_get_userbyid",
    "pg_opclass_is_visible", "pg_table_is_visible", "pg_type_is_visible", "quote_ident", "replace", "right",
    "row_number", "string_agg", "string_to_array", "substr", "substring", "to_regclass", "to_regnamespace",
    "to_regtype", "unnest", "upper", "version",
})  # fmt: skip
_VALUES: Final = frozenset({
    "SVFOP_CURRENT_CATALOG", "SVFOP_CURRENT_ROLE", "SVFOP_CURRENT_SCHEMA", "SVFOP_CURRENT_USER", "SVFOP_SESSION_USER",
    "SVFOP_USER",
})  # fmt: skip
_CALLS: Final = frozenset({"FuncCall", "RangeVar", "SQLValueFunction"})
_REFUSED: Final = frozenset({"intoClause", "lockingClause", "RangeTableSample", "RangeTableFunc"})


class Kind(IntFlag):
    """What the statements of a text are; none is no fact."""

    NONE = 0
    SETTINGS = 1
    LASTING = 2
    CATALOGUE = 4


def kind_of(sql: bytes) -> Kind:
    """Judge a text. Several statements are a fact if each of them is."""
    return _looked_up(sql) if len(sql) <= MAX_FACT_BYTES else Kind.NONE


@lru_cache(maxsize=512)  # of at most 8 KiB each
def _looked_up(sql: bytes) -> Kind:
    return _judged(sql) if may_be_fact(sql) and b"\\" not in sql and sql.isascii() else Kind.NONE


def _judged(sql: bytes) -> Kind:
    whole = Kind.NONE
    try:
        for statement in parse(sql) or ():
            ((name, node),) = statement.items()
            judge = _KINDS.get(name)
            kind = judge(node) if judge is not None else Kind.NONE
            if not kind:
                return kind
            whole |= kind
    except (AttributeError, KeyError, TypeError, ValueError):  # a tree of a shape not foreseen
        return Kind.NONE
    return whole


def _set(node: Node) -> Kind:
    if node.get("is_local") or node["kind"] not in _SETS or node.get("name", "").lower() in _ROLES:
        return Kind.NONE
    return Kind.SETTINGS


def _close(node: Node) -> Kind:
    return Kind.NONE if node.get("portalname") else Kind.SETTINGS  # outside of a transaction there are none


def _unlisten(node: Node) -> Kind:
    return Kind.NONE if node.get("conditionname") else Kind.SETTINGS


def _show(node: Node) -> Kind:
    name = node["name"].lower()
    if name in _OF_THE_MOMENT:
        return Kind.NONE
    return Kind.LASTING if name in _REPORTED else Kind.CATALOGUE


def _select(node: Node) -> Kind:
    call = _only_call(node)
    if call is not None:
        (name, arguments) = call
        if name == "set_config":
            return _config(arguments)
        if name == "pg_advisory_unlock_all" and not arguments:  # no lock of a session is ever held where this counts
            return Kind.SETTINGS
        if name == "version" and not arguments:
            return Kind.LASTING
    return Kind.CATALOGUE if _reads_catalogue(node) else Kind.NONE


def _only_call(node: Node) -> tuple[str, list[Node]] | None:
    """The function and arguments of `SELECT f(…)`."""
    if node.keys() - {"targetList", "limitOption", "op"} or len(node["targetList"]) != 1:
        return None
    call = node["targetList"][0]["ResTarget"]["val"].get("FuncCall")
    if call is None or call.keys() - {"funcname", "args", "funcformat", "location"}:
        return None
    return _name_of(call["funcname"]), call.get("args", [])


def _name_of(parts: list[Node]) -> str:
    """A function's name, empty if it is of another schema than PostgreSQL's own."""
    names = [part["String"]["sval"] for part in parts]
    return str(names[-1]) if len(names) == 1 or names[:-1] == ["pg_catalog"] else ""


def _config(arguments: list[Node]) -> Kind:
    name, value, is_local = (argument["A_Const"] for argument in arguments)
    is_for_session = is_local.get("boolval") == {}  # false; true would have a value
    is_plain = name["sval"].get("sval", "").lower() not in _ROLES and "sval" in value
    return Kind.SETTINGS if is_for_session and is_plain else Kind.NONE


def _reads_catalogue(select: Node) -> bool:
    own = {node["ctename"] for kind, node in _walk(select) if kind == "CommonTableExpr"}
    found = False
    for kind, node in _walk(select):
        if kind in _REFUSED or (kind.endswith("Stmt") and kind != "SelectStmt"):
            return False
        if kind not in _CALLS:
            continue
        if kind == "RangeVar":
            if node["relname"] in own and "schemaname" not in node:
                continue
            allowed = node["relname"] in _RELATIONS and node.get("schemaname", "pg_catalog") == "pg_catalog"
        elif kind == "FuncCall":
            allowed = _name_of(node["funcname"]) in _FUNCTIONS
        else:
            allowed = node["op"] in _VALUES
        if not allowed:
            return False
        found = True
    return found


def _walk(tree: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON
    """Every named part of a tree."""
    if isinstance(tree, dict):
        for name, part in tree.items():
            yield name, part
            yield from _walk(part)
    elif isinstance(tree, list):
        for part in tree:
            yield from _walk(part)


_KINDS: Final[dict[str, Callable[[Node], Kind]]] = {
    "VariableSetStmt": _set,
    "VariableShowStmt": _show,
    "ClosePortalStmt": _close,
    "UnlistenStmt": _unlisten,
    "SelectStmt": _select,
}


class Facts:
    """Of one request at a time: is it a fact?"""

    __slots__ = ("_kind", "_text")

    def __init__(self) -> None:
        self._text: bytes | None = None
        self._kind = Kind.NONE

    def begin(self) -> None:
        """What comes is another request."""
        self._text = None
        self._kind = Kind.NONE

    def asked(self, sql: bytes) -> None:
        """A statement of the client's."""
        if self._text is None:
            self._text = sql
            self._kind = kind_of(sql)
        elif self._kind and sql != self._text:
            self._kind = Kind.NONE

    def spoil(self) -> None:
        """It has failed, or something else was asked too."""
        self._text = b""
        self._kind = Kind.NONE

    def flags(self, status: int, *, settings: bool, catalog: bool) -> int:
        """What the edge hears beside the status; settings and catalog are what the configuration allows."""
        kind = self._kind
        if not kind or status == TransactionStatus.INERROR:
            return 0
        if kind & Kind.SETTINGS:
            return FACT if settings and kind == Kind.SETTINGS and status == TransactionStatus.IDLE else 0
        if not catalog:
            return 0
        return FACT | CATALOG if kind & Kind.CATALOGUE else FACT
