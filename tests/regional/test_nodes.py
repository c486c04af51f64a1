"""The tables of nodes, held against the definition of the tree that the library comes with."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import pytest

from regional.grammar import Node, parse
from regional.nodes import (
    LATER_SYNTAX,
    LEAVES,
    STRANGER,
    TYPED,
    Scope,
    names,
    parts,
    visit_parts,
    with_queries,
)

# Not imported by name: the stub beside it is no valid one.
pg_query_pb2 = import_module("postgast.pg_query_pb2")

# Bare fields of known nodes that the walk looks at itself, or that make a statement unclean by being there.
_ELSEWHERE = {
    "withClause", "relation", "intoClause",
    "identitySequence",  # of a new table's column
}  # fmt: skip


def _bare_fields(kind: str) -> Mapping[str, str]:
    fields: Any = getattr(pg_query_pb2, kind).DESCRIPTOR.fields
    bare = {field.json_name: field.message_type.name for field in fields if field.message_type}
    return {name: kind for name, kind in bare.items() if kind != "Node"}


@pytest.mark.parametrize("kind", sorted(TYPED))
def test_every_bare_field_is_known(kind: str) -> None:
    bare = {name: of for name, of in _bare_fields(kind).items() if name not in _ELSEWHERE}
    assert bare == TYPED[kind]


def test_every_node_named_is_one() -> None:
    for kind in {*TYPED, *LEAVES, *LATER_SYNTAX, *(kind for fields in TYPED.values() for kind in fields.values())}:
        assert hasattr(pg_query_pb2, kind)
        assert kind in TYPED or kind in LEAVES


def test_leaves_hold_nothing_that_runs() -> None:
    """What a leaf has inside is constants and names; the walk itself looks at the names of columns."""
    for kind in LEAVES - {"A_Const", "ColumnRef", "Alias", "LockingClause", "CTESearchClause", "JsonReturning"}:
        fields: Any = getattr(pg_query_pb2, kind).DESCRIPTOR.fields
        assert [field.name for field in fields if field.message_type and field.name != "xpr"] == []


def test_parts_are_found_where_they_are() -> None:
    node = {
        "args": [{"A_Const": {"ival": {}}}, {}],
        "over": {"frameOptions": 1},
        "location": 7,
        "agg_filter": {"X": {}},
    }
    assert list(parts("FuncCall", node)) == [
        ("A_Const", {"ival": {}}),
        ("WindowDef", {"frameOptions": 1}),
        ("X", {}),
    ]
    assert list(parts("FuncCall", node, without=("args", "over"))) == [("X", {})]


@pytest.mark.parametrize("value", [{"a": 1}, {"a": {}, "b": {}}, [[1]], [{"a": 1}]])
def test_what_is_no_node_is_a_stranger(value: object) -> None:
    assert list(parts("FuncCall", {"args": value})) == [(STRANGER, {})]


def test_parts_are_visited_where_they_are() -> None:
    node = {"args": [{"A_Const": {"ival": {}}}, {}], "over": {"frameOptions": 1}, "location": 7, "name": [{"X": {}}]}
    visited: list[tuple[str, Node, Scope]] = []

    def visit(kind: str, inner: Node, scope: Scope) -> None:
        visited.append((kind, inner, scope))

    scope = frozenset({"a"})
    visit_parts(visit, "FuncCall", node, scope, frozenset({"name"}))
    assert visited == [("A_Const", {"ival": {}}, scope), ("WindowDef", {"frameOptions": 1}, scope)]


@pytest.mark.parametrize(
    ("sql", "visible"),
    [
        (b"with a as (select 1), b as (select 2), c as (select 3) select 4", ["x", "ax", "abx"]),
        (b"with recursive a as (select 1), b as (select 2) select 3", ["abx", "abx"]),
        (b"with x as (select 1) select 2", ["x"]),
        (b"select 1", []),
    ],
)
def test_a_query_of_a_with_clause_sees_the_names_before_it(sql: bytes, visible: list[str]) -> None:
    statements = parse(sql, escapes=False)
    assert statements is not None
    queries, inside = with_queries(statements[0]["SelectStmt"], frozenset("x"))
    assert ["".join(sorted(scope)) for _, scope in queries] == visible
    assert inside == frozenset("x").union(query["ctename"] for query, _ in queries)


def test_names_are_the_strings() -> None:
    assert names([{"String": {"sval": "a"}}, {"A_Star": {}}, {"String": {}}]) == ["a", ""]
