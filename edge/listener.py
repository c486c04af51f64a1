"""The listening sockets of an edge, in the pump like the connections that they accept.

A storm of new clients is taken in batches: each turn of the loop accepts as many as are waiting, up to a bound, without
waking trio once per client. The edge raises its descriptor limit to what the system allows, and what it keeps in
reserve is enough to refuse further clients politely.
"""

import resource
import socket
from collections.abc import Callable
from typing import Final

import structlog

from protos.runtime.pump import READ, Pump

BACKLOG: Final = 4096  # the kernel cuts it to its own limit
_ACCEPTS_PER_TURN: Final = 64
RESERVED_DESCRIPTORS: Final = 256  # links, logs, listeners, and clients that are about to be refused

log = structlog.get_logger(__name__)


def open_listeners(address: tuple[str, int]) -> list[socket.socket]:
    """Bind every address that the host name stands for. Raises OSError if one is taken."""
    host, port = address
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, where in socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            sock = socket.socket(family, socket.SOCK_STREAM)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # Port 0 takes one free port, and further addresses of the name take the same.
            taken = sockets[0].getsockname()[1] if len(sockets) > 1 and port == 0 else where[1]
            sock.bind((where[0], taken, *where[2:]))
            sock.listen(BACKLOG)
            sock.setblocking(False)  # noqa: FBT003 - the socket module's signature
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def raise_descriptor_limit() -> int:
    """Raise this process's limit to the hard one; the number of clients that it then allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(16, hard - RESERVED_DESCRIPTORS) if hard != resource.RLIM_INFINITY else 1_000_000


class Listener:
    """One listening socket."""

    def __init__(self, pump: Pump, sock: socket.socket, accepted: Callable[[socket.socket, str], None]) -> None:
        self._pump = pump
        self._socket = sock
        self._accepted = accepted
        pump.watch(sock.fileno(), self, READ)

    def ready(self, events: int) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            try:
                sock, address = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # out of descriptors in spite of the reserve
                log.warning("cannot accept", why=error.strerror)
                return
            sock.setblocking(False)  # noqa: FBT003
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._accepted(sock, str(address[0]))

    def failed(self, error: Exception) -> None:
        """A client could not be set up; the next one may."""

    def close(self) -> None:
        self._pump.forget(self._socket.fileno())
        self._socket.close()
