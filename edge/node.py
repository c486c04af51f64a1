"""An edge node: listeners, uplinks and clients in one process, from its start to its drain.

trio owns the lifecycle: the uplinks and the janitor are tasks, and shutting down is leaving their nursery. The clients
are driven by the pump (see protos/runtime). A drain closes the listeners, ends quiet sessions at once and the others at
their next transaction boundary, and lets out what they have not taken of their answers; whoever is left after the drain
timeout gets FATAL 57P01.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import ssl
import sys
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
import trio

from edge.cache.reader import Reader
from edge.cache.renewal import MAX_RENEWALS, Renewal
from edge.cache.store import Store
from edge.cache.upkeep import Upkeep
from edge.cancelling import Cancelling
from edge.certificate import load_certificate
from edge.client import Client
from edge.directory import Directory, Entry
from edge.handshake import Handshake
from edge.limits import WRITE_TIMEOUT_S, Limits
from edge.listener import Listener, open_listeners, raise_descriptor_limit
from edge.newcomer import Newcomer
from edge.options import EdgeOptions
from edge.throttle import Throttle
from edge.uplink import Uplink
from protos.errors import DrainingError, TooManyClientsError
from protos.link.link_pb2 import Hello, Open
from protos.link.version import PROTOCOL_VERSION
from protos.pg.messages import service_error
from protos.pg.sasl import NONCE_BYTES
from protos.pg.scram import ScramVerifier, verifies
from protos.release import RELEASE
from protos.runtime.address import authority
from protos.runtime.clock import seconds
from protos.runtime.connection import Connection
from protos.runtime.guest import run as run_guest
from protos.runtime.guest import signals_to
from protos.runtime.logs import configure_logs
from protos.runtime.pump import Pump

JANITOR_PERIOD_S: Final = 0.25
REFUSING_ROOM: Final = 64  # clients beyond the bound that are still told why they are refused
DRAIN_PERIOD_S: Final = 0.02
GOODBYE_S: Final = 1.0

log = structlog.get_logger(__name__)


class Edge:
    """What the clients of one edge share."""

    def __init__(self, options: EdgeOptions, pump: Pump, address: str, max_clients: int) -> None:
        self.directory = Directory(Store(options.cache_bytes), seconds)
        self.limits = Limits(handshake_timeout_s=options.handshake_timeout_s, wait_timeout_s=options.wait_timeout_s)
        self.clients: set[Client] = set()
        self.newcomers: set[Newcomer] = set()
        self.throttle = Throttle()
        self.certificate_hash: bytes | None = None
        self._options = options
        self._pump = pump
        self._max_clients = max_clients
        self._tls: ssl.SSLContext | None = None
        self._is_draining = False
        self._last_refusal_s = -60.0
        hello = Hello(
            version=PROTOCOL_VERSION, node=f"edge-{uuid.uuid4().hex[:12]}", release=RELEASE, address=address,
            advertise=options.advertise or "",
        )  # fmt: skip
        self.uplinks = [Uplink(pool, hello, self.directory, options.link_tls) for pool in options.pools]
        for uplink in self.uplinks:
            uplink.on_up = self._uplink_came_up
            uplink.on_changed = self._configuration_changed
        self.cancelling = Cancelling(self.clients, self.uplinks, self.throttle)
        self._upkeep = Upkeep(self.directory, self.uplinks, self.route)
        self.load_certificate()

    # --- for clients ---

    @property
    def is_full(self) -> bool:
        return len(self.clients) >= self._max_clients

    def too_many_clients(self) -> TooManyClientsError:
        return TooManyClientsError(
            f"{len(self.clients)} clients",
            detail=f"This edge node has room for {self._max_clients} client connections.",
            hint="Raise the node's limit of open files, or add edge nodes.",
        )

    def new_handshake(self) -> Handshake:
        return Handshake(self.directory, tls_available=self._tls is not None, nonce=_nonce)

    def start_tls(self, connection: Connection, hello: bytes) -> None:
        assert self._tls is not None
        connection.start_tls(self._tls, server_side=True, hello=hello)

    def check_password(self, password: bytes, verifier: ScramVerifier, done: Callable[[bool], None]) -> None:
        """PBKDF2 takes milliseconds, so a thread does it."""
        loop = asyncio.get_running_loop()
        checking = loop.run_in_executor(None, verifies, password, verifier)
        checking.add_done_callback(lambda future: done(future.result()))

    def admit(self, newcomer: Newcomer, client: Client) -> None:
        """The newcomer has become a client."""
        self.forget_newcomer(newcomer)
        self.clients.add(client)
        self.directory.clients[client.entry.name] += 1

    def forget_newcomer(self, newcomer: Newcomer) -> None:
        self.newcomers.discard(newcomer)
        self.limits.forget_newcomer(newcomer)

    def forget(self, client: Client) -> None:
        if client in self.clients:
            self.clients.discard(client)
            self.directory.clients[client.entry.name] -= 1
            self.cancelling.forget(client.process_id)
            self.limits.forget_client(client)

    def route(self, configuration: str) -> Uplink | None:
        """The link for this configuration's statements: the first pool node, in the operator's order, that has it."""
        for uplink in self.uplinks:
            if uplink.serves(configuration):
                return uplink
        return None

    def renew(self, entry: Entry, reader: Reader, opening: Open) -> None:
        """A stale answer was served to a session that opens its channels so."""
        answer, reader.renews = reader.renews, None
        uplink = self.route(entry.name)
        if answer is not None and uplink is not None and Renewal.under_way < MAX_RENEWALS:
            Renewal(uplink, entry, answer, reader.settings, opening)

    # --- clients coming and going ---

    def accepted(self, sock: socket.socket, peer: str) -> None:
        if self._is_draining or len(self.clients) + len(self.newcomers) >= self._max_clients + REFUSING_ROOM:
            self._turn_away(sock)
            return
        now = time.monotonic()
        delay_s = self.throttle.delay(peer, now)
        if delay_s is None:
            sock.close()
            return
        newcomer = Newcomer(self, peer)
        connection = newcomer.connection = Connection(self._pump, sock, newcomer)
        self.newcomers.add(newcomer)
        self.limits.start_handshake(newcomer, now)
        if delay_s:
            connection.pause()
            self._pump.later(delay_s, partial(self._let_in, connection, peer))

    def _let_in(self, connection: Connection, peer: str) -> None:
        self.throttle.let_in(peer)
        connection.resume()

    def _turn_away(self, sock: socket.socket) -> None:
        """No room even for a handshake: the error goes out unasked, which drivers understand."""
        now = time.monotonic()
        if now - self._last_refusal_s >= 1.0:  # a storm is one line a second
            self._last_refusal_s = now
            log.warning("clients turned away", clients=len(self.clients))
        with contextlib.suppress(OSError):
            sock.send(service_error(DrainingError() if self._is_draining else self.too_many_clients(), "FATAL"))
        sock.close()

    # --- what the pool nodes say ---

    def _uplink_came_up(self) -> None:
        named = set().union(*(uplink.names for uplink in self.uplinks))
        for name in self.directory.names() - named:  # deleted while we were not linked
            self.directory.forget(name)
            self._configuration_changed(name)
        self._upkeep.came_up()
        for one in self.limits.waiting():
            one.pool_node_came_up()

    def _configuration_changed(self, name: str) -> None:
        """Sessions that logged in with credentials that no longer hold end at their next transaction boundary."""
        entry = self.directory.get(name)
        for client in list(self.clients):
            if client.entry.name != name:
                continue
            if entry is None or entry.credentials_version != client.entry.credentials_version:
                what = "deleted" if entry is None else "given new credentials"
                client.end_when_quiet(DrainingError(public=f"terminating connection: configuration {name} was {what}"))
        for one in self.limits.waiting():
            one.pool_node_came_up()

    # --- the node's own life ---

    def load_certificate(self) -> None:
        """Read the TLS files; also on SIGHUP. Raises OSError or ssl.SSLError, and then the old ones stay."""
        cert_file, key_file = self._options.tls_cert_file, self._options.tls_key_file
        if cert_file is None or key_file is None:
            return
        self._tls, self.certificate_hash = load_certificate(cert_file, key_file)

    def reload(self) -> None:
        try:
            self.load_certificate()
        except (OSError, ValueError) as error:
            log.warning("certificates not reloaded; the old ones stay in use", why=str(error))
        else:
            log.info("certificates reloaded")

    def tick(self, now: float) -> None:
        self.limits.tick(now)
        self.directory.tick(now)
        self._upkeep.tick(now)
        for client in list(self.clients):
            blocked_at = client.connection.blocked_at
            if blocked_at and now - blocked_at > WRITE_TIMEOUT_S:
                log.info("client takes nothing of its answer", peer=client.peer)
                client.connection.close()
                client.ended("write timeout")
            elif blocked_at or client.held_since:
                client.tick(now)

    async def drain(self, timeout_s: float) -> None:
        """Let transactions finish and answers go out, at most timeout_s, then end what is left."""
        self._is_draining = True
        for newcomer in list(self.newcomers):
            newcomer.end(DrainingError())
        for client in list(self.clients):
            client.end_when_quiet(DrainingError())
        with trio.move_on_after(timeout_s):
            # Polled, for sessions end in the pump's callbacks, which know no trio event.
            while self.clients or self.limits.is_anyone_lingering:  # noqa: ASYNC110
                await trio.sleep(DRAIN_PERIOD_S)
        for client in list(self.clients):
            client.end(DrainingError())


def run(options: EdgeOptions) -> int:
    """Run an edge node until it is told to stop; its exit status."""
    configure_logs(as_json=options.log_json)
    max_clients = raise_descriptor_limit()
    try:
        sockets = open_listeners(options.listen)
    except OSError as error:
        where = authority(*options.listen)
        print(f"onetrip: cannot listen on {where}: {error.strerror}; choose another --listen", file=sys.stderr)
        return 1
    return run_guest(partial(_main, options, sockets, max_clients))


async def _main(options: EdgeOptions, sockets: list[socket.socket], max_clients: int) -> int:
    address = authority(options.listen[0], sockets[0].getsockname()[1])
    pump = Pump()
    try:
        edge = Edge(options, pump, address, max_clients)
    except (OSError, ValueError) as error:
        print(f"onetrip: cannot use the TLS files: {error}; check --tls-cert and --tls-key", file=sys.stderr)
        return 1
    stop = trio.Event()

    def on_signal(number: signal.Signals) -> None:
        if number == signal.SIGHUP:
            edge.reload()
        elif stop.is_set():
            os._exit(0)  # asked twice: at once, whatever is open
        else:
            stop.set()

    with signals_to(on_signal, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        listeners = [Listener(pump, sock, edge.accepted) for sock in sockets]
        async with trio.open_nursery() as nursery:
            for uplink in edge.uplinks:
                nursery.start_soon(uplink.serve)
            nursery.start_soon(_janitor, edge)
            print(f"READY {address}", flush=True)
            await stop.wait()
            log.info("draining", clients=len(edge.clients))
            for listener in listeners:
                listener.close()
            await edge.drain(options.drain_timeout_s)
            with trio.move_on_after(GOODBYE_S):
                while len(pump):  # noqa: ASYNC110 - likewise
                    await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
    pump.close()
    return 0


async def _janitor(edge: Edge) -> None:
    while True:
        await trio.sleep(JANITOR_PERIOD_S)
        edge.tick(time.monotonic())


def _nonce() -> bytes:
    return secrets.token_bytes(NONCE_BYTES)
