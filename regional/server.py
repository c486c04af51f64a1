"""The link server: edges connect here, one stream each, and every session's frames find their tenant.

An edge says hello; the pool node welcomes it and pushes all configurations, from then on every change. Channels live in
their link: when it ends, each of them has lost its client, and what those were doing is cancelled and rolled back. The
edge, for its part, has told its clients.

Only a peer whose certificate carries the role of an edge is served (rules 29); TLS checks that it was signed by our CA.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Final

import grpc
import structlog
from grpc import aio

from protos.errors import NotReadyError, RemoteProtocolError
from protos.link.credit import Budget
from protos.link.dictionary import DictionaryReceiver
from protos.link.link_pb2 import Close, Frame, GoAway, Group, Hello, Reason, Statuses, Welcome
from protos.link.mux import Mux
from protos.link.settings import from_wire
from protos.link.version import PROTOCOL_VERSION, refuse_other
from protos.pg.messages import service_error
from protos.release import RELEASE
from protos.runtime.link_stream import LinkStream
from regional.cache import asking
from regional.cache.served import Served
from regional.channel import Channel
from regional.profile import Profile
from regional.tenants import Tenants

EDGE_ROLE: Final = "onetrip:role:edge"
RECEIVE_BUDGET_BYTES: Final = 64 << 20

log = structlog.get_logger(__name__)


class EdgeLink:
    """One linked edge."""

    def __init__(self, tenants: Tenants, node: str, peer: str) -> None:
        self.hello = Hello()
        self.peer = peer
        self.up_since = time.monotonic()
        self.applied: dict[str, int] = {}
        """The version of each configuration that the edge has said it has."""
        self.on_applied: Callable[[], None] = lambda: None
        self.group = Group(nodes=[node])
        """The pool nodes that an edge has to hear, this one among them."""
        self.on_statuses: Callable[[Statuses], None] = lambda statuses: None
        self.channels: dict[int, Channel] = {}
        self.stream = LinkStream(budget=Budget(RECEIVE_BUDGET_BYTES), on_frame=self._on_frame)
        self.stream.mux.on_ping = tenants.followers.check  # hits are served on the strength of the pong
        self._tenants = tenants
        self._node = node
        self._dictionary = DictionaryReceiver()
        self._takes: dict[str, Callable[[Frame], None]] = {
            "applied": self._on_applied,
            "ask": self._on_ask,
            "begin": self._on_begin,
            "cancel": self._on_cancel,
            "choice": self._on_choice,
            "close": self._on_close,
            "ddl": self._on_ddl,
            "failed": self._on_failed,
            "hello": self._on_hello,
            "open": self._on_open,
            "resolve": self._on_resolve,
            "state": self._on_state,
            "statement": self._on_statement,
            "statuses": lambda frame: self.on_statuses(frame.statuses),
        }

    @property
    def mux(self) -> Mux:
        return self.stream.mux

    @property
    def is_welcome(self) -> bool:
        return bool(self.hello.version)

    def push(self, frame: Frame) -> None:
        if self.is_welcome:
            self.mux.send_control(frame)

    def lost(self) -> None:
        """The link is gone, and with it the clients of all its channels."""
        channels, self.channels = self.channels, {}
        for channel in channels.values():
            channel.left(Reason.LOST)

    def _on_frame(self, frame: Frame) -> None:
        kind = frame.WhichOneof("control")
        if kind is None:
            channel = self.channels.get(frame.channel)
            if channel is not None:
                channel.deliver(frame.data)
        else:
            take = self._takes.get(kind)
            if take is not None:  # a newer edge may say what we do not know
                take(frame)

    def _on_statement(self, frame: Frame) -> None:
        text = self._dictionary.text_of(frame.statement.slot, frame.statement.parse)
        channel = self.channels.get(frame.channel)
        if channel is not None:
            channel.refer(text)

    def _on_close(self, frame: Frame) -> None:
        channel = self.channels.pop(frame.channel, None)
        if channel is not None:
            channel.left(frame.close.reason)
        else:  # closed by us before, perhaps with bytes that nobody takes any more
            self.mux.forget_lane(frame.channel)

    def _on_ask(self, frame: Frame) -> None:
        channel = self.channels.get(frame.channel)
        if channel is not None:
            asking.ask(channel)

    def _on_begin(self, frame: Frame) -> None:
        channel = self.channels.get(frame.channel)
        if channel is not None:
            channel.opening = frame.begin

    def _on_state(self, frame: Frame) -> None:
        channel = self.channels.get(frame.channel)
        if channel is None:
            return
        if frame.state.given:
            channel.settings.change(Profile.of(from_wire(frame.state.settings)))
        else:
            channel.settings.confirmed()

    def _on_choice(self, frame: Frame) -> None:
        channel = self.channels.get(frame.channel)
        if channel is not None:
            try:
                channel.choices.take(frame.choice)
            except RemoteProtocolError as error:
                channel.end(error)

    def _on_failed(self, frame: Frame) -> None:
        channel = self.channels.get(frame.channel)
        if channel is not None:
            channel.choices.confirmed()

    def _on_cancel(self, frame: Frame) -> None:
        self._tenants.cancel(frame.cancel.process_id, frame.cancel.secret_key)
        if frame.cancel.number:  # its session is another edge's, where it may be waiting
            self._tenants.push(frame)

    def _on_ddl(self, frame: Frame) -> None:
        self._tenants.ddl.heard(frame.ddl, self.push)

    def _on_resolve(self, frame: Frame) -> None:
        self._tenants.resolve(frame.resolve, lambda answer: self.push(Frame(resolved=answer)))

    def _on_applied(self, frame: Frame) -> None:
        self.applied[frame.applied.name] = frame.applied.version
        self.on_applied()

    def _on_hello(self, frame: Frame) -> None:
        hello = frame.hello
        refuse_other(hello.version, peer="the edge", own="this pool node")
        self.hello = hello
        pushed = self._tenants.configurations()
        welcome = Welcome(
            version=PROTOCOL_VERSION, node=self._node, release=RELEASE, mock_secret=self._tenants.mock_secret,
            configurations=len(pushed),
        )  # fmt: skip
        self.push(Frame(welcome=welcome))
        self.push(Frame(group=self.group))
        for configuration in pushed:
            self.push(Frame(configuration=configuration))
        for told in self._tenants.ddl.recent():
            self.push(told)
        log.info("link up", edge=hello.node, release=hello.release, peer=self.peer, address=hello.address)

    def _on_open(self, frame: Frame) -> None:
        number, opening = frame.channel, frame.open
        lane = self.mux.lane(number)
        tenant = self._tenants.get(opening.configuration)
        if tenant is None or tenant.configuration.credentials_version != opening.credentials_version:
            # The edge will hear of the change, or has by now; what it sent under the old one does not run.
            error = service_error(NotReadyError(public="the configuration has just been changed"), "FATAL")
            self.mux.close_lane(lane, Close(reason=Reason.ENDED, error=error))
            return
        startup = Profile.of(from_wire(opening.settings))
        key = (opening.process_id, opening.secret_key)
        channel = Channel(tenant, self.mux, lane, startup, key)
        if opening.present:
            channel.settings.change(Profile.of(from_wire(opening.present)))
        channel.on_closed = lambda: self.channels.pop(number, None)
        self.channels[number] = channel
        tenant.channels[key] = channel


class LinkServer:
    """All links of a pool node."""

    def __init__(self, tenants: Tenants, *, checks_role: bool) -> None:
        self.node = f"pool-{secrets.token_hex(6)}"
        self.served = Served()
        self._group = Group(nodes=[self.node])
        self.links: set[EdgeLink] = set()
        self.is_draining = False
        self.is_open = True
        """Whether edges may link; not while this node waits until it may serve."""
        self._tenants = tenants
        self._checks_role = checks_role
        self._changed = asyncio.Event()

    def handler(self) -> grpc.GenericRpcHandler:
        # Bytes in, bytes out: the mux serializes.
        method: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(self._serve)
        return grpc.method_handlers_generic_handler("onetrip.link.v1.Link", {"Connect": method})

    async def _serve(self, _: object, context: "aio.ServicerContext[bytes, bytes]") -> None:
        if self._checks_role and not _has_edge_role(context):
            log.warning("peer refused: its certificate has not the role of an edge", peer=context.peer())
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "the certificate has not the role of an edge")
        if self.is_draining:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the pool node is shutting down")
        if not self.is_open:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the pool node is starting")
        link = EdgeLink(self._tenants, self.node, context.peer())
        link.on_applied = self._notify
        link.group = self._group
        link.on_statuses = lambda statuses: self.served.take(link.hello.node, statuses)
        self.links.add(link)
        why = "closed by the edge"
        try:
            await link.stream.run(context)
        except RemoteProtocolError as error:
            why = str(error)
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, why)
        except asyncio.CancelledError:
            why = "connection lost"
            raise
        finally:
            self.links.discard(link)
            if all(other.hello.node != link.hello.node for other in self.links):
                self.served.gone(link.hello.node)
            log.info("link down", edge=link.hello.node or "unknown", peer=link.peer, why=why)
            link.lost()
            self._notify()

    def push(self, frame: Frame) -> None:
        """To every linked edge."""
        for link in self.links:
            link.push(frame)

    def group_changed(self, group: Group) -> None:
        """Other pool nodes are to be heard by every edge, or it is not known which."""
        self._group = group
        for link in self.links:
            link.group = group
        self.push(Frame(group=group))

    def go_away(self, why: str) -> None:
        self.is_draining = True
        self.push(Frame(go_away=GoAway(why=why)))

    async def acknowledged(self, name: str, version: int, timeout_s: float) -> tuple[int, int]:
        """Wait until every linked edge has this version; how many are linked, and how many of them have it.

        Runs on the host. Cancellation: safe.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            linked = [link for link in self.links if link.is_welcome]
            have = sum(link.applied.get(name, 0) >= version for link in linked)
            left_s = deadline - time.monotonic()
            if have == len(linked) or left_s <= 0:
                return len(linked), have
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), left_s)
            except TimeoutError:
                continue

    def _notify(self) -> None:
        self._changed.set()


def _has_edge_role(context: "aio.ServicerContext[bytes, bytes]") -> bool:
    names = context.auth_context()
    alternatives = [*names.get("peer_uri", ()), *names.get("x509_subject_alternative_name", ())]
    return EDGE_ROLE.encode() in alternatives
