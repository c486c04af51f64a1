"""A client proves that it knows its password, or does not get in."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.authentication import Authentication, Credential, Proven
from edge.handshake_actions import CheckPassword, Send
from protos.errors import InvalidPasswordError, LocalProtocolError, NotAllowedError, RemoteProtocolError, ServiceError
from protos.pg import messages
from protos.pg.sasl import SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramClient
from protos.pg.scram import derive_keys, make_verifier

VERIFIER: Final = make_verifier("pencil", 1, b"salt")
HASH: Final = bytes(range(32))


def authentication(client_auth: str = "scram-sha-256", binding: bytes | None = None) -> Authentication:
    credential = Credential(verifier=VERIFIER, client_auth=client_auth)
    return Authentication("me", credential, certificate_hash=binding, nonce=lambda: b"nonce")


def started(client_auth: str = "scram-sha-256", binding: bytes | None = None) -> Authentication:
    begun = authentication(client_auth, binding)
    begun.start(is_secured=True)
    return begun


def sent(outcome: object) -> bytes:
    assert isinstance(outcome, Send)
    return outcome.data


def prove(server: Authentication, client: ScramClient, password: str) -> Proven:
    challenge = sent(server.receive(messages.sasl_initial_response(client.mechanism, client.first())))
    keys = derive_keys(password, client.challenged(messages.authentication_of(challenge)[1]))
    proven = server.receive(messages.sasl_response(client.respond(keys)))
    assert isinstance(proven, Proven)
    client.verify(messages.authentication_of(proven.data)[1])
    return proven


@pytest.mark.parametrize(("binding", "offer"), [(None, [SCRAM_SHA_256]), (HASH, [SCRAM_SHA_256_PLUS, SCRAM_SHA_256])])
def test_plus_is_on_offer_where_there_is_something_to_bind_to(binding: bytes | None, offer: list[str]) -> None:
    server = authentication(binding=binding)
    _, data = messages.authentication_of(sent(server.start(is_secured=True)))
    assert messages.sasl_mechanisms_of(data) == offer
    client = ScramClient(b"client", channel_binding=binding, plus_offered=SCRAM_SHA_256_PLUS in offer)
    assert prove(server, client, "pencil")


def test_a_client_that_cannot_bind_gets_in_too() -> None:
    assert prove(started(binding=HASH), ScramClient(b"c", channel_binding=None, plus_offered=True), "pencil")


def test_a_wrong_password_is_refused_by_name_and_why_stays_with_us() -> None:
    with pytest.raises(InvalidPasswordError) as caught:
        prove(started(), ScramClient(b"c", channel_binding=None, plus_offered=False), "pencils")
    assert caught.value.public_message == 'password authentication failed for user "me"'
    assert "wrong proof" in str(caught.value)


def test_the_first_message_may_come_after_the_mechanism() -> None:
    server, client = started(), ScramClient(b"c", channel_binding=None, plus_offered=False)
    empty = sent(server.receive(messages.sasl_initial_response(SCRAM_SHA_256, None)))
    assert messages.authentication_of(empty) == (messages.AUTHENTICATION_SASL_CONTINUE, b"")
    challenge = sent(server.receive(messages.sasl_response(client.first())))
    keys = derive_keys("pencil", client.challenged(messages.authentication_of(challenge)[1]))
    assert isinstance(server.receive(messages.sasl_response(client.respond(keys))), Proven)


def test_a_password_in_clear_needs_tls() -> None:
    with pytest.raises(NotAllowedError) as caught:
        authentication("password").start(is_secured=False)
    assert caught.value.sqlstate == "28000"
    assert "sslmode=require" in (caught.value.hint or "")
    question = sent(authentication("password").start(is_secured=True))
    assert question == messages.authentication_cleartext_password()


def test_a_password_in_clear_is_checked_elsewhere() -> None:
    server = started("password")
    assert server.receive(messages.password_message(b"pencil")) == CheckPassword(b"pencil", VERIFIER)
    with pytest.raises(LocalProtocolError):
        server.receive(messages.password_message(b"pencil"))
    assert server.password_checked(ok=True) == Proven(b"")
    with pytest.raises(LocalProtocolError):
        server.password_checked(ok=True)


def test_a_password_that_does_not_verify_is_refused() -> None:
    server = started("password")
    server.receive(messages.password_message(b"pencils"))
    with pytest.raises(InvalidPasswordError):
        server.password_checked(ok=False)


def test_an_empty_password_is_refused() -> None:
    with pytest.raises(InvalidPasswordError, match="empty"):
        started("password").receive(messages.password_message(b""))


@pytest.mark.parametrize("mechanism", [SCRAM_SHA_256_PLUS, "SCRAM-SHA-1", ""])
def test_a_mechanism_that_was_not_offered_is_refused(mechanism: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        started().receive(messages.sasl_initial_response(mechanism, b"n,,n=,r=abc"))
    assert caught.value.public_message == "client selected an invalid SASL authentication mechanism"


@given(
    st.lists(
        st.sampled_from(
            [
                messages.sasl_initial_response(SCRAM_SHA_256, b"n,,n=,r=abc"),
                messages.sasl_initial_response(SCRAM_SHA_256, None),
                messages.sasl_response(b"c=biws,r=abcbm9uY2U=,p="),
            ]
        )
        | st.binary(max_size=40).map(messages.sasl_response),
        max_size=4,
    ),
    st.sampled_from(["password", "scram-sha-256"]),
)
def test_garbage_raises_nothing_unforeseen(responses: list[bytes], client_auth: str) -> None:
    server = started(client_auth, HASH)
    for response in responses:
        try:
            outcome = server.receive(response)
        except ServiceError:
            return
        assert not isinstance(outcome, Proven)
        if isinstance(outcome, CheckPassword):
            return
