"""A newcomer: a connection from its first byte until everything that a driver expects at connect has been answered.

This is the shell around the `Handshake` core. It runs in the pump's callbacks, so nothing here waits; what has to be
waited for is kept by the node's `Limits`, whose janitor calls back:

    handshake ──► (no pool node has told us anything yet) ──► (settings being asked of the origin) ──► a Client

What the client sends ahead (a pipelined first query) is kept, and given to its session.
"""

from time import monotonic
from typing import TYPE_CHECKING

import structlog

from edge.cache.switch import bad_switch_in
from edge.client import Client
from edge.directory import Entry, RefusedSettingError
from edge.handshake import Accepted, Action, Cancel, CheckPassword, Close, Refuse, Send, StartTls, Wait
from edge.passage import MAX_BACKLOG_BYTES
from protos.errors import InvalidPasswordError, ServiceError, TooManyClientsError, UnknownConfigurationError
from protos.link.link_pb2 import Resolved
from protos.pg.messages import backend_key_data, parameter_status, ready_for_query, service_error
from protos.pg.tags import TransactionStatus
from protos.runtime.connection import Connection

if TYPE_CHECKING:
    from edge.node import Edge

log = structlog.get_logger(__name__)

_READY = ready_for_query(TransactionStatus.IDLE)


class Newcomer:
    """Somebody who is not a client yet."""

    __slots__ = ("_accepted", "_early", "_edge", "_entry", "_handshake", "_unsent", "connection", "peer")

    def __init__(self, edge: "Edge", peer: str) -> None:
        self._edge = edge
        self._handshake = edge.new_handshake()
        self._accepted: Accepted | None = None
        self._entry: Entry | None = None
        self._early: list[bytes] = []
        self._unsent = b""  # the last word of the proof goes out with what follows it
        self.connection: Connection
        self.peer = peer

    # --- the connection's side ---

    def received(self, data: bytes) -> None:
        if self._accepted is None:
            self._act(self._handshake.receive(data))
            configuration = self._handshake.proof_awaited_for
            if configuration is not None and (uplink := self._edge.route(configuration)) is not None:
                uplink.rouse()  # the proof takes the client milliseconds, then its first query comes
            return
        self._early.append(data)
        if sum(map(len, self._early)) > MAX_BACKLOG_BYTES:
            self.connection.pause()

    def secured(self) -> None:
        tls = self.connection.tls
        assert tls is not None
        self._act(self._handshake.secured(certificate_hash=self._edge.certificate_hash, alpn=tls.alpn))

    def drained(self) -> None:
        """What we send here is small; there is nothing to go on with."""

    def ended(self, why: str) -> None:
        self._gone()

    # --- the handshake ---

    def _act(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Send):
                self._unsent += action.data
            elif isinstance(action, Accepted):
                self._accept(action)
            else:
                self._flush()
                self._act_rarely(action)
            if self.connection.is_closed:
                return
        self._flush()

    def _flush(self) -> None:
        if self._unsent:
            unsent, self._unsent = self._unsent, b""
            self.connection.write(unsent)

    def _act_rarely(self, action: Action) -> None:
        match action:
            case StartTls(hello):
                self._edge.start_tls(self.connection, hello)
            case CheckPassword(password, verifier):
                self._edge.check_password(password, verifier, self._password_checked)
            case Wait():
                self._edge.limits.await_pool_node(self, monotonic())
            case Cancel(process_id, secret):
                self._edge.cancelling.asked(process_id, secret, self.peer)
                self._close()  # the end of the connection is the only answer there is
            case Close(reason):
                log.info("handshake ended", peer=self.peer, why=reason)
                self._close()
            case Refuse(error):
                self.end(error)

    def _password_checked(self, ok: bool) -> None:  # noqa: FBT001 - a callback's only argument
        if self in self._edge.newcomers:
            self._act(self._handshake.password_checked(ok=ok))

    def _accept(self, accepted: Accepted) -> None:
        """Authenticated: is there room, and is all known that has to be answered?"""
        self._accepted = accepted
        if accepted.rest:
            self._early.append(accepted.rest)
        entry = self._entry = self._edge.directory.get(accepted.configuration)
        if self._edge.is_full:
            self.end(self._edge.too_many_clients())
        elif entry is None:
            self.end(UnknownConfigurationError())
        elif self._edge.directory.clients[entry.name] >= entry.max_client_connections:
            self.end(_too_many(entry))
        else:
            self._welcome_when_known(accepted, entry)

    def _go_on(self, accepted: Accepted, entry: Entry) -> None:
        """Go on after a wait, in which the configuration may have changed."""
        present = self._edge.directory.get(entry.name)
        if present is None:
            self.end(UnknownConfigurationError("the configuration was deleted during the login"))
        elif present.credentials_version != entry.credentials_version:
            public = f'password authentication failed for user "{accepted.user}"'
            self.end(InvalidPasswordError("the credential was changed during the login", public=public))
        else:
            self._welcome_when_known(accepted, present)

    def _welcome_when_known(self, accepted: Accepted, entry: Entry) -> None:
        """Go on when all of the session's settings are known; ask the origin about those that are not (rules 6)."""
        bad = bad_switch_in(accepted.settings)
        if bad is not None:
            self.end(bad.error)
            return
        unknown = entry.unknown(accepted.settings)
        uplink = self._edge.route(entry.name)
        if not unknown and entry.parameters:
            self._welcome(accepted, entry)
        elif uplink is not None:
            uplink.resolve(entry.name, unknown, self._resolved)
        else:
            self._edge.limits.await_pool_node(self, monotonic())

    def pool_node_came_up(self) -> None:
        """Go on with what waited for a pool node."""
        edge, accepted, entry = self._edge, self._accepted, self._entry
        if accepted is None or entry is None:
            if edge.directory.is_ready:  # else one configuration is here, and the others are still to come
                edge.limits.stop_waiting(self, monotonic())
                self._act(self._handshake.directory_ready())
        elif edge.route(entry.name) is not None or edge.directory.get(entry.name) is None:
            edge.limits.stop_waiting(self, monotonic())
            self._go_on(accepted, entry)

    def _resolved(self, resolved: Resolved | None) -> None:
        if self not in self._edge.newcomers or self._accepted is None or self._entry is None:
            return
        if resolved is None:  # the link is gone; the next one will be asked
            self._edge.limits.await_pool_node(self, monotonic())
            return
        if resolved.error:
            log.info("client refused", peer=self.peer, configuration=self._entry.name, why="the origin gave no answer")
            self.connection.write(resolved.error)
            self._close()
            return
        for resolution in resolved.resolutions:
            if resolution.refusal:
                self.end(RefusedSettingError(resolution.refusal))
                return
        entry = self._edge.directory.get(self._entry.name)
        if entry is not None:
            entry.learn(resolved.resolutions)
            if resolved.parameters:
                entry.set_parameters(resolved.parameters)
        self._go_on(self._accepted, self._entry)  # what was known before may have been invalidated meanwhile

    def _welcome(self, accepted: Accepted, entry: Entry) -> None:
        """Answer the rest of what a driver expects at connect, and make way for the session."""
        client = Client(self._edge, self.connection, entry, accepted)
        client.peer = self.peer
        answer, self._unsent = [self._unsent], b""
        answer += [parameter_status(name, value) for name, value in entry.reported(accepted.settings).items()]
        answer.append(backend_key_data(client.process_id, client.secret_key))
        answer.append(_READY)
        self.connection.write(b"".join(answer))
        self._accepted = None  # a second answer of the origin finds nobody
        self._edge.admit(self, client)
        self.connection.receiver = client
        if self._early:
            self.connection.resume()
            client.received(b"".join(self._early))

    # --- the end ---

    def timed_out(self) -> None:
        log.info("handshake timed out", peer=self.peer)
        self._close()

    def end(self, error: ServiceError) -> None:
        """Say why not, and close."""
        name = self._entry.name if self._entry is not None else None
        log.info("client refused", peer=self.peer, configuration=name, sqlstate=error.sqlstate, why=str(error))
        if error.sqlstate[:2] == "28":
            self._edge.throttle.failed(self.peer, monotonic())
        self._flush()
        tls = self.connection.tls
        if tls is None or tls.is_established:  # else there is nobody yet who could read it
            self.connection.write(service_error(error, "FATAL"))
        self._close()

    def _close(self) -> None:
        self.connection.finish(linger=True)
        if self.connection.pending_bytes:
            self._edge.limits.linger(self.connection, monotonic())
        self._gone()

    def _gone(self) -> None:
        self._edge.forget_newcomer(self)


def _too_many(entry: Entry) -> TooManyClientsError:
    limit = entry.max_client_connections
    return TooManyClientsError(
        f"configuration {entry.name} has {limit} clients at this edge",
        detail=f"The configuration allows {limit} client connections at one edge node.",
        hint="Raise max_client_connections, or let the application open fewer connections.",
    )
