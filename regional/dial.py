"""Opening an origin connection: from an address to a logged-in connection in the pump, and a cancel request likewise.

A dial is a trio task with a deadline; the bytes go through the pump from the first one on, so the established
connection is the same object. Hosts are tried in their order, each host's addresses in the resolver's; the first that
can be logged in to and is what `target_session_attrs` asks for wins. An origin's own refusal (wrong password, no such
database) is final: another host of the same cluster would say the same.
"""

import copy
import os
import secrets
import socket
import ssl
from functools import partial
from itertools import product
from time import monotonic
from typing import Final

import attrs
import trio

from protos.errors import ServiceError
from protos.pg.login import Login, LoginTarget
from protos.pg.sasl import NONCE_BYTES
from protos.pg.scram import KeyCache
from protos.pg.startup import cancel_request, ssl_request
from protos.runtime.connection import Connection
from protos.runtime.pump import Pump
from regional.configuration import Address, Configuration, OriginSecret
from regional.login_shells import CancelShell, Derivations, LoginShell, is_wanted, refused
from regional.origin import Origin
from regional.origin_tls import SharedContexts

MAX_INLINE_ITERATIONS: Final = 16_384  # of PBKDF2, some 10 ms; more is done in a thread
APPLICATION_NAME: Final = "Onetrip"


@attrs.define(eq=False)
class LoginConnection:
    """A connection during and right after its login; `hand_over` gives it to its owner."""

    connection: Connection
    address: "Endpoint"
    parameters: dict[str, str] = attrs.field(factory=dict)
    process_id: int = 0
    secret_key: bytes = b""
    rest: bytes = b""

    def hand_over(self, origin: Origin) -> None:
        self.connection.receiver = origin
        if self.rest:
            origin.received(self.rest)


@attrs.frozen
class Endpoint:
    """Where exactly a connection goes, and how TLS is done there."""

    family: int
    where: object
    host: Address
    sslmode: str


class Dialer:
    """Opens connections for all tenants of a node. Salted keys are kept in memory, so PBKDF2 is paid once."""

    def __init__(self, pump: Pump) -> None:
        self.pump = pump
        self._keys = KeyCache()
        self._derivations = Derivations()
        self._contexts = SharedContexts()
        self._parameters = {"application_name": APPLICATION_NAME}

    def presenting(self, **parameters: str) -> "Dialer":
        """One whose logins have these startup parameters too. What is remembered of keys and authorities is shared."""
        other = copy.copy(self)
        other._parameters = {**self._parameters, **parameters}
        return other

    async def dial(self, configuration: Configuration, secret: OriginSecret) -> LoginConnection:
        """Log in once. Raises ServiceError. Cancellation: safe, the connection is closed."""
        wanted = configuration.origin.target_session_attrs
        rounds = ("standby", "any") if wanted == "prefer-standby" else (wanted,)
        attempts = list(product(rounds, configuration.origin.addresses))
        deadline = trio.current_time() + configuration.connect_timeout_s
        for number, (kind, host) in enumerate(attempts):
            # A host that is silent must not use up the time of those after it.
            limit_s = max(0.0, deadline - trio.current_time()) / (len(attempts) - number)
            try:
                with trio.fail_after(limit_s):
                    return await self._dial_host(configuration, secret, host, kind)
            except trio.TooSlowError:
                hint = "Look whether host and port are right and no firewall is between."
                failure: ServiceError = refused(f"{host}: no answer within {limit_s:.3g} s", hint)
            except ServiceError as error:
                failure = error
                if not error.retryable:
                    raise
        raise failure

    async def _dial_host(
        self, configuration: Configuration, secret: OriginSecret, host: Address, wanted: str
    ) -> LoginConnection:
        failure: ServiceError | None = None
        for endpoint in await _resolve(host, configuration.origin.sslmode_for(host)):
            try:
                return await self._log_in(configuration, secret, endpoint, wanted)
            except ServiceError as error:
                failure = error
                if not error.retryable:
                    raise
        raise failure or refused(f"{host} has no address", "Look whether the host name is right.")

    async def _log_in(
        self, configuration: Configuration, secret: OriginSecret, endpoint: Endpoint, wanted: str
    ) -> LoginConnection:
        origin = configuration.origin
        target = LoginTarget(
            user=origin.user,
            password=secret.password,
            database=origin.database,
            parameters=self._parameters,
            sslmode=endpoint.sslmode,
            may_send_plain=origin.may_send_plain_password(endpoint.host),
        )
        login = Login(
            target,
            nonce=lambda: secrets.token_bytes(NONCE_BYTES),
            keys=self._keys,
            max_inline_iterations=MAX_INLINE_ITERATIONS,
        )
        sock = await _connect(endpoint)
        shell = LoginShell(login, endpoint.host, partial(self._context, configuration, secret), self._derivations)
        connection = Connection(self.pump, sock, shell)
        shell.connection = connection
        try:
            logged_in = await shell.run()
            if not await is_wanted(connection, wanted):
                raise refused(  # noqa: TRY301 - closed like any other failure
                    f"{endpoint.host} is not {wanted}", "Look at target_session_attrs and the hosts given."
                )
        except BaseException:
            connection.close()
            raise
        return LoginConnection(
            connection, endpoint, logged_in.parameters, logged_in.process_id, logged_in.secret_key, logged_in.rest
        )

    async def cancel(self, configuration: Configuration, secret: OriginSecret, origin: Origin) -> None:
        """Send a CancelRequest to exactly where the connection goes, and wait until the origin has taken it.

        TLS is used where the connection uses it. Returns at end-of-file, or when the origin cannot be reached.
        Cancellation: safe.
        """
        endpoint = origin.address
        try:
            sock = await _connect(endpoint)
        except ServiceError:
            return
        shell = CancelShell(cancel_request(origin.process_id, origin.secret_key))
        connection = shell.connection = Connection(self.pump, sock, shell)
        try:
            if origin.connection.tls is None:
                shell.secured()
            else:
                shell.context = self._context(configuration, secret)
                shell.hostname = endpoint.host.host
                connection.write(ssl_request())
            await shell.ended_event.wait()
        finally:
            connection.close()

    def _context(self, configuration: Configuration, secret: OriginSecret) -> ssl.SSLContext:
        return self._contexts.get(configuration.origin, secret.client_key, monotonic())


async def _resolve(host: Address, sslmode: str) -> list[Endpoint]:
    if host.is_unix_socket:
        path = os.path.join(host.host, f".s.PGSQL.{host.port}")
        return [Endpoint(socket.AF_UNIX, path, host, sslmode)]
    try:
        found = await trio.socket.getaddrinfo(host.host, host.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise refused(f"{host.host}: {error.strerror}", "Look whether the host name is right.") from None
    except UnicodeError:
        raise refused(f"{host.host} is no host name", "Look whether the host name is right.") from None
    return [Endpoint(family, where, host, sslmode) for family, _, _, _, where in found]


async def _connect(endpoint: Endpoint) -> socket.socket:
    """A connected, non-blocking socket. Cancellation: safe."""
    sock = socket.socket(endpoint.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)  # noqa: FBT003 - the socket module's signature
        if endpoint.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        await trio.socket.from_stdlib_socket(sock).connect(endpoint.where)
    except OSError as error:
        sock.close()
        hint = "Look whether the database runs and its port is reachable from the pool node."
        why = os.strerror(error.errno) if error.errno else str(error)
        raise refused(f"{endpoint.host}: {why}", hint) from None
    except BaseException:
        sock.close()
        raise
    return sock
