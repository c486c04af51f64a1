"""Which groups of extended-query messages are answered at the edge."""

from typing import Final

import pytest

from edge.cache.unsent import Share, Unsent
from edge.control import Held, Outcome
from edge.early import NOTHING, Description, Early
from edge.group import MAX_BYTES, OVERHEAD_BYTES, Group
from edge.memory import Memory
from edge.statements import Statements
from protos.pg.framer import MAX_WHOLE_BYTES, Piece
from protos.pg.messages import (
    bind,
    bind_complete,
    close_complete,
    close_portal,
    close_statement,
    command_complete,
    describe_portal,
    describe_statement,
    execute,
    flush,
    no_data,
    parameter_description,
    parse,
    parse_complete,
    row_description,
    sync,
)

SQL: Final = b"select $1::int"
KNOWN: Final = Description(parameter_description([23]), row_description(["int4"]))
HELD: Final = Held((b"BEGIN",))


class Scene:
    """A session with the statement `old`, at an edge that knows SQL."""

    def __init__(self, held: Held | None = None, *, is_idle: bool = True) -> None:
        self.statements = Statements(b"scope")
        self.statements.parse(parse(b"old", SQL), whole=True)
        self.statements.parse(parse(b"typed", b"begin", [23]), whole=True)
        self.early = Early(begin=True, prepare=True)
        self.early.learn(self.statements.meaning_of(parse(b"", SQL)).name, KNOWN)
        self.held = held
        self.is_idle = is_idle and held is None

    def group(self) -> Group:
        memory = Memory(self.early.memos, b"state", Share(Unsent(0, lambda: None)))
        return Group(self.statements, self.early, memory, None, self.held, is_idle=self.is_idle)

    def replies(self, *messages: bytes) -> list[bytes] | None:
        """None if one of them has to cross."""
        group = self.group()
        for message in messages:
            if not group.take(Piece(message[0], message, whole=True)):
                return None
        assert [piece.data for piece in group.pieces] == list(messages)
        return group.replies


def test_a_prepare_round_trip_is_answered() -> None:
    for end in (sync(), flush()):
        for name in (b"", b"new", b"n" * 64):
            prepare = (parse(name, SQL), describe_statement(name), end)
            assert Scene().replies(*prepare) == [parse_complete(), KNOWN.parameters, KNOWN.rows]
            assert Scene(is_idle=False).replies(*prepare) is not None, "in a transaction, too"


def test_what_the_client_is_told_and_changes_is_noted() -> None:
    group = Scene().group()
    messages = [parse(b"a", SQL), describe_statement(b"a"), close_statement(b"old"), parse(b"old", b"begin"), sync()]
    for message in messages:
        assert group.take(Piece(message[0], message, whole=True))
    assert group.told == [(b"a", KNOWN)] * 2  # by its Parse, and by its Describe
    assert [piece.data for piece in group.effects] == [messages[0], messages[2], messages[3]]
    assert group.outcome is None


@pytest.mark.parametrize(
    "messages",
    [
        (parse(b"", b"select 2"),),  # unknown
        (parse(b"", SQL, [23]),),  # another statement
        (parse(b"old", SQL),),  # in use
        (parse(b"n" * 63 + b"a", SQL), parse(b"n" * 63 + b"b", SQL)),  # one name, as PostgreSQL compares them
        (describe_statement(b"new"),),
        (describe_statement(b""),),
        (describe_portal(b""),),
        (close_statement(b"new"),),
        (bind(b"", b"old", [b"1"]),),
        (execute(),),
        (parse(b"", b"begin"), bind(b"p", b"")),
        (parse(b"", b"begin"), bind(b"", b"", [b"1"])),
        (parse(b"", b"begin", [23]),),
        (bind(b"", b"typed"),),
        (describe_statement(b"typed"),),
        (parse(b"", b"begin"), bind(b"", b""), sync()),  # the portal would be left
        (parse(b"", b"begin"), bind(b"", b""), flush()),
        (parse(b"", b"begin"), bind(b"", b""), bind(b"", b"")),
        (parse(b"", b"begin"), bind(b"", b""), describe_portal(b"p")),
        (parse(b"", b"begin"), bind(b"", b""), execute(b"p")),
        (parse(b"", b"begin"), bind(b"", b""), execute(), flush()),
        (parse(b"", b"begin"), bind(b"", b""), execute(), execute()),
        (parse(b"", b"commit"), bind(b"", b"")),
        (b"P\0\0\0\x06ab",),
        (b"D\0\0\0\x06Xa",),
    ],
)
def test_what_has_to_cross(messages: tuple[bytes, ...]) -> None:
    *before, last = messages
    group = Scene().group()
    assert all(group.take(Piece(message[0], message, whole=True)) for message in before)
    assert not group.take(Piece(last[0], last, whole=True))
    assert [piece.data for piece in group.pieces] == before


def test_an_oversized_message_has_to_cross() -> None:
    message = parse(b"", SQL + b" " * MAX_WHOLE_BYTES)
    assert not Scene().group().take(Piece(message[0], message[:2000], whole=False))


def test_a_transaction_is_controlled_by_extended_messages() -> None:
    scene = Scene()
    run = (bind(b"", b""), describe_portal(b""), execute(), sync())
    assert scene.replies(parse(b"", b"begin"), *run) == [
        parse_complete(), bind_complete(), no_data(), command_complete("BEGIN"),
    ]  # fmt: skip
    group = Scene(HELD).group()
    for message in (parse(b"", b"commit"), bind(b"", b"", result_formats=[1]), execute(), sync()):
        assert group.take(Piece(message[0], message, whole=True))
    assert group.outcome == Outcome("COMMIT", None)


def test_a_control_statement_is_described_without_asking() -> None:
    assert Scene().replies(parse(b"c", b"commit"), describe_statement(b"c"), sync()) == [
        parse_complete(), NOTHING.parameters, NOTHING.rows,
    ]  # fmt: skip
    scene = Scene()
    scene.early.allow(begin=False, prepare=True, remember=False)
    assert scene.replies(parse(b"c", b"commit")) is None


def test_portals_are_closed_where_there_are_none() -> None:
    assert Scene().replies(close_portal(b"p"), sync()) == [close_complete()]
    assert Scene(HELD).replies(close_portal(b"p"), sync()) == [close_complete()]
    assert Scene(is_idle=False).replies(close_portal(b"p")) is None


def test_a_closed_statement_is_gone_for_the_rest_of_the_group() -> None:
    assert Scene().replies(close_statement(b"old"), describe_statement(b"old")) is None
    assert Scene().replies(close_statement(b"old"), parse(b"old", SQL), sync()) == [close_complete(), parse_complete()]


@pytest.mark.parametrize(
    "messages",
    [
        (sync(),),
        (flush(),),
        (close_statement(b"old"),),
        (close_portal(b"p"),),
        (parse(b"", SQL),),
        (parse(b"c", b"begin"), describe_statement(b"c"), sync()),
    ],
)
def test_nothing_is_prepared_here_where_that_is_switched_off(messages: tuple[bytes, ...]) -> None:
    scene = Scene()
    assert scene.replies(*messages) is not None
    scene.early.allow(begin=True, prepare=False, remember=True)
    assert scene.replies(*messages) is None
    assert scene.replies(parse(b"", b"begin"), bind(b"", b""), execute(), sync()) is not None


def test_a_group_without_end_has_to_cross() -> None:
    scene = Scene()
    messages = (parse(b"", SQL), describe_statement(b"")) * (MAX_BYTES // OVERHEAD_BYTES // 2)
    assert scene.replies(*messages[:100], sync())
    assert scene.replies(*messages, sync()) is None


def test_an_answer_without_end_has_to_cross() -> None:
    scene = Scene()
    wide = Description(KNOWN.parameters, row_description(["int4"] * 1600))
    scene.early.learn(scene.statements.meaning_of(parse(b"", SQL)).name, wide)
    assert scene.replies(*[describe_statement(b"old")] * 3, sync())
    assert scene.replies(*[describe_statement(b"old")] * 100, sync()) is None
