"""Clients that break the protocol: each is answered or closed, logged once at most, and disturbs nobody else."""

import os
import socket
import ssl
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.cluster import Origin
from tests.support.onetrip import House
from tests.support.target import Connection, connect, target_of

TIMEOUT_S: Final = 10.0
SSL_REQUEST: Final = struct.pack("!II", 8, 80877103)
HELLO: Final = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"


def startup(body: bytes, version: int = 3 << 16) -> bytes:
    return struct.pack("!II", len(body) + 8, version) + body


@pytest.fixture
def neighbour(configuration: str) -> Iterator[Connection]:
    """A client of the same edge that must notice nothing."""
    with connect(target_of(configuration)) as session:
        session.execute("select 1")  # its transaction is open meanwhile
        yield session
        assert session.execute("select 2").fetchone() == (2,)


def send(port: int, data: bytes) -> bytes:
    """Send DATA to an edge; all that it answers before it closes."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as client:
        try:
            client.sendall(data)
            while piece := client.recv(4096):
                answer += piece
        except ConnectionResetError:
            pass  # closed with bytes of ours unread
    return answer


@pytest.mark.parametrize(
    ("data", "sqlstate"),
    [
        (b"GET / HTTP/1.1\r\nHost: example.net\r\n\r\n", None),
        (bytes(range(1, 65)), None),
        (struct.pack("!I", 0x7FFFFFFF) + b"x" * 100, None),
        (struct.pack("!I", 4), None),
        (startup(b"user\x00someone"), b"08P01"),
        (startup(b"user\x00someone\x00\x00", 2 << 16), b"0A000"),
        (startup(b"database\x00app\x00\x00"), b"28000"),
        (SSL_REQUEST + startup(b"user\x00someone\x00\x00"), None),
        (HELLO, None),
    ],
    ids=["http", "noise", "2 GiB", "nothing", "unended", "protocol 2", "no user", "smuggled", "hello without TLS"],
)
def test_a_first_packet_of_garbage_is_refused(
    house: House, neighbour: Connection, data: bytes, sqlstate: bytes | None
) -> None:
    assert neighbour.info.transaction_status.name == "INTRANS"
    before = len(house.edge.log.splitlines())
    answer = send(house.edge_port, data)
    assert sqlstate is None or b"C" + sqlstate + b"\x00" in answer
    assert sqlstate is not None or answer[:1] in {b"", b"E", b"N"}
    assert len(house.edge.log.splitlines()) <= before + 1


def test_bytes_smuggled_before_tls_close_the_connection_unread(house: House) -> None:
    assert send(house.tls_edge_port, SSL_REQUEST + startup(b"user\x00someone\x00\x00")) in {b"", b"S"}


def test_direct_tls_must_name_the_protocol(house: House, neighbour: Connection) -> None:
    assert neighbour.info.transaction_status.name == "INTRANS"
    context = ssl.create_default_context(cafile=str(house.certificate.cert_file))
    context.set_alpn_protocols(["http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", house.tls_edge_port), TIMEOUT_S) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        _first_byte(context, plain)


def _first_byte(context: ssl.SSLContext, plain: socket.socket) -> bytes:
    """Begin with TLS, without asking for it, and take the first byte that comes back."""
    with context.wrap_socket(plain, server_hostname="localhost") as secured:
        secured.sendall(startup(b"user\x00someone\x00\x00"))
        first = secured.recv(1)
    if not first:
        raise ConnectionResetError
    return first


def test_a_message_too_long_ends_the_session_it_came_from(house: House, neighbour: Connection, origin: Origin) -> None:
    assert neighbour.info.transaction_status.name == "INTRANS"
    session = connect(target_of(house.create("long", origin.url())), autocommit=True)
    with socket.socket(fileno=os.dup(session.fileno())) as transport:
        transport.settimeout(TIMEOUT_S)
        transport.sendall(b"d" + struct.pack("!I", 0x7FFFFFFF))
        transport.sendall(b"!" + struct.pack("!I", 4))
        answer = b""
        while piece := transport.recv(4096):
            answer += piece
    session.close()
    assert b"08P01" in answer


def test_nobody_is_kept_waiting_by_one_who_stalls(house: House, neighbour: Connection) -> None:
    assert neighbour.info.transaction_status.name == "INTRANS"
    stalled = [socket.create_connection(("127.0.0.1", house.edge_port), TIMEOUT_S) for _ in range(50)]
    for client in stalled:
        client.sendall(startup(b"user\x00someone\x00\x00")[:10])
    assert neighbour.execute("select 3").fetchone() == (3,)
    for client in stalled:
        client.close()


def test_a_node_that_cannot_read_its_files_says_so(house: House, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.crt")
    done = house.place.run(
        *("edge", "--listen", "127.0.0.1:0", "--pool", "127.0.0.1:1", "--insecure"),
        *("--tls-cert", missing, "--tls-key", missing),
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "missing.crt" in done.stderr.splitlines()[-1]
