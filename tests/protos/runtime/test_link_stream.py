"""One end of a link's stream against a played call: what is batched, when it is held back, and how the link ends."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import grpc
import pytest

from protos.errors import RemoteProtocolError
from protos.link.credit import Budget
from protos.link.lane import Lane
from protos.link.link_pb2 import Batch, Frame, GoAway, Open, Ping
from protos.link.mux import ACKNOWLEDGE_BYTES, CHUNK_BYTES, MAX_MESSAGE_BYTES, PROMPT_BYTES
from protos.runtime.clock import seconds
from protos.runtime.link_stream import (
    ASLEEP_AFTER_S,
    CHANNEL_OPTIONS,
    ENOUGH_FRAMES,
    HOLD_FROM,
    HOLD_S,
    PING_PERIOD_S,
    SILENCE_LIMIT_S,
    LinkStream,
    Pace,
)

LIMIT_S: Final = 10.0
EOF: Final[object] = grpc.aio.EOF  # type: ignore[attr-defined,unused-ignore]
BURST: Final = 400  # frames in one message: for a while the link counts as busy


class BrokenStreamError(Exception):
    """What a played gRPC raises."""


class PlayedCall:
    """A gRPC call whose other end is the test."""

    def __init__(self) -> None:
        self.to_read: asyncio.Queue[bytes | object] = asyncio.Queue()
        self.written: asyncio.Queue[bytes] = asyncio.Queue()
        self.may_write = asyncio.Event()
        self.may_write.set()

    async def read(self) -> bytes | object:
        message = await self.to_read.get()
        if isinstance(message, Exception):
            raise message
        return message

    async def write(self, message: bytes, /) -> None:
        await self.may_write.wait()
        self.written.put_nowait(message)

    def say(self, *frames: Frame) -> None:
        self.to_read.put_nowait(Batch(frames=frames).SerializeToString())

    async def heard(self) -> Batch:
        """The next message."""
        return Batch.FromString(await self.written.get())

    async def frames(self, count: int) -> list[int]:
        """How many data frames the messages had, until there were so many."""
        sizes: list[int] = []
        while sum(sizes) < count:
            sizes.append(sum(bool(frame.data) for frame in (await self.heard()).frames))
        return sizes


class Scene:
    """A running link stream with one open channel."""

    def __init__(self, on_frame: Callable[[Frame], None] | None = None) -> None:
        self.told: list[Frame] = []
        self.call = PlayedCall()
        self.stream = LinkStream(budget=Budget(0), on_frame=on_frame or self.told.append)
        self.running = asyncio.ensure_future(self.stream.run(self.call))

    async def quiet(self) -> Lane:
        """A lane, once the first ping and its opening have gone out."""
        lane = self.stream.mux.open_lane(1, Open(configuration="app"))
        kinds: set[str | None] = set()
        while not {"open", "ping"} <= kinds:
            kinds |= {frame.WhichOneof("control") for frame in (await self.call.heard()).frames}
        return lane

    async def busy(self) -> Lane:
        """A lane of a link that has just sent many frames."""
        lane = await self.quiet()
        for _ in range(BURST):
            self.send(lane)
        await self.call.frames(BURST)
        return lane

    def send(self, lane: Lane, data: bytes = b"q") -> None:
        self.stream.mux.send(lane, data, last=True)


def staged(play: Callable[[Scene], Awaitable[None]], on_frame: Callable[[Frame], None] | None = None) -> None:
    """Run play beside a link stream on a loop of its own; nothing of the stream may stay behind."""

    async def main() -> None:
        async with asyncio.timeout(LIMIT_S):
            scene = Scene(on_frame)
            await play(scene)
            scene.running.cancel()
            await asyncio.wait([scene.running])
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


async def few_turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


# --- what goes out ---


def test_what_is_sent_in_one_turn_of_the_loop_is_one_message() -> None:
    async def play(scene: Scene) -> None:
        lane = await scene.quiet()
        for _ in range(10):
            scene.send(lane)
        assert await scene.call.frames(10) == [10]

    staged(play)


def test_while_one_message_is_written_the_next_one_gathers() -> None:
    async def play(scene: Scene) -> None:
        lane = await scene.quiet()
        scene.call.may_write.clear()
        for _ in range(5):
            scene.send(lane)
            await few_turns()
        scene.call.may_write.set()
        assert await scene.call.frames(5) == [1, 4]

    staged(play)


def test_an_idle_link_holds_nothing_back() -> None:
    async def play(scene: Scene) -> None:
        lane = await scene.quiet()
        for _ in range(10):
            scene.send(lane)
            await few_turns()
            assert await scene.call.frames(1) == [1]

    staged(play)


def test_a_busy_link_lets_frames_gather() -> None:
    async def play(scene: Scene) -> None:
        lane = await scene.busy()
        for _ in range(200):
            scene.send(lane)
            await few_turns()
        assert len(await scene.call.frames(200)) < 100

    staged(play)


def test_enough_frames_end_the_wait() -> None:
    async def play(scene: Scene) -> None:
        lane = await scene.busy()
        scene.send(lane)
        await few_turns()  # held by now, unless the machine was slow
        for _ in range(ENOUGH_FRAMES):
            scene.send(lane)
        await few_turns()
        assert scene.call.written.qsize() >= 1

    staged(play)


def test_a_message_with_bulk_is_not_held_back() -> None:
    async def play(scene: Scene) -> None:
        lane = await scene.busy()
        scene.send(lane)
        scene.stream.mux.send(lane, b"x" * (PROMPT_BYTES + CHUNK_BYTES))
        await few_turns()
        assert scene.call.written.qsize() >= 1

    staged(play)


def test_what_was_held_back_goes_out_without_anything_else_happening() -> None:
    async def play(scene: Scene) -> None:
        lane = await scene.busy()
        scene.send(lane)
        assert await scene.call.frames(1) == [1]

    staged(play)


def test_messages_are_counted_both_ways() -> None:
    async def play(scene: Scene) -> None:
        await scene.quiet()
        before = scene.stream.messages_out
        scene.call.say(Frame(ping=Ping(id=7)))
        pong = await scene.call.heard()
        assert [frame.pong.id for frame in pong.frames] == [7]
        assert (scene.stream.messages_in, scene.stream.messages_out) == (1, before + 1)
        assert scene.stream.mux.data_batches_in == 0

    staged(play)


def test_flush_waits_until_all_is_written() -> None:
    async def play(scene: Scene) -> None:
        lane = await scene.quiet()
        scene.call.may_write.clear()
        scene.send(lane)
        flushing = asyncio.ensure_future(scene.stream.flush(LIMIT_S))
        await asyncio.sleep(0.02)
        assert not flushing.done()
        scene.call.may_write.set()
        await flushing
        assert scene.call.written.qsize() == 1

    staged(play)


def test_flush_gives_up_when_nobody_reads() -> None:
    async def play(scene: Scene) -> None:
        lane = await scene.quiet()
        scene.call.may_write.clear()
        scene.send(lane)
        await scene.stream.flush(0.01)
        assert scene.call.written.qsize() == 0

    staged(play)


def test_flush_waits_for_what_is_held_back() -> None:
    async def play(scene: Scene) -> None:
        for _ in range(20):  # a slow machine holds nothing now and then
            scene.told.clear()
            lane = scene.stream.mux.open_lane(scene.stream.messages_out + 100)
            for _ in range(BURST):
                scene.send(lane)
            await scene.call.frames(BURST)
            scene.send(lane)
            scene.stream.mux.send_control(Frame(go_away=GoAway(why="restart")))
            await few_turns()
            await scene.stream.flush(LIMIT_S)
            assert scene.call.written.qsize() >= 1
            while not scene.call.written.empty():
                await scene.call.heard()

    staged(play)


# --- what comes in ---


def test_frames_come_to_their_owner_in_order() -> None:
    async def play(scene: Scene) -> None:
        scene.call.say(Frame(channel=2, open=Open(configuration="app")), Frame(channel=2, data=b"one"))
        scene.call.say(Frame(channel=2, data=b"two"))
        await few_turns()
        assert [frame.data for frame in scene.told] == [b"", b"one", b"two"]

    staged(play)


def test_much_that_comes_is_acknowledged_though_we_have_nothing_to_say() -> None:
    async def play(scene: Scene) -> None:
        await scene.quiet()
        scene.call.say(Frame(channel=1, data=b"x" * ACKNOWLEDGE_BYTES))
        assert (await scene.call.heard()).acknowledged_bytes == ACKNOWLEDGE_BYTES

    staged(play)


# --- how it ends ---


def test_the_end_of_the_stream_ends_the_link() -> None:
    async def play(scene: Scene) -> None:
        await scene.quiet()
        scene.call.to_read.put_nowait(EOF)
        await scene.running

    staged(play)


def test_what_grpc_raises_while_reading_is_raised() -> None:
    async def play(scene: Scene) -> None:
        scene.call.to_read.put_nowait(BrokenStreamError())
        with pytest.raises(BrokenStreamError):
            await scene.running

    staged(play)


def test_what_grpc_raises_while_writing_is_raised() -> None:
    async def play(scene: Scene) -> None:
        async def fail(_: bytes, /) -> None:
            await asyncio.sleep(0)
            raise BrokenStreamError

        scene.call.write = fail  # type: ignore[method-assign] # a call that breaks
        with pytest.raises(BrokenStreamError):
            await scene.running

    staged(play)


def test_a_peer_that_breaks_the_protocol_ends_the_link() -> None:
    async def play(scene: Scene) -> None:
        scene.call.to_read.put_nowait(b"\xff\xff")
        with pytest.raises(RemoteProtocolError):
            await scene.running

    staged(play)


def test_an_owner_that_fails_ends_the_link() -> None:
    def fail(_: Frame) -> None:
        raise LookupError("our bug")

    async def play(scene: Scene) -> None:
        scene.call.say(Frame(go_away=GoAway()))
        with pytest.raises(LookupError):
            await scene.running

    staged(play, fail)


def test_cancelling_ends_reader_writer_and_pings() -> None:
    async def play(scene: Scene) -> None:
        await scene.busy()
        scene.running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await scene.running

    staged(play)


def test_what_is_sent_after_the_end_harms_nobody() -> None:
    async def play(scene: Scene) -> None:
        lane = await scene.quiet()
        scene.call.to_read.put_nowait(EOF)
        await scene.running
        scene.send(lane)
        await few_turns()
        assert scene.call.written.empty()

    staged(play)


# --- keeping it alive ---


def test_a_ping_goes_out_at_once_and_measures_the_crossing() -> None:
    async def play(scene: Scene) -> None:
        ping = (await scene.call.heard()).frames[0].ping
        await asyncio.sleep(0.002)
        scene.call.say(Frame(pong=ping))
        await few_turns()
        assert 0.002 <= scene.stream.mux.round_trip_s < LIMIT_S

    staged(play)


def test_a_link_that_goes_silent_ends_and_one_that_speaks_does_not() -> None:
    async def play(scene: Scene) -> None:
        speaking = Scene()
        await scene.quiet()
        await speaking.quiet()
        long_ago = seconds() - SILENCE_LIMIT_S - 1.0
        scene.stream.last_heard = speaking.stream.last_heard = long_ago
        speaking.call.say(Frame(pong=Ping(id=99)))
        await asyncio.wait_for(scene.running, PING_PERIOD_S * 5)
        await few_turns()
        assert not speaking.running.done()
        assert speaking.stream.last_heard > long_ago
        speaking.running.cancel()
        await asyncio.wait([speaking.running])

    staged(play)


# --- how busy it is ---


def test_one_fast_client_does_not_make_a_link_busy() -> None:
    pace, now = Pace(), 100.0
    for _ in range(200):
        assert pace.hold_until(now) == now
        pace.count(1, now)
        now += 1 / 1200


def test_many_frames_a_second_make_a_link_busy_until_they_fade() -> None:
    pace, now = Pace(), 100.0
    for _ in range(200):
        now += 1 / (2 * HOLD_FROM)
        pace.count(1, now)
    assert pace.hold_until(now) == now + HOLD_S
    assert pace.hold_until(now + HOLD_S / 2) == now + HOLD_S
    assert pace.hold_until(now + 0.1) == now + 0.1


def test_frames_count_the_same_in_one_message_or_in_many() -> None:
    one, many = Pace(), Pace()
    one.count(ENOUGH_FRAMES * 2, 100.0)
    for _ in range(ENOUGH_FRAMES * 2):
        many.count(1, 100.0)
    assert one.hold_until(100.0) == many.hold_until(100.0) == 100.0 + HOLD_S


def test_grpc_accepts_what_the_mux_makes() -> None:
    options = dict(CHANNEL_OPTIONS)
    assert options["grpc.max_receive_message_length"] == options["grpc.max_send_message_length"] == MAX_MESSAGE_BYTES


def test_a_link_that_slept_is_roused_and_one_that_just_wrote_is_not() -> None:
    async def play(scene: Scene) -> None:
        await scene.quiet()
        await asyncio.sleep(2 * ASLEEP_AFTER_S)
        scene.stream.rouse()
        scene.stream.rouse()  # while the first is being written: one is enough, and two do no harm
        assert {frame.WhichOneof("control") for frame in (await scene.call.heard()).frames} == {"ping"}
        written = scene.stream.messages_out
        scene.stream.rouse()
        await asyncio.sleep(0)
        assert scene.stream.messages_out == written

    staged(play)


def test_what_is_being_written_goes_out_before_garbage_ends_the_stream() -> None:
    async def main() -> None:
        call = PlayedCall()
        stream = LinkStream(budget=Budget(0), on_frame=lambda frame: None)
        running = asyncio.ensure_future(stream.run(call))
        call.may_write.clear()
        await asyncio.sleep(0.01)  # the first ping is being written
        call.to_read.put_nowait(b"\xff\xff\xff")
        await asyncio.sleep(0.01)
        assert not running.done()
        call.may_write.set()
        with pytest.raises(RemoteProtocolError):
            await running
        assert call.written.qsize() == 1

    asyncio.run(main())


def test_a_write_to_a_call_that_is_over_leaves_the_reason_to_the_read() -> None:
    async def main() -> None:
        call = PlayedCall()

        async def over(_: bytes) -> None:
            call.to_read.put_nowait(BrokenStreamError("why"))
            raise asyncio.InvalidStateError("RPC already finished.")

        call.write = over  # type: ignore[method-assign]
        with pytest.raises(BrokenStreamError, match="why"):
            await LinkStream(budget=Budget(0), on_frame=lambda frame: None).run(call)

    asyncio.run(main())
