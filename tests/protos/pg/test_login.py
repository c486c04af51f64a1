"""Logging in to an origin: every method with a real PostgreSQL, every refusal with a scripted one."""

import hashlib
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any, Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.errors import LocalProtocolError, OriginRefusedError
from protos.pg import messages
from protos.pg.login import MAX_PARAMETERS, DeriveKeys, Event, LoggedIn, Login, LoginTarget, Refused, Send, StartTls
from protos.pg.sasl import NONCE_BYTES, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramServer, printable_nonce
from protos.pg.scram import KeyCache, ScramVerifier, certificate_hash, derive_keys, make_verifier
from protos.pg.startup import StartupMessage, parse_packet, ssl_request
from protos.pg.tags import TransactionStatus
from tests.support.cluster import Origin

PASSWORD: Final = "pencil"
VERIFIER: Final = make_verifier(PASSWORD, 2, b"salt")
TARGET: Final = LoginTarget(user="me", password=PASSWORD, database="app", sslmode="disable")
READY: Final = (
    messages.authentication_ok()
    + messages.parameter_status("server_version", "15.4")
    + messages.parameter_status("TimeZone", "UTC")
    + messages.backend_key_data(7, b"\0\0\0\1")
    + messages.ready_for_query(TransactionStatus.IDLE)
)
LOGGED_IN: Final = LoggedIn({"server_version": "15.4", "TimeZone": "UTC"}, 7, b"\0\0\0\1")

random_bytes: Final = partial(os.urandom, NONCE_BYTES)


def login(target: LoginTarget = TARGET, keys: KeyCache | None = None, **changes: Any) -> Login:
    return Login(attrs.evolve(target, **changes), nonce=random_bytes, keys=KeyCache() if keys is None else keys)


def asked(**changes: Any) -> Login:
    """A login whose StartupMessage is out."""
    begun = login(**changes)
    begun.start()
    return begun


def refusal(events: list[Event]) -> Refused:
    *_, last = events
    assert isinstance(last, Refused)
    assert isinstance(last.error, OriginRefusedError)
    return last


def sent(events: list[Event]) -> bytes:
    (event,) = events
    assert isinstance(event, Send)
    return event.data


class ScramOrigin:
    """An origin that asks for SCRAM, says it is ready, and reads one message at a time."""

    def __init__(self, verifier: ScramVerifier = VERIFIER, binding: bytes | None = None) -> None:
        self._verifier = verifier
        self._binding = binding
        self._scram: ScramServer | None = None
        self.mechanism = ""

    def first(self) -> bytes:
        plus = [SCRAM_SHA_256_PLUS] if self._binding else []
        return messages.authentication_sasl([*plus, SCRAM_SHA_256])

    def answer(self, message: bytes) -> bytes:
        if self._scram is None:
            self.mechanism, client_first = messages.sasl_initial_of(message)
            assert client_first is not None
            nonce = printable_nonce(random_bytes())
            self._scram = ScramServer(self._verifier, self.mechanism, self._binding, nonce)
            return messages.authentication_sasl_continue(self._scram.receive_first(client_first))
        final = self._scram.receive_final(message[5:])
        if final is None:
            return messages.error_response({"S": "FATAL", "C": "28P01", "M": "no"})
        return messages.authentication_sasl_final(final) + READY


def converse(client: Login, origin: ScramOrigin, cut: Callable[[bytes], Iterator[bytes]]) -> list[Event]:
    """Let both talk until neither has anything to say; what the client ended with."""
    to_client = origin.first()
    last: list[Event] = []
    while to_client:
        chunks, to_client = cut(to_client), b""
        for chunk in chunks:
            for event in client.receive(chunk):
                if isinstance(event, Send):
                    to_client += origin.answer(event.data)
                else:
                    last.append(event)
    return last


def uncut(data: bytes) -> Iterator[bytes]:
    yield data


def test_the_first_packet_says_who_and_what() -> None:
    packet = parse_packet(login(parameters={"client_encoding": "UTF8"}).start())
    assert packet == StartupMessage(3, 0, {"user": "me", "database": "app", "client_encoding": "UTF8"})


@pytest.mark.parametrize("sslmode", ["require", "verify-ca", "verify-full"])
def test_tls_comes_first(sslmode: str) -> None:
    client = login(sslmode=sslmode)
    assert client.start() == ssl_request()
    assert client.receive(b"S") == [StartTls()]
    with pytest.raises(LocalProtocolError):
        client.receive(b"\x16")
    assert isinstance(parse_packet(client.secured(b"no certificate")), StartupMessage)
    assert client.receive(READY) == [LOGGED_IN]


def test_an_sslmode_that_would_fall_back_is_our_own_bug() -> None:
    with pytest.raises(LocalProtocolError):
        login(sslmode="prefer")
    with pytest.raises(LocalProtocolError):
        login().secured(b"")


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (b"N", "does not offer TLS"),
        (b"S" + READY, "and TLS"),
        (b"N" + READY, "and TLS"),
        (b"E" + b"\0" * 20, "with an error"),
        (b"HTTP/1.1 400 Bad Request", "something else"),
    ],
)
def test_without_tls_there_is_no_login(reply: bytes, why: str) -> None:
    client = asked(sslmode="require")
    assert why in str(refusal(client.receive(reply)).error)
    assert client.receive(READY) == []


@given(st.data())
def test_any_chunking_gives_the_same_login(data: st.DataObject) -> None:
    def cut(stream: bytes) -> Iterator[bytes]:
        while stream:
            size = data.draw(st.integers(1, len(stream)))
            yield stream[:size]
            stream = stream[size:]

    assert converse(asked(), ScramOrigin(), cut) == [LOGGED_IN]


def test_a_wrong_password_is_the_origins_word() -> None:
    origin = ScramOrigin(make_verifier("another", 2, b"salt"))
    refused = refusal(converse(asked(), origin, uncut))
    assert refused.fields["C"] == "28P01"
    assert refused.error.sqlstate == "08006"


def test_an_origin_that_only_pretends_to_know_the_password_is_not_believed() -> None:
    impostor = ScramVerifier(2, b"salt", VERIFIER.stored_key, bytes(32))
    assert "signature is wrong" in str(refusal(converse(asked(), ScramOrigin(impostor), uncut)).error)


def test_an_origin_that_skips_its_proof_is_not_believed() -> None:
    client, origin = asked(), ScramOrigin()
    first = sent(client.receive(origin.first()))
    assert refusal(client.receive(messages.authentication_ok())).fields == {}
    client = asked()
    first = sent(client.receive(origin.first()))
    sent(client.receive(origin.answer(first)))
    assert "authentication request 0" in str(refusal(client.receive(READY)).error)


def test_keys_are_derived_once_for_all_logins() -> None:
    keys = KeyCache()
    assert converse(asked(keys=keys), ScramOrigin(), uncut) == [LOGGED_IN]
    assert keys.size == 1
    assert converse(asked(keys=keys), ScramOrigin(), uncut) == [LOGGED_IN]
    assert keys.size == 1


def test_many_iterations_are_left_to_a_thread() -> None:
    keys, origin = KeyCache(), ScramOrigin()
    client = Login(TARGET, nonce=random_bytes, keys=keys, max_inline_iterations=1)
    client.start()
    first = sent(client.receive(origin.first()))
    (request,) = client.receive(origin.answer(first))
    assert isinstance(request, DeriveKeys)
    assert PASSWORD not in repr(request)
    with pytest.raises(LocalProtocolError):
        login().derived(derive_keys("", request.challenge))
    final = sent(client.derived(derive_keys(request.password, request.challenge)))
    assert client.receive(origin.answer(final)) == [LOGGED_IN]
    assert client.derived(derive_keys("", request.challenge)) == []
    again = Login(TARGET, nonce=random_bytes, keys=keys, max_inline_iterations=1)
    again.start()
    assert converse(again, ScramOrigin(), uncut) == [LOGGED_IN]


def test_without_a_binding_plus_is_not_chosen() -> None:
    origin = ScramOrigin(binding=bytes(32))
    assert converse(asked(), origin, uncut) == [LOGGED_IN]
    assert origin.mechanism == SCRAM_SHA_256


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (messages.authentication_cleartext_password(), b"pencil"),
        (
            messages.authentication_md5_password(b"salt"),
            b"md5" + hashlib.md5(hashlib.md5(b"pencilme").hexdigest().encode() + b"salt").hexdigest().encode(),
        ),
    ],
)
def test_a_plain_password_goes_only_where_it_may(request_: bytes, expected: bytes) -> None:
    allowed = asked(may_send_plain=True)
    assert sent(allowed.receive(request_)) == messages.password_message(expected)
    assert allowed.receive(READY) == [LOGGED_IN]
    refused = refusal(asked().receive(request_))
    assert "not verified" in str(refused.error)
    assert refused.error.hint is not None
    assert "verify-full" in refused.error.hint


@pytest.mark.parametrize(
    "question",
    [
        messages.authentication_cleartext_password(),
        messages.authentication_md5_password(b"salt"),
        messages.authentication_sasl([SCRAM_SHA_256]),
    ],
)
def test_a_password_that_is_missing_is_named(question: bytes) -> None:
    assert "has none" in str(refusal(asked(password="", may_send_plain=True).receive(question)).error)


@pytest.mark.parametrize("code", [2, 6, 7, 8, 9])
def test_a_method_that_we_do_not_have_is_named(code: int) -> None:
    question = b"R" + (8).to_bytes(4) + code.to_bytes(4)
    assert "pg_hba.conf" in (refusal(asked().receive(question)).error.hint or "")


def test_a_mechanism_that_we_do_not_have_is_named() -> None:
    for mechanisms in (["OAUTHBEARER"], [SCRAM_SHA_256_PLUS], []):
        error = refusal(asked().receive(messages.authentication_sasl(mechanisms))).error
        assert all(mechanism in str(error) for mechanism in mechanisms)


def test_trust_needs_no_password() -> None:
    assert asked(password="").receive(READY) == [LOGGED_IN]


def test_notices_are_swallowed_and_what_follows_is_handed_on() -> None:
    notice = messages.notice_response({"S": "WARNING", "C": "01000", "M": "collations differ"})
    (event,) = asked().receive(notice + READY[:9] + notice + READY[9:] + notice[:4])
    assert event == attrs.evolve(LOGGED_IN, rest=notice[:4])


def test_what_the_origin_says_stays_with_us() -> None:
    said = {"S": "FATAL", "C": "28000", "M": 'no pg_hba.conf entry for host "10.0.0.7", user "me"'}
    refused = refusal(asked().receive(messages.error_response(said)))
    assert refused.fields == said
    told = messages.service_error(refused.error)
    assert b"10.0.0.7" not in told
    assert b"28000" in told


def test_a_client_may_know_that_the_origin_is_full_or_starting() -> None:
    said = {"S": "FATAL", "C": "53300", "M": "sorry, too many clients already"}
    assert b"too many clients already" in messages.service_error(
        refusal(asked().receive(messages.error_response(said))).error
    )


def test_an_error_before_garbage_is_still_heard() -> None:
    said = messages.error_response({"S": "FATAL", "C": "57P03", "M": "starting"})
    assert refusal(asked().receive(said + b"\xff" * 9)).fields["C"] == "57P03"


@pytest.mark.parametrize(
    "stream",
    [
        messages.parameter_status("a", "b"),
        messages.backend_key_data(1, b"1234"),
        messages.ready_for_query(TransactionStatus.IDLE),
        messages.authentication_sasl_continue(b"r=x"),
        messages.authentication_sasl_final(b"v="),
        messages.negotiate_protocol_version(0, []),
        messages.data_row([b"1"]),
        b"R\0\0\0\4",
        b"R\0\0\0\6\0\0",
        b"R\x7f\xff\xff\xff",
        b"E\0\0\x80\0",
        b"\0\0\0\0\0\0",
        READY[:9] + messages.authentication_ok(),
        READY[:9] + messages.command_complete("SELECT 1"),
        READY[:9] + b"".join(messages.parameter_status(str(number), "") for number in range(MAX_PARAMETERS + 1)),
    ],
)
def test_what_is_not_expected_refuses(stream: bytes) -> None:
    assert "broke the protocol" in str(refusal(asked().receive(stream)).error)


PIECES = st.sampled_from(
    (
        *(b"R\0\0\0\x08\0\0\0" + bytes([code]) for code in range(13)),
        *(READY[:9], READY[9:], READY, b"R", b"\0\0", b"E\0\0\0\5\0", b"S", b"N", b"K\0\0\0\5x"),
        messages.authentication_sasl([SCRAM_SHA_256]),
        messages.authentication_sasl_continue(b"r=x,s=AAAA,i=1"),
    )
)


@given(st.lists(PIECES | st.binary(max_size=12), max_size=8), st.sampled_from(("disable", "require")))
def test_garbage_ends_in_a_refusal_or_not_at_all(stream: list[bytes], sslmode: str) -> None:
    client = asked(sslmode=sslmode, may_send_plain=True)
    ends = 0
    for data in stream:
        for event in client.receive(data):
            if isinstance(event, StartTls):
                client.secured(b"")
            ends += isinstance(event, LoggedIn | Refused)
    assert ends <= 1


def test_nothing_secret_is_in_a_repr() -> None:
    client = asked(may_send_plain=True)
    (event,) = client.receive(messages.authentication_cleartext_password())
    assert PASSWORD not in repr(event) + repr(TARGET) + repr(client)
    assert repr(LOGGED_IN).count("x01") == 0


# --- a real PostgreSQL ---


def real_login(origin: Origin, target: LoginTarget) -> tuple[list[Event], str]:
    """Drive a login over a blocking socket; its last events, and what a query on it then gives."""
    client = Login(target, nonce=random_bytes, keys=KeyCache())
    with ExitStack() as stack:
        plain = connection = stack.enter_context(socket.create_connection((origin.host, origin.port), timeout=10))
        connection.sendall(client.start())
        while True:
            for event in client.receive(connection.recv(4096)):
                match event:
                    case Send(data):
                        connection.sendall(data)
                    case StartTls():
                        context = ssl.create_default_context(cafile=str(origin.certificate))
                        connection = stack.enter_context(context.wrap_socket(plain, server_hostname="localhost"))
                        certificate = connection.getpeercert(binary_form=True)
                        assert certificate is not None
                        assert certificate_hash(certificate) is not None
                        connection.sendall(client.secured(certificate))
                    case LoggedIn():
                        return [event], _ask(connection)
                    case _:
                        return [event], ""


def _ask(connection: socket.socket) -> str:
    connection.sendall(messages.query(b"select session_user || ' ' || current_database()"))
    answer = b""
    while not answer.endswith(messages.ready_for_query(TransactionStatus.IDLE)):
        answer += connection.recv(4096)
    with suppress(OSError):
        connection.sendall(messages.terminate())
    start = answer.index(b"D\0")
    size = int.from_bytes(answer[start + 1 : start + 5])
    (value,) = messages.data_row_of(answer[start : start + 1 + size])
    return (value or b"").decode()


def real_target(origin: Origin, user: str, **changes: Any) -> LoginTarget:
    target = LoginTarget(user=user, password=origin.password, database=origin.database, sslmode="verify-full")
    return attrs.evolve(target, **changes)


@pytest.mark.postgres
@pytest.mark.parametrize("sslmode", ["disable", "verify-full"])
def test_postgresql_takes_scram(origin: Origin, sslmode: str) -> None:
    target = real_target(origin, "by_scram", sslmode=sslmode, parameters={"application_name": "onetrip"})
    (event,), answer = real_login(origin, target)
    assert isinstance(event, LoggedIn)
    assert answer == f"by_scram {origin.database}"
    assert event.parameters["application_name"] == "onetrip"
    assert event.process_id > 0
    assert len(event.secret_key) == 4


@pytest.mark.postgres
@pytest.mark.parametrize("user", ["by_md5", "by_password"])
def test_postgresql_takes_plain_passwords(origin: Origin, user: str) -> None:
    _, answer = real_login(origin, real_target(origin, user, may_send_plain=True))
    assert answer == f"{user} {origin.database}"
    (event,), _ = real_login(origin, real_target(origin, user))
    assert isinstance(event, Refused)


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("user", "changes", "sqlstate"),
    [
        ("by_scram", {"password": "wrong"}, "28P01"),
        ("by_md5", {"password": "wrong", "may_send_plain": True}, "28P01"),
        ("by_password", {"password": "wrong", "may_send_plain": True}, "28P01"),
        ("does_not_exist", {}, "28P01"),
        ("unwelcome", {}, "28000"),
        ("by_scram", {"database": "does_not_exist"}, "3D000"),
        ("by_scram", {"parameters": {"DateStyle": "nonsense"}}, "22023"),
    ],
)
def test_postgresql_refuses_in_its_own_words(origin: Origin, user: str, changes: dict[str, Any], sqlstate: str) -> None:
    (event,), _ = real_login(origin, real_target(origin, user, **changes))
    assert isinstance(event, Refused)
    assert event.fields["C"] == sqlstate
