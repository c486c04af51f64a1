"""The look-ups of a snapshot, made of few rows by hand and of a real catalogue."""

import pytest

from regional.cache.reach import Access, Reach
from regional.cache.reach_query import DATE, REFUSED, STRING, TIME
from regional.slices import SLICE

Row = tuple[bytes, bytes, bytes, bytes, bytes, bytes]

_VERSION: Row = (b"v", b"since 5", b"UTF8", b"0", b"0", b"read committed")


def _rows(*lines: str) -> list[Row]:
    """Rows written as `kind schema name oid flags more`, with - for nothing."""
    rows = [_VERSION]
    for line in lines:
        kind, schema, name, oid, flags, *more = ("" if part == "-" else part for part in line.split(" "))
        rows.append(
            (kind.encode(), schema.encode(), name.encode(), oid.encode(), flags.encode(), " ".join(more).encode())
        )
    return rows


def test_what_is_no_such_answer_is_refused() -> None:
    with pytest.raises(ValueError, match="rows are missing"):
        Reach.from_rows([])
    with pytest.raises(ValueError, match="a row of kind 'z'"):
        Reach.from_rows([(b"z", b"", b"", b"0", b"0", b"")])
    with pytest.raises(ValueError, match="a row of kind 'build'"):
        Reach.from_rows([(b"build", b"", b"", b"0", b"0", b"")])
    with pytest.raises(ValueError, match="a row of 2 columns"):
        Reach.from_rows([(b"v", b"")])


def test_the_server_says_who_it_is() -> None:
    reach = Reach.from_rows([_VERSION])
    assert reach.database == "since 5"
    assert reach.is_utf8
    assert reach.is_read_committed
    assert not reach.is_replaced
    assert Reach.from_rows([*_rows(), (b"x", b"", b"", b"0", b"1", b"")]).is_replaced
    other = Reach.from_rows([(b"v", b"since 5", b"LATIN1", b"0", b"0", b"serializable")])
    assert not other.is_utf8
    assert not other.is_read_committed
    assert Reach.from_rows([_VERSION], "a digest").digest == "a digest"


def test_it_is_made_in_slices() -> None:
    rows = _rows(*(f"r a t{number} {20_000 + number} 0 -" for number in range(10 * SLICE)))
    assert len(list(Reach.making(rows, ""))) >= 20


def test_a_name_is_every_relation_of_that_name() -> None:
    reach = Reach.from_rows(_rows("r a t 20000 0 20002", "r b t 20001 8 -", "r a child 20002 512 -"))
    assert reach.named("a.t") == {20000, 20002}
    assert reach.named("t") == {20000, 20001, 20002}
    assert reach.named("nothing") == reach.named("a.nothing") == frozenset()
    assert reach.relation("a", "t") == Access("", frozenset({20000, 20002}), frozenset({20000}), TIME)
    found = reach.relation(None, "t")
    assert found is not None
    assert found.why == "row security: t"


def test_views_that_read_each_other_end() -> None:
    reach = Reach.from_rows(
        _rows("r a v 20000 128 20001", "r a w 20001 128 20000", "w - - 20000 0 -", "w - - 20001 0 -")
    )
    found = reach.relation("a", "v")
    assert found is not None
    assert found.why == "unknown name"


def test_a_view_stands_for_its_tables() -> None:
    reach = Reach.from_rows(_rows("r a v 20000 128 20001", "r a t 20001 0 -", "w - now 20000 1 -"))
    assert reach.relation("a", "v") == Access("stable function: now", frozenset({20001}), frozenset({20000}), 0)
    assert reach.named("v") == {20000, 20001}


def test_overloads_are_told_apart_by_the_number_of_arguments() -> None:
    row = (b"f", b"", b"f", b"0", b"0", b"1 1 2 0,2 2 0 4,2 3 1 8,5 -1 0 0")
    reach = Reach.from_rows([_VERSION, row])
    assert reach.function("f", 0) is None
    assert reach.function("f", 4) is None
    assert reach.function("g", 1) is None
    assert [(found.verdict, found.bits) for count in (1, 2, 3, 5, 9) if (found := reach.function("f", count))] == [
        (2, 0), (1, 12), (1, 8), (0, 0), (0, 0),
    ]  # fmt: skip


def test_a_type_is_the_worst_of_its_name_and_of_the_rows_of_a_table() -> None:
    reach = Reach.from_rows(
        _rows("t - d 1 2 -", "t - d 2 1 -", "r a t 20000 4096 -", "r b t 20001 8 -", "r a d 20002 0 -")
    )
    assert reach.type("d") == DATE | REFUSED | STRING
    assert reach.type("t") == DATE | REFUSED | STRING
    assert reach.type("nothing") is None
    assert reach.type_oids == {1: 2, 2: 1}
