"""An edge's end of the link: when it is up, what it learns, what its end means, and that it is always tried again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import grpc
import pytest
import trio
from grpc import aio
from structlog.testing import capture_logs

from edge.directory import Directory
from edge.meaning import statement_of
from edge.uplink import METHOD, RECEIVE_BUDGET_BYTES, Uplink
from protos.errors import RemoteProtocolError
from protos.link.lane import INITIAL_CREDIT_BYTES
from protos.link.link_pb2 import (
    Batch,
    Close,
    Frame,
    GoAway,
    Hello,
    Invalidate,
    Open,
    Reason,
    Resolution,
    Resolved,
    Setting,
    State,
    Verdict,
    Welcome,
    Withdraw,
)
from protos.link.mux import PROMPT_BYTES
from protos.link.version import PROTOCOL_VERSION
from protos.pg.messages import bind, parse, sync
from protos.runtime.guest import call_host
from tests.support.hosted import hosted, until
from tests.support.stage import IDLE, PlayedPool, Stage, configuration

TEXT: Final = parse(b"s", b"select $1")
STATEMENT: Final = statement_of(TEXT, b"scope")


class Owner:
    """What a channel's owner was told."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def answered(self, data: bytes, settled: int, status: int) -> None:
        self.heard.append((data, settled, status))

    def refused(self, error: bytes) -> None:
        self.heard.append(("refused", error))

    def closed_by_pool(self, error: bytes) -> None:
        self.heard.append(("closed", error))

    def link_lost(self) -> None:
        self.heard.append("lost")

    def link_leaving(self) -> None:
        self.heard.append("leaving")

    def outcome_known(self, frame: Frame) -> None:
        self.heard.append(frame.WhichOneof("control"))

    def judged(self, verdict: Verdict) -> None:
        self.heard.append(verdict)

    def state_known(self, state: State) -> None:
        self.heard.append(("state", [(one.name, one.value) for one in state.settings], state.pinned))


@pytest.fixture
def uplink(stage: Stage) -> Uplink:
    return stage.pool.uplink


@pytest.fixture
def pool(stage: Stage) -> PlayedPool:
    return stage.up()


def applied(pool: PlayedPool) -> list[tuple[str, int]]:
    return [(one.applied.name, one.applied.version) for one in pool.heard if one.HasField("applied")]


# --- up, and what it is told ---


def test_the_first_word_is_hello(stage: Stage) -> None:
    stage.pool.link()
    stage.settle()
    (frame,) = stage.pool.heard
    hello = frame.hello
    assert hello.version == PROTOCOL_VERSION
    assert hello.node.startswith("edge-")
    assert hello.address == "127.0.0.1:6432"
    assert stage.pool.mux.data_batches_in == 0


def test_a_link_is_up_when_all_configurations_have_come(stage: Stage, uplink: Uplink) -> None:
    stage.pool.link()
    stage.pool.welcome(configuration("one"), announced=2)
    stage.settle()
    assert not uplink.is_up
    assert not uplink.serves("one")
    assert not stage.edge.directory.is_ready
    stage.pool.say(configuration=configuration("two", version=7))
    stage.settle()
    assert uplink.is_up
    assert uplink.serves("one")
    assert not uplink.serves("three")
    assert stage.edge.directory.is_ready
    assert applied(stage.pool) == [("one", 1), ("two", 7)]


def test_a_pool_node_without_configurations_is_up_at_once(stage: Stage, uplink: Uplink) -> None:
    stage.pool.link()
    stage.pool.welcome()
    stage.settle()
    assert uplink.is_up
    assert stage.edge.directory.is_ready


def test_a_pool_node_of_another_version_is_not_linked(uplink: Uplink) -> None:
    uplink.begin()
    with pytest.raises(RemoteProtocolError, match="the pool node speaks link version 1, this edge 2; run the same"):
        uplink.take(Frame(welcome=Welcome(version=1)))
    assert not uplink.is_up


def test_changes_and_deletions_take_effect_and_are_confirmed(stage: Stage, uplink: Uplink, pool: PlayedPool) -> None:
    pool.say(configuration=configuration("another", user="ot_another"))
    pool.say(withdraw=Withdraw(name="app", version=2))
    stage.settle()
    assert stage.edge.directory.names() == {"another"}
    assert uplink.names == {"another"}
    assert applied(pool)[1:] == [("another", 1), ("app", 2)]


def test_an_invalidation_makes_settings_unknown_again(stage: Stage, pool: PlayedPool) -> None:
    entry = stage.edge.directory.get("app")
    assert entry is not None
    entry.learn([Resolution(setting=Setting(name=b"timezone", value=b"CET"))])
    pool.say(invalidate=Invalidate(configuration="another"))
    stage.settle()
    assert entry.unknown([("timezone", "CET")]) == []
    pool.say(invalidate=Invalidate(configuration="app"))
    stage.settle()
    assert entry.unknown([("timezone", "CET")]) != []


def test_what_a_newer_pool_node_says_besides_is_ignored(stage: Stage, uplink: Uplink, pool: PlayedPool) -> None:
    pool.say(hello=Hello(version=9))
    pool.say(channel=77, data=b"for nobody", settled=1)
    pool.say(channel=77, close=Close(reason=Reason.ENDED))
    pool.say(resolved=Resolved(id=99))
    stage.settle()
    assert uplink.is_up


# --- channels ---


def test_channels_have_numbers_of_their_own_and_answers_find_their_owners(
    stage: Stage, uplink: Uplink, pool: PlayedPool
) -> None:
    owners = [Owner(), Owner()]
    lanes = [uplink.open(owner, Open(configuration="app")) for owner in owners]
    stage.settle()
    assert [channel.lane.id for channel in pool.channels] == [lane.id for lane in lanes]
    assert len({lane.id for lane in lanes}) == 2
    pool.answer(b"two")
    pool.answer(b"one", settled=0, status=0, channel=pool.channels[0])
    pool.close(Reason.REFUSED, b"no", channel=pool.channels[0])
    pool.close(Reason.ENDED, b"", channel=pool.channels[1])
    stage.settle()
    assert owners[0].heard == [(b"one", 0, 0), ("refused", b"no")]
    assert owners[1].heard == [(b"two", 1, IDLE), ("closed", b"")]


def test_a_closed_channel_hears_nothing_more(stage: Stage, uplink: Uplink, pool: PlayedPool) -> None:
    owner = Owner()
    lane = uplink.open(owner, Open(configuration="app"))
    stage.settle()
    uplink.close(lane, Reason.TERMINATED)
    pool.answer(b"late")
    stage.settle()
    stage.down()
    assert owner.heard == []


def test_statements_go_once_a_link_and_before_the_bytes_that_need_them(
    stage: Stage, uplink: Uplink, pool: PlayedPool
) -> None:
    request = bind(b"", STATEMENT.name) + sync()
    for _ in range(2):
        lane = uplink.open(Owner(), Open(configuration="app"))
        uplink.send(lane, request, [STATEMENT], last=True)
        stage.settle()
        assert pool.channel.texts == {STATEMENT.name: STATEMENT.parse}
        assert pool.channel.take() == request
    assert list(pool._slots) == [1]
    stage.down()
    stage.up()
    lane = uplink.open(Owner(), Open(configuration="app"))
    uplink.send(lane, request, [STATEMENT], last=True)
    stage.settle()
    assert pool.channel.texts == {STATEMENT.name: STATEMENT.parse}, "a new link begins with an empty dictionary"


def test_what_waits_for_credit_carries_its_texts_itself(stage: Stage, uplink: Uplink, pool: PlayedPool) -> None:
    pool.takes = False
    lane = uplink.open(Owner(), Open(configuration="app"))
    other = uplink.open(Owner(), Open(configuration="app"))
    uplink.send(lane, b"x" * (INITIAL_CREDIT_BYTES + 5), [], last=False)
    stage.settle()
    uplink.send(lane, b"behind", [STATEMENT], last=True)
    uplink.send(other, b"ahead", [STATEMENT], last=True)
    stage.settle()
    assert pool.channels[1].texts == {STATEMENT.name: STATEMENT.parse}
    assert pool.channels[0].texts == {}, "it does not overtake what is before it"
    pool.mux.consumed(pool.channels[0].lane, INITIAL_CREDIT_BYTES, 0.0)
    stage.settle()
    assert pool.channels[0].texts == {STATEMENT.name: STATEMENT.parse}
    assert pool.channels[0].take().endswith(b"behind")


@pytest.mark.parametrize("before", [b"", b"x" * (INITIAL_CREDIT_BYTES + 5)], ids=["prompt", "behind a backlog"])
def test_many_long_texts_are_more_than_one_message(
    stage: Stage, uplink: Uplink, pool: PlayedPool, before: bytes
) -> None:
    # They are not counted as the session's bytes; all in one message, gRPC would refuse it and end the link.
    statements = [statement_of(parse(b"", b"%d" % number + b"x" * 900_000), b"scope") for number in range(16)]
    pool.takes = False
    lane = uplink.open(Owner(), Open(configuration="app"))
    uplink.send(lane, before, [], last=False)
    stage.settle()
    uplink.send(lane, b"behind", statements, last=True)
    stage.settle()
    if before:
        pool.mux.consumed(pool.channel.lane, INITIAL_CREDIT_BYTES, 0.0)
    stage.settle()
    assert pool.channel.texts.keys() == {statement.name for statement in statements}
    assert pool.channel.take().endswith(b"behind")


def test_a_session_that_has_sent_much_goes_ahead_of_bulk_again(stage: Stage, uplink: Uplink, pool: PlayedPool) -> None:
    lane = uplink.open(Owner(), Open(configuration="app"))
    assert uplink.stream is not None
    for _ in range(20):  # as much as one reading of a socket gives
        uplink.send(lane, b"x" * PROMPT_BYTES, [], last=False)
        stage.settle()
    assert not uplink.stream.mux.is_prompt(lane, 100)
    uplink.send(lane, b"the end", [], last=True)
    stage.settle()
    assert pool.channel.take().endswith(b"the end")
    assert uplink.stream.mux.is_prompt(lane, 100)


# --- going away, and the end ---


def test_a_pool_node_that_goes_away_gets_no_new_channels(stage: Stage, uplink: Uplink, pool: PlayedPool) -> None:
    owner = Owner()
    uplink.open(owner, Open(configuration="app"))
    pool.say(go_away=GoAway(why="restart"))
    stage.settle()
    assert uplink.is_leaving
    assert not uplink.is_up
    assert not uplink.serves("app")
    assert owner.heard == ["leaving"]
    pool.answer(b"still")
    stage.settle()
    assert owner.heard == ["leaving", (b"still", 1, IDLE)]


def test_a_lost_link_is_told_to_all_who_wait_on_it(stage: Stage, uplink: Uplink, pool: PlayedPool) -> None:
    owner, answers = Owner(), list[Resolved | None]()
    lane = uplink.open(owner, Open(configuration="app"))
    uplink.resolve("app", [("timezone", "CET")], answers.append)
    stage.settle()
    assert uplink.lost()
    assert owner.heard == ["lost"]
    assert answers == [None]
    assert not uplink.is_up
    assert uplink.stream is None
    uplink.consumed(lane, 5)
    uplink.close(lane, Reason.LOST)
    uplink.cancel(7, b"secr")
    assert not uplink.lost()
    stage.pool.is_linked = False
    stage.up()
    assert pool.channels == []
    assert owner.heard == ["lost"]


def test_a_lost_link_takes_nothing_from_the_next_one_s_budget(uplink: Uplink) -> None:
    stream = uplink.begin()
    assert stream.mux._budget.take(RECEIVE_BUDGET_BYTES)
    uplink.lost()
    assert uplink.begin().mux._budget.available == RECEIVE_BUDGET_BYTES


# --- over gRPC ---

Play = Callable[["aio.ServicerContext[bytes, bytes]"], Awaitable[None]]
WELCOME: Final = Batch(
    frames=[
        Frame(welcome=Welcome(version=PROTOCOL_VERSION, mock_secret=b"mock", configurations=1)),
        Frame(configuration=configuration()),
    ]
).SerializeToString()


@asynccontextmanager
async def serving(play: Play, port: int = 0) -> AsyncIterator[int]:
    """A server for which each link is played by a coroutine; the port that it is on."""

    async def serve(_: object, context: "aio.ServicerContext[bytes, bytes]") -> None:
        await play(context)

    method: Any = grpc.stream_stream_rpc_method_handler(serve)
    service, _, name = METHOD[1:].partition("/")

    async def start() -> tuple[aio.Server, int]:
        server = aio.server(options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {name: method}),))
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        return server, bound

    server, bound = await call_host(start())
    try:
        yield bound
    finally:
        with trio.CancelScope(shield=True):
            await call_host(server.stop(0))


def make_uplink(port: int) -> Uplink:
    return Uplink(("127.0.0.1", port), Hello(version=PROTOCOL_VERSION), Directory(), None)


async def read_hello(context: "aio.ServicerContext[bytes, bytes]") -> None:
    assert Batch.FromString(await context.read()).frames[0].hello.version == PROTOCOL_VERSION


async def welcome(context: "aio.ServicerContext[bytes, bytes]") -> None:
    await read_hello(context)
    await context.write(WELCOME)


async def hear_out(context: "aio.ServicerContext[bytes, bytes]") -> None:
    while isinstance(await context.read(), bytes):  # EOF is no bytes
        pass


async def stay(context: "aio.ServicerContext[bytes, bytes]") -> None:
    await welcome(context)
    await hear_out(context)


def test_a_link_that_ends_is_made_again() -> None:
    async def main() -> None:
        async with serving(stay) as port, trio.open_nursery() as nursery:
            uplink, ups = make_uplink(port), []
            uplink.on_up = lambda: ups.append(uplink.stream_count)
            nursery.start_soon(uplink.serve)
            await until(lambda: uplink.is_up)
            owner = Owner()
            uplink.open(owner, Open(configuration="app"))
            stream = uplink.stream
            assert stream is not None
            stream.last_heard -= 60  # a peer gone silent; noticed within a ping's period
            await until(lambda: owner.heard)
            assert owner.heard == ["lost"]
            await until(lambda: len(ups) == 2)
            nursery.cancel_scope.cancel()

    hosted(main)


def test_a_pool_node_that_restarts_is_linked_again_and_logged_once() -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            async with serving(stay) as port:
                uplink = make_uplink(port)
                nursery.start_soon(uplink.serve)
                await until(lambda: uplink.is_up)
            await until(lambda: not uplink.is_up)
            await trio.sleep(0.5)  # some tries, none of which is news
            async with serving(stay, port):
                await until(lambda: uplink.is_up)
                nursery.cancel_scope.cancel()

    with capture_logs() as logs:
        hosted(main)
    downs = [one for one in logs if one["event"] == "link down"]
    assert 1 <= len(downs) <= 2, "why it ended, and why it cannot be made"


@pytest.mark.parametrize(
    ("word", "why"),
    [
        (b"\xff\xff garbage", "not a batch"),
        (Batch(frames=[Frame(welcome=Welcome(version=9))]).SerializeToString(), "link version 9"),
        (Batch(frames=[Frame(configuration=configuration(verifier="none"))]).SerializeToString(), "internal error"),
    ],
)
def test_a_pool_node_that_speaks_nonsense_does_not_end_the_edge(word: bytes, why: str) -> None:
    links = 0

    async def speak(context: "aio.ServicerContext[bytes, bytes]") -> None:
        nonlocal links
        links += 1
        await read_hello(context)
        await context.write(word)
        await hear_out(context)

    async def main() -> None:
        async with serving(speak) as port, trio.open_nursery() as nursery:
            nursery.start_soon(make_uplink(port).serve)
            await until(lambda: links >= 3)
            nursery.cancel_scope.cancel()

    with capture_logs() as logs:
        hosted(main)
    downs = [one for one in logs if one["event"] == "link down"]
    assert len(downs) == 1, "the same reason is said once"
    assert why in downs[0]["why"]


def test_a_client_that_fails_takes_its_link_along_but_not_the_edge() -> None:
    class Failing(Owner):
        def answered(self, data: bytes, settled: int, status: int) -> None:
            raise ValueError("a bug")

    async def answer(context: "aio.ServicerContext[bytes, bytes]") -> None:
        await welcome(context)
        while isinstance(message := await context.read(), bytes):
            for frame in Batch.FromString(message).frames:
                if frame.HasField("open"):
                    await context.write(Batch(frames=[Frame(channel=frame.channel, data=b"x")]).SerializeToString())

    async def main() -> None:
        async with serving(answer) as port, trio.open_nursery() as nursery:
            uplink, owner = make_uplink(port), Failing()
            nursery.start_soon(uplink.serve)
            await until(lambda: uplink.is_up)
            uplink.open(owner, Open(configuration="app"))
            await until(lambda: owner.heard)
            assert owner.heard == ["lost"]
            await until(lambda: uplink.stream_count == 2 and uplink.is_up)
            nursery.cancel_scope.cancel()

    with capture_logs() as logs:
        hosted(main)
    assert any(one["event"] == "link failed unforeseen" and one.get("exc_info") for one in logs)


def test_a_link_that_ends_while_much_is_being_written_is_only_lost() -> None:
    async def leave(context: "aio.ServicerContext[bytes, bytes]") -> None:
        await welcome(context)
        await asyncio.sleep(0.05)  # and ends the call with the edge in the middle of its words

    async def main() -> None:
        async with serving(leave) as port, trio.open_nursery() as nursery:
            uplink = make_uplink(port)
            nursery.start_soon(uplink.serve)
            while uplink.stream_count < 6:
                if uplink.is_up:
                    for _ in range(20):
                        uplink.cancel(1, b"x" * 1000)
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

    with capture_logs() as logs:
        hosted(main)
    assert {one["event"] for one in logs} == {"link up", "link down"}
