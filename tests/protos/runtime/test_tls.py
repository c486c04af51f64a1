"""TLS without a socket: whatever the chunks, both ends agree, and what is broken raises nothing but SSLError."""

import ssl
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protos.runtime.tls import TlsLayer
from tests.support.certificates import self_signed


class Contexts:
    """A server's context and that of a client who trusts it."""

    def __init__(self, directory: Path) -> None:
        files = self_signed(directory, "server")
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(files.cert_file, files.key_file)
        self.server.set_alpn_protocols(["postgresql"])
        self.client = ssl.create_default_context(cafile=str(files.cert_file))
        self.client.set_alpn_protocols(["postgresql"])


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Contexts:
    return Contexts(tmp_path_factory.mktemp("tls"))


def ends(contexts: Contexts, *, name: str = "localhost") -> tuple[TlsLayer, TlsLayer]:
    return (
        TlsLayer(contexts.client, server_side=False, server_hostname=name),
        TlsLayer(contexts.server, server_side=True),
    )


def shake_hands(client: TlsLayer, server: TlsLayer, *, chunk: int = 1 << 20) -> None:
    """Carry what both want to say, in chunks, until neither has a word."""
    client.start()
    sender, receiver = client, server
    while ciphertext := sender.take_outgoing():
        for at in range(0, len(ciphertext), chunk):
            assert receiver.received(ciphertext[at : at + chunk]) == b""
        sender, receiver = receiver, sender


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_a_handshake_may_come_in_any_chunks(contexts: Contexts, chunk: int) -> None:
    client, server = ends(contexts)
    assert not client.is_established
    shake_hands(client, server, chunk=chunk)
    assert client.is_established
    assert server.is_established
    assert client.alpn == server.alpn == "postgresql"
    assert client.version == "TLSv1.3"
    assert client.peer_certificate
    assert server.peer_certificate == b""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    pieces=st.lists(st.integers(1, 50_000), min_size=1, max_size=6),
    chunk=st.one_of(st.integers(1000, 1 << 17), st.integers(50, 3000)),
)
def test_all_bytes_arrive_in_order_whatever_the_chunks(contexts: Contexts, pieces: list[int], chunk: int) -> None:
    client, server = ends(contexts)
    shake_hands(client, server)
    sent = [bytes([number + 65]) * size for number, size in enumerate(pieces)]
    ciphertext = b"".join(map(client.encrypt, sent))
    received = [server.received(ciphertext[at : at + chunk]) for at in range(0, len(ciphertext), chunk)]
    assert b"".join(received) == b"".join(sent)


def test_a_megabyte_is_encrypted_and_read_at_once(contexts: Contexts) -> None:
    client, server = ends(contexts)
    shake_hands(client, server)
    assert server.received(client.encrypt(b"x" * (1 << 20))) == b"x" * (1 << 20)


def test_bytes_behind_the_last_word_of_the_handshake_are_not_lost(contexts: Contexts) -> None:
    client, server = ends(contexts)
    client.start()
    server.received(client.take_outgoing())
    client.received(server.take_outgoing())
    last_word = client.take_outgoing()
    assert server.received(last_word + client.encrypt(b"query")) == b"query"


def test_a_goodbye_ends_the_other_side_after_the_last_byte(contexts: Contexts) -> None:
    client, server = ends(contexts)
    shake_hands(client, server)
    assert server.received(client.encrypt(b"last") + client.say_goodbye()) == b"last"
    assert server.has_ended
    assert not client.has_ended


def test_a_goodbye_before_the_handshake_says_nothing_and_raises_nothing(contexts: Contexts) -> None:
    assert ends(contexts)[1].say_goodbye() == b""


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\x00" * 64])
def test_garbage_instead_of_a_handshake_raises_ssl_error(contexts: Contexts, garbage: bytes) -> None:
    with pytest.raises(ssl.SSLError):
        ends(contexts)[1].received(garbage)


def test_a_damaged_record_raises_ssl_error(contexts: Contexts) -> None:
    client, server = ends(contexts)
    shake_hands(client, server)
    ciphertext = bytearray(client.encrypt(b"query"))
    ciphertext[-1] ^= 1
    with pytest.raises(ssl.SSLError):
        server.received(bytes(ciphertext))


def test_a_certificate_for_another_name_is_refused_and_the_server_is_told(contexts: Contexts) -> None:
    client, server = ends(contexts, name="elsewhere.example")
    client.start()
    server.received(client.take_outgoing())
    with pytest.raises(ssl.SSLCertVerificationError):
        client.received(server.take_outgoing())
    with pytest.raises(ssl.SSLError):
        server.received(client.take_outgoing())
    assert not server.is_established
