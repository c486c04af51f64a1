"""What may come before the startup packet, and what may not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.greeting import Greeting, Outcome
from edge.handshake_actions import Cancel, Close, Send, StartTls
from protos.errors import RemoteProtocolError, ServiceError
from protos.pg.startup import StartupMessage, cancel_request, gss_enc_request, ssl_request, startup_message

STARTUP = startup_message({"user": "me"}, minor=2)
PARSED = StartupMessage(3, 2, {"user": "me"})
HELLO = b"\x16\x03\x01 hello"


def greeting(*, tls_available: bool = True) -> Greeting:
    return Greeting(tls_available=tls_available)


def secured() -> Greeting:
    begun = greeting()
    begun.receive(ssl_request())
    begun.secured(None)
    return begun


def test_a_client_may_come_to_the_point_at_once() -> None:
    begun = greeting()
    assert begun.receive(STARTUP + b"more") == [PARSED]
    assert begun.rest == b"more"
    assert not begun.is_secured


def test_tls_is_given_where_there_is_a_certificate() -> None:
    begun = greeting()
    assert begun.receive(ssl_request()) == [Send(b"S"), StartTls()]
    assert begun.secured(None) is None
    assert begun.is_secured
    assert begun.receive(STARTUP) == [PARSED]


def test_without_a_certificate_the_answer_is_no_and_the_client_goes_on() -> None:
    begun = greeting(tls_available=False)
    assert begun.receive(gss_enc_request()) == [Send(b"N")]
    assert begun.receive(ssl_request()) == [Send(b"N")]
    assert begun.receive(STARTUP) == [PARSED]


def test_gssapi_refused_leaves_tls_to_ask_for() -> None:
    begun = greeting()
    assert begun.receive(gss_enc_request()) == [Send(b"N")]
    assert begun.receive(ssl_request()) == [Send(b"S"), StartTls()]


@pytest.mark.parametrize("request_", [ssl_request(), gss_enc_request()])
def test_encryption_is_asked_for_once(request_: bytes) -> None:
    twice = greeting(tls_available=False)
    twice.receive(request_)
    for begun in (twice, secured()):
        with pytest.raises(RemoteProtocolError) as caught:
            begun.receive(request_)
        assert caught.value.sqlstate == "0A000"
        assert caught.value.public_message.startswith("unsupported frontend protocol 1234.56")


@pytest.mark.parametrize("request_", [ssl_request(), gss_enc_request()])
@pytest.mark.parametrize("smuggled", [b"\0", STARTUP, ssl_request(), cancel_request(1, b"1234")])
@pytest.mark.parametrize("tls_available", [True, False])
def test_bytes_smuggled_before_tls_close(request_: bytes, smuggled: bytes, *, tls_available: bool) -> None:
    (outcome,) = greeting(tls_available=tls_available).receive(request_ + smuggled)
    assert isinstance(outcome, Close)


def test_direct_tls_needs_its_protocol_named() -> None:
    for alpn in (None, "h2", ""):
        begun = greeting()
        assert begun.receive(HELLO) == [StartTls(HELLO)]
        assert isinstance(begun.secured(alpn), Close)
        assert not begun.is_secured
    begun = greeting()
    begun.receive(HELLO)
    assert begun.secured("postgresql") is None
    assert begun.receive(STARTUP) == [PARSED]


def test_direct_tls_without_a_certificate_closes() -> None:
    (outcome,) = greeting(tls_available=False).receive(HELLO)
    assert isinstance(outcome, Close)


def test_inside_direct_tls_there_is_no_more_to_ask_for() -> None:
    begun = greeting()
    begun.receive(HELLO)
    begun.secured("postgresql")
    assert begun.receive(ssl_request()) == [Send(b"N")]


def test_tls_begins_at_the_first_byte_or_by_request() -> None:
    begun = greeting(tls_available=False)
    begun.receive(gss_enc_request())
    with pytest.raises(RemoteProtocolError, match="length"):
        begun.receive(HELLO)


def test_a_cancellation_is_all_that_its_connection_is_for() -> None:
    assert greeting().receive(cancel_request(7, b"key!") + b"whatever") == [Cancel(7, b"key!")]
    assert secured().receive(cancel_request(7, b"k" * 32)) == [Cancel(7, b"k" * 32)]


@given(
    chunks=st.lists(
        st.sampled_from([ssl_request(), gss_enc_request(), STARTUP, HELLO, cancel_request(1, b"1234")])
        | st.binary(max_size=20),
        max_size=5,
    ),
    tls_available=st.booleans(),
)
def test_garbage_raises_nothing_unforeseen(chunks: list[bytes], *, tls_available: bool) -> None:
    begun = greeting(tls_available=tls_available)
    for chunk in chunks:
        try:
            outcomes: list[Outcome] = begun.receive(chunk)
        except ServiceError:
            return
        if any(isinstance(outcome, StartTls) for outcome in outcomes):
            begun.secured("postgresql")
        if any(isinstance(outcome, Close | Cancel | StartupMessage) for outcome in outcomes):
            return
