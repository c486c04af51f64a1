"""What goes out beside a session's messages; how it is used is shown in tests/edge/test_statements.py."""

from edge.asides import MAX_USES, Asides
from edge.registry import Registry
from protos.link.link_pb2 import Worded
from protos.pg.messages import error_response, parse

ERROR, IN_ITS_WORDS = (
    error_response({"M": f'prepared statement "{name}" does not exist'}) for name in ("onetrip:gone", "s7")
)


def test_a_statement_needed_twice_in_a_row_is_named_once() -> None:
    registry = Registry(b"scope")
    asides = Asides(registry)
    statement = registry.made(b"s", parse(b"s", b"select 1"))
    asides.need(statement)
    asides.need(statement)
    assert asides.take_needed() == [statement]
    assert asides.take_needed() == []


def test_names_are_remembered_until_their_messages_are_answered_and_not_without_a_bound() -> None:
    registry = Registry(b"scope")
    asides = Asides(registry)
    for number in range(MAX_USES + 1):
        registry.place = number
        asides.use(b"s%d" % number)
    words = [asides.worded(Worded(error=ERROR, place=place)) for place in (7, MAX_USES)]
    assert words == [IN_ITS_WORDS, ERROR]
    registry.next_sync_point()
    registry.answered(1)
    asides.settle()
    assert asides.worded(Worded(error=ERROR, place=7)) == ERROR


def test_what_was_not_sent_is_put_aside_and_back() -> None:
    asides = Asides(Registry(b"scope"))
    asides.confirm()
    before = asides.put_aside()
    asides.choose(b"s")
    asides.put_back(before)
    assert [frame.WhichOneof("control") for frame in asides.take_frames()] == ["failed"]
