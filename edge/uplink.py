"""An uplink: this edge's end of the link to one pool node, kept up for as long as the process lives.

States: down (dialling with jittered exponential backoff), up (welcomed, and told all configurations), leaving (the pool
node said go-away: no new channels, the open ones finish). A link that ends takes its channels with it: each client is
told and decides by itself what that means for its session (rules 1); the next link starts with an empty dictionary.

The first statement of a session needs no crossing of its own: `open` queues the frame that opens the channel, and the
statement's bytes follow in the same message.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from typing import Final

import grpc
import structlog
import trio
from grpc import aio

from edge.cache.vouching import Voucher
from edge.dialling import channel_to, reason_of
from edge.directory import Directory, Pair
from edge.meaning import Statement
from edge.owner import ChannelOwner
from edge.questions import Questions
from protos.errors import RemoteProtocolError
from protos.link.credit import Budget
from protos.link.dictionary import DictionarySender
from protos.link.lane import Lane
from protos.link.link_pb2 import Applied, Cancel, Close, Ddl, Frame, Hello, Open, Reason, Resolved
from protos.link.link_pb2 import Statement as StatementFrame
from protos.link.tls import LinkTls
from protos.link.version import refuse_other
from protos.runtime.address import authority
from protos.runtime.guest import call_host
from protos.runtime.link_stream import LinkStream

METHOD: Final = "/onetrip.link.v1.Link/Connect"
FIRST_BACKOFF_S: Final = 0.1
MAX_BACKOFF_S: Final = 3.0

log = structlog.get_logger(__name__)


class Uplink:
    """The link to one pool node."""

    def __init__(self, address: tuple[str, int], hello: Hello, directory: Directory, tls: LinkTls | None) -> None:
        self.address = address
        self.on_up: Callable[[], None] = lambda: None
        self.on_changed: Callable[[str], None] = lambda name: None
        self.on_vouched: Callable[[], None] = lambda: None
        self.on_cancel: Callable[[Cancel], None] = lambda cancel: None
        self.on_ddl: Callable[[Ddl], None] = lambda ddl: None
        self.on_serves: Callable[[str], None] = lambda name: None
        self.voucher = Voucher()
        """Until when this pool node vouches for what is kept here."""
        self._hello = hello
        self._directory = directory
        self._tls = tls
        self._stream: LinkStream | None = None
        self._dictionary = DictionarySender()
        self._owners: dict[int, ChannelOwner] = {}
        self._next_channel = 1
        self._questions = Questions()
        self._names: set[str] = set()
        self._awaited = 0
        self._is_up = False
        self._is_leaving = False
        self.stream_count = 0
        self._takes: dict[str, Callable[[Frame], None]] = {
            "cancel": lambda frame: self.on_cancel(frame.cancel),
            "close": self._on_close,
            "configuration": self._on_configuration,
            "ddl": lambda frame: self.on_ddl(frame.ddl),
            "description": self._on_description,
            "failed": self._on_session,
            "go_away": self._on_go_away,
            "group": self._on_group,
            "invalidate": self._on_invalidate,
            "resolved": self._on_resolved,
            "state": self._on_session,
            "verdict": self._on_session,
            "welcome": self._on_welcome,
            "withdraw": self._on_withdraw,
            "worded": self._on_session,
        }

    @property
    def name(self) -> str:
        return authority(*self.address)

    @property
    def is_up(self) -> bool:
        """Whether new channels may be opened."""
        return self._is_up and not self._is_leaving

    @property
    def is_leaving(self) -> bool:
        """Whether the pool node has said that it goes away."""
        return self._is_leaving

    @property
    def stream(self) -> LinkStream | None:
        return self._stream

    @property
    def names(self) -> set[str]:
        """The configurations that this pool node has, as far as we know."""
        return self._names

    def serves(self, configuration: str) -> bool:
        return self.is_up and configuration in self._names

    # --- for clients ---

    def open(self, owner: ChannelOwner, opening: Open) -> Lane:
        assert self._stream is not None
        channel, self._next_channel = self._next_channel, self._next_channel + 1
        self._owners[channel] = owner
        return self._stream.mux.open_lane(channel, opening)

    def send(self, lane: Lane, data: bytes, needed: Iterable[Statement], *, last: bool) -> None:
        assert self._stream is not None
        mux = self._stream.mux
        if needed:
            prompt = mux.is_prompt(lane, len(data))
            for statement in needed:
                # A backlog is sent later than what other channels put into the dictionary meanwhile, so what waits
                # there carries its texts itself.
                slot, text = (
                    self._dictionary.slot_for(statement.name, statement.parse) if prompt else (0, statement.parse)
                )
                frame = Frame(channel=lane.id, statement=StatementFrame(slot=slot, parse=text))
                mux.send_in_order(lane, frame)
        mux.send(lane, data, last=last)

    def consumed(self, lane: Lane, size: int) -> None:
        if self._stream is not None:
            self._stream.mux.consumed(lane, size, time.monotonic())

    def close(self, lane: Lane, reason: Reason) -> None:
        if self._owners.pop(lane.id, None) is not None and self._stream is not None:
            self._stream.mux.close_lane(lane, Close(reason=reason))

    def say(self, lane: Lane, frame: Frame) -> None:
        """Tell the pool node something before what is sent on the channel next."""
        if self._stream is not None:
            self._stream.mux.send_in_order(lane, frame)

    def tell(self, frame: Frame) -> None:
        """Tell the pool node something of the link."""
        if self._is_up and self._stream is not None:
            self._stream.mux.send_control(frame)

    def rouse(self) -> None:
        """A client is about to ask its first query."""
        if self._stream is not None:
            self._stream.rouse()

    def cancel(self, process_id: int, secret_key: bytes, number: bytes = b"") -> None:
        if self._stream is not None:
            cancel = Cancel(process_id=process_id, secret_key=secret_key, number=number)
            self._stream.mux.send_control(Frame(cancel=cancel))

    def resolve(
        self, configuration: str, settings: Iterable[Pair], callback: Callable[[Resolved | None], None]
    ) -> None:
        """Ask the origin about settings; None comes back if the link is lost meanwhile."""
        assert self._stream is not None
        self._stream.mux.send_control(Frame(resolve=self._questions.ask(configuration, settings, callback)))

    # --- the life of the link ---

    async def serve(self) -> None:
        """Keep the link up until cancelled."""
        backoff_s = FIRST_BACKOFF_S
        failure = ""
        while True:
            began = trio.current_time()
            try:
                await call_host(self._run_once())
                why = "ended by the pool node"
            except (grpc.RpcError, RemoteProtocolError, OSError, asyncio.InvalidStateError) as error:
                why = reason_of(error)  # the last: something was written in the tick in which gRPC ended the call
            except Exception:
                log.exception("link failed unforeseen", pool=self.name)
                why = "internal error"
            finally:
                was_up = self.lost()
            if was_up or why != failure:  # not once for each try while a pool node is away
                log.warning("link down", pool=self.name, why=why)
                failure = why
            if was_up or trio.current_time() - began > MAX_BACKOFF_S:
                backoff_s = FIRST_BACKOFF_S
            await trio.sleep(backoff_s * random.uniform(0.5, 1.0))
            backoff_s = min(backoff_s * 2, MAX_BACKOFF_S)

    async def _run_once(self) -> None:
        async with channel_to(self.name, self._tls) as channel:
            call: aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(METHOD)()
            try:
                await self.begin().run(call)
            finally:
                call.cancel()

    def begin(self) -> LinkStream:
        """A new link, whose first word is our hello; its owner runs it and says when it is `lost`."""
        self._dictionary = DictionarySender()
        # A budget of its own: what the windows of a lost link had grown by is not given back one by one.
        stream = self._stream = LinkStream(budget=Budget(RECEIVE_BUDGET_BYTES), on_frame=self.take)
        self.stream_count += 1
        stream.mux.on_pong = self._on_pong
        stream.mux.send_control(Frame(hello=self._hello))
        return stream

    def lost(self) -> bool:
        """The link is gone: tell everyone; whether it had been up."""
        was_up, self._is_up, self._is_leaving = self._is_up, False, False
        self.voucher.lost()
        self.on_vouched()
        self._stream = None
        owners, self._owners = self._owners, {}
        for owner in owners.values():
            owner.link_lost()
        self._questions.lost()
        return was_up

    # --- frames of the pool node ---

    def take(self, frame: Frame) -> None:
        """A frame of the pool node."""
        kind = frame.WhichOneof("control")
        if kind is None:
            owner = self._owners.get(frame.channel)
            if owner is not None:
                owner.answered(frame.data, frame.settled, frame.status)
        else:
            take = self._takes.get(kind)
            if take is not None:  # a newer pool node may say what we do not know
                take(frame)

    def _on_session(self, frame: Frame) -> None:
        owner = self._owners.get(frame.channel)
        if owner is None:
            return
        if frame.HasField("state"):
            owner.state_known(frame.state)
        elif frame.HasField("verdict"):
            owner.judged(frame.verdict)
        else:
            owner.outcome_known(frame)

    def _on_group(self, frame: Frame) -> None:
        self.voucher.told(None if frame.group.unknown else frozenset(frame.group.nodes))
        self.on_vouched()

    def _on_pong(self, sent_at: float) -> None:
        self.voucher.answered(sent_at)
        self.on_vouched()

    def _on_withdraw(self, frame: Frame) -> None:
        self._names.discard(frame.withdraw.name)
        self._directory.forget(frame.withdraw.name)
        self._apply(frame.withdraw.name, frame.withdraw.version)

    def _on_resolved(self, frame: Frame) -> None:
        self._questions.answered(frame.resolved)

    def _on_invalidate(self, frame: Frame) -> None:
        self._directory.invalidate(frame.invalidate)

    def _on_description(self, frame: Frame) -> None:
        self._directory.described(frame.description)

    def _on_go_away(self, frame: Frame) -> None:
        log.info("pool node is leaving", pool=self.name, why=frame.go_away.why)
        self._is_leaving = True
        for owner in list(self._owners.values()):
            owner.link_leaving()

    def _on_welcome(self, frame: Frame) -> None:
        refuse_other(frame.welcome.version, peer="the pool node", own="this edge")
        self._names.clear()
        self._awaited = frame.welcome.configurations
        self._directory.mock_secret = frame.welcome.mock_secret
        self._directory.link_is_new()
        self.voucher.node = frame.welcome.node
        if not self._awaited:
            self._up()

    def _on_configuration(self, frame: Frame) -> None:
        pushed = frame.configuration
        self._directory.put(pushed)
        if pushed.name not in self._names:
            self._names.add(pushed.name)
            self.on_serves(pushed.name)
        self._apply(pushed.name, pushed.version)
        if not self._is_up:
            self._awaited -= 1
            if self._awaited <= 0:
                self._up()

    def _apply(self, name: str, version: int) -> None:
        self.on_changed(name)
        if self._stream is not None:
            self._stream.mux.send_control(Frame(applied=Applied(name=name, version=version)))

    def _up(self) -> None:
        self._is_up = True
        log.info("link up", pool=self.name, configurations=len(self._names))
        self._directory.ready(self._directory.mock_secret)
        self.on_up()

    def _on_close(self, frame: Frame) -> None:
        channel, close = frame.channel, frame.close
        owner = self._owners.pop(channel, None)
        if owner is None or self._stream is None:
            return
        self._stream.mux.forget_lane(channel)
        (owner.refused if close.reason == Reason.REFUSED else owner.closed_by_pool)(close.error)


# Growth of all channels' receive windows of one link together; a client that reads slowly keeps the small one.
RECEIVE_BUDGET_BYTES: Final = 64 << 20
