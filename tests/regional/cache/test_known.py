"""What is known of an origin for the cache: when it is news, and when it is forgotten."""

import pytest

from protos.pg.messages import bind, execute, parse, query, sync
from tests.regional.cache.conftest import Oids
from tests.support.beside import PoolSide, beside, configuration_for, until
from tests.support.cluster import Origin


async def known(side: PoolSide) -> None:
    """Read the catalogue again; nothing may be on its way, or it would be too late."""
    await side.quiet()
    side.tick(40)
    await until(lambda: side.tenant.knowledge.cache.reach is not None)
    await side.quiet()


@beside
async def test_the_same_again_changes_nothing(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge = side.serve(origin)
    await side.known()
    cache = side.tenant.knowledge.cache
    reach, generation = cache.reach, cache.generation
    edge.heard.clear()
    await known(side)
    assert cache.reach is reach
    assert cache.generation == generation
    assert not [frame for frame in edge.heard if frame.HasField("invalidate")]


@beside
async def test_ddl_that_went_another_way_is_noticed(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge = side.serve(origin)
    await side.known()
    cache = side.tenant.knowledge.cache
    generation = cache.generation
    with origin.connect() as connection:
        connection.execute("create trigger again after delete on shop.orders execute function shop.write_log()")
    edge.heard.clear()
    await known(side)
    assert cache.generation == generation + 1
    await until(lambda: any(frame.invalidate.meaning for frame in edge.heard))


@beside
async def test_after_ddl_nothing_is_known_and_what_is_read_after_that_of_others_is_no_news(
    side: PoolSide, origin: Origin, shop: Oids
) -> None:
    edge = side.serve(origin)
    await side.known()
    cache = side.tenant.knowledge.cache
    client = edge.client()
    await client.ask(parse(b"s", b"select note from shop.orders"), bind(b"", b"s"), execute(), sync())
    assert cache.writings
    await client.ask(query(b"create table shop.fresh (id int)"))
    assert cache.reach is None
    assert not cache.writings
    assert cache.classifier.reading(b"select 1 from shop.orders").why == "catalogue unknown"
    edge.heard.clear()
    await known(side)
    await until(lambda: any(frame.invalidate.meaning for frame in edge.heard))  # it may show more than our own
    side.tenant.knowledge.others_ddl_seen()
    with origin.connect() as connection:
        connection.execute("create table shop.theirs (id int)")
    await side.quiet()
    edge.heard.clear()
    await known(side)
    assert not [frame for frame in edge.heard if frame.HasField("invalidate")]


@beside
async def test_what_cannot_be_read_again_is_forgotten_in_the_end(side: PoolSide, origin: Origin, shop: Oids) -> None:
    side.serve(origin)
    await side.known()
    side.tenant.retire(lambda connected: True)
    side.tick(70)
    assert side.tenant.knowledge.cache.reach is None


@beside
async def test_what_makes_no_sense_is_not_known(
    side: PoolSide, origin: Origin, shop: Oids, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regional.cache.known.REACH_SNAPSHOT", "select 1")
    side.serve(origin)
    await side.known()
    assert side.tenant.knowledge.cache.reach is None
    assert side.tenant.knowledge.judge.catalog is not None


@beside
async def test_the_database_is_not_certain_after_a_connection_was_lost(
    side: PoolSide, origin: Origin, shop: Oids
) -> None:
    edge = side.serve(origin)
    await side.known()
    cache = side.tenant.knowledge.cache
    database = cache.database
    assert database
    side.tenant.pool.idle[0].lost("the server has gone")
    assert cache.database == ""
    assert cache.reach is not None
    await edge.client().ask(query(b"select 1"))
    side.tick()
    await until(lambda: cache.database == database)


@beside
async def test_edges_are_told_what_the_origin_gives_a_transaction(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge = side.serve(origin)
    await until(lambda: any(frame.HasField("configuration") for frame in edge.heard))
    pushed = [frame.configuration.caching for frame in edge.heard if frame.HasField("configuration")]
    assert pushed[-1].enabled
    assert not pushed[-1].is_read_committed
    await side.known()
    await until(
        lambda: [f.configuration.caching for f in edge.heard if f.HasField("configuration")][-1].is_read_committed
    )
    number = sum(frame.HasField("configuration") for frame in edge.heard)
    await known(side)
    side.put(configuration_for(origin, version=2))
    await until(lambda: sum(frame.HasField("configuration") for frame in edge.heard) == number + 1)


@beside
async def test_what_is_read_again_and_says_the_same_is_not_built_again(
    side: PoolSide, origin: Origin, shop: Oids, monkeypatch: pytest.MonkeyPatch
) -> None:
    side.serve(origin)
    await side.known()
    knowledge, cache = side.tenant.knowledge, side.tenant.knowledge.cache
    reach, catalog = cache.reach, knowledge.judge.catalog
    made: list[int] = []
    monkeypatch.setattr("regional.cache.known.in_turns", lambda work: made.append(1))
    side.tick(40)
    await until(lambda: not knowledge._is_loading)
    await side.quiet()
    knowledge.others_ddl_seen()  # of nothing that is in it
    assert (cache.reach, knowledge.judge.catalog) == (None, None)
    await known(side)
    assert (cache.reach, knowledge.judge.catalog) == (reach, catalog)
    assert not made


# --- settings of the server that clients do not hear of ---


@beside
async def test_a_changed_setting_of_the_server_drops_all_answers(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge = side.serve(origin)
    await side.known()
    cache = side.tenant.knowledge.cache
    generation, connections = cache.generation, set(side.tenant.pool.all())
    try:
        edge.heard.clear()
        for name, value, number in (("log_autovacuum_min_duration", "7777ms", 0), ("bytea_output", "escape", 1)):
            with origin.connect() as connection:
                connection.execute(f"alter system set {name} = '{value}'".encode())
                connection.execute("select pg_reload_conf()")
                while connection.execute(f"show {name}".encode()).fetchone() != (value,):
                    pass
            await known(side)
            assert cache.generation == generation + number, name
        await until(lambda: any(frame.invalidate.meaning for frame in edge.heard))
        assert connections & set(side.tenant.pool.all()), "they have it already"
    finally:
        with origin.connect() as connection:
            connection.execute("alter system reset bytea_output")
            connection.execute("alter system reset log_autovacuum_min_duration")
            connection.execute("select pg_reload_conf()")


@pytest.mark.parametrize("what", ["role by_scram", "database app"])
@beside
async def test_a_setting_for_new_sessions_ends_the_older_ones(
    side: PoolSide, origin: Origin, shop: Oids, what: str
) -> None:
    edge = side.serve(origin)
    await side.known()
    connections = set(side.tenant.pool.all())
    try:
        with origin.connect() as connection:
            connection.execute(f"alter {what} set bytea_output = 'escape'".encode())
        edge.heard.clear()
        await known(side)
        await until(lambda: any(frame.invalidate.meaning for frame in edge.heard))
        assert not connections & set(side.tenant.pool.all())
        assert (await edge.client().ask(query(b"show bytea_output"))).value == b"escape"
    finally:
        with origin.connect() as connection:
            connection.execute(f"alter {what} reset all".encode())
