"""Both roles of SCRAM against RFC 7677, against each other, and against whatever bytes may come."""

from contextlib import suppress
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.errors import LocalProtocolError, NotAllowedError, RemoteProtocolError
from protos.pg.sasl import (
    MAX_ITERATIONS,
    SCRAM_SHA_256,
    SCRAM_SHA_256_PLUS,
    ScramClient,
    ScramServer,
    printable_nonce,
)
from protos.pg.scram import Challenge, ScramVerifier, decoded, derive_keys, encoded, make_verifier

SALT: Final = decoded(b"W22ZaJ0SNY7soEsUEjb6gQ==") or b""
HASH: Final = bytes(range(32))

# RFC 7677, 3.
CLIENT_NONCE: Final = b"rOprNGfwEbeRWgbNEkqO"
SERVER_NONCE: Final = b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
CLIENT_FIRST: Final = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST: Final = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
CLIENT_FINAL: Final = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL: Final = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def rfc_server() -> ScramServer:
    return ScramServer(make_verifier("pencil", 4096, SALT), SCRAM_SHA_256, None, SERVER_NONCE)


def verifier_of(password: str) -> ScramVerifier:
    return make_verifier(password, 1, SALT)


def begun(mechanism: str = SCRAM_SHA_256, binding: bytes | None = None) -> ScramServer:
    return ScramServer(verifier_of("pencil"), mechanism, binding, b"server")


def exchange(server: ScramServer, client: ScramClient, password: str) -> bool:
    """Run both ends face to face; whether each was convinced of the other."""
    challenge = client.challenged(server.receive_first(client.first()))
    answer = server.receive_final(client.respond(derive_keys(password, challenge)))
    if answer is None:
        return False
    client.verify(answer)
    return True


def test_the_server_of_rfc_7677() -> None:
    server = rfc_server()
    assert server.receive_first(CLIENT_FIRST) == SERVER_FIRST
    assert server.receive_final(CLIENT_FINAL) == SERVER_FINAL


def test_the_client_of_rfc_7677() -> None:
    # The RFC's client names its user inside the exchange, ours never does: only that part of it is put in here.
    client = ScramClient(CLIENT_NONCE, channel_binding=None, plus_offered=False)
    assert client.first() == CLIENT_FIRST.replace(b"user", b"")
    client._bare = CLIENT_FIRST.removeprefix(b"n,,")
    challenge = client.challenged(SERVER_FIRST)
    assert challenge == Challenge(SALT, 4096)
    assert client.respond(derive_keys("pencil", challenge)) == CLIENT_FINAL
    client.verify(SERVER_FINAL)


@given(
    password=st.text(max_size=12),
    guess=st.text(max_size=12),
    nonces=st.tuples(st.binary(min_size=1, max_size=24), st.binary(min_size=1, max_size=24)),
    binding=st.none() | st.just(HASH),
    is_plus=st.booleans(),
)
def test_only_the_right_password_convinces(
    password: str, guess: str, nonces: tuple[bytes, bytes], binding: bytes | None, *, is_plus: bool
) -> None:
    plus = is_plus and binding is not None
    # A client that cannot bind (None) is served without, whatever the server could do.
    client = ScramClient(printable_nonce(nonces[0]), channel_binding=binding if plus else None, plus_offered=plus)
    server = ScramServer(verifier_of(password), client.mechanism, binding, printable_nonce(nonces[1]))
    same = make_verifier(guess, 1, SALT) == make_verifier(password, 1, SALT)
    assert exchange(server, client, guess) == same


def test_the_client_chooses_the_strongest_mechanism() -> None:
    assert ScramClient(b"n", channel_binding=HASH, plus_offered=True).mechanism == SCRAM_SHA_256_PLUS
    assert ScramClient(b"n", channel_binding=HASH, plus_offered=False).mechanism == SCRAM_SHA_256
    assert ScramClient(b"n", channel_binding=None, plus_offered=True).mechanism == SCRAM_SHA_256


def test_another_certificate_in_between_is_noticed() -> None:
    client = ScramClient(b"client", channel_binding=HASH, plus_offered=True)
    with pytest.raises(NotAllowedError, match="another certificate"):
        exchange(begun(SCRAM_SHA_256_PLUS, HASH[::-1]), client, "pencil")


def test_an_offer_taken_away_is_noticed() -> None:
    client = ScramClient(b"client", channel_binding=HASH, plus_offered=False)
    assert client.first().startswith(b"y,,")
    with pytest.raises(NotAllowedError) as caught:
        begun(SCRAM_SHA_256, HASH).receive_first(client.first())
    assert caught.value.sqlstate == "28000"
    assert exchange(begun(), client, "pencil")


def test_a_server_that_does_not_know_the_password_is_noticed() -> None:
    server = rfc_server()
    client = ScramClient(CLIENT_NONCE, channel_binding=None, plus_offered=False)
    challenge = client.challenged(server.receive_first(client.first()))
    client.respond(derive_keys("pencil", challenge))
    with pytest.raises(RemoteProtocolError, match="signature is wrong"):
        client.verify(b"v=" + encoded(bytes(32)))


@pytest.mark.parametrize(
    ("first", "public"),
    [
        (b"", "malformed SCRAM message"),
        (b"n,,", "malformed SCRAM message"),
        (b"x,,n=,r=abc", "malformed SCRAM message"),
        (b"n,n=,r=abc", "malformed SCRAM message"),
        (b"n,,n=,r=", "malformed SCRAM message"),
        (b"n,,r=abc", "malformed SCRAM message"),
        (b"n,,n=,r=a\x7fc", "malformed SCRAM message"),
        (b"n,,n=,r=abc\0", "malformed SCRAM message"),
        (b"n,,n=,r=abc,", "malformed SCRAM message"),
        (b"p=tls-server-end-point,,n=,r=abc", "malformed SCRAM message"),
        (b"n,a=root,n=,r=abc", "client uses authorization identity, but it is not supported"),
        (b"n,,m=x,n=,r=abc", "client requires an unsupported SCRAM extension"),
    ],
)
def test_a_bad_client_first_is_refused_as_postgresql_does(first: bytes, public: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        begun().receive_first(first)
    assert caught.value.public_message == public


@pytest.mark.parametrize("first", [b"n,,n=,r=abc", b"y,,n=,r=abc", b"p=tls-unique,,n=,r=abc"])
def test_plus_without_our_binding_is_refused(first: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        begun(SCRAM_SHA_256_PLUS, HASH).receive_first(first)


@pytest.mark.parametrize("first", [b"n,,n=,r=abc", b"n,,n=*,r=abc", b"n,,n=me,r=abc,x=1,y=2", b"y,,n=,r=abc"])
def test_the_user_name_and_extensions_inside_do_not_matter(first: bytes) -> None:
    assert begun().receive_first(first).startswith(b"r=abcserver,s=")


@pytest.mark.parametrize(
    ("final", "public"),
    [
        (b"", "malformed SCRAM message"),
        (b"c=biws,r=abcserver", "malformed SCRAM message"),
        (b"c=biws,r=abcserver,p=", "malformed SCRAM message"),
        (b"c=biws,r=abcserver,p=AAAA", "malformed SCRAM message"),
        (b"c=biws,r=abcserver,p=####", "malformed SCRAM message"),
        (b"c=biws,r=abcserver,p=" + encoded(bytes(32)) + b",x=1", "malformed SCRAM message"),
        (b"c=biws,r=abcservers,p=" + encoded(bytes(32)), "invalid SCRAM response"),
        (b"c=biws,r=abc,p=" + encoded(bytes(32)), "invalid SCRAM response"),
        (b"c=eSws,r=abcserver,p=" + encoded(bytes(32)), "unexpected SCRAM channel-binding attribute"),
    ],
)
def test_a_bad_client_final_is_refused(final: bytes, public: str) -> None:
    server = begun()
    server.receive_first(b"n,,n=,r=abc")
    with pytest.raises(RemoteProtocolError) as caught:
        server.receive_final(final)
    assert caught.value.public_message.startswith(public)


def test_a_wrong_proof_is_no_error_but_an_answer() -> None:
    server = begun()
    server.receive_first(b"n,,n=,r=abc")
    assert server.receive_final(b"c=biws,r=abcserver,x=ext,p=" + encoded(bytes(32))) is None


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"e=other-error",
        b"r=client,s=AAAA,i=1",  # the server added nothing
        b"r=another,s=AAAA,i=1",
        b"r=clientX,s=,i=1",
        b"r=clientX,s=####,i=1",
        b"r=clientX,s=AAAA,i=0",
        b"r=clientX,s=AAAA,i=-1",
        b"r=clientX,s=AAAA,i=",
        b"r=clientX,s=AAAA,i=%d" % (MAX_ITERATIONS + 1),
        b"r=clientX,s=AAAA,i=99999999999",
        b"m=x,r=clientX,s=AAAA,i=1",
    ],
)
def test_a_bad_server_first_is_refused(first: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        ScramClient(b"client", channel_binding=None, plus_offered=False).challenged(first)


def test_a_mechanism_that_was_not_offered_is_refused() -> None:
    for mechanism in (SCRAM_SHA_256_PLUS, "SCRAM-SHA-1", ""):
        with pytest.raises(RemoteProtocolError) as caught:
            begun(mechanism)
        assert caught.value.public_message == "client selected an invalid SASL authentication mechanism"


def test_steps_out_of_order_are_our_own_bug() -> None:
    client = ScramClient(b"client", channel_binding=None, plus_offered=False)
    with pytest.raises(LocalProtocolError):
        client.respond(derive_keys("pencil", Challenge(SALT, 1)))
    with pytest.raises(LocalProtocolError):
        client.verify(SERVER_FINAL)
    server = begun()
    with pytest.raises(LocalProtocolError):
        server.receive_final(CLIENT_FINAL)
    server.receive_first(CLIENT_FIRST)
    with pytest.raises(LocalProtocolError):
        server.receive_first(CLIENT_FIRST)
    with pytest.raises(LocalProtocolError):
        ScramClient(b"a,b", channel_binding=None, plus_offered=False)


# Bytes that come near to what is expected find more than bytes from nowhere.
NEARLY = st.one_of(
    st.binary(max_size=60),
    st.lists(
        st.sampled_from(
            b"n y p=tls-server-end-point , ,, n= r=abc r=abcserver s=AAAA i=1 c=biws v= e= m= a= = \0 \xff".split(b" ")
        ),
        max_size=9,
    ).map(b"".join),
)


@given(NEARLY, NEARLY, st.sampled_from([SCRAM_SHA_256, SCRAM_SHA_256_PLUS]))
def test_garbage_raises_nothing_unforeseen_in_the_server(first: bytes, final: bytes, mechanism: str) -> None:
    server = begun(mechanism, HASH)
    with suppress(RemoteProtocolError, NotAllowedError):
        server.receive_first(first)
        assert server.receive_final(final) is None


@given(NEARLY, NEARLY)
def test_garbage_raises_nothing_unforeseen_in_the_client(first: bytes, final: bytes) -> None:
    client = ScramClient(b"abc", channel_binding=HASH, plus_offered=True)
    with suppress(RemoteProtocolError):
        client.respond(derive_keys("pencil", client.challenged(first)))
        client.verify(final)
        pytest.fail("a server that knows nothing was believed")
