"""An edge on a stage: the real `Edge` with real sockets, turned by hand, and pool nodes played by the test.

Nothing here runs by itself. `Stage.settle` moves bytes until nothing moves any more: sockets to sessions, sessions to
links, links to the played pool nodes and back. So a test says what happens between any two steps, needs no loop and no
waiting, and time is what it passes to `Stage.pass_time`.
"""

import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import Final

import attrs

from edge.node import Edge
from edge.options import EdgeOptions
from edge.uplink import Uplink
from protos.link.credit import Budget
from protos.link.lane import Lane
from protos.link.link_pb2 import (
    Close,
    Configuration,
    Frame,
    Open,
    Reason,
    Resolution,
    Resolve,
    Resolved,
    State,
    Welcome,
)
from protos.link.link_pb2 import Setting as WireSetting
from protos.link.mux import MAX_MESSAGE_BYTES, Mux
from protos.link.version import PROTOCOL_VERSION
from protos.pg import messages
from protos.pg.framer import BACKEND_LIMITS, Framer
from protos.pg.login import LoggedIn, Login, LoginTarget, Refused, Send
from protos.pg.sasl import NONCE_BYTES
from protos.pg.scram import KeyCache, make_verifier
from protos.pg.tags import TransactionStatus
from protos.runtime.connection import Connection
from protos.runtime.pump import Pump, Pumped

USER: Final = "ot_me"
PASSWORD: Final = "pencil"
NAME: Final = "app"
VERIFIER: Final = make_verifier(PASSWORD, 2, b"salt").format()
PARAMETERS: Final = {"server_version": "15.4", "client_encoding": "UTF8", "DateStyle": "ISO, MDY", "TimeZone": "UTC"}
_BACKEND_TAGS: Final = frozenset(BACKEND_LIMITS)
_READ_BYTES: Final = 1 << 20
_MANY_TURNS: Final = 100_000  # more than any test needs: something goes round in a circle

IDLE: Final = int(TransactionStatus.IDLE)
IN_TRANSACTION: Final = int(TransactionStatus.INTRANS)
FAILED: Final = int(TransactionStatus.INERROR)


class HandPump(Pump):
    """The pump without a loop; what its connections raise goes to whoever turns it."""

    def __init__(self) -> None:
        self._poller = select.epoll()
        self._pumped: dict[int, Pumped] = {}
        self._later: list[tuple[float, Callable[[], None]]] = []

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        self._later.append((seconds, function))

    def pass_time(self, seconds: float) -> None:
        for due, function in [one for one in self._later if one[0] <= seconds]:
            self._later.remove((due, function))
            function()

    def turn(self) -> bool:
        """Let each ready connection read and write once; whether there was one."""
        ready = self._poller.poll(0, 512)
        for fd, events in ready:
            one = self._pumped.get(fd)
            if one is not None:
                one.ready(events)
        return bool(ready)

    def connections(self) -> list[Connection]:
        return [one for one in self._pumped.values() if isinstance(one, Connection)]

    def close(self) -> None:
        self._poller.close()


def settings(pairs: Mapping[str, str]) -> list[WireSetting]:
    return [WireSetting(name=name.encode(), value=value.encode()) for name, value in pairs.items()]


def configuration(name: str = NAME, version: int = 1, **changes: object) -> Configuration:
    """What a pool node pushes; user and password are those of the stage."""
    fields: dict[str, object] = {
        "name": name,
        "version": version,
        "credentials_version": 1,
        "user": USER,
        "verifier": VERIFIER,
        "client_auth": "scram-sha-256",
        "max_client_connections": 100,
        "wait_timeout_s": 15.0,
        "parameters": settings(PARAMETERS),
    }
    return Configuration(**(fields | changes))  # type: ignore[arg-type]


@attrs.define(eq=False)
class PlayedChannel:
    """A session as the played pool node sees it."""

    lane: Lane
    opening: Open
    data: bytearray = attrs.field(factory=bytearray)
    """What has come and was not taken."""
    texts: dict[bytes, bytes] = attrs.field(factory=dict)
    reason: int = Reason.REASON_UNSPECIFIED
    """How the edge closed it."""
    received_bytes: int = 0
    asks: list[int] = attrs.field(factory=list)
    """In front of which of these bytes it was asked whether the answer may be kept."""

    def take(self) -> bytes:
        data = bytes(self.data)
        self.data.clear()
        return data


class PlayedPool:
    """The other end of one uplink."""

    def __init__(self, uplink: Uplink) -> None:
        self.uplink = uplink
        self.mux = Mux(wake=lambda: None, budget=Budget(0))
        self.channels: list[PlayedChannel] = []
        """All that were ever opened on this link, in order."""
        self.heard: list[Frame] = []
        """Control frames that concern no channel."""
        self.node = uplink.name
        """What it calls itself; a pool node that has started again has another name."""
        self.takes = True
        """Whether what comes is consumed, and so gives the edge new credit."""
        self._open: dict[int, PlayedChannel] = {}
        self._slots: dict[int, bytes] = {}
        self.is_linked = False

    # --- the link ---

    def link(self) -> None:
        """A new stream, with nothing said on it yet but the edge's hello."""
        self.mux = Mux(wake=lambda: None, budget=Budget(0))
        self.channels, self._open, self._slots = [], {}, {}
        self.uplink.begin()
        self.is_linked = True

    def cut(self) -> None:
        """The stream is gone, with what was under way in it."""
        self.is_linked = False
        self.uplink.lost()

    def move(self) -> bool:
        """Carry one message each way; whether there was one."""
        if not self.is_linked:
            return False
        stream = self.uplink.stream
        assert stream is not None
        now = time.monotonic()
        if (message := stream.mux.next_batch(now)) is not None:
            assert len(message) <= MAX_MESSAGE_BYTES, "gRPC would end the stream"
            for frame in self.mux.feed(message, now):
                self._hear(frame)
        if (answer := self.mux.next_batch(now)) is not None:
            for frame in stream.mux.feed(answer, now):
                self.uplink.take(frame)
        return message is not None or answer is not None

    def _hear(self, frame: Frame) -> None:
        kind = frame.WhichOneof("control")
        if kind == "open":
            channel = self._open[frame.channel] = PlayedChannel(self.mux.lane(frame.channel), frame.open)
            self.channels.append(channel)
        elif kind == "statement":
            if frame.statement.parse:
                self._slots[frame.statement.slot] = frame.statement.parse
            text = self._slots[frame.statement.slot]
            self._open[frame.channel].texts[messages.parse_of(text).name] = text
        elif kind == "close":
            self._open.pop(frame.channel).reason = frame.close.reason
            self.mux.forget_lane(frame.channel)
        elif kind == "ask":
            self._open[frame.channel].asks.append(self._open[frame.channel].received_bytes)
        elif kind is None:
            if frame.channel in self._open:
                self._open[frame.channel].data += frame.data
                self._open[frame.channel].received_bytes += len(frame.data)
                if self.takes:
                    self.mux.consumed(self._open[frame.channel].lane, len(frame.data), time.monotonic())
        else:
            self.heard.append(frame)

    # --- what it says ---

    def say(self, **control: object) -> None:
        self.mux.send_control(Frame(**control))  # type: ignore[arg-type]

    def welcome(self, *configurations: Configuration, announced: int | None = None) -> None:
        """Say how many configurations there are, and tell these."""
        number = len(configurations) if announced is None else announced
        welcome = Welcome(version=PROTOCOL_VERSION, mock_secret=b"mock", configurations=number, node=self.node)
        self.say(welcome=welcome)
        for one in configurations:
            self.say(configuration=one)

    @property
    def channel(self) -> PlayedChannel:
        """The latest channel."""
        return self.channels[-1]

    def answer(
        self, data: bytes, *, settled: int = 1, status: int = IDLE, channel: PlayedChannel | None = None
    ) -> None:
        """Send bytes of an origin, which settle so many sync points."""
        self.mux.send((channel or self.channel).lane, data, settled, status, last=True)

    def state(self, pairs: Mapping[str, str], *, pinned: bool = False, channel: PlayedChannel | None = None) -> None:
        """Say what the session has set for itself."""
        lane = (channel or self.channel).lane
        state = State(settings=settings(pairs), pinned=pinned)
        self.mux.send_in_order(lane, Frame(channel=lane.id, state=state))

    def close(self, reason: "Reason", error: bytes = b"", channel: PlayedChannel | None = None) -> None:
        lane = (channel or self.channel).lane
        self._open.pop(lane.id)
        self.mux.close_lane(lane, Close(reason=reason, error=error))

    @property
    def questions(self) -> list[Resolve]:
        return [frame.resolve for frame in self.heard if frame.WhichOneof("control") == "resolve"]

    def resolve(self, reported: Mapping[str, str], question: Resolve | None = None) -> None:
        """Answer a question: each of its settings is good, and reported so."""
        question = question or self.questions[-1]
        resolutions = [Resolution(setting=one, reported=settings(reported)) for one in question.settings]
        self.say(resolved=Resolved(id=question.id, resolutions=resolutions))


class Driver:
    """A client's end of a connection to the edge."""

    def __init__(self, stage: "Stage", sock: socket.socket) -> None:
        self._stage = stage
        self.socket = sock
        self._framer = Framer(BACKEND_LIMITS, _BACKEND_TAGS, max_whole_bytes=1 << 30)
        self.is_closed = False
        """The edge has closed the connection."""
        self._outgoing: deque[bytes] = deque()

    def send(self, data: bytes) -> None:
        """Send as fast as the edge takes it, once the stage is settled."""
        self._outgoing.append(data)
        self._stage.settle()

    def move(self) -> bool:
        """Put into the socket what it takes."""
        if not self._outgoing:
            return False
        data = self._outgoing.popleft()
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return False
        if sent < len(data):
            self._outgoing.appendleft(data[sent:])
        return bool(sent)

    @property
    def unsent_bytes(self) -> int:
        """What the edge's backpressure keeps here."""
        return sum(map(len, self._outgoing))

    def read(self) -> bytes:
        """Everything that has come since the last reading."""
        self._stage.settle()
        received = b""
        while (data := self._read_once()) is not None:
            received += data
            self._stage.settle()
        return received

    def _read_once(self) -> bytes | None:
        try:
            data = self.socket.recv(_READ_BYTES)
        except BlockingIOError:
            return None
        except ConnectionResetError:
            data = b""
        if not data:
            self.is_closed = True
            return None
        return data

    def messages(self) -> list[bytes]:
        """The same as whole messages."""
        return [piece.data for piece in self._framer.feed(self.read())]

    def tags(self) -> str:
        return "".join(chr(message[0]) for message in self.messages())

    def fields(self) -> dict[str, str]:
        """The fields of the one ErrorResponse that has come, and a closed connection."""
        errors = [message for message in self.messages() if message[0] == ord("E")]
        assert len(errors) == 1
        return messages.error_fields(errors[0])

    def hang_up(self) -> None:
        self.socket.close()
        self._outgoing.clear()
        self._stage.settle()


class LoginFailedError(Exception):
    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(str(fields))
        self.fields = fields


class Stage:
    """An edge with room for max_clients, and as many pool nodes as are named."""

    def __init__(self, **options: object) -> None:
        pools = options.pop("pools", (("pool-1", 1),))
        max_clients = options.pop("max_clients", 100)
        self.pump = HandPump()
        made = EdgeOptions(pools=pools, **options)  # type: ignore[arg-type]
        self.edge = Edge(made, self.pump, "127.0.0.1:6432", max_clients)  # type: ignore[arg-type]
        self.pools = [PlayedPool(uplink) for uplink in self.edge.uplinks]
        self._drivers: list[Driver] = []

    @property
    def pool(self) -> PlayedPool:
        return self.pools[0]

    def settle(self) -> None:
        """Let everything happen that can."""
        for _ in range(_MANY_TURNS):
            moved = [driver.move() for driver in self._drivers if driver.socket.fileno() >= 0]
            moved.append(self.pump.turn())
            moved += [pool.move() for pool in self.pools]
            if not any(moved):
                return
        raise AssertionError("it does not come to rest")

    def pass_time(self, seconds: float) -> None:
        """What the janitor does so much later."""
        self.pump.pass_time(seconds)
        self.edge.tick(time.monotonic() + seconds)
        self.settle()

    def up(self, *configurations: Configuration) -> PlayedPool:
        """Link the first pool node, which has these configurations, or the usual one."""
        self.pool.link()
        self.pool.welcome(*(configurations or (configuration(),)))
        self.settle()
        assert self.pool.uplink.is_up
        return self.pool

    def down(self) -> None:
        self.pool.cut()
        self.settle()

    # --- clients ---

    def dial(self) -> Driver:
        """A connection on which nothing has been said."""
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.setblocking(False)
        driver = Driver(self, ours)
        self._drivers.append(driver)
        self.edge.accepted(theirs, "192.0.2.1")
        return driver

    def begin(self, **words: object) -> tuple[Driver, Login]:
        """A connection whose startup packet has been sent."""
        parameters = words.pop("parameters", {})
        login = make_login(parameters, **words)  # type: ignore[arg-type]
        driver = self.dial()
        driver.send(login.start())
        return driver, login

    def connect(self, **words: object) -> Driver:
        """A client that has logged in and was told that the edge is ready."""
        driver, login = self.begin(**words)
        self.finish(driver, login)
        return driver

    def finish(self, driver: Driver, login: Login) -> LoggedIn:
        """Go through the rest of a login; LoginFailedError."""
        while (event := self.proceed(driver, login)) is None:
            pass
        return event

    def proceed(self, driver: Driver, login: Login) -> LoggedIn | None:
        """Answer what the edge has said to a login."""
        data = driver.read()
        assert data, "the edge said nothing to a login"
        for event in login.receive(data):
            match event:
                case Send(reply):
                    driver.send(reply)
                case LoggedIn():
                    return event
                case Refused(_, fields):
                    raise LoginFailedError(fields)
        return None

    def refusal(self, **words: object) -> dict[str, str]:
        """The fields of the error that this login ends with."""
        try:
            self.connect(**words)
        except LoginFailedError as error:
            return error.fields
        raise AssertionError("it was let in")

    def close(self) -> None:
        for driver in self._drivers:
            driver.socket.close()
        for connection in self.pump.connections():
            connection.close()
        self.pump.close()


def make_login(
    parameters: Mapping[str, str], *, user: str = USER, password: str = PASSWORD, database: str = NAME
) -> Login:
    target = LoginTarget(
        user=user, password=password, database=database, parameters=parameters, sslmode="disable", may_send_plain=True
    )
    return Login(target, nonce=lambda: bytes(NONCE_BYTES), keys=KeyCache())


@contextmanager
def staged(**options: object) -> Iterator[Stage]:
    """A stage that leaves no socket behind."""
    stage = Stage(**options)
    try:
        yield stage
    finally:
        stage.close()


def ready(status: int = IDLE) -> bytes:
    return messages.ready_for_query(status)


def done(tag: str = "SELECT 1", status: int = IDLE) -> bytes:
    """The shortest answer of an origin to a simple query."""
    return messages.command_complete(tag) + ready(status)


def client_context(ca_file: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)


def chunked(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """The same bytes, cut at these places."""
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(places)]
