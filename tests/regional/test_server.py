"""The link server: who is let in, what an edge is told, and what a link's frames and its end mean."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import grpc
import pytest
import trio
from grpc import aio
from structlog.testing import capture_logs

from deploy import certificates
from deploy.certificates import make_ca, make_node
from protos.link.credit import Budget
from protos.link.lane import INITIAL_CREDIT_BYTES
from protos.link.link_pb2 import (
    Applied,
    Batch,
    Choice,
    Close,
    Frame,
    Group,
    Hello,
    Open,
    Option,
    Reason,
    Setting,
    Statement,
    Statuses,
)
from protos.link.tls import LinkTls
from protos.link.version import PROTOCOL_VERSION
from protos.pg.messages import bind, execute, flush, parse, query, sync
from protos.release import RELEASE
from protos.runtime.guest import call_host
from protos.runtime.link_stream import CHANNEL_OPTIONS, LinkStream
from regional.node import _credentials
from regional.options import PoolOptions
from regional.server import LinkServer
from tests.regional.test_tenants import frames
from tests.support.beside import NAME, Edge, PoolSide, beside, configuration_for, turns, until
from tests.support.cluster import Origin

METHOD: Final = "/onetrip.link.v1.Link/Connect"
HELLO: Final = Frame(hello=Hello(version=PROTOCOL_VERSION, node="edge-1", release="test", address="0.0.0.0:6432"))


class Peer:
    """An edge in small, over real gRPC."""

    def __init__(self, port: int, credentials: grpc.ChannelCredentials | None = None) -> None:
        self.frames: list[Frame] = []
        self.stream = LinkStream(budget=Budget(0), on_frame=self.frames.append)
        self.failure: BaseException | None = None
        self.is_over = False
        address = f"127.0.0.1:{port}"
        if credentials is None:
            self.channel = aio.insecure_channel(address, options=CHANNEL_OPTIONS)
        else:
            self.channel = aio.secure_channel(address, credentials, options=CHANNEL_OPTIONS)
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        try:
            call: aio.StreamStreamCall[bytes, bytes] = self.channel.stream_stream(METHOD)()
            await self.stream.run(call)
        except grpc.RpcError as error:
            self.failure = error
        finally:
            self.is_over = True

    def say(self, *saying: Frame) -> None:
        for frame in saying:
            self.stream.mux.send_control(frame)

    async def hears(self, kind: str) -> Frame:
        await until(lambda: any(frame.HasField(kind) for frame in self.frames))
        return next(frame for frame in self.frames if frame.HasField(kind))

    async def close(self) -> None:
        self._task.cancel()
        await self.channel.close()


def _assert_refused(peer: Peer, code: grpc.StatusCode) -> None:
    assert isinstance(peer.failure, aio.AioRpcError)
    # A write that fails because the stream has ended says INTERNAL, where it comes before the read.
    assert peer.failure.code() in (code, grpc.StatusCode.INTERNAL)


@asynccontextmanager
async def serving(side: PoolSide, options: PoolOptions | None = None) -> AsyncIterator[tuple[LinkServer, int]]:
    links = LinkServer(side.tenants, checks_role=options is not None)
    side.tenants.push = links.push
    server = aio.server(options=CHANNEL_OPTIONS)
    server.add_generic_rpc_handlers((links.handler(),))
    if options is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", _credentials(options))
    await call_host(server.start())
    try:
        yield links, port
    finally:
        with trio.CancelScope(shield=True):
            await call_host(server.stop(0))


# --- over real gRPC ---


@beside
async def test_an_edge_says_hello_and_is_told_everything(side: PoolSide, origin: Origin) -> None:
    side.put(configuration_for(origin))
    async with serving(side) as (links, port):
        peer = Peer(port)
        peer.say(HELLO)
        welcome = (await peer.hears("welcome")).welcome
        assert (welcome.version, welcome.release, welcome.configurations) == (PROTOCOL_VERSION, RELEASE, 1)
        assert welcome.node == links.node
        assert (await peer.hears("configuration")).configuration.name == NAME
        (link,) = links.links
        assert link.is_welcome
        assert link.hello.node == "edge-1"
        peer.say(Frame(applied=Applied(name=NAME, version=1)))
        assert await call_host(links.acknowledged(NAME, 1, 5.0)) == (1, 1)
        await call_host(peer.close())
        await until(lambda: not links.links)


@beside
async def test_a_change_is_pushed_and_waited_for(side: PoolSide, origin: Origin) -> None:
    async with serving(side) as (links, port):
        peers = [Peer(port), Peer(port)]
        for peer in peers:
            peer.say(HELLO)
            await peer.hears("welcome")
        side.put(configuration_for(origin, version=4))
        for peer in peers:
            assert (await peer.hears("configuration")).configuration.version == 4
        assert await call_host(links.acknowledged(NAME, 4, 0.05)) == (2, 0)
        peers[0].say(Frame(applied=Applied(name=NAME, version=4)))
        peers[1].say(Frame(applied=Applied(name=NAME, version=3)))
        await until(lambda: sum(bool(link.applied) for link in links.links) == 2)
        assert await call_host(links.acknowledged(NAME, 4, 0.05)) == (2, 1)
        waiting = asyncio.ensure_future(links.acknowledged(NAME, 4, 5.0))
        await call_host(peers[1].close())
        assert await call_host(asyncio.wait_for(waiting, 5.0)) == (1, 1), "who is gone is not waited for"
        await call_host(peers[0].close())


@beside
async def test_an_edge_is_told_whom_it_has_to_hear(side: PoolSide) -> None:
    async with serving(side) as (links, port):
        peer = Peer(port)
        peer.say(HELLO)
        assert list((await peer.hears("group")).group.nodes) == [links.node]
        links.group_changed(Group(nodes=["another", links.node]))
        await until(lambda: len([frame for frame in peer.frames if frame.HasField("group")]) == 2)
        later = Peer(port)
        later.say(HELLO)
        assert list((await later.hears("group")).group.nodes) == ["another", links.node]
        for one in (peer, later):
            await call_host(one.close())


@beside
async def test_a_node_that_may_not_serve_yet_takes_nobody(side: PoolSide) -> None:
    async with serving(side) as (links, port):
        links.is_open = False
        peer = Peer(port)
        await until(lambda: peer.is_over)
        _assert_refused(peer, grpc.StatusCode.UNAVAILABLE)
        links.is_open = True
        again = Peer(port)
        again.say(HELLO)
        await again.hears("welcome")
        for one in (peer, again):
            await call_host(one.close())


@beside
async def test_another_version_of_the_link_is_refused(side: PoolSide) -> None:
    expected = "the edge speaks link version 1, this pool node 2; run the same release on both"
    with capture_logs() as logs:
        async with serving(side) as (links, port):
            peer = Peer(port)
            peer.say(Frame(hello=Hello(version=PROTOCOL_VERSION - 1)), Frame(channel=1, open=opening()))
            await until(lambda: peer.is_over)
            _assert_refused(peer, grpc.StatusCode.FAILED_PRECONDITION)
            assert isinstance(peer.failure, aio.AioRpcError)
            if peer.failure.code() == grpc.StatusCode.FAILED_PRECONDITION:
                assert peer.failure.details() == expected
            assert peer.frames == []
            await until(lambda: not links.links)
            await call_host(peer.close())
    assert [line["why"] for line in logs if line["event"] == "link down"] == [expected]


@beside
async def test_garbage_ends_its_link_and_no_other(side: PoolSide, origin: Origin) -> None:
    side.put(configuration_for(origin))
    async with serving(side) as (links, port):
        good, bad = Peer(port), Peer(port)
        for peer in (good, bad):
            peer.say(HELLO)
            await peer.hears("welcome")
        bad.stream.mux.next_batch = lambda now: b"\xff\xff\xff"  # type: ignore[method-assign]
        bad.say(HELLO)
        await until(lambda: bad.is_over)
        assert len(links.links) == 1
        side.put(configuration_for(origin, version=2))
        await until(lambda: len([frame for frame in good.frames if frame.HasField("configuration")]) == 2)
        for peer in (good, bad):
            await call_host(peer.close())


@beside
async def test_a_draining_node_says_go_away_and_takes_nobody(side: PoolSide) -> None:
    async with serving(side) as (links, port):
        peer = Peer(port)
        peer.say(HELLO)
        await peer.hears("welcome")
        links.go_away("shutting down")
        assert (await peer.hears("go_away")).go_away.why == "shutting down"
        late = Peer(port)
        await until(lambda: late.is_over)
        _assert_refused(late, grpc.StatusCode.UNAVAILABLE)
        assert not peer.is_over
        for one in (peer, late):
            await call_host(one.close())


@pytest.mark.parametrize(
    ("role", "is_ours", "is_served"),
    [("onetrip:role:", True, True), ("another:role:", True, False), ("onetrip:role:", False, False)],
    ids=["edge", "another-role", "another-ca"],
)
@beside
async def test_only_an_edge_with_our_certificate_is_let_in(
    side: PoolSide,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    role: str,
    *,
    is_ours: bool,
    is_served: bool,
) -> None:
    authority = make_ca("ours")
    pool = make_node(authority, "pool", "pool-1", ["127.0.0.1"], days=2)
    monkeypatch.setattr(certificates, "ROLE_URI", role)
    edge = make_node(authority if is_ours else make_ca("theirs"), "edge", "edge-1", ["127.0.0.1"], days=2)
    paths = [tmp_path / name for name in ("ca", "cert", "key")]
    for path, content in zip(paths, (authority.certificate, pool.certificate, pool.key), strict=True):
        path.write_bytes(content)
    tls = LinkTls(*(str(path) for path in paths))
    async with serving(side, PoolOptions(listen=("127.0.0.1", 0), link_tls=tls)) as (links, port):
        peer = Peer(port, grpc.ssl_channel_credentials(authority.certificate, edge.key, edge.certificate))
        peer.say(HELLO)
        if is_served:
            await peer.hears("welcome")
        else:
            with capture_logs() as logs:
                await until(lambda: peer.is_over)
            assert not peer.frames
            assert not links.links
            assert any("has not the role of an edge" in entry["event"] for entry in logs) is is_ours
        await call_host(peer.close())


@beside
async def test_without_tls_or_with_a_stranger_nothing_is_served(side: PoolSide, tmp_path: Path) -> None:
    authority = make_ca("ours")
    pool = make_node(authority, "pool", "pool-1", ["127.0.0.1"], days=2)
    for name, content in (("ca", authority.certificate), ("cert", pool.certificate), ("key", pool.key)):
        (tmp_path / name).write_bytes(content)
    tls = LinkTls(*(str(tmp_path / name) for name in ("ca", "cert", "key")))
    async with serving(side, PoolOptions(listen=("127.0.0.1", 0), link_tls=tls)) as (links, port):
        for credentials in (None, grpc.ssl_channel_credentials(authority.certificate)):
            peer = Peer(port, credentials)
            peer.say(HELLO)
            await until(lambda: peer.is_over)  # noqa: B023 - asked at once
            assert not peer.frames
            await call_host(peer.close())
        assert not links.links


# --- a link's frames ---


@beside
async def test_what_an_edge_has_served_is_summed_and_what_it_keeps_goes_with_its_link(
    side: PoolSide, origin: Origin
) -> None:
    side.put(configuration_for(origin))
    async with serving(side) as (links, port):
        peers = []
        for hits in (5, 6):
            peers.append(Peer(port))
            peers[-1].say(HELLO, Frame(statuses=Statuses(configuration=NAME, hits=hits, entries=2)))
            await until(lambda hits=hits: [each.hits for each in links.served.totals()] == [hits])  # type: ignore[misc]
        await call_host(peers[0].close())
        await until(lambda: len(links.links) == 1)
        assert links.served.totals()[0].entries == 2, "the same edge is still linked"
        await call_host(peers[1].close())
        await until(lambda: not links.links)
        (total,) = links.served.totals()
        assert (total.hits, total.entries) == (6, 0)


def opening(credentials_version: int = 1, name: str = NAME, **settings: str) -> Open:
    pairs = [Setting(name=key.encode(), value=value.encode()) for key, value in settings.items()]
    return Open(
        configuration=name, credentials_version=credentials_version, settings=pairs, process_id=1, secret_key=b"key!"
    )


def give(edge: Edge, *some: Frame) -> None:
    """Let the pool node take these frames, as if they had just come."""
    for frame in edge.link.mux.feed(Batch(frames=some).SerializeToString(), 0.0):
        edge.link._on_frame(frame)


@pytest.mark.parametrize("wrong", [opening(2), opening(name="nowhere")], ids=["credentials", "name"])
@beside
async def test_what_is_sent_under_an_old_configuration_does_not_run(
    side: PoolSide, origin: Origin, wrong: Open
) -> None:
    edge = side.serve(origin)
    give(edge, Frame(channel=9, open=wrong), Frame(channel=9, data=query(b"select 1")))
    assert not edge.link.channels
    assert not side.tenant.pool.size
    assert 9 not in edge.link.mux._lanes
    await turns()


@beside
async def test_a_kind_of_frame_that_is_not_known_is_passed_over(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    give(edge, Frame(channel=9, open=opening()), Frame(withdraw=None), Frame(channel=3, data=b"for nobody"))
    assert list(edge.link.channels) == [9]


@beside
async def test_a_text_of_the_dictionary_serves_every_channel(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    text = parse(b"onetrip:1", b"select 7")
    run = bind(b"", b"onetrip:1") + execute() + sync()
    keys = iter(range(100, 200))
    for channel, parse_text in ((9, text), (10, b"")):
        open_it = opening()
        open_it.process_id = next(keys)
        statement = Frame(channel=channel, statement=Statement(slot=3, parse=parse_text))
        give(edge, Frame(channel=channel, open=open_it), statement, Frame(channel=channel, data=run))
        served = edge.link.channels[channel]
        await until(lambda: served.origin is None and not served.is_waiting)  # noqa: B023 - asked at once
    # The pool node may be reading the catalogue on the connection.
    await until(lambda: sum(len(connected.prepared) for connected in side.tenant.pool.idle) >= 1)


@beside
async def test_a_channel_that_is_closed_twice_is_closed(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    give(edge, Frame(channel=9, open=opening()))
    for _ in range(2):
        give(edge, Frame(channel=9, close=Close(reason=Reason.TERMINATED)))
    assert not edge.link.channels
    assert not side.tenant.channels


@beside
async def test_bytes_that_nobody_takes_any_more_are_thrown_away_with_their_channel(
    side: PoolSide, origin: Origin
) -> None:
    """The pool node has ended the session, its edge never took the rest, and closes."""
    edge = side.serve(origin)
    client = edge.client()
    client.keeps = client.reads = False
    client.send(query(b"begin"), query(b"select repeat('x', 1000) from generate_series(1, 2000)"))
    await until(lambda: client.received_bytes >= INITIAL_CREDIT_BYTES)
    (channel,) = edge.link.channels.values()
    await until(lambda: channel.lane.backlog_bytes)
    side.tick(10_000)
    connected = channel.origin
    if connected is not None:
        connected.lost("now")
    assert channel.lane.backlog_bytes
    assert edge.link.mux._lanes
    edge.close(client, Reason.LOST)
    await until(lambda: not edge.link.mux._lanes)
    assert channel.lane.backlog_bytes == 0


@beside
async def test_garbage_of_a_client_ends_its_session_and_no_other(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    good = edge.client()
    await good.ask(query(b"begin"))
    bad = opening()
    mux = edge.stream.mux
    for channel, garbage in ((99, b"!\0\0\0\x04"), (100, bind(b"p" * 3000, b"s", [b"x" * (2 << 20)])[:1500])):
        bad.process_id = channel
        mux.send(mux.open_lane(channel, bad), garbage)
        await turns()
        await until(lambda: len(side.tenant.channels) == 1)
    assert len(edge.link.channels) == 1
    assert (await good.ask(query(b"commit"))).tags == "CZ"


@beside
async def test_too_many_choices_end_their_session_and_no_other(
    side: PoolSide, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = side.serve(origin)
    monkeypatch.setattr("regional.choices.MAX_CHOICES", 3)
    client, other = edge.client(), edge.client()
    await client.ask(query(b"select 1"))
    choice = Choice(name=b"s", plain=True, options=[Option()])
    give(edge, *[Frame(channel=client.channel, choice=choice) for _ in range(4)])
    await until(lambda: client.closed is not None)
    assert (await other.ask(query(b"select 7"))).value == b"7"


@beside
async def test_a_bug_of_ours_ends_one_session_and_no_other(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    good, unlucky = edge.client(), edge.client()
    await good.ask(query(b"begin"))

    def fail(sql: bytes, *_: object, **__: object) -> None:
        raise ZeroDivisionError

    judge, side.tenant.judge = side.tenant.judge, fail  # type: ignore[assignment]
    unlucky.send(query(b"select 1"))
    answer = await unlucky.ended()
    side.tenant.judge = judge
    assert answer.code == "XX000"
    assert (await good.ask(query(b"commit"))).tags == "CZ"


@beside
async def test_what_is_sent_before_the_pool_node_ends_the_session_comes_first(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    client = edge.client()
    client.send(query(b"select 1"), parse(b"", b"select 2"), bind(b"", b""), execute(), flush())
    await client.more("1")
    side.tick(301)
    answer = await client.ended()
    assert answer.code == "25P03"
    assert frames(edge, "welcome")
