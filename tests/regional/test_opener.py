"""Opening connections for a tenant: as many as are wanted, with a pause after failures, and the truth told at once."""

import time

import pytest
from psycopg import sql

from protos.pg.messages import authentication_ok, error_response, notice_response, query
from regional.configuration import OriginSecret
from regional.opener import LIFETIME_JITTER, MAX_RETRY_S
from regional.sizing import SHORTAGE_S
from tests.support.beside import PoolSide, beside, configuration_for, turns, until
from tests.support.cluster import Origin


@beside
async def test_a_crowd_gets_its_connections_at_once_and_no_more_than_the_limit(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, origin_connection_limit=7)
    clients = [edge.client() for _ in range(20)]
    for client in clients:
        client.send(query(b"select pg_sleep(0.02)"))
    await until(lambda: side.tenant.pool.dialing == 7)
    for client in clients:
        assert (await client.answer()).errors == []
    assert side.tenant.pool.size == 7


@beside
async def test_the_minimum_is_kept_warm_without_anybody(side: PoolSide, origin: Origin) -> None:
    side.serve(origin, origin_connection_min=3)
    side.tick()
    await side.quiet()
    assert side.tenant.pool.size == 3


@beside
async def test_an_origin_that_is_away_is_tried_again_more_and_more_seldom(side: PoolSide, origin: Origin) -> None:
    forwarder = await side.forwarder(origin)
    forwarder.stop()
    edge = side.serve(origin, port=forwarder.port)
    edge.client().send(query(b"select 1"))
    opener = side.tenant.opener
    pauses: list[float] = []
    for failures in range(1, 9):
        await until(lambda: side.tenant.total_errors == failures)  # noqa: B023 - asked at once
        assert not side.tenant.pool.dialing
        pauses.append(opener._retry_at - time.monotonic())
        side.tick()
        assert not side.tenant.pool.dialing, "the pause is not over"
        opener._retry_at = 0.0
        side.tick()
    assert pauses[0] <= 0.1
    assert MAX_RETRY_S / 2 - 0.5 < pauses[-1] <= MAX_RETRY_S


@beside
async def test_a_success_forgets_the_failures(side: PoolSide, origin: Origin) -> None:
    side.put(configuration_for(origin), "wrong")
    edge = side.edge()
    assert (await edge.client().ask(query(b"select 1"))).code == "08006"
    assert side.tenant.opener.last_error
    side.put(configuration_for(origin, version=2))
    assert (await edge.client().ask(query(b"select 1"))).value == b"1"
    assert side.tenant.opener.last_error == ""


@beside
async def test_who_comes_while_a_rejected_login_pauses_is_told_too(side: PoolSide, origin: Origin) -> None:
    side.put(configuration_for(origin), "wrong")
    edge = side.edge()
    for _ in range(3):
        client = edge.client()
        client.send(query(b"select 1"))
        side.tenant.opener._retry_at = 0.0
        await until(lambda: side.tick() is None and not client.session.owed)  # type: ignore[func-returns-value] # noqa: B023
        assert client.take().code == "08006"


@beside
async def test_an_origin_without_room_makes_clients_wait_and_fails_none(side: PoolSide, origin: Origin) -> None:
    with origin.connect() as connection:
        connection.execute("drop role if exists narrow")
        connection.execute(
            sql.SQL("create role narrow login connection limit 3 password {}").format(sql.Literal(origin.password))
        )
    edge = side.serve(origin, user="narrow", origin_connection_limit=8, wait_timeout_s=600)
    clients = [edge.client() for _ in range(12)]
    for client in clients:
        client.send(query(b"select pg_sleep(0.01)"))
    for client in clients:
        assert (await client.answer()).errors == []
    assert side.tenant.pool.size == 3
    assert side.tenant.sizing.is_short
    failures = side.tenant.total_errors
    side.tick(SHORTAGE_S - 1)
    holders = [edge.client() for _ in range(4)]
    for holder in holders:
        holder.send(query(b"begin"))
    await until(lambda: sum(holder.is_in_transaction for holder in holders) == 3)
    side.tick()
    await turns()
    assert side.tenant.total_errors == failures, "it is not asked again for a while"
    assert not holders[3].take().messages
    side.tenant.opener.forget_failures()
    side.tick(SHORTAGE_S + 1)
    await until(lambda: side.tenant.total_errors > failures)
    assert not holders[3].is_over


@beside
async def test_a_rejected_login_disturbs_nobody_while_other_connections_are_there(
    side: PoolSide, origin: Origin
) -> None:
    edge = side.serve(origin, origin_connection_limit=5)
    holder, waiter = edge.client(), edge.client()
    await side.alone()
    await holder.ask(query(b"begin"))
    side.tenant.opener.secret = OriginSecret(password="wrong")
    waiter.send(query(b"select 1"))
    await until(lambda: side.tenant.opener.last_error)
    assert not waiter.take().messages
    await holder.ask(query(b"commit"))
    assert (await waiter.answer()).value == b"1"


@beside
async def test_a_bug_in_dialling_is_an_error_and_no_end(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    dial = side.tenants.dialer.dial

    async def broken(*args: object) -> None:
        raise ZeroDivisionError

    side.tenants.dialer.dial = broken  # type: ignore[method-assign, assignment]
    client = edge.client()
    client.send(query(b"select 1"))
    await until(lambda: side.tenant.opener.last_error)
    side.tenants.dialer.dial = dial  # type: ignore[method-assign]
    side.tenant.opener.forget_failures()
    side.tick()
    assert (await client.answer()).value == b"1"


@beside
async def test_what_comes_with_the_login_is_heard(side: PoolSide, origin: Origin) -> None:
    """In the same packet as its ReadyForQuery: a notice, which means nothing, and an end, which does."""
    scripted = await side.scripted()
    edge = side.serve(origin, port=scripted.port)
    said = {"S": "FATAL", "V": "FATAL", "C": "57P01", "M": "going away"}
    scripted.after_login = notice_response(said | {"S": "WARNING", "V": "WARNING"})
    assert (await edge.client().ask(query(b"select 1"))).value == b"1"
    await side.quiet()
    for idle in side.tenant.pool.idle[:]:
        side.tenant.discard(idle, "so that one is opened")
    scripted.after_login = error_response(said)
    client = edge.client()
    client.send(query(b"select 1"))
    await until(lambda: len(scripted.connections) > 3)
    scripted.after_login = b""
    assert (await client.answer()).value == b"1"


@beside
async def test_a_configuration_that_changes_while_it_is_dialled_gets_no_old_connection(
    side: PoolSide, origin: Origin
) -> None:
    forwarder = await side.forwarder(origin)
    forwarder.hold()
    edge = side.serve(origin, port=forwarder.port)
    client = edge.client()
    client.send(query(b"select current_user"))
    await until(lambda: forwarder.accepted)
    side.put(configuration_for(origin, port=forwarder.port, user=origin.superuser, version=2))
    forwarder.release()
    assert (await client.answer()).value == origin.superuser.encode()


@beside
async def test_lifetimes_are_spread(side: PoolSide, origin: Origin) -> None:
    side.serve(origin, origin_connection_min=5, lifetime_s=1000)
    side.tick()
    await side.quiet()
    left = [connected.expires_at - time.monotonic() for connected in side.tenant.pool.all()]
    assert len(set(left)) == 5
    assert 1000 * (1 - LIFETIME_JITTER) - 10 < min(left) <= max(left) <= 1000


@pytest.mark.parametrize("login", [authentication_ok()[:5], b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["half", "http"])
@beside
async def test_what_is_no_postgresql_is_refused(side: PoolSide, origin: Origin, login: bytes) -> None:
    scripted = await side.scripted()
    scripted.login, scripted.after_login = b"", b""
    scripted.greeting = login
    edge = side.serve(origin, port=scripted.port, connect_timeout_s=0.2)
    edge.client().send(query(b"select 1"))
    await until(lambda: side.tenant.opener.last_error)
    assert side.tenant.pool.size == 0
