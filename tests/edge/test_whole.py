"""Which groups run one statement whose answer may be remembered."""

import pytest

from edge.statements import Statements
from edge.whole import Whole
from protos.pg.framer import Piece
from protos.pg.messages import (
    bind,
    close_statement,
    describe_portal,
    describe_statement,
    execute,
    flush,
    parse,
)

SQL = b"select oid from pg_type where typname = $1"
BIND = bind(b"", b"", [b"hstore"])


def whole(*messages: bytes) -> Whole | None:
    """None if one of the messages does not belong to such a group."""
    statements = Statements(b"scope")
    statements.parse(parse(b"old", SQL), whole=True)
    made = Whole(statements)
    return made if all(made.take(Piece(message[0], message, whole=True)) for message in messages) else None


def request_of(*messages: bytes) -> object:
    made = whole(*messages)
    assert made is not None
    return made.request


def test_names_do_not_count_and_all_else_does() -> None:
    one = request_of(parse(b"", SQL), BIND, execute())
    assert one
    assert one == request_of(parse(b"n", SQL), bind(b"", b"n", [b"hstore"]), execute())
    assert one != request_of(parse(b"", SQL), bind(b"", b"", [b"citext"]), execute())
    assert one != request_of(parse(b"", SQL), BIND, describe_portal(b""), execute())
    assert one != request_of(parse(b"", SQL), BIND, execute(max_rows=1))
    assert one != request_of(parse(b"", SQL, [25]), BIND, execute())
    assert one != request_of(bind(b"", b"old", [b"hstore"]), execute())


def test_it_is_a_request_once_it_is_executed() -> None:
    assert request_of(parse(b"", SQL), describe_statement(b""), BIND) == ()
    made = whole(parse(b"n", SQL), describe_statement(b"n"), bind(b"", b"n", [b"x"]), execute())
    assert made is not None
    assert made.request
    assert made.described is not None
    assert made.described[0] == b"n"
    assert [piece.data for piece in made.parses] == [parse(b"n", SQL)]


@pytest.mark.parametrize(
    "messages",
    [
        (parse(b"", b"select 1"),),  # no fact
        (parse(b"old", SQL),),  # in use
        (parse(b"", SQL), parse(b"", SQL)),
        (bind(b"", b"new", []),),
        (bind(b"p", b"old", []),),
        (bind(b"", b"old", []), bind(b"", b"old", [])),
        (bind(b"", b"old", []), describe_statement(b"old")),
        (parse(b"", SQL), bind(b"", b"old", [])),  # whatever stands under that name in another session
        (describe_statement(b"old"), describe_statement(b"old")),
        (describe_portal(b""),),
        (execute(),),
        (bind(b"", b"old", []), execute(b"p")),
        (bind(b"", b"old", []), execute(), execute()),
        (bind(b"", b"old", []), execute(), describe_portal(b"")),
        (bind(b"", b"old", []), describe_portal(b"p")),
        (close_statement(b"old"),),
        (flush(),),
    ],
)
def test_what_is_no_such_group(messages: tuple[bytes, ...]) -> None:
    assert whole(*messages) is None
