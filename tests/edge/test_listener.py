"""Listening: every address of a name, storms in batches, and a descriptor limit raised as far as it goes."""

import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from structlog.testing import capture_logs

from edge.listener import RESERVED_DESCRIPTORS, Listener, open_listeners
from tests.support.stage import HandPump

LOOPBACK = ("127.0.0.1", 0)


@contextmanager
def opened(address: tuple[str, int]) -> Iterator[list[socket.socket]]:
    sockets = open_listeners(address)
    try:
        yield sockets
    finally:
        for sock in sockets:
            sock.close()


@pytest.fixture
def pump() -> Iterator[HandPump]:
    pump = HandPump()
    yield pump
    pump.close()


def test_port_0_takes_a_free_one() -> None:
    with opened(LOOPBACK) as (one,), opened(LOOPBACK) as (other,):
        assert one.getsockname()[1] != other.getsockname()[1]
        assert not one.getblocking()


@pytest.mark.parametrize("host", ["localhost", ""])
def test_all_addresses_of_a_name_share_one_port(host: str) -> None:
    with opened((host, 0)) as sockets:
        assert len({sock.getsockname()[1] for sock in sockets}) == 1
        assert len({sock.getsockname()[0] for sock in sockets}) == len(sockets)


def test_a_taken_port_leaves_nothing_open() -> None:
    with opened(LOOPBACK) as (taken,):
        address = ("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            open_listeners(address)  # an unclosed socket would be a warning, and so an error
    with opened(address) as (again,):
        assert again.getsockname() == address


def test_a_name_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(OSError):
        open_listeners(("no-such-host.invalid", 0))


def test_a_storm_is_taken_in_batches(pump: HandPump) -> None:
    accepted: list[tuple[socket.socket, str]] = []
    with ExitStack() as stack, opened(LOOPBACK) as (sock,):
        listener = Listener(pump, sock, lambda client, peer: accepted.append((client, peer)))
        for _ in range(100):
            client = stack.enter_context(socket.socket())
            client.connect(sock.getsockname())
        pump.turn()
        assert len(accepted) == 64, "the others get their turn between"
        pump.turn()
        assert len(accepted) == 100
        assert not pump.turn()
        for client, peer in accepted:
            stack.enter_context(client)
            assert peer == "127.0.0.1"
            assert not client.getblocking()
            assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        listener.close()
        assert len(pump) == 0


def test_a_client_that_is_gone_again_disturbs_nobody(pump: HandPump) -> None:
    accepted: list[socket.socket] = []
    with opened(LOOPBACK) as (sock,):
        listener = Listener(pump, sock, lambda client, _: accepted.append(client))
        gone, there = socket.socket(), socket.socket()
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # closes with a reset
        gone.connect(sock.getsockname())
        gone.close()
        there.connect(sock.getsockname())
        pump.turn()
        assert accepted
        for client in [there, *accepted]:
            client.close()
        listener.close()


def test_out_of_descriptors_is_logged_and_survived(pump: HandPump) -> None:
    accepted: list[socket.socket] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with opened(LOOPBACK) as (sock,), socket.socket() as client:
        listener = Listener(pump, sock, lambda one, _: accepted.append(one))
        client.connect(sock.getsockname())
        resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno() + 1, hard))
        try:
            with capture_logs() as logs:
                pump.turn()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert accepted == []
        assert [one["event"] for one in logs] == ["cannot accept"]
        pump.turn()
        assert len(accepted) == 1
        accepted[0].close()
        listener.close()


RAISE = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from edge.listener import raise_descriptor_limit
print(raise_descriptor_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "clients"),
    [(64, 900, 900 - RESERVED_DESCRIPTORS), (900, 900, 900 - RESERVED_DESCRIPTORS), (64, 64, 16)],
)
def test_the_descriptor_limit_is_raised_and_some_are_kept_back(soft: int, hard: int, clients: int) -> None:
    code = RAISE.format(soft=soft, hard=hard)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == [str(clients), str(hard), str(hard)]
