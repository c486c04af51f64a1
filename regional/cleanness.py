"""Judge what a statement may leave on the connection that runs it: nothing, provably, or what has to be cleaned.

`judge` is the pure verdict on a text and a catalogue. `Judge` remembers verdicts, for texts come again: prepared
statements as they are, others but for their constants. Whatever cannot be shown to be clean is not.

Theory of operation: a statement is clean if it is of a kind that ends with its transaction, and every name in it leads
to something harmless (`regional/proof.py`). All statements of a lease count together, so one that makes a name mean
something else (a temporary table, a function) is itself unclean and covers for what follows it.
"""

import re
from collections.abc import Callable
from typing import Final

from regional.builtins import CLOSING_WORDS, DDL_WORDS, HIDING_WORDS, STATEMENT_WORDS
from regional.catalog import Catalog
from regional.folding import fold
from regional.grammar import Node, parse
from regional.memo import Memo
from regional.proof import GIVES_MEANING, UNCLEAN_LOCALLY, Proof, residue_of_new
from regional.residue import Residue as Residue  # noqa: PLC0414 - handed on from here
from regional.residue import reset_sql as reset_sql  # noqa: PLC0414

CLEAN: Final = Residue.CLEAN
DISCARD: Final = Residue.DISCARD
UNKNOWN: Final = Residue.UNKNOWN

# A longer text is not worth milliseconds of everybody's time: only its words are looked at, and it costs one reset.
MAX_JUDGED_BYTES: Final = 8 << 10
# Verdicts kept, by the size of their texts.
MAX_MEMO_BYTES: Final = 4 << 20
# What an entry costs beside its text.
_ENTRY_BYTES: Final = 150

_FIRST_USER_OID: Final = 16384

_DDL: Final = Residue.DISCARD | Residue.CATALOG

#: Statements that need no walk. What is not named here or in _WALKED or _READ is DDL.
_KNOWN: Final = {
    "VariableShowStmt": CLEAN,
    "FetchStmt": CLEAN,  # the query was judged when its cursor was declared, in this lease
    "ClosePortalStmt": Residue.RELEASES,
    "LockStmt": CLEAN,
    "NotifyStmt": CLEAN,
    "UnlistenStmt": Residue.RELEASES,
    "ConstraintsSetStmt": CLEAN,  # the triggers that it brings forward count for what fired them
    "ListenStmt": Residue.CHANNELS | Residue.LISTENS,
    "DeallocateStmt": Residue.STATEMENTS,
    "LoadStmt": DISCARD | Residue.CLOSES,
    # They run code of tables, or change nothing that the catalogue tells us.
    **dict.fromkeys(
        ("VacuumStmt", "CheckPointStmt", "ReindexStmt", "ClusterStmt", "GrantStmt", "GrantRoleStmt", "CommentStmt"),
        DISCARD,
    ),
}  # fmt: skip
_QUERIES: Final = frozenset({"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})
_CURSOR_OPT_HOLD: Final = 0x20  # src/include/nodes/parsenodes.h
_COPY_FORMATS: Final = frozenset({"text", "csv", "binary"})

_WORDS: Final = tuple(
    (re.compile(words.encode(), re.IGNORECASE).search, residue)
    for words, residue in (
        (CLOSING_WORDS, Residue.CLOSES),
        (STATEMENT_WORDS, Residue.STATEMENTS),
        (DDL_WORDS, Residue.CATALOG),
        (HIDING_WORDS, Residue.HIDES),
    )
)


def judge(sql: bytes, catalog: Catalog | None) -> Residue:
    """Return what the statements of a text may leave. Without a catalogue only what needs no name can be clean."""
    return _judged(sql, catalog)[0]


def _judged(sql: bytes, catalog: Catalog | None) -> tuple[Residue, bool]:
    """Return the verdict, and whether it holds for these constants only."""
    if len(sql) > MAX_JUDGED_BYTES or not (sql.isascii() or (catalog is not None and catalog.is_utf8)):
        return _not_read(sql, catalog), True
    proof = Proof(catalog)
    # A backslash is read in two ways, and which one counts is a setting of the session's.
    for escapes in (False, True) if b"\\" in sql else (False,):
        statements = parse(sql, escapes=escapes)
        if statements is None:
            return _not_read(sql, catalog), True
        try:
            for statement in statements:
                _follow(proof, statement)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # a tree of a shape not foreseen
            return _not_read(sql, catalog), True
        if len(statements) > 1:  # it holds for the others, if for nothing more
            proof.residue &= ~Residue.CHANGES_MEANING
    return proof.residue, proof.reads_literals


def _unknown_in(catalog: Catalog | None) -> Residue:
    """The residue of what nobody knows, in a database of this catalogue."""
    return DISCARD if catalog is not None and not catalog.hides else Residue.UNSEEN


def _not_read(text: bytes, catalog: Catalog | None) -> Residue:
    """The residue of a text whose structure is not known, but whose words are."""
    residue = _unknown_in(catalog)
    for has_words, more in _WORDS:
        if has_words(text):
            residue |= more
    return residue


def _follow(proof: Proof, statement: Node) -> None:
    ((kind, node),) = statement.items()
    if kind in _QUERIES:
        proof.follow(kind, node)
    elif kind in _KNOWN:
        proof.add(_KNOWN[kind])
    elif kind in _READ:
        _READ[kind](proof, node)
    else:
        proof.add(_DDL)


def _explain(proof: Proof, node: Node) -> None:
    """Without ANALYZE it still plans, which evaluates immutable functions."""
    ((kind, query),) = node["query"].items()
    if kind in _QUERIES:
        proof.follow(kind, query)
    else:
        proof.add(_DDL)


def _declare(proof: Proof, node: Node) -> None:
    if node.get("options", 0) & _CURSOR_OPT_HOLD:
        proof.add(Residue.CURSORS | Residue.HOLDS)
    proof.follow_wrapped(node["query"])


def _copy(proof: Proof, node: Node) -> None:
    proof.reads_literals = True
    for option in node.get("options", ()):
        value = option["DefElem"]
        if value["defname"] == "format" and value["arg"]["String"]["sval"] not in _COPY_FORMATS:
            proof.add(Residue.UNSEEN)
    if "filename" in node or node.get("is_program"):
        proof.add(Residue.UNSEEN)
    if "relation" in node:
        if node.get("is_from"):
            proof.write("CopyStmt", node["relation"])
        else:
            proof.read(node["relation"])
    for part in ("query", "whereClause"):
        if part in node:
            proof.follow_wrapped(node[part])


def _prepare(proof: Proof, node: Node) -> None:
    proof.add(Residue.STATEMENTS | Residue.PREPARES)
    for wrapped in (*node.get("argtypes", ()), node["query"]):
        proof.follow_wrapped(wrapped)


def _execute(proof: Proof, node: Node) -> None:
    """What it runs may have been prepared in another lease."""
    proof.add(_unknown_in(proof.catalog))
    for wrapped in node.get("params", ()):
        proof.follow_wrapped(wrapped)


def _truncate(proof: Proof, node: Node) -> None:
    """What it leads to is told by no name of the statement's own."""
    proof.add(_unknown_in(proof.catalog) if node.get("behavior") == "DROP_CASCADE" else DISCARD)
    for wrapped in node["relations"]:
        proof.write("TruncateStmt", wrapped["RangeVar"])


def _refresh(proof: Proof, node: Node) -> None:
    proof.add(DISCARD)
    proof.read(node["relation"])


def _call(proof: Proof, node: Node) -> None:
    proof.follow("FuncCall", node["funccall"])


def _do(proof: Proof, node: Node) -> None:
    proof.reads_literals = True
    options = {item["DefElem"]["defname"]: item["DefElem"]["arg"]["String"].get("sval", "") for item in node["args"]}
    proof.add(_not_read(options["as"].encode(), proof.catalog))
    if options.get("language", "plpgsql").lower() != "plpgsql":
        proof.add(Residue.CLOSES)


_LEADS_BACK: Final = ("VAR_RESET", "VAR_RESET_ALL", "VAR_SET_DEFAULT")


def _set(proof: Proof, node: Node) -> None:
    name = node.get("name", "").lower()
    if node["kind"] == "VAR_SET_MULTI":
        proof.add(CLEAN if name == "transaction" else Residue.SETTINGS)
    elif node.get("is_local"):
        is_default = node["kind"] == "VAR_SET_DEFAULT"  # whose default, is told behind it (`resets.py`)
        proof.add(UNCLEAN_LOCALLY.get(name, Residue.SETTINGS if is_default else CLEAN))
    else:
        proof.add(UNCLEAN_LOCALLY.get(name, Residue.SETTINGS))
        if name in GIVES_MEANING and node["kind"] not in _LEADS_BACK:
            proof.add(Residue.CHANGES_MEANING)


def _discard(proof: Proof, node: Node) -> None:
    if node["target"] == "DISCARD_ALL":
        proof.add(DISCARD | Residue.STATEMENTS)
    elif node["target"] == "DISCARD_TEMP":
        proof.add(Residue.RELEASES)


def _transaction(proof: Proof, node: Node) -> None:
    if node["kind"] == "TRANS_STMT_COMMIT_PREPARED":
        proof.add(Residue.CATALOG)  # of a transaction that we may not have seen


def _create_table(proof: Proof, node: Node) -> None:
    proof.add(residue_of_new(node["relation"], node.get("oncommit")))
    if node["relation"].get("relpersistence") == "t" and _elements(node, proof.catalog).hides_ddl:
        proof.add(_DDL | Residue.HIDES)  # whoever writes to it later runs that, and its name may be known as another's


def _elements(node: Node, catalog: Catalog | None) -> Residue:
    """What the defaults, checks and types of a new table may leave, and what it inherits."""
    proof = Proof(catalog)
    for wrapped in node.get("inhRelations", ()):
        proof.write("CreateStmt", wrapped["RangeVar"])
    for wrapped in node.get("tableElts", ()):
        ((kind, element),) = wrapped.items()
        if kind == "TableLikeClause":
            proof.write("CreateStmt", element["relation"])
            continue
        if "typeName" in element:
            proof.follow("TypeName", element["typeName"])
        for constraint in (wrapped, *element.get("constraints", ())) if kind == "ColumnDef" else (wrapped,):
            if "raw_expr" in constraint.get("Constraint", {}):
                proof.follow_wrapped(constraint["Constraint"]["raw_expr"])
    return proof.residue


def _create_table_as(proof: Proof, node: Node) -> None:
    proof.add(residue_of_new(node["into"]["rel"], node["into"].get("onCommit")))
    proof.follow_wrapped(node["query"])


_READ: Final[dict[str, Callable[[Proof, Node], None]]] = {
    "ExplainStmt": _explain,
    "DeclareCursorStmt": _declare,
    "CopyStmt": _copy,
    "PrepareStmt": _prepare,
    "ExecuteStmt": _execute,
    "CallStmt": _call,
    "TruncateStmt": _truncate,
    "RefreshMatViewStmt": _refresh,
    "DoStmt": _do,
    "VariableSetStmt": _set,
    "DiscardStmt": _discard,
    "TransactionStmt": _transaction,
    "CreateStmt": _create_table,
    "CreateTableAsStmt": _create_table_as,
}


class Judge:
    """Verdicts under one catalogue at a time, remembered. Setting `catalog` forgets them."""

    def __init__(self, catalog: Catalog | None = None, *, max_memo_bytes: int = MAX_MEMO_BYTES) -> None:
        self._max_bytes = max_memo_bytes
        self.generation = 0
        """Counts catalogues: if it has changed since a lease began, the verdicts on that lease prove nothing."""
        self.catalog = catalog

    @property
    def catalog(self) -> Catalog | None:
        return self._catalog

    @catalog.setter
    def catalog(self, catalog: Catalog | None) -> None:
        self._catalog = catalog
        self.generation += 1
        self._memo: Memo[Residue] = Memo(self._max_bytes, entry_bytes=_ENTRY_BYTES)

    def verdict(self, sql: bytes, types_raw: bytes = b"", *, is_utf8: bool = True) -> Residue:
        """Return what SQL may leave.

        types_raw: the parameter types of a Parse, as on the wire. is_utf8: the client's encoding is UTF-8 (a text
        outside ASCII in any other may not be what it seems).
        """
        residue = self._memo.get(sql)
        if residue is None:
            residue = self._find(sql)
        if not is_utf8 and not sql.isascii():
            return UNKNOWN
        return residue if len(types_raw) <= 2 else residue | self._of_types(types_raw)

    def _find(self, sql: bytes) -> Residue:
        if len(sql) > MAX_JUDGED_BYTES:
            return _not_read(sql, self._catalog)
        key = fold(sql)
        residue = self._memo.get(key)
        if residue is None:
            residue, is_exact = _judged(sql, self._catalog)
            self._memo.keep(sql if is_exact else key, residue)
        return residue

    @property
    def memo_bytes(self) -> int:
        """What the memo may hold by now."""
        return self._memo.held_bytes

    def _of_types(self, types_raw: bytes) -> Residue:
        """A value of a domain is checked when it is bound."""
        residue = CLEAN
        for start in range(2, len(types_raw), 4):
            oid = int.from_bytes(types_raw[start : start + 4], "big")
            if oid >= _FIRST_USER_OID:
                residue |= Residue.UNSEEN if self._catalog is None else self._catalog.type_oids.get(oid, DISCARD)
        return residue
