"""The allow-list, held against the definition of the tree."""

from importlib import import_module

from regional.cache.allowed import BRANCHES, LEAVES, LOOKED_AT, WRITES
from regional.nodes import LEAVES as ALL_LEAVES
from regional.nodes import TYPED

# Not imported by name: the stub beside it is no valid one.
pg_query_pb2 = import_module("postgast.pg_query_pb2")


def test_every_branch_is_a_node_whose_parts_are_known() -> None:
    assert TYPED.keys() >= BRANCHES
    assert not BRANCHES & (LEAVES | WRITES)


def test_leaves_are_leaves_elsewhere_too() -> None:
    assert ALL_LEAVES >= LEAVES


def test_what_is_skipped_holds_names_only() -> None:
    """Lists of strings; but for the types and WITH clauses, which have a look of their own."""
    for kind in BRANCHES:
        for field in getattr(pg_query_pb2, kind).DESCRIPTOR.fields:
            if field.json_name in LOOKED_AT - {"typeName", "withClause", "name"}:
                assert field.is_repeated
