"""What is written is told to edges before its writer hears that it is done (rules 21), against a real PostgreSQL."""

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import psycopg
import pytest
import trio

from protos.link.link_pb2 import Invalidate, Reason
from protos.pg.messages import bind, copy_data, copy_done, execute, flush, parse, query, sync
from regional.cache import publishing
from regional.configuration import Caching, OriginSecret
from regional.knowledge import CATALOG_AGE_S
from tests.regional.cache.conftest import Oids
from tests.support.beside import NAME, Client, Edge, PoolSide, active, beside, configuration_for, turns, until
from tests.support.cluster import PASSWORD, Origin
from tests.support.pooler import open_pooler

OFF = Caching(disabled=True)


def extended(*statements: bytes, end: bytes = b"") -> bytes:
    """These statements, each by the extended protocol, in one group."""
    steps = [parse(b"", sql) + bind(b"", b"") + execute() for sql in statements]
    return b"".join(steps) + (end or sync())


def what(invalidate: Invalidate) -> str:
    if invalidate.meaning:
        return "meaning"
    return "all" if invalidate.answers else " ".join(map(str, invalidate.tables))


def told(edge: Edge, before: int = 0, name: str = NAME) -> list[str]:
    """What has come since: what is invalidated, and Z for a chunk with ReadyForQuery, + for one without."""
    found = []
    for frame in edge.heard[before:]:
        if frame.HasField("invalidate") and frame.invalidate.configuration == name:
            found.append(what(frame.invalidate))
        elif frame.data:
            found.append("Z" if frame.settled else "+")
    return found


async def ready(side: PoolSide, origin: Origin, **changes: object) -> tuple[Edge, Client]:
    """An edge and a client, with everything known."""
    edge = side.serve(origin, **changes)
    if not side.tenant.configuration.caching.disabled:
        await side.cached()
    await side.known()
    assert side.tenant.knowledge.cache.reach is not None
    client = edge.client()
    await client.ask(query(b"select 1"))
    await side.quiet()
    edge.heard.clear()
    return edge, client


@beside
async def test_a_write_is_told_before_its_writer_hears_of_it(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge, client = await ready(side, origin)
    await client.ask(query(b"insert into shop.prices values (3, 300)"))
    assert told(edge) == [str(shop["prices"]), "Z"]
    edge.heard.clear()
    await client.ask(extended(b"update shop.prices set price = 1"))
    assert told(edge)[-2:] == [str(shop["prices"]), "Z"]


@beside
async def test_every_linked_edge_is_told(side: PoolSide, origin: Origin, shop: Oids) -> None:
    _, client = await ready(side, origin)
    other = side.edge()
    await turns()
    await client.ask(query(b"delete from shop.prices"))
    await until(lambda: told(other) == [str(shop["prices"])])


@beside
async def test_reads_tell_nothing(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge, client = await ready(side, origin)
    await client.ask(query(b"begin; select * from shop.orders; commit"))
    await client.ask(extended(b"select * from shop.orders"))
    assert set(told(edge)) <= {"Z", "+"}


@beside
async def test_what_is_written_in_a_transaction_is_told_at_its_end_and_sorted(
    side: PoolSide, origin: Origin, shop: Oids
) -> None:
    edge, client = await ready(side, origin)
    for sql in (b"begin", b"insert into shop.orders values (3)", b"savepoint a", b"update shop.prices set price = 0"):
        await client.ask(query(sql))
    await client.ask(query(b"rollback to a"))
    assert set(told(edge)) == {"Z"}
    edge.heard.clear()
    await client.ask(query(b"commit"))
    tables = sorted((shop["orders"], shop["prices"]))
    assert told(edge) == [" ".join(map(str, tables)), "Z"]


@pytest.mark.parametrize("end", [query(b"rollback"), extended(b"rollback"), query(b"abort")])
@beside
async def test_a_rollback_tells_nothing(side: PoolSide, origin: Origin, shop: Oids, end: bytes) -> None:
    edge, client = await ready(side, origin)
    await client.ask(query(b"begin"))
    await client.ask(query(b"insert into shop.orders values (3)"))
    await client.ask(end)
    assert client.status == ord("I")
    assert str(shop["orders"]) not in told(edge)
    edge.heard.clear()
    await client.ask(query(b"select 1"))
    assert told(edge) == ["Z"], "nor later"


@beside
async def test_the_commit_of_a_failed_transaction_tells_nothing(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge, client = await ready(side, origin)
    for sql in (b"begin", b"insert into shop.orders values (3)", b"select 1/0", b"commit"):
        await client.ask(query(sql))
    assert client.status == ord("I")
    assert str(shop["orders"]) not in told(edge)


@pytest.mark.parametrize(
    "end",
    [
        query(b"commit; rollback"),
        query(b"rollback; insert into shop.orders values (4)"),
        extended(b"commit", b"rollback"),
    ],
)
@beside
async def test_what_is_not_a_rollback_alone_is_a_commit(side: PoolSide, origin: Origin, shop: Oids, end: bytes) -> None:
    edge, client = await ready(side, origin)
    for sql in (b"begin", b"insert into shop.orders values (3)"):
        await client.ask(query(sql))
    await client.ask(end)
    assert client.status == ord("I")
    assert str(shop["orders"]) in told(edge)


@beside
async def test_what_a_do_has_committed_stays_in_spite_of_a_rollback(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge, client = await ready(side, origin)
    for sql in (b"begin", b"do $$ begin end $$", b"rollback"):
        await client.ask(query(sql))
    assert told(edge)[-2:] == ["all", "Z"]


@beside
async def test_a_commit_inside_of_a_message_is_told_before_its_reply(
    side: PoolSide, origin: Origin, shop: Oids
) -> None:
    edge, client = await ready(side, origin)
    client.send(
        query(b"begin; insert into shop.orders values (3); commit; select repeat('x', 20000); select pg_sleep(71)")
    )
    await active(origin, "pg_sleep(71)")
    await until(lambda: "+" in told(edge))
    assert told(edge)[:2] == [str(shop["orders"]), "+"]
    client.cancel()
    await client.answer()
    assert told(edge)[-2:] == [str(shop["orders"]), "Z"]


@beside
async def test_a_pipelined_commit_is_told_before_its_reply(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge, client = await ready(side, origin)
    client.send(extended(b"begin", b"insert into shop.orders values (3)", b"commit", end=flush()))
    await until(lambda: any(b"COMMIT" in frame.data for frame in edge.heard))
    commit = next(place for place, frame in enumerate(edge.heard) if b"COMMIT" in frame.data)
    assert any(frame.HasField("invalidate") for frame in edge.heard[:commit])
    assert str(shop["orders"]) in told(edge)
    await client.ask(sync())
    assert told(edge)[-2:] == [str(shop["orders"]), "Z"]


@beside
async def test_what_flush_shows_is_told_again_when_it_is_committed(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge, client = await ready(side, origin)
    client.send(extended(b"insert into shop.orders values (3) returning id", end=flush()))
    await until(lambda: client.received_bytes)
    await turns()
    edge.heard.clear()
    await client.ask(sync())
    assert told(edge)[-2:] == [str(shop["orders"]), "Z"]  # behind what was still to come of the answer


@beside
async def test_of_a_pipeline_each_part_is_told_with_its_own_end(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge, client = await ready(side, origin)
    client.send(
        query(b"insert into shop.prices values (3, 300)"), query(b"insert into shop.orders select 3 from pg_sleep(0.3)")
    )
    await client.answer()
    assert told(edge) == [str(shop["prices"]), "Z", str(shop["orders"]), "Z"]


@beside
async def test_copy_and_the_protocols_function_call_are_writes(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge, client = await ready(side, origin)
    await client.ask(query(b"copy shop.prices from stdin"), copy_data(b"7\t7\n"), copy_done())
    assert told(edge)[-2:] == [str(shop["prices"]), "Z"]
    edge.heard.clear()
    call = b"F\0\0\0\x12\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    await client.ask(call)
    assert told(edge)[-2:] == ["all", "Z"]


@beside
async def test_prepared_transactions(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge, client = await ready(side, origin)
    await client.ask(query(b"begin"))
    await client.ask(query(b"insert into shop.orders values (3)"))
    await client.ask(query(b"prepare transaction 'two'"))
    assert str(shop["orders"]) in told(edge)
    edge.heard.clear()
    await client.ask(query(b"commit prepared 'two'"))
    assert told(edge)[0] in ("all", "meaning")
    assert told(edge)[-1] == "Z"


@beside
async def test_an_execute_is_what_it_executes(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge, client = await ready(side, origin)
    await client.ask(query(b"prepare p as insert into shop.orders values ($1)"))
    edge.heard.clear()
    await client.ask(query(b"execute p(8)"))
    assert told(edge)[-2:] == [str(shop["orders"]), "Z"]
    edge.heard.clear()
    await client.ask(query(b"execute p(shop.save(9))"))
    assert told(edge)[-2:] == ["all", "Z"], "its arguments may write too"
    edge.heard.clear()
    await client.ask(query(b"begin; prepare q as delete from shop.orders; execute q; commit"))
    assert "all" in told(edge)


@beside
async def test_a_statement_that_is_streamed_counts_as_everything(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge, client = await ready(side, origin)
    long = b"/*" + b"x" * (2 << 20) + b"*/"
    await client.ask(parse(b"s", b"select 1" + long), sync())
    edge.heard.clear()
    await client.ask(bind(b"", b"s"), execute(), sync())
    assert {"all", "meaning"} & set(told(edge)[:-1])
    edge.heard.clear()
    await client.ask(query(b"select 1" + long))
    assert {"all", "meaning"} & set(told(edge)[:-1])


@beside
async def test_ddl_is_told_with_the_meaning_of_statements(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge, client = await ready(side, origin)
    await client.ask(query(b"create table shop.fresh (id int)"))
    assert "meaning" in told(edge)[:-1]
    assert told(edge)[-1] == "Z"
    await side.known()
    await until(lambda: side.tenant.knowledge.cache.reach is not None)
    edge.heard.clear()
    client.send(query(b"begin; drop table shop.fresh; commit; select repeat('x', 20000); select pg_sleep(72)"))
    await active(origin, "pg_sleep(72)")
    await until(lambda: "+" in told(edge))
    assert "meaning" in told(edge)[: told(edge).index("+")]
    client.cancel()
    await client.answer()


@beside
async def test_while_the_catalogue_is_unknown_a_write_is_everything(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge, client = await ready(side, origin)
    side.tenant.knowledge.drop_catalog()
    await client.ask(query(b"insert into shop.prices values (3, 300)"))
    assert told(edge)[-2:] == ["all", "Z"]


@beside
async def test_a_write_that_was_judged_before_ddl_is_everything(side: PoolSide, origin: Origin, shop: Oids) -> None:
    """Its statement waited for the lock of a trigger's transaction, so the trigger fires, and was not foreseen."""
    edge, client = await ready(side, origin)
    with origin.connect() as connection, connection.transaction():
        connection.execute(
            "create trigger audit after insert on shop.prices for each row execute function shop.write_log()"
        )
        await client.ask(query(b"begin"))
        client.send(query(b"insert into shop.prices values (74, 1)"))
        await active(origin, "values (74, 1)")
    await client.answer()
    before = side.tenant.knowledge.cache.digest
    side.tick(CATALOG_AGE_S + 1)
    await until(lambda: side.tenant.knowledge.cache.digest not in ("", before))
    edge.heard.clear()
    await client.ask(query(b"commit"))
    assert told(edge)[-2:] == ["all", "Z"], "its trigger has written to a table whose answers may have been kept since"


@beside
async def test_what_a_write_changes_elsewhere_is_told_too(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge, client = await ready(side, origin)
    await client.ask(query(b"delete from shop.orders where id = 1"))
    cascaded = " ".join(map(str, sorted((shop["orders"], shop["lines"]))))
    assert told(edge) == [cascaded, "Z"]
    edge.heard.clear()
    await client.ask(query(b"insert into shop.audited values (1)"))
    written = told(edge)[0]
    assert written == "all" or {str(shop["audited"]), str(shop["log"])} <= set(written.split())
    edge.heard.clear()
    await client.ask(query(b"select shop.save(1)"))
    written = told(edge)[0]
    assert written == "all" or str(shop["log"]) in written.split()


@beside
async def test_a_procedure_that_commits_is_told_before_its_reply(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge, client = await ready(side, origin)
    await client.ask(query(b"call shop.save_twice(1)"))
    assert told(edge)[-2:] == ["all", "Z"]


@beside
async def test_a_statement_prepared_before_is_known_by_its_name(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge, client = await ready(side, origin)
    await client.ask(parse(b"s", b"update shop.prices set price = $1"), sync())
    await side.quiet()
    edge.heard.clear()
    await client.ask(bind(b"", b"s", [b"5"]), execute(), sync())
    assert told(edge)[-2:] == [str(shop["prices"]), "Z"]
    edge.heard.clear()
    await client.ask(parse(b"t", b"delete from shop.orders"), sync())
    assert set(told(edge)) == {"Z"}, "what is only parsed writes nothing"


# --- the end of a connection, a client, an edge ---


@beside
async def test_a_connection_lost_with_a_write_counts_as_committed(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge, client = await ready(side, origin)
    client.send(query(b"insert into shop.orders select 3 from pg_sleep(73)"))
    await active(origin, "pg_sleep(73)")
    (leased,) = side.tenant.pool.leased
    leased.lost("the network broke")
    await until(lambda: told(edge))
    assert told(edge)[0] == str(shop["orders"])
    await until(lambda: side.tenant.publishing.in_doubt == frozenset({shop["orders"]}))
    with origin.connect() as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'Onetrip' and query like '%pg_sleep(73)%'"
        )
    await until(lambda: not side.tenant.publishing.in_doubt)
    await until(lambda: told(edge).count(str(shop["orders"])) == 2)


@pytest.fixture
def pooler(origin: Origin) -> Iterator[int]:
    """The port of a PgBouncer in front of the origin."""
    with tempfile.TemporaryDirectory(prefix="onetrip-") as directory, open_pooler(origin, Path(directory)) as port:
        yield port


@beside
async def test_behind_another_pooler_a_lost_connection_is_in_doubt_until_what_ran_then_is_over(
    side: PoolSide, origin: Origin, shop: Oids, pooler: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose backends have other numbers than those that it gives to its clients."""
    monkeypatch.setattr(publishing, "LOOK_AGAIN_S", 0.02)
    edge, client = await ready(side, origin, port=pooler)
    client.send(query(b"insert into shop.orders select 3 from pg_sleep(76)"))
    await active(origin, "pg_sleep(76)")
    (leased,) = side.tenant.pool.leased
    leased.lost("the network broke")
    await until(lambda: told(edge))
    assert told(edge)[0] == str(shop["orders"])
    looks = side.tenant.pool.total_leases
    await until(lambda: side.tenant.pool.total_leases >= looks + 5)
    assert side.tenant.publishing.in_doubt == frozenset({shop["orders"]}), "it is at work still"
    await side.edge().client().ask(query(b"select 1"))
    with origin.connect() as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where query like 'insert%pg_sleep(76)%'"
        )
    await until(lambda: not side.tenant.publishing.in_doubt)
    await until(lambda: told(edge).count(str(shop["orders"])) == 2)


@pytest.mark.parametrize("user", ["by_scram", "by_password"])
@pytest.mark.parametrize("is_new", [True, False], ids=["this one is new", "another one is gone"])
@beside
async def test_nothing_is_kept_until_what_another_node_has_left_running_is_over(
    side: PoolSide, origin: Origin, shop: Oids, user: str, *, is_new: bool
) -> None:
    """A pool node that has died may have left a statement running, which commits later, for whatever configuration."""

    def run(sql: bytes) -> None:
        with psycopg.connect(origin.url(user)) as connection, suppress(psycopg.errors.QueryCanceled):
            connection.execute(sql)

    def cancel() -> None:
        with origin.connect() as connection:
            connection.execute(
                "select pg_cancel_backend(pid) from pg_stat_activity where query = 'select pg_sleep(75)'"
            )

    if not is_new:
        edge, _ = await ready(side, origin)
        assert side.tenant.publishing.in_doubt == frozenset()
    side.nursery.start_soon(trio.to_thread.run_sync, run, b"select pg_sleep(75)")
    await active(origin, "pg_sleep(75)")
    if is_new:
        edge = side.serve(origin)
    else:
        side.tenants.others_missed()
        side.tick()
    await side.known()
    assert side.tenant.publishing.in_doubt is None
    edge.ask(client := edge.client())
    await client.ask(query(b"select price from shop.prices"))
    assert [frame.verdict.why for frame in edge.heard if frame.HasField("verdict")] == ["outcome unknown"]
    cancel()
    await until(lambda: side.tenant.publishing.in_doubt == frozenset())
    await until(lambda: "all" in told(edge))


@beside
async def test_what_a_client_has_sent_before_it_left_is_told(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge, client = await ready(side, origin)
    for sql in (b"begin", b"insert into shop.orders values (3)"):
        await client.ask(query(sql))
    client.send(query(b"commit"))
    client.leave(Reason.TERMINATED)
    await until(lambda: str(shop["orders"]) in told(edge))


@beside
async def test_what_a_lost_client_leaves_open_is_rolled_back_and_not_told(
    side: PoolSide, origin: Origin, shop: Oids
) -> None:
    edge, client = await ready(side, origin)
    for sql in (b"begin", b"insert into shop.orders values (3)"):
        await client.ask(query(sql))
    client.leave()
    await side.quiet()
    assert str(shop["orders"]) not in told(edge)
    again = edge.client()
    edge.heard.clear()
    await again.ask(query(b"select count(*) from shop.orders"))
    assert told(edge)[-1] == "Z"
    assert str(shop["orders"]) not in told(edge)


@beside
async def test_an_edge_that_is_lost_in_a_commit_is_no_reason_not_to_tell(
    side: PoolSide, origin: Origin, shop: Oids
) -> None:
    edge, client = await ready(side, origin)
    other = side.edge()
    await turns()
    client.send(query(b"insert into shop.orders select 3 from pg_sleep(2)"))
    await active(origin, "pg_sleep(2)")
    edge.cut()
    await until(lambda: told(other) and told(other)[0] == str(shop["orders"]))


# --- several configurations ---


@beside
async def test_configurations_with_one_database_hear_of_each_other(side: PoolSide, origin: Origin, shop: Oids) -> None:
    made = configuration_for(origin, caching=OFF)
    side.tenants.put(msgspec.structs.replace(made, name="other", caching=Caching()), OriginSecret(password=PASSWORD))
    edge, client = await ready(side, origin, caching=OFF)
    await client.ask(query(b"insert into shop.prices values (3, 300)"))
    assert told(edge, name="other") == [str(shop["prices"]), "Z"]
    assert told(edge) == ["Z"], "this one keeps nothing"
    edge.heard.clear()
    await client.ask(query(b"create table shop.fresh (id int)"))
    assert "meaning" in told(edge, name="other")[:-1]


@beside
async def test_while_nobody_caches_nothing_is_looked_at(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge = side.serve(origin, caching=OFF)
    await side.known()
    assert side.tenant.knowledge.cache.reach is None
    client = edge.client()
    await client.ask(query(b"begin"))
    await client.ask(query(b"insert into shop.orders values (3)"))
    (leased,) = side.tenant.pool.leased
    assert not leased.watching.is_on
    edge.heard.clear()
    side.put(configuration_for(origin, version=2))
    assert leased.watching.is_on
    await client.ask(query(b"commit"))
    assert told(edge)[-2:] == ["all", "Z"], "what the lease did before nobody knows"
