"""Clients of all kinds at the door: our own login core face to face, psycopg over sockets, and bytes from nowhere."""

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.handshake import (
    MAX_EARLY_BYTES,
    Accepted,
    Action,
    Cancel,
    CheckPassword,
    Close,
    Credential,
    Handshake,
    Refuse,
    Send,
    StartTls,
    Wait,
)
from protos.errors import LocalProtocolError
from protos.pg import messages
from protos.pg.login import Event, LoggedIn, Login, LoginTarget, Refused
from protos.pg.login import Send as LoginSend
from protos.pg.login import StartTls as LoginStartTls
from protos.pg.sasl import NONCE_BYTES, SCRAM_SHA_256
from protos.pg.scram import KeyCache, certificate_hash, make_verifier, verifies
from protos.pg.startup import cancel_request, gss_enc_request, ssl_request, startup_message
from protos.pg.tags import TransactionStatus
from tests.support.certificates import Certificate, self_signed

USER: Final = "ot_me"
PASSWORD: Final = "pencil"
SCRAM: Final = Credential(verifier=make_verifier(PASSWORD, 2, b"salt"))
CLEAR: Final = Credential(verifier=SCRAM.verifier, client_auth="password")
HASH: Final = bytes(range(32))
READY: Final = (
    messages.parameter_status("server_version", "15.4")
    + messages.parameter_status("client_encoding", "UTF8")
    + messages.parameter_status("standard_conforming_strings", "on")
    + messages.backend_key_data(7, b"1234")
    + messages.ready_for_query(TransactionStatus.IDLE)
)

Result = TypeVar("Result")

random_bytes: Final = partial(os.urandom, NONCE_BYTES)


@attrs.define
class FakeDirectory:
    """Two configurations, a user each."""

    is_ready: bool = True
    mock_secret: bytes = b"mock"
    credentials: dict[tuple[str, str], Credential] = attrs.field(
        factory=lambda: {(USER, "demo"): SCRAM, ("ot_clear", "clear"): CLEAR}
    )

    def find(self, user: str, configuration: str) -> Credential | None:
        return self.credentials.get((user, configuration))

    def user_exists_elsewhere(self, user: str) -> Credential | None:
        return next((known for (name, _), known in self.credentials.items() if name == user), None)

    def exists(self, configuration: str) -> bool:
        return any(name == configuration for _, name in self.credentials)


def handshake(directory: FakeDirectory | None = None, *, tls_available: bool = True) -> Handshake:
    known = FakeDirectory() if directory is None else directory
    return Handshake(known, tls_available=tls_available, nonce=random_bytes)


def startup(user: str = USER, database: str = "demo", *, minor: int = 0, **parameters: str) -> bytes:
    return startup_message({"user": user, "database": database, **parameters}, minor=minor)


def inside_tls(directory: FakeDirectory | None = None) -> Handshake:
    begun = handshake(directory)
    begun.receive(ssl_request())
    assert begun.secured(certificate_hash=HASH, alpn=None) == []
    return begun


def refused(actions: list[Action]) -> tuple[str, str]:
    *_, last = actions
    assert isinstance(last, Refuse)
    return last.error.sqlstate, last.error.public_message


Cut = Callable[[bytes], Iterator[bytes]]


class Conversation:
    """A handshake and a login face to face, acted for as their shells would."""

    def __init__(self, server: Handshake, client: Login, certificate: bytes) -> None:
        self._server = server
        self._client = client
        self._certificate = certificate
        self._to_server, self._to_client = client.start(), b""
        self.server_end: list[Action] = []
        self.client_end: list[LoggedIn | Refused] = []

    def run(self, cut: Cut) -> None:
        while self._to_server or self._to_client:
            chunks, self._to_server = cut(self._to_server), b""
            for chunk in chunks:
                self._act(self._server.receive(chunk))
            chunks, self._to_client = cut(self._to_client), b""
            for chunk in chunks:
                self._note(self._client.receive(chunk))

    def _act(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Send(data):
                    self._to_client += data
                case StartTls():
                    pass  # the client says when
                case CheckPassword(password, verifier):
                    self._act(self._server.password_checked(verifies(password, verifier)))
                case _:
                    self.server_end.append(action)
                    if isinstance(action, Accepted):
                        self._to_client += READY
                    elif isinstance(action, Refuse):
                        self._to_client += messages.service_error(action.error, "FATAL")

    def _note(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case LoginSend(data):
                    self._to_server += data
                case LoginStartTls():
                    binding = certificate_hash(self._certificate)
                    self._act(self._server.secured(certificate_hash=binding, alpn=None))
                    self._to_server += self._client.secured(self._certificate)
                case LoggedIn() | Refused():
                    self.client_end.append(event)


def converse(
    server: Handshake, client: Login, cut: Cut, certificate: bytes = b""
) -> tuple[list[Action], list[LoggedIn | Refused]]:
    """Let both talk until neither has anything to say; what each ended with."""
    conversation = Conversation(server, client, certificate)
    conversation.run(cut)
    return conversation.server_end, conversation.client_end


def uncut(data: bytes) -> Iterator[bytes]:
    if data:
        yield data


def login(user: str = USER, database: str = "demo", password: str = PASSWORD, sslmode: str = "disable") -> Login:
    target = LoginTarget(user=user, password=password, database=database, sslmode=sslmode, may_send_plain=True)
    return Login(target, nonce=random_bytes, keys=KeyCache())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed(tmp_path_factory.mktemp("tls"), "edge")


def der_of(certificate: Certificate) -> bytes:
    return ssl.PEM_cert_to_DER_cert(Path(certificate.cert_file).read_text())


# --- face to face ---


@given(data=st.data(), sslmode=st.sampled_from(("disable", "verify-full")), is_right=st.booleans())
def test_any_chunking_gives_the_same_handshake(
    certificate: Certificate, data: st.DataObject, sslmode: str, *, is_right: bool
) -> None:
    def cut(stream: bytes) -> Iterator[bytes]:
        while stream:
            size = data.draw(st.integers(1, len(stream)))
            yield stream[:size]
            stream = stream[size:]

    client = login(password=PASSWORD if is_right else "wrong", sslmode=sslmode)
    server_end, client_end = converse(handshake(), client, cut, der_of(certificate))
    (server_last,), (client_last,) = server_end, client_end
    if is_right:
        assert isinstance(server_last, Accepted)
        assert isinstance(client_last, LoggedIn)
        assert (server_last.user, server_last.configuration) == (USER, "demo")
        assert server_last.secured == (sslmode != "disable")
    else:
        assert refused(server_end) == ("28P01", f'password authentication failed for user "{USER}"')
        assert isinstance(client_last, Refused)
        assert client_last.fields["C"] == "28P01"


def test_a_password_in_clear_inside_tls(certificate: Certificate) -> None:
    client = login("ot_clear", "clear", sslmode="verify-full")
    (accepted,), (logged_in,) = converse(handshake(), client, uncut, der_of(certificate))
    assert isinstance(accepted, Accepted)
    assert isinstance(logged_in, LoggedIn)
    client = login("ot_clear", "clear", "wrong", sslmode="verify-full")
    server_end, _ = converse(handshake(), client, uncut, der_of(certificate))
    assert refused(server_end)[0] == "28P01"


def test_a_password_in_clear_outside_tls_is_not_even_asked_for() -> None:
    actions = handshake().receive(startup("ot_clear", "clear"))
    assert len(actions) == 1
    assert refused(actions)[0] == "28000"


@pytest.mark.parametrize("tls_available", [True, False])
def test_another_certificate_in_between_is_noticed(certificate: Certificate, *, tls_available: bool) -> None:
    server, client = handshake(), login(sslmode="verify-full")
    server.receive(client.start())
    client.receive(b"S")
    server.secured(certificate_hash=HASH if tls_available else None, alpn=None)
    (question,) = server.receive(client.secured(der_of(certificate)))
    assert isinstance(question, Send)
    (first,) = client.receive(question.data)
    assert isinstance(first, LoginSend)
    (challenge,) = server.receive(first.data)
    assert isinstance(challenge, Send)
    (proof,) = client.receive(challenge.data)
    assert isinstance(proof, LoginSend)
    actions = server.receive(proof.data)
    if tls_available:
        assert refused(actions) == ("28000", "SCRAM channel binding check failed")
    else:
        assert isinstance(actions[-1], Accepted)


# --- who is told what (rules 27) ---


def test_an_unknown_user_is_asked_and_fails_like_a_wrong_password() -> None:
    questions = []
    for user, database, expected in (
        (USER, "demo", "28P01"),
        ("nobody", "demo", "28P01"),
        ("nobody", "no_such", "28P01"),
        (USER, "no_such", "28P01"),
        (USER, "clear", "28P01"),
    ):
        server_end, _ = converse(handshake(), login(user, database, "wrong"), uncut)
        assert refused(server_end) == (expected, f'password authentication failed for user "{user}"')
        questions.append(handshake().receive(startup(user, database)))
    assert all(question == questions[0] for question in questions)


def test_an_unknown_user_has_the_same_salt_at_every_attempt() -> None:
    def salt_of(user: str, secret: bytes) -> bytes:
        server = handshake(FakeDirectory(mock_secret=secret))
        server.receive(startup(user))
        (challenge,) = server.receive(messages.sasl_initial_response(SCRAM_SHA_256, b"n,,n=,r=abc"))
        assert isinstance(challenge, Send)
        return challenge.data.partition(b",s=")[2]

    assert salt_of("nobody", b"a") == salt_of("nobody", b"a") != salt_of("somebody", b"a")
    assert salt_of("nobody", b"a") != salt_of("nobody", b"b")


def test_a_proven_user_is_told_that_the_configuration_does_not_exist() -> None:
    server_end, (client_last,) = converse(handshake(), login(USER, "no_such"), uncut)
    assert refused(server_end) == ("3D000", 'database "no_such" does not exist')
    assert isinstance(client_last, Refused)
    assert client_last.fields["C"] == "3D000"
    assert client_last.fields["S"] == "FATAL"


def test_a_proven_user_of_another_configuration_is_not_allowed() -> None:
    server_end, _ = converse(handshake(), login(USER, "clear"), uncut)
    assert refused(server_end)[0] == "28000"


def test_a_credential_that_changes_during_the_login_does_not_let_in() -> None:
    directory = FakeDirectory()
    server, client = handshake(directory), login()
    (question,) = server.receive(client.start())
    assert isinstance(question, Send)
    directory.credentials[USER, "demo"] = Credential(verifier=make_verifier("new", 2, b"salt"))
    (first,) = client.receive(question.data)
    assert isinstance(first, LoginSend)
    (challenge,) = server.receive(first.data)
    assert isinstance(challenge, Send)
    (proof,) = client.receive(challenge.data)
    assert isinstance(proof, LoginSend)
    assert refused(server.receive(proof.data))[0] == "28P01"


# --- the startup packet ---


def test_the_database_is_the_users_name_where_none_is_given() -> None:
    directory = FakeDirectory(credentials={("demo", "demo"): SCRAM})
    (accepted,), _ = converse(handshake(directory), login("demo", ""), uncut)
    assert isinstance(accepted, Accepted)
    assert accepted.configuration == "demo"


def test_a_packet_without_a_user_is_refused() -> None:
    actions = handshake().receive(startup_message({"database": "demo"}))
    assert refused(actions) == ("28000", "no PostgreSQL user name specified in startup packet")


def test_settings_are_handed_on() -> None:
    server = inside_tls(FakeDirectory(credentials={(USER, "demo"): CLEAR}))
    server.receive(startup(application_name="app", options="-c work_mem=1MB", DateStyle="ISO"))
    server.receive(messages.password_message(b"pencil"))
    *_, accepted = server.password_checked(ok=True)
    assert isinstance(accepted, Accepted)
    assert sorted(accepted.settings) == [("application_name", "app"), ("datestyle", "ISO"), ("work_mem", "1MB")]


@pytest.mark.parametrize("value", ["false", "off", "0", "no", "FALSE", "f", "of"])
def test_no_replication_is_a_session_like_any_other(value: str) -> None:
    (question,) = handshake().receive(startup(replication=value))
    assert isinstance(question, Send)


@pytest.mark.parametrize(
    ("value", "sqlstate"),
    [("true", "0A000"), ("database", "0A000"), ("ON", "0A000"), ("1", "0A000"), ("maybe", "22023"), ("o", "22023")],
)
def test_replication_is_refused(value: str, sqlstate: str) -> None:
    assert refused(handshake().receive(startup(replication=value)))[0] == sqlstate


@pytest.mark.parametrize(
    ("minor", "parameters", "answer"),
    [
        (0, {}, None),
        (2, {}, None),
        (9, {}, messages.negotiate_protocol_version(2, [])),
        (2, {"_pq_.x": "1"}, messages.negotiate_protocol_version(2, ["_pq_.x"])),
        (0, {"_pq_.x": "1"}, messages.negotiate_protocol_version(0, ["_pq_.x"])),
    ],
)
def test_versions_and_options_are_negotiated(minor: int, parameters: dict[str, str], answer: bytes | None) -> None:
    actions = handshake().receive(startup(minor=minor, **parameters))
    assert [action.data for action in actions[:-1] if isinstance(action, Send)] == ([answer] if answer else [])


def test_a_version_that_is_negotiated_holds_for_the_session() -> None:
    server = inside_tls(FakeDirectory(credentials={(USER, "demo"): CLEAR}))
    server.receive(startup(minor=99))
    server.receive(messages.password_message(b"pencil"))
    *_, accepted = server.password_checked(ok=True)
    assert isinstance(accepted, Accepted)
    assert accepted.minor == 2


def test_a_version_before_3_is_refused_as_postgresql_does() -> None:
    sqlstate, public = refused(handshake().receive(b"\0\0\0\x08\0\2\0\0"))
    assert sqlstate == "0A000"
    assert public == "unsupported frontend protocol 2.0: server supports 3.0 to 3.2"


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\4", b"\0\0\0\x09\0\3\0\0x", b"\x7f\xff\xff\xff", b"\0" * 8]
)
def test_garbage_is_refused(garbage: bytes) -> None:
    assert refused(handshake().receive(garbage))[0] in {"08P01", "0A000"}


def test_a_cancellation_gets_no_answer() -> None:
    server = handshake()
    assert server.receive(cancel_request(7, b"key!")) == [Cancel(7, b"key!")]
    assert server.receive(b"more") == []
    assert inside_tls().receive(cancel_request(7, b"key!")) == [Cancel(7, b"key!")]


def test_bytes_before_tls_close() -> None:
    server = handshake()
    (closed,) = server.receive(ssl_request() + startup())
    assert isinstance(closed, Close)
    assert server.receive(startup()) == []


def test_direct_tls_without_its_protocol_named_closes() -> None:
    server = handshake()
    assert server.receive(b"\x16hello") == [StartTls(b"\x16hello")]
    (closed,) = server.secured(certificate_hash=HASH, alpn=None)
    assert isinstance(closed, Close)


# --- what comes ahead of its time ---


def test_a_pipelined_first_query_is_not_lost() -> None:
    query = messages.query(b"select 1")
    server = inside_tls(FakeDirectory(credentials={(USER, "demo"): CLEAR}))
    *_, check = server.receive(startup() + messages.password_message(b"pencil") + query[:5])
    assert isinstance(check, CheckPassword)
    assert server.receive(query[5:]) == []
    *_, accepted = server.password_checked(ok=True)
    assert isinstance(accepted, Accepted)
    assert accepted.rest == query


def test_a_client_waits_while_the_directory_is_not_ready() -> None:
    directory = FakeDirectory(is_ready=False)
    server = handshake(directory)
    negotiated = Send(messages.negotiate_protocol_version(2, []))
    assert server.receive(startup(minor=3)) == [negotiated, Wait()]
    assert server.receive(b"p\0\0") == []
    directory.is_ready = True
    (question,) = server.directory_ready()
    assert isinstance(question, Send)
    assert server.directory_ready() == []


def test_what_comes_too_early_is_bounded() -> None:
    server = handshake(FakeDirectory(is_ready=False))
    server.receive(startup())
    chunk = b"p" * (1 << 16)
    actions: list[Action] = []
    for _ in range(MAX_EARLY_BYTES // len(chunk) + 1):
        actions += server.receive(chunk)
    (closed,) = actions
    assert isinstance(closed, Close)


@pytest.mark.parametrize(
    "response",
    [
        messages.query(b"select 1"),
        b"Q",
        b"p\x7f\xff\xff\xff",
        b"p\0\0\0\3",
        b"p\0\1\0\0",
        messages.sasl_response(b""),
        messages.sasl_response(b"SCRAM-SHA-256\0\0\0\0\xffx"),
        messages.sasl_initial_response("GSSAPI", b""),
        messages.sasl_initial_response(SCRAM_SHA_256, b"n,,n=,r="),
    ],
)
def test_a_response_that_is_none_is_refused(response: bytes) -> None:
    server = handshake()
    server.receive(startup())
    assert refused(server.receive(response))[0] == "08P01"
    assert server.receive(response) == []


def test_out_of_order_calls_are_our_own_bug_or_do_nothing() -> None:
    server = handshake()
    with pytest.raises(LocalProtocolError):
        server.secured(certificate_hash=None, alpn=None)
    assert server.password_checked(ok=True) == []
    server.receive(ssl_request())
    with pytest.raises(LocalProtocolError):
        server.receive(b"x")


CHUNKS: Final = st.sampled_from(
    (
        *(
            ssl_request(),
            gss_enc_request(),
            startup(),
            startup("nobody"),
            startup("ot_clear", "clear"),
            startup(minor=9),
        ),
        *(cancel_request(1, b"1234"), b"\x16\3\1", b"p", b"\0\0", messages.query(b"select 1")),
        messages.sasl_initial_response(SCRAM_SHA_256, b"n,,n=,r=abc"),
        messages.sasl_initial_response(SCRAM_SHA_256, None),
        messages.sasl_response(b"c=biws,r=abc,p=AAAA"),
        messages.password_message(b"wrong"),
    )
)


@given(
    chunks=st.lists(CHUNKS | st.binary(max_size=16), max_size=8),
    tls_available=st.booleans(),
    is_ready=st.booleans(),
)
def test_garbage_is_never_let_in_and_raises_nothing(
    chunks: list[bytes], *, tls_available: bool, is_ready: bool
) -> None:
    directory = FakeDirectory(is_ready=is_ready)
    server = handshake(directory, tls_available=tls_available)
    ends = 0
    for chunk in chunks:
        actions = server.receive(chunk)
        while actions:
            action = actions.pop(0)
            assert not isinstance(action, Accepted)
            ends += isinstance(action, Cancel | Close | Refuse)
            match action:
                case StartTls():
                    actions += server.secured(certificate_hash=HASH, alpn="postgresql")
                case Wait():
                    directory.is_ready = True
                    actions += server.directory_ready()
                case CheckPassword(password, verifier):
                    actions += server.password_checked(verifies(password, verifier))
                case Refuse(error):
                    messages.service_error(error, "FATAL")
    assert ends <= 1


# --- psycopg ---


class Shell:
    """The smallest shell: one client of a blocking socket, TLS through memory, no query answered."""

    def __init__(self, plain: socket.socket, server: Handshake, certificate: Certificate) -> None:
        self._socket = plain
        self._server = server
        self._certificate = certificate
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self.last: Action | None = None

    def serve(self) -> None:
        while data := self._receive():
            if self.last is None:
                self._act(self._server.receive(data))
            if isinstance(self.last, Cancel | Close | Refuse):
                return

    def _receive(self) -> bytes:
        if self._tls is None:
            return self._socket.recv(1 << 16)
        return self._until(lambda tls: tls.read(1 << 16)) or b""

    def _until(self, operation: Callable[[ssl.SSLObject], Result]) -> Result | None:
        assert self._tls is not None
        while True:
            try:
                result = operation(self._tls)
            except ssl.SSLWantReadError:
                self._socket.sendall(self._outgoing.read())
                if not (ciphertext := self._socket.recv(1 << 16)):
                    return None
                self._incoming.write(ciphertext)
            except ssl.SSLZeroReturnError:
                return None
            else:
                self._socket.sendall(self._outgoing.read())
                return result

    def _send(self, data: bytes) -> None:
        if self._tls is None:
            self._socket.sendall(data)
        else:
            self._until(lambda tls: tls.write(data))

    def _act(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Send(data):
                    self._send(data)
                case StartTls(hello):
                    self._start_tls(hello)
                case CheckPassword(password, verifier):
                    self._act(self._server.password_checked(verifies(password, verifier)))
                case Accepted():
                    self.last = action
                    self._send(READY)
                case Refuse(error):
                    self.last = action
                    self._send(messages.service_error(error, "FATAL"))
                case _:
                    self.last = action

    def _start_tls(self, hello: bytes) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate.cert_file, self._certificate.key_file)
        context.set_alpn_protocols(["postgresql"])
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._incoming.write(hello)
        self._until(lambda tls: tls.do_handshake())
        binding = certificate_hash(der_of(self._certificate))
        self._act(self._server.secured(certificate_hash=binding, alpn=self._tls.selected_alpn_protocol()))


@contextmanager
def door(server: Handshake, certificate: Certificate) -> Iterator[tuple[int, list[Action | None]]]:
    """Serve one client on a port of its own; the list holds what its handshake ended with."""
    ends: list[Action | None] = []

    def run() -> None:
        plain, _ = listener.accept()
        with plain:
            shell = Shell(plain, server, certificate)
            shell.serve()
            ends.append(shell.last)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield listener.getsockname()[1], ends
        finally:
            thread.join(10)


def connect(port: int, certificate: Certificate, **options: Any) -> psycopg.Connection[Any]:
    wanted = {"user": USER, "password": PASSWORD, "dbname": "demo", "sslmode": "verify-full", "gssencmode": "disable"}
    return psycopg.connect(
        host="localhost",
        hostaddr="127.0.0.1",
        port=port,
        sslrootcert=str(certificate.cert_file),
        **{**wanted, **options},
    )


@pytest.mark.parametrize(
    ("options", "minor"),
    [
        ({"sslmode": "disable"}, 0),
        ({"sslmode": "disable", "channel_binding": "disable"}, 0),
        ({"sslmode": "require", "channel_binding": "require"}, 0),
        ({"channel_binding": "disable"}, 0),
        ({"channel_binding": "require", "require_auth": "scram-sha-256"}, 0),
        ({"channel_binding": "require", "sslnegotiation": "direct"}, 0),
        ({"channel_binding": "require", "max_protocol_version": "3.2"}, 2),
        ({"user": "ot_clear", "dbname": "clear", "require_auth": "password"}, 0),
    ],
    ids=str,
)
def test_psycopg_gets_in(certificate: Certificate, options: dict[str, str], minor: int) -> None:
    with door(handshake(), certificate) as (port, ends):
        connection = connect(port, certificate, application_name="test", **options)
        assert connection.info.parameter_status("server_version") == "15.4"
        connection.close()
    (accepted,) = ends
    assert isinstance(accepted, Accepted)
    assert accepted.minor == minor
    assert accepted.secured == (options.get("sslmode") != "disable")
    assert ("application_name", "test") in accepted.settings


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"password": "wrong"}, f'password authentication failed for user "{USER}"'),
        ({"user": "nobody"}, 'password authentication failed for user "nobody"'),
        ({"user": "nobody", "dbname": "no_such"}, 'password authentication failed for user "nobody"'),
        ({"dbname": "no_such"}, 'database "no_such" does not exist'),
        ({"dbname": "clear"}, "is not allowed to use the configuration"),
        ({"user": "ot_clear", "dbname": "clear", "password": "wrong"}, "password authentication failed"),
        ({"user": "ot_clear", "dbname": "clear", "sslmode": "disable"}, "over TLS only"),
        ({"replication": "database"}, "replication connections are not supported"),
    ],
    ids=str,
)
def test_psycopg_is_told_why_not(certificate: Certificate, options: dict[str, str], words: str) -> None:
    with (
        door(handshake(), certificate) as (port, ends),
        pytest.raises(psycopg.OperationalError, match=words),
    ):
        connect(port, certificate, **options)
    assert isinstance(ends[0], Refuse)


def test_psycopg_sees_that_there_is_no_tls(certificate: Certificate) -> None:
    with (
        door(handshake(tls_available=False), certificate) as (port, _),
        pytest.raises(psycopg.OperationalError, match="server does not support SSL"),
    ):
        connect(port, certificate)
