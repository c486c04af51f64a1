"""Statements that control a transaction: which may have to come before its snapshot, which end it, which leave it open.

What takes a snapshot, as DISCARD PLANS does, may not come in front of what sets the modes of its transaction.
"""

import re
from typing import Final

from protos.pg.framer import Piece
from protos.pg.tags import Frontend
from regional.grammar import Node, parse

_is_plain: Final = re.compile(rb"\s*(select|with|values|insert|update|delete)\b", re.IGNORECASE).match
# They take no snapshot, unlike DISCARD PLANS (PlannedStmtRequiresSnapshot of src/backend/tcop/pquery.c).
_WITHOUT_SNAPSHOT: Final = frozenset({
    "VariableSetStmt", "VariableShowStmt", "ConstraintsSetStmt", "LockStmt", "ListenStmt", "NotifyStmt", "UnlistenStmt",
})  # fmt: skip
_NOTHING: Final = "nothing"  # an empty text
CONTROLS: Final = _WITHOUT_SNAPSHOT | {"TransactionStmt", _NOTHING}
# What leaves the transaction of its group open: others may end it, as what cannot run within one does.
_OPENS: Final = frozenset({
    "SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "CreateStmt", "CreateTableAsStmt", "ViewStmt",
    "VariableSetStmt", "DeclareCursorStmt", "FetchStmt",
})  # fmt: skip
_BEGINS: Final = frozenset({"TRANS_STMT_BEGIN", "TRANS_STMT_START"})
_ENDS: Final = frozenset({"TRANS_STMT_COMMIT", "TRANS_STMT_ROLLBACK", "TRANS_STMT_PREPARE"})


def statements_of(piece: Piece) -> list[Node]:
    """Those of a simple query, if they can be read."""
    return _read(piece.data[5:-1]) if piece.tag == Frontend.QUERY and piece.whole else []


def _read(sql: bytes) -> list[Node]:
    statements = parse(sql)
    return [{_NOTHING: {}}] if statements == [] else statements or []


def statement_of(parsed: bytes | None) -> Node:
    """The statement that a Parse message is of, if that is one alone; else nothing."""
    if parsed is None:
        return {}
    start = parsed.index(0, 5) + 1
    statements = _read(parsed[start : parsed.index(0, start)])
    return statements[0] if len(statements) == 1 else {}


def wants_no_snapshot(statement: Node) -> bool:
    """Whether it may have to come before any snapshot of its transaction."""
    ((kind, node),) = statement.items()
    return kind in _WITHOUT_SNAPSHOT or (kind == "TransactionStmt" and node["kind"] in _BEGINS)


def ends(statement: Node) -> bool:
    """Whether it ends a transaction."""
    return "TransactionStmt" in statement and statement["TransactionStmt"]["kind"] in _ENDS


def leaves_open(parsed: bytes | None) -> bool:
    """Whether what a Parse message is of leaves the transaction of its group open."""
    return parsed is not None and (
        _is_plain(parsed, parsed.index(0, 5) + 1) is not None or not _OPENS.isdisjoint(statement_of(parsed))
    )
