"""A connection in the pump, over real sockets: bytes, backpressure, TLS and every way to end."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from protos.runtime import connection as module
from protos.runtime.connection import Connection
from protos.runtime.pump import WRITE, Pump
from tests.support.certificates import Certificate, self_signed
from tests.support.host import on_host, turns, until


class Owner:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.connection: Connection
        self.data = bytearray()
        self.reads = 0
        self.drains = 0
        self.is_secured = False
        self.ends: list[str] = []
        self.on_data: Callable[[bytes], None] = lambda data: None

    def received(self, data: bytes) -> None:
        self.reads += 1
        self.data += data
        self.on_data(data)

    def secured(self) -> None:
        self.is_secured = True

    def drained(self) -> None:
        self.drains += 1

    def ended(self, why: str) -> None:
        assert self.connection.is_closed
        self.ends.append(why)


@contextlib.contextmanager
def pumping() -> Iterator[Pump]:
    pump = Pump()
    try:
        yield pump
    finally:
        for connection in list(pump._pumped.values()):
            assert isinstance(connection, Connection)
            connection.close()
        pump.close()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = socket.create_connection(server.getsockname())
        here, _ = server.accept()
    return here, there


def connected(pump: Pump) -> tuple[Owner, Connection, socket.socket]:
    """An owner with its connection, and the peer's blocking socket."""
    here, there = tcp_pair()
    here.setblocking(False)
    there.settimeout(10)
    owner = Owner()
    owner.connection = Connection(pump, here, owner)
    return owner, owner.connection, there


def reset(sock: socket.socket) -> None:
    """Close with a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


async def read_all(sock: socket.socket, number: int) -> bytes:
    """Exactly so many bytes, while the pump goes on."""
    sock.setblocking(False)
    data = bytearray()
    while len(data) < number:
        chunk = await asyncio.get_running_loop().sock_recv(sock, 1 << 16)
        assert chunk, "closed too early"
        data += chunk
    return bytes(data)


# --- bytes ---


@on_host
async def test_bytes_go_both_ways() -> None:
    with pumping() as pump:
        owner, connection, peer = connected(pump)
        peer.sendall(b"question")
        await until(lambda: owner.data == b"question")
        connection.write(b"answer")
        assert peer.recv(100) == b"answer"
        assert connection.pending_bytes == 0
        assert owner.drains == 0, "nothing was ever pending"
        peer.close()


@on_host
async def test_a_fast_sender_is_read_in_turns() -> None:
    with pumping() as pump:
        owner, _, peer = connected(pump)
        other, _, quiet = connected(pump)
        order: list[Owner] = []
        owner.on_data = lambda data: order.append(owner)
        other.on_data = lambda data: order.append(other)
        quiet.sendall(b"me too")
        peer.setblocking(False)
        peer.send(b"x" * 1_000_000)
        await until(lambda: other.data and owner.reads > 1)
        assert other in order[:2]
        peer.close()
        quiet.close()


@on_host
async def test_what_the_kernel_does_not_take_is_kept_and_sent_in_order() -> None:
    with pumping() as pump:
        owner, connection, peer = connected(pump)
        content = bytes(range(256)) * 40_000
        connection.write(content[:5_000_000])
        assert 0 < connection.pending_bytes < 5_000_000
        assert connection.blocked_at > 0
        for start in range(5_000_000, len(content), 1_000_000):
            connection.write(content[start : start + 1_000_000])
        assert await read_all(peer, len(content)) == content
        await until(lambda: not connection.pending_bytes)
        assert connection.blocked_at == 0.0
        assert not connection._events & WRITE, "or the loop would spin"
        assert owner.drains > 0
        peer.close()


SLICES: Final = [bytes([number]) * 200_000 for number in range(100)]


@on_host
async def test_slices_are_sent_in_order_and_copied_one_at_a_time() -> None:
    with pumping() as pump:
        owner, connection, peer = connected(pump)
        connection.write(b"before")
        connection.write_slices(SLICES)
        connection.write(b"after")
        assert connection.behind_bytes == len(SLICES[0]) * 99 + 5, "one is sent at once"
        assert connection._behind[0] is SLICES[1], "the others are not copied"
        assert connection.blocked_at > 0
        content = b"before" + b"".join(SLICES) + b"after"
        assert await read_all(peer, len(content)) == content
        await until(lambda: not connection.pending_bytes)
        assert (connection.behind_bytes, connection.blocked_at) == (0, 0.0)
        assert not connection._events & WRITE, "or the loop would spin"
        assert owner.drains > 0
        peer.close()


@on_host
async def test_one_turn_sends_one_slice_however_fast_the_peer_is() -> None:
    with pumping() as pump:
        _, connection, peer = connected(pump)
        connection.write_slices([b"x"] * 3)
        assert connection.behind_bytes == 2
        connection.ready(WRITE)
        assert connection.behind_bytes == 1
        connection.ready(WRITE)
        assert (connection.behind_bytes, connection.pending_bytes) == (0, 0)
        assert peer.recv(10) == b"xxx"
        peer.close()


@on_host
async def test_finish_sends_slices_too_and_close_drops_them() -> None:
    with pumping() as pump:
        owner, connection, peer = connected(pump)
        connection.write_slices(SLICES)
        connection.finish()
        assert len(await read_all(peer, 20_000_000)) == 20_000_000
        await until(lambda: connection.is_closed)
        assert owner.ends == []
        peer.close()
        _, connection, peer = connected(pump)
        connection.write_slices(SLICES)
        connection.close()
        assert (connection.pending_bytes, connection.behind_bytes, len(connection._behind)) == (0, 0, 0)
        connection.write_slices(SLICES)
        assert not connection._behind
        peer.close()


@on_host
async def test_slices_for_a_peer_that_is_gone_are_dropped() -> None:
    with pumping() as pump:
        owner, connection, peer = connected(pump)
        connection.write_slices(SLICES)
        reset(peer)
        await until(lambda: owner.ends)
        assert not connection._behind


@on_host
async def test_who_pauses_is_not_given_anything() -> None:
    with pumping() as pump:
        owner, connection, peer = connected(pump)
        connection.pause()
        assert connection.is_paused
        peer.sendall(b"later")
        await turns()
        assert owner.data == b""
        connection.resume()
        await until(lambda: owner.data == b"later")
        peer.close()


@on_host
async def test_a_paused_connection_still_writes() -> None:
    with pumping() as pump:
        _, connection, peer = connected(pump)
        connection.pause()
        connection.write(b"x" * 8_000_000)
        assert connection.pending_bytes
        assert len(await read_all(peer, 8_000_000)) == 8_000_000
        await until(lambda: not connection.pending_bytes)
        assert connection.is_paused
        peer.close()


# --- how it ends ---


@on_host
async def test_the_end_is_told_once_and_after_the_last_byte() -> None:
    with pumping() as pump:
        owner, connection, peer = connected(pump)
        peer.sendall(b"last words")
        peer.close()
        await until(lambda: owner.ends)
        assert owner.data == b"last words"
        assert owner.ends == ["closed by the peer"]
        connection.close()
        connection.write(b"dropped")
        connection.finish()
        assert len(owner.ends) == 1
        assert len(pump) == 0


@on_host
async def test_a_reset_is_an_end_with_its_reason() -> None:
    with pumping() as pump:
        owner, _, peer = connected(pump)
        reset(peer)
        await until(lambda: owner.ends)
        assert owner.ends == ["Connection reset by peer"]


@on_host
async def test_who_writes_into_a_broken_connection_reads_first_what_the_peer_said() -> None:
    with pumping() as pump:
        owner, connection, peer = connected(pump)
        peer.sendall(b"FATAL: why")
        peer.close()
        connection.write(b"one")  # answered with a reset
        connection.write(b"two")
        await until(lambda: owner.ends)
        assert owner.data == b"FATAL: why"


@on_host
async def test_a_peer_that_hangs_up_on_a_paused_connection_costs_nothing_and_is_noticed_later() -> None:
    with pumping() as pump:
        owner, connection, peer = connected(pump)
        connection.pause()
        peer.sendall(b"unread")
        peer.shutdown(socket.SHUT_RDWR)
        connection._socket.shutdown(socket.SHUT_WR)  # both directions: a hang-up, whatever is asked for
        await until(lambda: len(pump) == 0)
        assert not connection.is_closed
        assert owner.ends == []
        connection.resume()
        await until(lambda: owner.ends)
        assert owner.data == b"unread"
        assert len(pump) == 0
        peer.close()


@on_host
async def test_a_parked_connection_may_be_closed() -> None:
    with pumping() as pump:
        _, connection, peer = connected(pump)
        connection.pause()
        reset(peer)
        await until(lambda: len(pump) == 0)
        connection.write(b"x")
        connection.finish()
        assert connection.is_closed
        assert len(pump) == 0


@on_host
async def test_finish_sends_what_is_pending_first() -> None:
    with pumping() as pump:
        owner, connection, peer = connected(pump)
        connection.write(b"x" * 8_000_000)
        connection.finish()
        connection.write(b"never")
        assert not connection.is_closed
        assert len(await read_all(peer, 8_000_000)) == 8_000_000
        await until(lambda: connection.is_closed)
        assert peer.recv(10) == b""
        assert owner.ends == []
        assert owner.drains == 0, "whoever has finished hears nothing more"
        peer.close()


@on_host
async def test_a_reset_while_the_rest_goes_out_is_nobodys_business_any_more() -> None:
    with pumping() as pump:
        owner, connection, peer = connected(pump)
        connection.write(b"x" * 8_000_000)
        connection.finish()
        reset(peer)
        await until(lambda: connection.is_closed)
        assert owner.ends == []


@on_host
async def test_whoever_never_takes_the_rest_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FINISH_S", 0.05)
    with pumping() as pump:
        owner, connection, peer = connected(pump)
        connection.write(b"x" * 8_000_000)
        connection.finish()
        await until(lambda: connection.is_closed)
        assert owner.ends == []
        peer.close()


@on_host
async def test_whoever_takes_some_of_the_rest_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FINISH_S", 0.2)
    with pumping() as pump:
        _, connection, peer = connected(pump)
        for sock, option in ((connection._socket, socket.SO_SNDBUF), (peer, socket.SO_RCVBUF)):
            sock.setsockopt(socket.SOL_SOCKET, option, 50_000)
        connection.write_slices([b"x" * 100_000] * 40)
        connection.finish()
        taken = 0
        while data := peer.recv(100_000):
            taken += len(data)
            await asyncio.sleep(0.01)
        assert taken == 4_000_000
        peer.close()


@on_host
async def test_the_owner_hears_that_nothing_is_pending_any_more_on_a_broken_connection() -> None:
    """It may have paused until then, and would not notice the end."""
    with pumping() as pump:
        owner, connection, peer = connected(pump)
        connection.pause()
        connection.write(b"x" * 8_000_000)
        reset(peer)
        await until(lambda: owner.drains)
        assert connection.pending_bytes == 0
        connection.resume()
        await until(lambda: owner.ends)


@on_host
async def test_a_last_word_is_read_by_a_peer_that_is_still_talking() -> None:
    with pumping() as pump:
        owner, connection, peer = connected(pump)
        peer.sendall(b"x" * 100_000)  # closing with this unread would reset the connection
        connection.write(b"FATAL")
        connection.finish(linger=True)
        assert peer.recv(10) == b"FATAL"
        assert peer.recv(10) == b""
        assert owner.data == b""
        peer.close()
        await until(lambda: connection.is_closed)
        assert owner.ends == []


@on_host
async def test_lingering_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINGER_S", 0.05)
    with pumping() as pump:
        _, connection, peer = connected(pump)
        connection.finish(linger=True)
        assert not connection.is_closed
        await until(lambda: connection.is_closed)
        peer.close()


@on_host
async def test_a_bug_of_the_owner_ends_the_connection() -> None:
    with pumping() as pump:
        owner, connection, peer = connected(pump)

        def fail(data: bytes) -> None:
            raise ZeroDivisionError

        owner.on_data = fail
        peer.sendall(b"x")
        await until(lambda: owner.ends)
        assert "ZeroDivisionError" in owner.ends[0]
        assert connection.is_closed
        peer.close()


# --- TLS ---


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed(tmp_path_factory.mktemp("tls"), "server")


def server_context(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert_file, certificate.key_file)
    return context


def client_context(certificate: Certificate) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate.cert_file)


def pair(pump: Pump) -> tuple[Owner, Owner]:
    owners = []
    for sock in tcp_pair():
        sock.setblocking(False)
        owner = Owner()
        owner.connection = Connection(pump, sock, owner)
        owners.append(owner)
    return owners[0], owners[1]


async def secured(pump: Pump, certificate: Certificate) -> tuple[Owner, Owner]:
    server, client = pair(pump)
    server.connection.start_tls(server_context(certificate), server_side=True)
    client.connection.start_tls(client_context(certificate), server_side=False, server_hostname="localhost")
    await until(lambda: server.is_secured and client.is_secured)
    return server, client


@on_host
async def test_bytes_go_both_ways_inside_tls(certificate: Certificate) -> None:
    with pumping() as pump:
        server, client = await secured(pump, certificate)
        content = bytes(range(256)) * 20_000
        client.connection.write(content)
        await until(lambda: len(server.data) == len(content))
        assert server.data == content
        server.connection.write(b"answer")
        await until(lambda: client.data == b"answer")
        assert server.connection.tls is not None
        assert server.connection.tls.version == "TLSv1.3"


@on_host
async def test_backpressure_inside_tls(certificate: Certificate) -> None:
    with pumping() as pump:
        server, client = await secured(pump, certificate)
        client.connection.pause()
        server.connection.write(b"x" * 8_000_000)
        await turns()
        assert server.connection.pending_bytes > 0
        client.connection.resume()
        await until(lambda: len(client.data) == 8_000_000)
        await until(lambda: server.drains and not server.connection.pending_bytes)


@on_host
async def test_slices_inside_tls_end_with_a_goodbye(certificate: Certificate) -> None:
    with pumping() as pump:
        server, client = await secured(pump, certificate)
        server.connection.write_slices(SLICES)
        server.connection.write(b"last words")
        server.connection.finish()
        await until(lambda: client.ends)
        assert client.data == b"".join(SLICES) + b"last words"
        assert client.connection.tls is not None
        assert client.connection.tls.has_ended, "by close_notify, so nothing was cut off"


@on_host
async def test_a_hello_that_was_read_before_counts(certificate: Certificate) -> None:
    """Direct TLS: the first bytes say that it is TLS, and are a part of it."""
    with pumping() as pump:
        server, client = pair(pump)
        client.connection.start_tls(client_context(certificate), server_side=False, server_hostname="localhost")
        await until(lambda: server.data)
        hello = bytes(server.data)
        server.connection.start_tls(server_context(certificate), server_side=True, hello=hello)
        await until(lambda: server.is_secured and client.is_secured)


@on_host
async def test_a_goodbye_inside_tls_is_an_end_behind_the_last_byte(certificate: Certificate) -> None:
    with pumping() as pump:
        server, client = await secured(pump, certificate)
        server.connection.write(b"last words")
        server.connection.finish()
        await until(lambda: client.ends)
        assert client.data == b"last words"
        assert client.connection.tls is not None
        assert client.connection.tls.has_ended, "by close_notify, so nothing was cut off"
        assert client.ends == ["closed by the peer"]
        assert server.ends == []


@on_host
async def test_a_certificate_that_nobody_signed_ends_both(certificate: Certificate, tmp_path: Path) -> None:
    with pumping() as pump:
        server, client = pair(pump)
        server.connection.start_tls(server_context(self_signed(tmp_path, "other")), server_side=True)
        client.connection.start_tls(client_context(certificate), server_side=False, server_hostname="localhost")
        await until(lambda: server.ends and client.ends)
        assert client.ends[0].startswith("TLS: ")
        assert not server.is_secured
        assert not client.is_secured


@on_host
async def test_what_is_no_tls_ends_the_connection(certificate: Certificate) -> None:
    with pumping() as pump:
        owner, connection, peer = connected(pump)
        connection.start_tls(server_context(certificate), server_side=True)
        peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
        await until(lambda: owner.ends)
        assert owner.ends[0].startswith("TLS: ")
        assert owner.data == b""
        peer.close()


@on_host
async def test_an_end_in_the_middle_of_the_handshake_is_an_end(certificate: Certificate) -> None:
    with pumping() as pump:
        owner, connection, peer = connected(pump)
        connection.start_tls(server_context(certificate), server_side=True)
        peer.close()
        await until(lambda: owner.ends)
        assert owner.ends == ["closed by the peer"]
