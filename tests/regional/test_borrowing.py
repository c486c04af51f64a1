"""The pool node's own questions to an origin, over a connection of the pool."""

from collections.abc import Callable

import pytest
import trio

from protos.errors import CheckoutTimeoutError, OriginRefusedError
from protos.pg.messages import error_response, query, ready_for_query
from regional.borrowing import Borrower, borrow
from regional.exchange import Exchange
from regional.origin import Origin
from regional.profile import BASE, Profile
from tests.support.beside import PoolSide, beside, until
from tests.support.cluster import Origin as Server

IDLE = ord("I")


def ask(sql: bytes) -> Callable[[Origin, Callable[[Exchange], None]], None]:
    return lambda origin, done: origin.run(sql, done)


@beside
async def test_a_borrower_gets_a_connection_with_base_settings(side: PoolSide, origin: Server) -> None:
    edge = side.serve(origin)
    await side.alone()
    await edge.client(timezone="Asia/Tokyo").ask(query(b"select 1"))
    exchange = await borrow(side.tenant, ask(b"select current_setting('timezone')"))
    assert exchange.rows != [[b"Asia/Tokyo"]]
    await side.quiet()
    assert side.tenant.pool.size == 1
    assert side.tenant.pool.idle[0].profile is BASE


@beside
async def test_an_error_is_the_borrowers(side: PoolSide, origin: Server) -> None:
    side.serve(origin)
    exchange = await borrow(side.tenant, ask(b"selec 1"))
    assert b"42601" in exchange.error
    await side.quiet()


@beside
async def test_a_borrower_waits_its_turn_and_no_longer_than_others(side: PoolSide, origin: Server) -> None:
    edge = side.serve(origin, origin_connection_limit=5)
    for _ in range(5):
        await edge.client().ask(query(b"begin"))
    async with trio.open_nursery() as nursery:

        async def give_up() -> None:
            with pytest.raises(CheckoutTimeoutError):
                await borrow(side.tenant, ask(b"select 1"))

        nursery.start_soon(give_up)
        await until(lambda: side.tenant.pool.waiters)
        side.tick(16)


@beside
async def test_a_borrower_that_is_cancelled_gives_back_what_it_got(side: PoolSide, origin: Server) -> None:
    edge = side.serve(origin, origin_connection_limit=5)
    await side.alone()
    with trio.move_on_after(0.05) as scope:
        await borrow(side.tenant, ask(b"select pg_sleep(69)"))
    assert scope.cancelled_caught
    assert side.tenant.pool.size == 0, "a connection in the middle of something is of no use"
    assert (await edge.client().ask(query(b"select 1"))).value == b"1"


@beside
async def test_a_connection_lost_in_the_tick_of_its_grant_is_an_error(side: PoolSide, origin: Server) -> None:
    side.serve(origin)
    await side.alone()
    (connected,) = side.tenant.pool.idle
    checkout = side.tenant.checkout

    def lose(waiter: Borrower) -> None:
        checkout(waiter)
        connected.lost("now")

    side.tenant.checkout = lose  # type: ignore[method-assign, assignment]
    with pytest.raises(OriginRefusedError):
        await borrow(side.tenant, ask(b"select 1"))


@beside
async def test_a_connection_lost_while_it_is_asked_is_an_error(side: PoolSide, origin: Server) -> None:
    side.serve(origin)
    with pytest.raises(OriginRefusedError):
        await borrow(side.tenant, ask(b"select pg_terminate_backend(pg_backend_pid())"))
    await side.quiet()


@beside
async def test_settings_that_cannot_be_reset_are_an_error_and_cost_the_connection(
    side: PoolSide, origin: Server
) -> None:
    scripted = await side.scripted()
    side.serve(origin, port=scripted.port)
    await borrow(side.tenant, ask(b"select 1"))
    await side.quiet()
    refusal = error_response({"S": "ERROR", "V": "ERROR", "C": "42501", "M": "no"})
    scripted.script = lambda piece: refusal + ready_for_query(IDLE) if b"set_config" in piece.data else None
    for connected in side.tenant.pool.idle:
        connected.profile = Profile.of([("timezone", "UTC")])
    with pytest.raises(OriginRefusedError):
        await borrow(side.tenant, ask(b"select 1"))
    assert all(connected.profile is not BASE for connected in side.tenant.pool.idle)
