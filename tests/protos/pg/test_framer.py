"""The framer: any chunking gives the same messages, nothing is lost, and nothing is kept that need not be."""

import itertools
from struct import pack

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protos.errors import RemoteProtocolError
from protos.pg import messages
from protos.pg.framer import (
    AUTHENTICATION_LIMITS,
    BACKEND_LIMITS,
    BEGINNING_BYTES,
    FRONTEND_LIMITS,
    LARGE_MESSAGE_LIMIT,
    MAX_WHOLE_BYTES,
    SMALL_MESSAGE_LIMIT,
    Framer,
    FramingError,
    Piece,
)
from protos.pg.tags import Backend, Frontend, TransactionStatus

WHOLE = frozenset({Backend.READY_FOR_QUERY, Backend.ERROR_RESPONSE, Backend.PARAMETER_STATUS})
MAX_WHOLE = 40

streams = st.lists(
    st.builds(
        lambda tag, body: pack(">BI", tag, len(body) + 4) + body,
        st.sampled_from([*WHOLE, Backend.DATA_ROW, Backend.COMMAND_COMPLETE, Backend.ROW_DESCRIPTION]),
        st.one_of(st.binary(max_size=12), st.binary(max_size=80)),
    ),
    max_size=12,
)


def chunks(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[begin:end] for begin, end in itertools.pairwise(places)]


def meaning(pieces: list[Piece]) -> list[Piece]:
    """Join what may be cut anywhere: runs, and the rest of an oversized message with them."""
    joined: list[Piece] = []
    for piece in pieces:
        if piece.tag == 0 and joined and (joined[-1].tag == 0 or not joined[-1].whole):
            last = joined.pop()
            joined.append(Piece(last.tag, last.data + piece.data, last.whole))
        else:
            joined.append(piece)
    return joined


@given(streams, st.lists(st.integers(0, 2000), max_size=20))
def test_any_chunking_gives_the_same_messages(stream: list[bytes], cuts: list[int]) -> None:
    data = b"".join(stream)
    at_once = Framer(BACKEND_LIMITS, WHOLE, max_whole_bytes=MAX_WHOLE).feed(data)
    framer = Framer(BACKEND_LIMITS, WHOLE, max_whole_bytes=MAX_WHOLE)
    in_chunks = [piece for chunk in chunks(data, cuts) for piece in framer.feed(chunk)]
    assert meaning(in_chunks) == meaning(at_once)
    assert b"".join(piece.data for piece in in_chunks) == data
    assert (framer.rest, framer.is_at_boundary) == (b"", True)


@given(streams)
def test_what_is_wanted_comes_whole_and_the_rest_as_one_run(stream: list[bytes]) -> None:
    pieces = Framer(BACKEND_LIMITS, WHOLE, max_whole_bytes=MAX_WHOLE).feed(b"".join(stream))
    wanted = [message for message in stream if message[0] in WHOLE and len(message) <= MAX_WHOLE]
    assert [piece.data for piece in pieces if piece.tag and piece.whole] == wanted
    assert all(piece.data[0] == piece.tag for piece in pieces if piece.tag)
    neighbours = itertools.pairwise(pieces)
    assert not any(first.tag == second.tag == 0 for first, second in neighbours)


@given(streams, st.lists(st.integers(0, 2000), max_size=20))
def test_rows_pass_as_they_arrive(stream: list[bytes], cuts: list[int]) -> None:
    data = b"".join(stream)
    framer = Framer(BACKEND_LIMITS, frozenset())
    for chunk in chunks(data, cuts):
        kept = framer.rest
        passed = b"".join([piece.data for piece in framer.feed(chunk)])
        assert passed + framer.rest == kept + chunk
        assert len(framer.rest) < 5


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=6))
@example(b"Q\0\0\0\3", [])
@example(b"D\xff\xff\xff\xff", [])
def test_garbage_raises_only_the_protocol_error(data: bytes, cuts: list[int]) -> None:
    for limits in (FRONTEND_LIMITS, BACKEND_LIMITS, AUTHENTICATION_LIMITS):
        framer = Framer(limits, frozenset(limits))
        try:
            for chunk in chunks(data, cuts):
                framer.feed(chunk)
        except RemoteProtocolError:
            with pytest.raises(RemoteProtocolError):
                framer.feed(b"more")


@given(streams, st.lists(st.integers(0, 2000), max_size=6))
def test_what_came_before_garbage_is_not_lost(stream: list[bytes], cuts: list[int]) -> None:
    data = b"".join(stream)
    framer = Framer(BACKEND_LIMITS, WHOLE)
    pieces: list[Piece] = []
    is_refused = False
    for chunk in chunks(data + b"?garbage", cuts):
        try:
            pieces += framer.feed(chunk)
        except FramingError as error:
            pieces += error.pieces
            is_refused = True
            break
    assert is_refused
    assert b"".join(piece.data for piece in pieces) == data


def test_the_set_may_change_between_two_messages() -> None:
    framer = Framer(BACKEND_LIMITS, WHOLE)
    ready, done = messages.ready_for_query(TransactionStatus.IDLE), messages.command_complete("SELECT 1")
    assert framer.feed(done + ready[:3]) == [Piece(0, done, whole=True)]
    framer.whole = frozenset({Backend.COMMAND_COMPLETE})
    pieces = framer.feed(ready[3:] + done)
    assert pieces == [Piece(0, ready, whole=True), Piece(Backend.COMMAND_COMPLETE, done, whole=True)]


def test_a_message_begun_as_a_whole_one_stays_whole() -> None:
    framer = Framer(BACKEND_LIMITS, WHOLE)
    error = messages.error_response({"C": "22012"})
    assert framer.feed(error[:7]) == []
    framer.whole = frozenset()
    assert framer.feed(error[7:]) == [Piece(Backend.ERROR_RESPONSE, error, whole=True)]


def test_an_oversized_message_begins_with_enough_to_read_a_name_and_is_never_kept() -> None:
    framer = Framer(FRONTEND_LIMITS, frozenset(FRONTEND_LIMITS))
    statement = messages.parse(b"name", b"x" * MAX_WHOLE_BYTES)
    assert framer.feed(statement[: BEGINNING_BYTES - 1]) == []
    (beginning,) = framer.feed(statement[BEGINNING_BYTES - 1 : 2000])
    assert beginning == Piece(Frontend.PARSE, statement[:2000], whole=False)
    (rest,) = framer.feed(statement[2000:])
    assert rest == Piece(0, statement[2000:], whole=True)
    assert framer.is_at_boundary


def test_the_largest_whole_message_is_whole() -> None:
    framer = Framer(FRONTEND_LIMITS, frozenset(FRONTEND_LIMITS))
    largest = messages.query(b"x" * (MAX_WHOLE_BYTES - 6))
    assert framer.feed(largest) == [Piece(Frontend.QUERY, largest, whole=True)]
    larger = messages.query(b"x" * (MAX_WHOLE_BYTES - 5))
    assert [piece.whole for piece in framer.feed(larger)] == [False]


def test_a_message_in_single_bytes_costs_no_more_than_its_size() -> None:
    framer = Framer(FRONTEND_LIMITS, frozenset(FRONTEND_LIMITS))
    message = messages.query(b"x" * 100_000)
    pieces = [piece for byte in message for piece in framer.feed(bytes([byte]))]
    assert pieces == [Piece(Frontend.QUERY, message, whole=True)]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"GET / HTTP/1.1", "invalid frontend message type 71"),
        (b"!\0\0\0\4", "invalid frontend message type 33"),
        (b"Q\0\0\0\3", "invalid message length"),
        (pack(">BI", Frontend.SYNC, SMALL_MESSAGE_LIMIT + 1), "invalid message length"),
        (pack(">BI", Frontend.QUERY, LARGE_MESSAGE_LIMIT + 1), "invalid message length"),
        (b"Q\x7f\xff\xff\xff", "invalid message length"),
        (b"Q\xff\xff\xff\xff", "invalid message length"),
        (b"p\0\0\0\4", "invalid frontend message type 112"),
    ],
)
def test_a_client_is_told_in_the_words_of_postgresql(data: bytes, text: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        Framer(FRONTEND_LIMITS, frozenset(FRONTEND_LIMITS)).feed(data)
    assert caught.value.public_message == text


def test_a_long_message_of_a_short_kind_is_refused_of_an_origin_too() -> None:
    with pytest.raises(RemoteProtocolError):
        Framer(BACKEND_LIMITS, WHOLE).feed(pack(">BI", Backend.READY_FOR_QUERY, 30_001))
    with pytest.raises(RemoteProtocolError, match="backend message type 63"):
        Framer(BACKEND_LIMITS, WHOLE).feed(b"?\0\0\0\4")


def test_a_row_set_larger_than_an_int32_of_single_rows_is_never_kept() -> None:
    framer = Framer(BACKEND_LIMITS, WHOLE)
    block = b"x" * 65_536
    assert framer.feed(pack(">BI", Backend.DATA_ROW, (1 << 30) + 4)) != []
    for _ in range((1 << 30) // len(block)):
        assert framer.feed(block)[0].data is block
    assert framer.is_at_boundary
