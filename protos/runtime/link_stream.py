"""One end of a gRPC stream that carries a link: a reader and a writer on the host loop, around a Mux.

Reading and writing each have one long-lived owner, for cancelling a grpc.aio read or write ends the whole stream. The
writer sleeps on a future; whatever is sent during a turn of the loop gathers in the mux, and the writer, which runs
after that turn, takes it as one message. While a message is being written the next one gathers: idle links add no
delay, busy ones batch.

A gRPC message costs a few hundred microseconds of CPU at either end, however much is in it, so a busy link holds the
next message back for up to HOLD_S: with thousands of frames a second that makes one message of ten. How busy it is says
`Pace`; below HOLD_FROM frames a second nothing is ever held back.
"""

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import grpc

from protos.link.credit import Budget
from protos.link.link_pb2 import Frame
from protos.link.mux import MAX_MESSAGE_BYTES, Mux
from protos.runtime.clock import seconds

PING_PERIOD_S: Final = 1.0
SILENCE_LIMIT_S: Final = 10.0  # nothing received for so long, pings included: the link is dead
LAST_WORD_S: Final = 1.0  # for the message that is being written when we end the stream, or for why the peer has

ASLEEP_AFTER_S: Final = 0.02  # a link that wrote nothing for so long is roused before it is needed

HOLD_S: Final = 0.001
HOLD_FROM: Final = 2_000  # frames a second; one client alone sends some 1,200 over loopback
ENOUGH_FRAMES: Final = 32  # a message of so many is not held back

# Pings also while no call is active (a stalled TCP connection must be noticed), and a server that admits them: its
# default would answer our keepalive with GOAWAY too_many_pings (rules 18). The window at the receiver must not be what
# limits a long link; how much is in flight is decided by the mux.
CHANNEL_OPTIONS: Final[list[tuple[str, int]]] = [
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.lookahead_bytes", 16 << 20),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.so_reuseport", 0),
]


class Call(Protocol):
    """What grpc.aio's client call and server context have in common."""

    def read(self) -> Awaitable[bytes | object]: ...
    def write(self, message: bytes, /) -> Awaitable[None]: ...


class Pace:
    """How many frames a second there were lately: each counts for 1/WINDOW_S and fades with that time constant."""

    WINDOW_S: Final = 0.02

    def __init__(self) -> None:
        self._rate = 0.0
        self.counted_at = 0.0

    def count(self, frames: int, now: float) -> None:
        self._rate = self._rate * math.exp((self.counted_at - now) / self.WINDOW_S) + frames / self.WINDOW_S
        self.counted_at = now

    def hold_until(self, now: float) -> float:
        """When the next message should go out, given that the last was counted last."""
        rate = self._rate * math.exp((self.counted_at - now) / self.WINDOW_S)
        return self.counted_at + HOLD_S if rate > HOLD_FROM else now


class LinkStream:
    """Runs one link. on_frame gets every frame that the mux does not handle itself."""

    def __init__(self, *, budget: Budget, on_frame: Callable[[Frame], None]) -> None:
        self.mux = Mux(wake=self._wake, budget=budget)
        self.messages_out = 0
        self.messages_in = 0
        self.last_heard = seconds()
        self._on_frame = on_frame
        self._asleep: asyncio.Future[None] | None = None
        self._is_holding = False
        self._is_ending = False
        self._pace = Pace()

    async def run(self, call: Call) -> None:
        """Carry the link until the peer ends the stream or goes silent.

        Raises what gRPC raises, and RemoteProtocolError. Cancellation: ends the stream.
        """
        writer = asyncio.ensure_future(self._write(call))
        reader = asyncio.ensure_future(self._read(call))
        tasks = (reader, writer, asyncio.ensure_future(self._keep_alive()))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if reader in done or writer in done:
                # A call whose write was cancelled half-way refuses to be given a status: the peer would never learn.
                # And where a write fails, what it fails with says nothing: the read knows why the stream has ended.
                self._is_ending = True
                self._wake()
                await asyncio.wait([reader, writer], timeout=LAST_WORD_S)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task

    def rouse(self) -> None:
        """Ping, unless something was written just now: soon a message will come that somebody waits for.

        At both ends the ping wakes processors and fills caches on exactly the path that the message will take.
        """
        now = seconds()
        if now - self._pace.counted_at > ASLEEP_AFTER_S:
            self.mux.ping(now)

    async def flush(self, limit_s: float) -> None:
        """Wait until what is queued has been written, at most limit_s; for goodbyes."""
        deadline = seconds() + limit_s
        while (self._asleep is None or self._is_holding) and seconds() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    def _wake(self) -> None:
        asleep = self._asleep
        if asleep is not None and (not self._is_holding or self.mux.waiting_frames >= ENOUGH_FRAMES):
            self._asleep = None
            if not asleep.done():
                asleep.set_result(None)

    async def _write(self, call: Call) -> None:
        mux, pace = self.mux, self._pace
        while not self._is_ending:
            now = seconds()
            frames = mux.waiting_frames
            if frames and frames < ENOUGH_FRAMES and not mux.has_bulk and (until := pace.hold_until(now)) > now:
                await self._hold(until - now)
                now, frames = seconds(), mux.waiting_frames
            message = mux.next_batch(now)
            if message is None:
                self._asleep = asyncio.get_running_loop().create_future()
                await self._asleep
                continue
            pace.count(frames, now)
            self.messages_out += 1
            try:
                await call.write(message)
            except asyncio.InvalidStateError:  # the peer has ended the call since
                return

    async def _hold(self, limit_s: float) -> None:
        """Let frames gather, until there are enough or the time is over."""
        loop = asyncio.get_running_loop()
        self._is_holding = True
        asleep = self._asleep = loop.create_future()
        timer = loop.call_later(limit_s, _end, asleep)
        await asleep
        timer.cancel()
        self._asleep = None
        self._is_holding = False

    async def _read(self, call: Call) -> None:
        feed, on_frame = self.mux.feed, self._on_frame
        while True:
            message = await call.read()
            if message is grpc.aio.EOF:  # type: ignore[attr-defined,unused-ignore]
                return
            assert isinstance(message, bytes)
            self.messages_in += 1
            self.last_heard = now = seconds()
            for frame in feed(message, now):
                on_frame(frame)

    async def _keep_alive(self) -> None:
        """Measure the crossing, and notice a link that has gone silent before TCP does."""
        self.last_heard = seconds()
        while True:
            now = seconds()
            if now - self.last_heard > SILENCE_LIMIT_S:
                return
            self.mux.ping(now)
            await asyncio.sleep(PING_PERIOD_S)


def _end(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
