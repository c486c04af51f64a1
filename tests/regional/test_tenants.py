"""All tenants of a node: cancel requests find their session, edges hear of every change, deleted ones go."""

import time

import msgspec
import pytest

from protos.errors import NotReadyError, UnknownConfigurationError
from protos.link.link_pb2 import Cancel, Frame
from protos.link.version import PROTOCOL_VERSION
from protos.pg.messages import command_complete, query, ready_for_query
from regional import tenant
from regional.configuration import Caching, OriginSecret
from regional.control import UnknownTableError
from regional.tenant import Tenant
from tests.support.beside import Edge, PoolSide, active, beside, configuration_for, turns, until
from tests.support.cluster import PASSWORD, Origin


def frames(edge: Edge, kind: str) -> list[Frame]:
    return [frame for frame in edge.frames if frame.HasField(kind)]


# --- cancel (rules 16) ---


@beside
async def test_a_cancel_request_of_any_edge_stops_the_statement(side: PoolSide, origin: Origin) -> None:
    edge, other = side.serve(origin), side.edge()
    await side.alone()
    client = edge.client()
    client.send(query(b"select pg_sleep(67)"))
    await active(origin, "pg_sleep(67)")
    same = other.client()
    same.process_id, same.secret = client.process_id, client.secret
    same.cancel()
    answer = await client.answer()
    assert answer.code == "57014"
    await side.quiet()  # the cancel is settled; before, another connection would have been dialled
    assert (await client.ask(query(b"select 1"))).value == b"1"
    await side.quiet()
    assert side.tenant.pool.size == 1


@beside
async def test_a_cancel_request_that_is_for_another_edge_is_passed_on(side: PoolSide, origin: Origin) -> None:
    """Its session may be waiting there for the answer to another one's read."""
    edge, other = side.serve(origin), side.edge()
    own = Cancel(process_id=7, secret_key=b"secret")
    foreign = Cancel(process_id=8, secret_key=b"secret", number=b"a number")
    for cancel in (own, foreign):
        other.stream.mux.send_control(Frame(cancel=cancel))
    await until(lambda: frames(edge, "cancel"))
    assert [frame.cancel for frame in frames(edge, "cancel")] == [foreign]


@beside
async def test_a_connection_is_not_used_again_before_its_cancel_is_settled(side: PoolSide, origin: Origin) -> None:
    """Or the cancel of one client would hit the statement of the next."""
    forwarder = await side.forwarder(origin)
    edge = side.serve(origin, port=forwarder.port)
    await side.alone()
    client, next_one = edge.client(), edge.client()
    (connected,) = side.tenant.pool.idle
    for _ in range(5):
        client.send(query(b"select pg_sleep(68)"))
        await active(origin, "pg_sleep(68)")
        client.cancel()
        client.cancel()
        next_one.send(query(b"select 1 from pg_sleep(0.05)"))
        assert (await client.answer()).code == "57014"
        assert (await next_one.answer()).value == b"1"
    await side.quiet()
    assert connected in side.tenant.pool.idle


@beside
async def test_a_cancel_that_is_never_settled_costs_the_connection(
    side: PoolSide, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenant, "CANCEL_LIMIT_S", 0.05)
    scripted = await side.scripted()
    edge = side.serve(origin, port=scripted.port)
    client = edge.client()
    await client.ask(query(b"select 1"))
    await side.quiet()
    scripted.settles_cancels = False
    asked: list[bytes] = []
    scripted.script = lambda piece: asked.append(piece.data) or b""  # type: ignore[func-returns-value]
    client.send(query(b"select 2"))
    await until(lambda: asked)
    (connected,) = side.tenant.pool.leased
    client.cancel()
    await until(lambda: scripted.cancelled == [connected.process_id])
    scripted.connections[connected.process_id - 1].write(command_complete("SELECT 1") + ready_for_query(ord("I")))
    assert (await client.answer()).tags == "CZ"
    assert connected in side.tenant.pool.resetting
    await until(lambda: connected.connection.is_closed)


@beside
async def test_a_waiter_that_is_cancelled_gets_its_error_at_once(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, origin_connection_limit=5)
    for _ in range(5):
        await edge.client().ask(query(b"begin"))
    waiter = edge.client()
    waiter.send(query(b"select 1"))
    await turns()
    waiter.cancel()
    answer = await waiter.answer()
    assert answer.tags == "EZ"
    assert answer.code == "57014"
    assert not side.tenant.pool.waiters
    assert not waiter.is_over


@beside
async def test_a_cancel_with_a_wrong_secret_is_dropped(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    client = edge.client()
    client.send(query(b"select 1 from pg_sleep(0.2)"))
    await turns()
    right, client.secret = client.secret, b"\0\0\0\0"
    client.cancel()
    client.secret, client.process_id = right, client.process_id + 1
    client.cancel()
    assert (await client.answer()).value == b"1"


@beside
async def test_a_cancel_is_not_remembered(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    client = edge.client()
    await client.ask(query(b"begin"))
    client.cancel()
    await turns()
    assert (await client.ask(query(b"select 1"))).value == b"1"
    await client.ask(query(b"commit"))
    client.cancel()
    await turns()
    assert (await client.ask(query(b"select 1"))).value == b"1"


# --- what edges are told ---


@beside
async def test_an_edge_is_told_all_configurations_and_each_change(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await until(lambda: frames(edge, "configuration"))
    (first,) = frames(edge, "configuration")
    assert first.configuration.name == "app"
    assert origin.password not in str(edge.frames)
    welcome = frames(edge, "welcome")[0].welcome
    assert (welcome.version, welcome.configurations, welcome.mock_secret) == (PROTOCOL_VERSION, 1, b"mock")
    side.put(configuration_for(origin, version=2, credentials_version=2))
    await until(lambda: len(frames(edge, "configuration")) == 2)
    assert frames(edge, "configuration")[1].configuration.credentials_version == 2
    side.tenants.withdraw("app", 3)
    await until(lambda: frames(edge, "withdraw"))
    assert frames(edge, "withdraw")[0].withdraw.version == 3


@beside
async def test_what_the_origin_reports_reaches_the_edges(side: PoolSide, origin: Origin) -> None:
    learnt: list[Tenant] = []
    side.tenants.on_learnt = learnt.append
    edge = side.serve(origin)
    await edge.client().ask(query(b"select 1"))
    await until(lambda: len(frames(edge, "configuration")) == 2)
    pushed = frames(edge, "configuration")[1].configuration
    reported = {setting.name: setting.value for setting in pushed.parameters}
    assert reported[b"server_encoding"] == b"UTF8"
    assert reported[b"application_name"] == b"Onetrip"
    assert learnt == [side.tenant]


@beside
async def test_another_origin_makes_what_was_known_of_the_first_invalid(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    resolved = await edge.resolve(datestyle="iso")
    assert resolved.resolutions[0].reported == []
    side.put(configuration_for(origin, version=2))
    assert frames(edge, "configuration")[-1].configuration.known or True
    await turns()
    assert frames(edge, "configuration")[-1].configuration.known
    before = len(frames(edge, "invalidate"))
    side.put(configuration_for(origin, user=origin.superuser, version=3))
    await turns()
    assert not frames(edge, "configuration")[-1].configuration.known
    assert len(frames(edge, "invalidate")) == before + 1


@beside
async def test_a_session_of_old_credentials_does_not_run(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    client = edge.client()
    side.tenants.get("app").configuration = configuration_for(origin, credentials_version=2)  # type: ignore[union-attr]
    edge.tenants.get = lambda name: None  # type: ignore[method-assign]
    client.send(query(b"select 1"))
    answer = await client.ended()
    assert answer.code == "57P03"


@beside
async def test_a_deleted_configuration_is_kept_while_its_transactions_run(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    client = edge.client()
    await client.ask(query(b"begin"))
    side.tenants.withdraw("app", 2)
    assert side.tenants.get("app") is None
    side.tenants.tick(time.monotonic())
    assert len(list(side.tenants)) == 1
    assert side.tenants.is_busy
    assert (await client.ask(query(b"commit"))).tags == "CZ"
    await until(lambda: not side.tenants.is_busy)
    side.tenants.tick(time.monotonic())
    assert list(side.tenants) == []
    resolved = await edge.resolve()
    assert b"57P03" in resolved.error or b"57P01" in resolved.error


@beside
async def test_configurations_of_one_origin_share_its_connections(side: PoolSide, origin: Origin) -> None:
    mine = configuration_for(origin, origin_connection_min=10, origin_total_limit=7)
    side.put(mine)
    side.tick()
    await side.quiet()
    assert side.tenant.pool.size == 7
    side.tenants.put(msgspec.structs.replace(mine, name="other"), side.tenant.opener.secret)
    other = side.tenants.get("other")
    assert other is not None
    side.tick()
    assert {side.tenant.pool.size, other.pool.size} == {3, 4}
    await until(lambda: not other.pool.dialing)
    side.tenants.withdraw("other", 2)
    await until(lambda: side.tick() is None and side.tenant.pool.size == 7)  # type: ignore[func-returns-value]


@beside
async def test_a_configuration_of_the_same_name_begins_anew(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    client = edge.client()
    await client.ask(query(b"begin"))
    old = side.tenant
    side.tenants.withdraw("app", 2)
    side.put(configuration_for(origin, version=3))
    assert side.tenant is not old
    fresh = edge.client()
    assert (await fresh.ask(query(b"select 1"))).value == b"1"
    assert (await client.ask(query(b"commit"))).tags == "CZ"
    await until(lambda: old.pool.size == 0)  # the catalogue was perhaps being read on another connection


# --- the query cache ---


@beside
async def test_answers_are_purged_all_or_those_of_a_table(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    with origin.connect() as connection:
        connection.execute("create table purged (id int)")
        row = connection.execute("select 'purged'::regclass::oid::int").fetchone()
    assert row is not None
    with pytest.raises(NotReadyError):
        side.tenants.purge("app", "purged")
    await side.known()
    edge.frames.clear()
    side.tenants.purge("app", None)
    side.tenants.purge("app", "purged")
    side.tenants.purge("app", "public.purged")
    with pytest.raises(UnknownTableError):
        side.tenants.purge("app", "nowhere.purged")
    with pytest.raises(UnknownConfigurationError):
        side.tenants.purge("nobody", None)
    await until(lambda: len(frames(edge, "invalidate")) == 3)
    everything, *tables = [frame.invalidate for frame in frames(edge, "invalidate")]
    assert everything.answers
    assert [list(one.tables) for one in tables] == [[row[0]]] * 2
    with origin.connect() as connection:
        connection.execute("drop table purged")


@beside
async def test_a_configuration_that_is_new_here_drops_what_edges_may_have_of_it(side: PoolSide, origin: Origin) -> None:
    """Another pool node may have had it earlier; nobody has told edges of what was written through this one."""
    edge = side.serve(origin)
    await turns()
    edge.frames.clear()
    other = msgspec.structs.replace(configuration_for(origin), name="other")
    side.tenants.put(other, OriginSecret(password=PASSWORD))
    await until(lambda: frames(edge, "configuration"))
    (invalidate,) = [frame.invalidate for frame in frames(edge, "invalidate")]
    assert (invalidate.configuration, invalidate.answers) == ("other", True)


@beside
async def test_other_settings_of_the_cache_make_it_begin_anew(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await turns()
    side.put(configuration_for(origin, version=2, caching=Caching(max_age=5, in_transactions=True)))
    await until(lambda: frames(edge, "invalidate"))
    assert frames(edge, "invalidate")[0].invalidate.answers
    pushed = frames(edge, "configuration")[-1].configuration
    assert (pushed.caching.enabled, pushed.caching.in_transactions) == (True, True)
    side.put(configuration_for(origin, version=3, caching=Caching(disabled=True, stale_if_unreachable=9)))
    await until(lambda: frames(edge, "configuration")[-1].configuration.version == 3)
    pushed = frames(edge, "configuration")[-1].configuration
    assert (pushed.caching.enabled, pushed.caching.stale_if_unreachable_s) == (False, 9)
