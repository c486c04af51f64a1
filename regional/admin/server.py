"""Serve the admin application under trio, on a socket that was bound before anything else began.

Binding is apart from serving, because a taken port must end the start at once, and because the address bound is what
the token file and the READY line are named after. Without TLS only loopback is bound: the token and the origins'
passwords cross this connection.
"""

import ipaddress
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Final

import trio
from hypercorn.config import Config, Sockets
from hypercorn.trio import serve as hypercorn_serve
from starlette.applications import Starlette

GRACEFUL_TIMEOUT_S: Final = 3.0
READ_TIMEOUT_S: Final = 30
MAX_HEAD_BYTES: Final = 16 << 10


class AdminAddressError(Exception):
    """The admin endpoint cannot be where it was asked to be; the text says why and what to do."""


def bind(address: tuple[str, int], *, secured: bool) -> socket.socket:
    """A socket bound to the address, not yet listening; port 0 takes a free one."""
    host, port = address
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        if not secured and not ipaddress.ip_address(place[0]).is_loopback:
            what = f"the admin endpoint without TLS binds loopback only, and {host or '*'} is not"
            raise AdminAddressError(f"{what}; give --admin-tls-cert and --admin-tls-key")
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise AdminAddressError(f"cannot use {host}:{port} for the admin endpoint: {error.strerror}") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(place)
    except OSError as error:
        bound.close()
        raise AdminAddressError(
            f"cannot bind {host}:{port} for the admin endpoint: {error.strerror}; give another --admin-listen"
        ) from error
    bound.settimeout(0)
    return bound


def make_ssl_context(cert_file: str, key_file: str) -> ssl.SSLContext:
    """A context for `serve`; `load_cert_chain` on it changes the certificate of later handshakes."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        context.load_cert_chain(cert_file, key_file)
    except (OSError, ssl.SSLError) as error:
        raise AdminAddressError(f"cannot use {cert_file} and {key_file}: {error.strerror or error}") from error
    return context


class _Config(Config):
    """Hypercorn's settings with our socket and our context in the place of its own."""

    def __init__(self, bound: socket.socket, context: ssl.SSLContext | None) -> None:
        self._bound = bound
        self._context = context
        self.include_server_header = False
        self.graceful_timeout = GRACEFUL_TIMEOUT_S
        self.read_timeout = READ_TIMEOUT_S
        self.h11_max_incomplete_size = MAX_HEAD_BYTES
        # Its lines go where the node's other lines go; those below a warning are for a console of its own.
        self.errorlog = logging.getLogger("hypercorn.error")
        self.errorlog.setLevel(logging.WARNING)

    def create_sockets(self) -> Sockets:
        secured = self._context is not None
        return Sockets([self._bound] if secured else [], [] if secured else [self._bound], [])

    def create_ssl_context(self) -> ssl.SSLContext | None:
        return self._context


async def serve(
    app: Starlette,
    bound: socket.socket,
    *,
    ssl_context: ssl.SSLContext | None = None,
    until: Callable[[], Awaitable[None]] = trio.sleep_forever,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve on a bound socket until `until` returns, then let requests finish for a few seconds.

    Cancellation: safe; requests under way are cut off and the socket is closed.
    """
    try:
        await hypercorn_serve(
            app,  # type: ignore[arg-type]
            _Config(bound, ssl_context),
            shutdown_trigger=until,
            task_status=task_status,
            mode="asgi",
        )
    finally:
        bound.close()
