"""Folding: what may share a verdict shares a text, and nothing else does."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regional.folding import fold
from regional.grammar import parse

FOLDS = [
    (b"SELECT abalance FROM pgbench_accounts WHERE aid = 123", b"SELECT abalance FROM pgbench_accounts WHERE aid = 0"),
    (b"select a1, t2.b3 from t2 where a1=-5 and b3>1.5", b"select a1, t2.b3 from t2 where a1=-0 and b3>0"),
    (b"select $1, $22 from t where a = 7", b"select $1, $22 from t where a = 0"),
    (b"select 'it''s 5', 6", b"select '''', 0"),
    (b'select "a 1", 2', b'select "a 1", 0'),
    (b"select 1 -- it's 5\n, 'x'", b"select 0 -- it's 5\n, ''"),
]
KEPT = [
    b"select 1e5, .5, 1., 0x1F, 1_000, 5a",
    rb"select 'a\'5', 5",
    b"select 5, $$ it's $$",
    b"select 5, $a$5$a$",
    b"select 'x', 5 /* ' /* ' */ */",
    b"select U&'!0061' UESCAPE '!'",
    b"select U&\"!0061\" UESCAPE '!'",
    b"select a$1 from t1",
    "select é1 from ü2".encode(),
]


@pytest.mark.parametrize(("sql", "folded"), FOLDS)
def test_constants_are_folded(sql: bytes, folded: bytes) -> None:
    assert fold(sql) == folded


@pytest.mark.parametrize("sql", KEPT)
def test_what_is_not_plain_is_kept(sql: bytes) -> None:
    assert fold(sql) == sql


_PIECES = [
    "select", " ", "1", "23", "4.5", ".5", "6.", "1e3", "0x1", "'", "''", "'a'", "'5'", '"', '"a 1"', '"b 2"', "a1",
    "a2", "--", "\n", "/*", "*/", "$1", "$", "$$", "$a$", "\\", "E'", "U&'", "B'01'", ",", "(", ")", "-", "+", ".", "t",
    "from", "where", "=", "é", ";", "as", "UESCAPE", "&",
]  # fmt: skip
_texts = st.lists(st.sampled_from(_PIECES), max_size=14).map("".join)


def _skeleton(sql: bytes) -> Any:
    """The parse tree without places and without the values of constants."""
    return _without_values(parse(sql))


def _without_values(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_without_values(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    kept = {name: value for name, value in tree.items() if not re.search("location|_list_(start|end)", name)}
    if "A_Const" in kept:
        # A number is a number, with or without a point; a string is a string.
        return {"A_Const": "string" if "sval" in kept["A_Const"] or "bsval" in kept["A_Const"] else "number"}
    return {name: _without_values(value) for name, value in kept.items()}


@given(_texts)
def test_a_folded_text_is_the_same_statement(text: str) -> None:
    sql = text.encode()
    if parse(sql):
        assert _skeleton(sql) == _skeleton(fold(sql))


_constants = st.one_of(
    st.integers(0, 10**6).map(str),
    st.decimals(0, 1000, places=2).map(str),
    st.text("abc '\"-/*5$;é", max_size=8).map(lambda text: "'" + text.replace("'", "''") + "'"),
)
_FRAMES = [
    "select a1 from t1 where x = {} and y2 < {}",
    'select "c 1", {} from "t 2" where "d""3" in ({}, 5)',
    "insert into t values ({}, {}) -- it's 1",
]


@given(st.sampled_from(_FRAMES), _constants, _constants, st.sampled_from(_FRAMES), _constants, _constants)
def test_one_folded_text_is_one_statement(  # noqa: PLR0917 - what Hypothesis draws
    frame: str, first: str, second: str, other_frame: str, third: str, fourth: str
) -> None:
    one, other = frame.format(first, second).encode(), other_frame.format(third, fourth).encode()
    if fold(one) == fold(other):
        assert frame == other_frame
        assert _skeleton(one) == _skeleton(other)
