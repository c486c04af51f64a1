"""What statements do to the transaction in which they run."""

import pytest

from protos.pg.framer import Piece
from protos.pg.messages import parse, query
from protos.pg.tags import Frontend
from regional.controls import CONTROLS, ends, leaves_open, statement_of, statements_of, wants_no_snapshot


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        (b"select 1", "leaves open"),
        (b"create temp table t ()", "leaves open"),
        (b"vacuum", ""),
        (b"set a.b = 1", "controls early leaves open"),
        (b"begin isolation level serializable", "controls early"),
        (b"savepoint s", "controls"),
        (b"rollback to s", "controls"),
        (b"commit and chain", "controls ends"),
        (b"prepare transaction 'x'", "controls ends"),
        (b"lock t", "controls early"),
        (b" -- nothing", "controls"),
    ],
)
def test_a_statement_is_known_by_its_kind(sql: bytes, what: str) -> None:
    message = parse(b"", sql)
    statement = statement_of(message)
    assert (not CONTROLS.isdisjoint(statement)) is ("controls" in what)
    assert wants_no_snapshot(statement) is ("early" in what)
    assert ends(statement) is ("ends" in what)
    assert leaves_open(message) is ("leaves open" in what)


def test_what_cannot_be_read_is_nothing_of_that() -> None:
    assert (
        statement_of(None) == statement_of(parse(b"", b"selec")) == statement_of(parse(b"", b"select 1; commit")) == {}
    )
    assert not leaves_open(None)
    whole = query(b"begin; select 1")
    assert len(statements_of(Piece(Frontend.QUERY, whole, whole=True))) == 2
    assert statements_of(Piece(Frontend.QUERY, whole[:9], whole=False)) == []
    assert statements_of(Piece(Frontend.PARSE, parse(b"", b"select 1"), whole=True)) == []
