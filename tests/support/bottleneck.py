"""A long link with one narrow place, simulated: what a LinkWindow makes of it, without a clock or a socket.

Theory of operation: the sender writes messages as the mux does (chunks of bulk while there is room, small answers
whatever the room). They pass a FIFO queue at the link's rate, take half a round trip, and the receiver acknowledges
lazily. Acknowledgements take half a round trip back and are looked at by a busy sender up to `bunching_s` late. With
`tcp` the sender's kernel stands in between: it sends a segment only as its congestion window allows, which starts with
ten segments, grows by what is acknowledged, and starts again after a pause; what it cannot send yet waits there in
front of small answers too. Rate and round trip may change on the way. All chance comes from one seed.
"""

import heapq
import random
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import attrs

from protos.link.window import LinkWindow

CHUNK_BYTES: Final = 16 << 10
BATCH_BYTES: Final = 64 << 10
SEGMENT_BYTES: Final = 1460
PING_BYTES: Final = 100
TCP_INITIAL_BYTES: Final = 10 * SEGMENT_BYTES
TCP_PAUSE_S: Final = 0.2  # beyond a round trip: Linux's least retransmission timeout


@attrs.frozen
class Path:
    """The link from some moment on."""

    rate: float  # bytes per second
    round_trip_s: float
    since_s: float = 0.0


@attrs.frozen
class Transfer:
    """A bulk answer of so many bytes that becomes ready at some moment."""

    at_s: float
    size: float = float("inf")


@attrs.frozen
class Settings:
    """Everything about a run but the link itself."""

    duration_s: float
    transfers: tuple[Transfer, ...] = (Transfer(0.0),)
    acknowledge_bytes: int = 64 << 10
    bunching_s: float = 0.004
    ping_every_s: float = 1.0
    probe_every_s: float = 0.01
    probe_bytes: int = 200
    tcp: bool = False
    seed: int = 1


class Report:
    """What a run showed."""

    def __init__(self) -> None:
        self.deliveries: list[tuple[float, int]] = []  # when, and how many bytes had arrived then
        self.probes: list[tuple[float, float]] = []  # when sent, and how much later than on an empty link it arrived

    def rate(self, start_s: float, end_s: float) -> float:
        """Bytes per second that arrived between two moments."""
        first, last = (bisect_right(self.deliveries, (moment_s, 1 << 62)) for moment_s in (start_s, end_s))
        before = self.deliveries[first - 1][1] if first else 0
        after = self.deliveries[last - 1][1] if last else 0
        return (after - before) / (end_s - start_s)

    def queued(self, start_s: float = 0.0, end_s: float = float("inf")) -> tuple[float, float]:
        """How long small answers waited, in seconds: on average, and the 99th percentile."""
        queued = sorted(queued_s for at_s, queued_s in self.probes if start_s <= at_s < end_s)
        return sum(queued) / len(queued), queued[int(len(queued) * 0.99)]


@attrs.frozen
class Message:
    """One message of the link on its way."""

    size: int
    sent_at: float
    is_ping: bool = False
    is_probe: bool = False


class Agenda:
    """What happens next, on a clock that jumps."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, moment_s: float, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (max(moment_s, self.now), self._count, act))

    def run(self, duration_s: float) -> None:
        while self._events and self._events[0][0] <= duration_s:
            self.now, _, act = heapq.heappop(self._events)
            act()


class Wire:
    """The narrow place: one FIFO queue in front of the link's rate, shared by all that send through it."""

    def __init__(self, agenda: Agenda, *paths: Path) -> None:
        self._agenda = agenda
        self._path = paths[0]
        self._queue: deque[tuple[int, Callable[[], None]]] = deque()
        self._is_busy = False
        self._last_arrival = 0.0
        for path in paths[1:]:
            agenda.at(path.since_s, partial(self._change, path))

    @property
    def path(self) -> Path:
        return self._path

    def carry(self, size: int, arrive: Callable[[], None]) -> None:
        self._queue.append((size, arrive))
        if not self._is_busy:
            self._serve()

    def _change(self, path: Path) -> None:
        self._path = path

    def _serve(self) -> None:
        self._is_busy = bool(self._queue)
        if self._queue:
            size, arrive = self._queue.popleft()
            self._agenda.at(self._agenda.now + size / self._path.rate, partial(self._served, arrive))

    def _served(self, arrive: Callable[[], None]) -> None:
        self._last_arrival = max(self._last_arrival, self._agenda.now + self._path.round_trip_s / 2)
        self._agenda.at(self._last_arrival, arrive)
        self._serve()


class Tcp:
    """The sender's kernel, as far as it matters here: segments leave as the congestion window allows."""

    def __init__(self, agenda: Agenda, wire: Wire) -> None:
        self._agenda = agenda
        self._wire = wire
        self._unsent: deque[tuple[int, Callable[[], None]]] = deque()
        self._window = TCP_INITIAL_BYTES
        self._in_flight = 0
        self._sent_at = 0.0

    def carry(self, size: int, arrive: Callable[[], None]) -> None:
        now = self._agenda.now
        if not self._in_flight and now - self._sent_at > TCP_PAUSE_S + self._wire.path.round_trip_s:
            self._window = TCP_INITIAL_BYTES
        for start in range(0, size, SEGMENT_BYTES):
            rest = size - start
            self._unsent.append((min(rest, SEGMENT_BYTES), arrive if rest <= SEGMENT_BYTES else _nothing))
        self._send()

    def _send(self) -> None:
        while self._unsent and self._in_flight < self._window:
            size, arrive = self._unsent.popleft()
            self._in_flight += size
            self._sent_at = self._agenda.now
            self._wire.carry(size, partial(self._arrived, size, arrive))

    def _arrived(self, size: int, arrive: Callable[[], None]) -> None:
        arrive()
        self._agenda.at(self._agenda.now + self._wire.path.round_trip_s / 2, partial(self._acknowledged, size))

    def _acknowledged(self, size: int) -> None:
        if self._unsent:  # the congestion window is what holds it back, so it grows
            self._window += size
        self._in_flight -= size
        self._send()


def _nothing() -> None:
    pass


class Flow:
    """A link's sender and receiver on a wire."""

    def __init__(self, agenda: Agenda, wire: Wire, settings: Settings) -> None:
        self.window = LinkWindow(acknowledge_every_bytes=settings.acknowledge_bytes)
        self.report = Report()
        self._agenda = agenda
        self._wire = wire
        self._settings = settings
        self._carrier = Tcp(agenda, wire) if settings.tcp else wire
        self._chance = random.Random(settings.seed)
        self._backlog = 0.0
        self._arrived = 0
        self._acknowledged = 0
        self._looked_at = 0.0
        for transfer in settings.transfers:
            agenda.at(transfer.at_s, partial(self._begin, transfer))
        agenda.at(0.0, self._ping)
        agenda.at(0.0, self._probe)

    def _begin(self, transfer: Transfer) -> None:
        self._backlog += transfer.size
        self._fill()

    def _ping(self) -> None:
        self._carry(Message(0, self._agenda.now, is_ping=True))
        self._agenda.at(self._agenda.now + self._settings.ping_every_s, self._ping)

    def _probe(self) -> None:
        message = Message(self._settings.probe_bytes, self._agenda.now, is_probe=True)
        self.window.sent(message.size, message.sent_at)
        self._carry(message)
        self._agenda.at(self._agenda.now + self._settings.probe_every_s, self._probe)

    def _fill(self) -> None:
        """What the mux does: messages of up to four chunks, the last of which may pass the room."""
        now = self._agenda.now
        while self._backlog and (room := self.window.room(now)) > 0:
            size = 0
            while self._backlog and size < min(room, BATCH_BYTES):
                chunk = int(min(CHUNK_BYTES, self._backlog))
                self._backlog -= chunk
                size += chunk
            self.window.sent(size, now)
            self._carry(Message(size, now))

    def _carry(self, message: Message) -> None:
        self._carrier.carry(message.size or PING_BYTES, partial(self._arrive, message))

    def _arrive(self, message: Message) -> None:
        now, half_s = self._agenda.now, self._wire.path.round_trip_s / 2
        if message.is_ping:
            self._back(partial(self._pong, message))
        if message.is_probe:
            self.report.probes.append((message.sent_at, now - message.sent_at - half_s))
        self._arrived += message.size
        self.report.deliveries.append((now, self._arrived))
        if self._arrived - self._acknowledged >= self._settings.acknowledge_bytes:
            self._acknowledged = self._arrived
            self._back(partial(self._acknowledge, self._arrived))

    def _back(self, act: Callable[[], None]) -> None:
        """A busy sender looks at what has come a little later, at some of it together, and in order."""
        due = self._agenda.now + self._wire.path.round_trip_s / 2
        if due > self._looked_at:
            self._looked_at = due + self._chance.uniform(0.0, self._settings.bunching_s)
        self._agenda.at(self._looked_at, act)

    def _pong(self, message: Message) -> None:
        now = self._agenda.now
        self.window.round_trip(now - message.sent_at, now)

    def _acknowledge(self, total: int) -> None:
        self.window.acknowledged(total, self._agenda.now)
        self._fill()


def simulate(settings: Settings, *paths: Path) -> Report:
    """One link alone on its path, which changes as the later paths say."""
    return simulate_together([settings], *paths)[0]


def simulate_together(all_settings: Sequence[Settings], *paths: Path) -> list[Report]:
    """Several links through one narrow place."""
    agenda = Agenda()
    wire = Wire(agenda, *paths)
    flows = [Flow(agenda, wire, settings) for settings in all_settings]
    agenda.run(max(settings.duration_s for settings in all_settings))
    return [flow.report for flow in flows]
