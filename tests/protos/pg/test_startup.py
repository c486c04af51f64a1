"""Startup packets: any chunking gives the same packets, and PostgreSQL's words for what is none."""

import contextlib
import itertools
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.errors import LocalProtocolError, NotAllowedError, RemoteProtocolError
from protos.pg import startup
from protos.pg.startup import CancelRequest, GssEncRequest, SslRequest, StartupMessage, StartupReader

texts = (
    st.binary(max_size=12).filter(lambda value: b"\0" not in value).map(lambda v: v.decode("utf-8", "surrogateescape"))
)
parameters = st.dictionaries(texts.filter(bool), texts, max_size=5)
lasts = st.one_of(
    parameters.map(lambda pairs: (startup.startup_message(pairs, minor=2), StartupMessage(3, 2, pairs))),
    st.binary(min_size=1, max_size=256).map(lambda key: (startup.cancel_request(9, key), CancelRequest(9, key))),
)
requests = st.lists(
    st.sampled_from([(startup.ssl_request(), SslRequest()), (startup.gss_enc_request(), GssEncRequest())]), max_size=2
)


@given(requests, lasts, st.binary(max_size=20), st.lists(st.integers(0, 400), max_size=10))
def test_any_chunking_gives_the_same_packets(
    first: list[tuple[bytes, startup.StartupPacket]],
    last: tuple[bytes, startup.StartupPacket],
    rest: bytes,
    cuts: list[int],
) -> None:
    packets = [*first, last]
    data = b"".join([packet for packet, _ in packets]) + rest
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    reader = StartupReader()
    read = [p for begin, end in itertools.pairwise(places) for p in reader.feed(data[begin:end])]
    assert read == [meaning for _, meaning in packets]
    assert reader.rest == rest


@given(st.binary(max_size=80))
def test_garbage_raises_only_the_protocol_error(data: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        StartupReader().feed(data)


@given(st.binary(max_size=60), st.sampled_from([3 << 16, 3 << 16 | 2, startup.CANCEL_REQUEST_CODE]))
def test_a_garbled_packet_raises_only_the_protocol_error(body: bytes, code: int) -> None:
    with contextlib.suppress(RemoteProtocolError):
        StartupReader().feed(pack(">II", 8 + len(body), code) + body)


def refusal(data: bytes) -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError) as caught:
        StartupReader().feed(data)
    return caught.value


@pytest.mark.parametrize("size", [0, 7, 10_005, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_length_out_of_bounds_is_refused_before_its_packet_comes(size: int) -> None:
    assert refusal(pack(">I", size)).public_message == "invalid length of startup packet"


def test_the_largest_packet_is_taken() -> None:
    pairs = {"user": "u", "options": "x" * (10_004 - 8 - 7 - 8 - 2)}
    message = startup.startup_message(pairs)
    assert len(message) == 10_004
    assert StartupReader().feed(message) == [StartupMessage(3, 0, pairs)]


@pytest.mark.parametrize(
    "body", [b"", b"user\0me\0", b"user\0me\0\0x", b"user\0\0", b"\0user\0me\0", b"\0me\0\0", b"a\0b\0\0c\0\0", b"user"]
)
def test_a_packet_without_its_terminator_at_the_end_is_refused(body: bytes) -> None:
    error = refusal(pack(">II", 8 + len(body), 3 << 16) + body)
    assert error.public_message == "invalid startup packet layout: expected terminator as last byte"
    assert (error.sqlstate, error.severity) == ("08P01", "FATAL")


@pytest.mark.parametrize(("major", "minor"), [(2, 0), (4, 0), (1234, 5677), (0, 0)])
def test_another_protocol_is_refused_in_the_words_of_postgresql(major: int, minor: int) -> None:
    error = refusal(pack(">II", 8, major << 16 | minor))
    assert error.sqlstate == "0A000"
    assert error.public_message == f"unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2"


@pytest.mark.parametrize("key", [b"", b"x" * 257])
def test_a_cancel_key_of_impossible_length_is_refused(key: bytes) -> None:
    assert "cancel" in refusal(startup.cancel_request(1, key)).public_message


@pytest.mark.parametrize(
    ("asked", "pairs", "answer"),
    [
        (0, {}, (0, [])),
        (1, {}, (1, [])),
        (2, {}, (2, [])),
        (3, {}, (2, [])),
        (9999, {"_pq_.a": "1", "_PQ_.b": "1"}, (2, ["_pq_.a"])),
    ],
)
def test_versions_are_negotiated_as_postgresql_18_does(
    asked: int, pairs: dict[str, str], answer: tuple[int, list[str]]
) -> None:
    assert startup.negotiate(StartupMessage(3, asked, {"user": "me", **pairs})) == answer


def test_names_are_cut_at_63_bytes() -> None:
    message = StartupMessage(3, 0, {"user": "u" * 70, "database": "é" * 40})
    assert message.user == "u" * 63
    assert message.database.encode("utf-8", "surrogateescape") == ("é" * 40).encode()[:63]


def test_the_database_is_the_users_if_none_is_named() -> None:
    assert StartupMessage(3, 0, {"user": "me", "database": ""}).database == "me"
    with pytest.raises(NotAllowedError, match="no PostgreSQL user name"):
        _ = StartupMessage(3, 0, {"database": "d"}).user


def test_tls_without_a_request_is_recognised() -> None:
    assert startup.is_tls_hello(b"\x16\x03\x01\x02\x00")
    assert not startup.is_tls_hello(startup.ssl_request())
    assert not startup.is_tls_hello(b"")


def test_a_parameter_that_cannot_be_sent_is_our_own_bug() -> None:
    for pairs in ({"a": "x\0y"}, {"": "x"}):
        with pytest.raises(LocalProtocolError):
            startup.startup_message(pairs)
