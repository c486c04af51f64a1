"""Many channels over one link: what goes into the next batch, and what a received one means.

Theory of operation, sending (rules 17). Three queues, looked at in this order whenever the link can take a batch:

1. *urgent*: control frames of the link (credit, cancel, ping, configuration). A few bytes each.
2. *prompt*: frames that open a channel, the first bytes of each answer or request, and what closes a channel. They go
   ahead of bulk and regardless of the link's window, for a small answer must not wait behind somebody's dump.
3. *bulk*: a channel that has sent more than PROMPT_BYTES without coming to an end waits here and takes turns with the
   other bulk channels, a chunk of at most CHUNK_BYTES each, while the link's window has room.

A channel's bytes stay in order: once it has a backlog, all of its bytes queue there. `last=True` says that an exchange
has come to its end, and the next one may be prompt again. A channel never sends more than the peer has given it credit
for; the backlog is what its owner watches to stop reading its source (`Lane.backlog_bytes`).

Receiving. `feed` applies credit, acknowledgements and pings itself and returns the other frames. Received bytes are
acknowledged for the link lazily, with whatever is sent next or after ACKNOWLEDGE_BYTES; a channel's credit comes back
when its owner says `consumed`.

Messages are counted by whether they carry a session's frames (`data_batches_out`, `data_batches_in`): that is what a
crossing is. Everything else (pings, credit, configuration) is not on a query's path.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from google.protobuf.message import DecodeError

from protos.errors import LocalProtocolError, RemoteProtocolError
from protos.link.credit import Budget
from protos.link.lane import Lane
from protos.link.link_pb2 import Batch, Close, Credit, Frame, Open, Ping
from protos.link.window import LinkWindow

CHUNK_BYTES: Final = 16 << 10  # a turn of a bulk channel (rules 17)
BATCH_BYTES: Final = 64 << 10  # what bulk may add to one gRPC message: 5 ms of a 100 Mbit/s link
PROMPT_BYTES: Final = 64 << 10  # beyond this an answer is bulk
PROMPT_BATCH_BYTES: Final = 1 << 20  # prompt frames of thousands of channels are cut into messages of this size
ACKNOWLEDGE_BYTES: Final = 16 << 10  # a slow link's window is small, and its sender must hear of room in time
MAX_MESSAGE_BYTES: Final = 8 << 20  # what gRPC is told to accept: one prompt batch with its largest frame, and to spare


class Mux:
    """One end of a link."""

    def __init__(self, *, wake: Callable[[], None], budget: Budget, window: LinkWindow | None = None) -> None:
        """wake is called when there is something to send; then ask `next_batch` until it gives None."""
        self._wake = wake
        self._budget = budget
        self.window = window or LinkWindow(acknowledge_every_bytes=ACKNOWLEDGE_BYTES)
        self._lanes: dict[int, Lane] = {}
        self._urgent: deque[Frame] = deque()
        self._prompt: deque[tuple[int, bytes, int, int] | Frame] = deque()
        self._bulk: deque[Lane] = deque()
        self.sent_bytes = 0
        """Session bytes sent on this link; `received_bytes` are those that came."""
        self.received_bytes = 0
        self._acknowledged_bytes = 0
        self._pings: dict[int, float] = {}
        self._next_ping = 1
        self.round_trip_s = 0.0
        """The latest crossing measured by a ping; 0.0 before the first."""
        self.on_ping: Callable[[], None] = lambda: None
        """Called in front of the pong."""
        self.on_pong: Callable[[float], None] = lambda sent_at: None
        """Called when a ping is answered, with when it was sent: what the peer had said before has arrived."""
        self.data_batches_out = 0
        self.data_batches_in = 0

    # --- sending ---

    @property
    def waiting_frames(self) -> int:
        """How many small frames the next batch would carry."""
        return len(self._prompt)

    @property
    def has_bulk(self) -> bool:
        """Whether a channel takes turns; then batches are full anyway."""
        return bool(self._bulk)

    def open_lane(self, channel: int, opening: Open | None = None) -> Lane:
        """A new channel; the end that opens it says so with its first bytes."""
        if channel in self._lanes:
            message = f"channel {channel} is open already"
            raise LocalProtocolError(message)
        lane = self._lanes[channel] = Lane(channel, self._budget)
        if opening is not None:
            self._prompt.append(Frame(channel=channel, open=opening))
            self._wake()
        return lane

    def send(self, lane: Lane, data: bytes, settled: int = 0, status: int = 0, *, last: bool = False) -> None:
        size = len(data)
        if self.is_prompt(lane, size):
            lane.credit.spend(size)
            lane.burst_bytes = 0 if last else lane.burst_bytes + size
            self._prompt.append((lane.id, data, settled, status))
        else:
            lane.backlog.append((data, settled, status))
            lane.backlog_bytes += size
            lane.burst_ends = last
            self._queue(lane)
        self._wake()

    def is_prompt(self, lane: Lane, size: int) -> bool:
        """Whether so many bytes of this channel would go out in the order of sending, ahead of bulk."""
        return not lane.backlog and size <= lane.credit.available and lane.burst_bytes + size <= PROMPT_BYTES

    def send_control(self, frame: Frame) -> None:
        """A control frame of the link; it goes ahead of all data."""
        self._urgent.append(frame)
        self._wake()

    def send_in_order(self, lane: Lane, frame: Frame) -> None:
        """A control frame that must not overtake the channel's bytes."""
        if lane.backlog:
            lane.backlog.append(frame)
        else:
            self._prompt.append(frame)
        self._wake()

    def close_lane(self, lane: Lane, close: Close | None = None) -> None:
        """Forget the channel; with a Close tell the peer, after all bytes that are still queued."""
        if self._lanes.get(lane.id) is not lane:
            return
        lane.window.close()
        lane.on_room = None
        if close is None:
            lane.backlog.clear()
            lane.backlog_bytes = 0
        if lane.backlog:  # the lane stays known until its last bytes have had their credit
            lane.backlog.append(Frame(channel=lane.id, close=close))
            self._grant(lane, lane.window.thrown_away())
            return
        del self._lanes[lane.id]
        if close is not None:
            self._prompt.append(Frame(channel=lane.id, close=close))
            self._wake()

    def forget_lane(self, channel: int) -> None:
        """The peer has closed the channel."""
        lane = self._lanes.get(channel)
        if lane is not None:
            self.close_lane(lane)

    def consumed(self, lane: Lane, size: int, now: float) -> None:
        """The channel's owner has handed on this many received bytes: its sender may send as many more."""
        granted = lane.window.consumed(size, now, max(self.round_trip_s, self.window.base_round_trip_s))
        if lane.id in self._lanes:
            self._grant(lane, granted)

    def _grant(self, lane: Lane, granted: int) -> None:
        if granted:
            self.send_control(Frame(channel=lane.id, credit=Credit(bytes=granted)))

    def ping(self, now: float) -> None:
        self._pings = {key: sent for key, sent in self._pings.items() if now - sent < 60.0}
        self._pings[self._next_ping] = now
        self.send_control(Frame(ping=Ping(id=self._next_ping)))
        self._next_ping += 1

    def next_batch(self, now: float) -> bytes | None:
        """The next message for the link, serialized, or None while there is nothing to send or no room for it."""
        batch = Batch()
        self._add_urgent(batch)
        carries_data, prompt_bytes, before_bulk, bulk_bytes = False, 0, len(batch.frames), 0
        if not self._urgent:  # an answer must not overtake what was said before it: an invalidation, say
            carries_data, prompt_bytes = self._add_prompt(batch)
            before_bulk = len(batch.frames)
            bulk_bytes = self._add_bulk(batch, self.window.room(now) - prompt_bytes)
        if not batch.frames and self.received_bytes - self._acknowledged_bytes < ACKNOWLEDGE_BYTES:
            return None
        if self.received_bytes != self._acknowledged_bytes:
            batch.acknowledged_bytes = self._acknowledged_bytes = self.received_bytes
        if prompt_bytes or bulk_bytes:
            self.sent_bytes += prompt_bytes + bulk_bytes
            self.window.sent(prompt_bytes + bulk_bytes, now)
        if carries_data or len(batch.frames) > before_bulk:
            self.data_batches_out += 1
        return batch.SerializeToString()

    def _add_urgent(self, batch: Batch) -> None:
        urgent, frames, size = self._urgent, batch.frames, 0
        while urgent and size < PROMPT_BATCH_BYTES:  # all configurations at once may be more than a message takes
            frame = urgent.popleft()
            frames.append(frame)
            size += frame.ByteSize()

    def _add_prompt(self, batch: Batch) -> tuple[bool, int]:
        """Whether there was anything, and how many session bytes it holds."""
        prompt, frames, size, frame_bytes = self._prompt, batch.frames, 0, 0
        carries_data = bool(prompt)
        while prompt and size + frame_bytes < PROMPT_BATCH_BYTES:
            entry = prompt.popleft()
            if isinstance(entry, tuple):
                channel, data, settled, status = entry
                frames.add(channel=channel, data=data, settled=settled, status=status)
                size += len(data)
            else:
                frames.append(entry)
                frame_bytes += entry.ByteSize()
        return carries_data, size

    def _add_bulk(self, batch: Batch, room: int) -> int:
        size = frame_bytes = 0
        while self._bulk and size < room and size + frame_bytes < BATCH_BYTES:
            lane = self._bulk.popleft()
            lane.is_queued = False
            if not lane.backlog:  # closed by the peer meanwhile
                continue
            taken = self._take_turn(lane, batch)
            size += taken
            if not taken:
                frame_bytes += batch.frames[-1].ByteSize()
            self._queue(lane)
            if lane.on_room is not None:
                lane.on_room()
        return size

    def _take_turn(self, lane: Lane, batch: Batch) -> int:
        """Move at most CHUNK_BYTES of the channel's backlog into the batch."""
        entry = lane.backlog[0]
        if isinstance(entry, Frame):
            batch.frames.append(entry)
            lane.backlog.popleft()
            if entry.HasField("close"):
                self._lanes.pop(lane.id, None)
            return 0
        data, settled, status = entry
        size = min(len(data), CHUNK_BYTES, lane.credit.available)
        if size < len(data):
            batch.frames.add(channel=lane.id, data=data[:size])
            lane.backlog[0] = (data[size:], settled, status)
        else:
            batch.frames.add(channel=lane.id, data=data, settled=settled, status=status)
            lane.backlog.popleft()
            if (settled or lane.burst_ends) and not lane.backlog:
                lane.burst_bytes = 0
        lane.credit.spend(size)
        lane.backlog_bytes -= size
        return size

    def _queue(self, lane: Lane) -> None:
        """Into the bulk queue, if the channel has something to send and may."""
        if not lane.is_queued and lane.backlog:
            head = lane.backlog[0]
            if lane.credit.available > 0 or isinstance(head, Frame) or not head[0]:
                lane.is_queued = True
                self._bulk.append(lane)

    # --- receiving ---

    def feed(self, message: bytes, now: float) -> list[Frame]:
        """Take in one message of the peer; the frames that its owner has to act on, in order."""
        try:
            batch = Batch.FromString(message)
        except DecodeError as error:
            raise RemoteProtocolError(f"not a batch of frames: {error}") from None
        if batch.acknowledged_bytes:
            self.window.acknowledged(batch.acknowledged_bytes, now)
            if self._bulk:
                self._wake()
        frames = []
        carries_data = False
        for frame in batch.frames:
            kind = frame.WhichOneof("control")
            if kind is None:
                carries_data = True
                self._received(frame)
            elif self._is_ours(kind, frame, now):
                continue
            elif kind in _SESSION_KINDS:
                carries_data = True
                if kind == "open":  # now, for the bytes behind it in this very batch count as its
                    self._opened(frame.channel)
            frames.append(frame)
        self.data_batches_in += carries_data
        return frames

    def _opened(self, channel: int) -> None:
        if channel in self._lanes:
            raise RemoteProtocolError(f"channel {channel} was opened twice")
        self._lanes[channel] = Lane(channel, self._budget)

    def lane(self, channel: int) -> Lane:
        """The lane of a channel that the peer has opened."""
        return self._lanes[channel]

    def _received(self, frame: Frame) -> None:
        size = len(frame.data)
        self.received_bytes += size
        lane = self._lanes.get(frame.channel)
        if lane is not None:
            lane.window.received(size)
            if lane.window.is_closed:
                self._grant(lane, lane.window.thrown_away())
        if self.received_bytes - self._acknowledged_bytes >= ACKNOWLEDGE_BYTES:
            self._wake()

    def _is_ours(self, kind: str, frame: Frame, now: float) -> bool:
        if kind == "credit":
            lane = self._lanes.get(frame.channel)
            if lane is not None:
                lane.credit.grant(frame.credit.bytes)
                self._queue(lane)
                self._wake()
        elif kind == "ping":
            self.on_ping()
            self.send_control(Frame(pong=frame.ping))
        elif kind == "pong":
            sent = self._pings.pop(frame.pong.id, None)
            if sent is not None:
                self.on_pong(sent)
                self.round_trip_s = now - sent
                self.window.round_trip(self.round_trip_s, now)
        else:
            return False
        return True


_SESSION_KINDS: Final = frozenset({"open", "statement", "close"})

#: Kinds of frames that keep a link going and are on no query's path.
UPKEEP: Final = frozenset({
    "ping", "pong", "credit", "applied", "hello", "welcome", "configuration", "invalidate", "group", "statuses",
})  # fmt: skip
