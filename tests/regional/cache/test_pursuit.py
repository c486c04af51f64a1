"""One attempt at following a real PostgreSQL: what counts as seen, as told, as behind."""

import tracemalloc
from functools import partial

import psycopg
import pytest
import trio

from regional.cache import following, pursuit
from regional.cache.progress import Unseen
from tests.regional.cache.followed import Database, Follower
from tests.support.beside import PoolSide, beside, until

# Longer than a commit needs to be decoded, asked about and published; nothing comes is shown by waiting so long.
QUIET_S = 0.3


@beside
async def test_a_commit_is_published_when_others_see_it(
    side: PoolSide, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With synchronous replication it is decoded long before."""
    follower = Follower(side, database)
    await follower.ready("item")
    decoded: list[int] = []
    real = Unseen.add

    def noted(unseen: Unseen, xid: int, tables: frozenset[int] | None) -> None:
        decoded.append(xid)
        real(unseen, xid, tables)

    monkeypatch.setattr(Unseen, "add", noted)
    insert = "set synchronous_commit = on; insert into item values (5, 'five')"
    with database.origin.connect() as admin:
        _reload(admin, "alter system set synchronous_standby_names = 'nobody'")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(trio.to_thread.run_sync, lambda: _run_as_one(database, insert)))
            try:
                await until(lambda: decoded)
                await trio.sleep(QUIET_S)
                assert database.ask("select count(*)::int from item") == [1]
                assert follower.published == []
                assert follower.follows("item")
            finally:
                _reload(admin, "alter system reset synchronous_standby_names")
    await follower.told("item")


def _run_as_one(database: Database, text: str) -> None:
    with database.connect() as connection:
        for statement in text.split(";"):
            connection.execute(statement.encode())


def _reload(admin: psycopg.Connection[tuple[object, ...]], statement: str) -> None:
    admin.execute(statement.encode())
    admin.execute("select pg_reload_conf()")


@pytest.mark.parametrize(
    "rows",
    ["n, repeat('x', 200) from generate_series(10, 100010) n", "10, repeat('x', 20 << 20)"],
    ids=["many", "wide"],
)
@beside
async def test_a_big_transaction_costs_one_set_of_tables(side: PoolSide, database: Database, rows: str) -> None:
    follower = Follower(side, database)
    await follower.ready("item")
    item = database.oids("item")
    insert = f"insert into item select {rows}"
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    try:
        await trio.to_thread.run_sync(database.run, insert)
        await until(lambda: follower.published, timeout_s=30)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert set(follower.published) <= {item, None}  # on a slow machine it takes too long to keep answers meanwhile
    assert peak - before < 2 << 20  # of some 25 MB


@beside
async def test_a_transaction_that_wrote_before_its_table_was_published_is_waited_for(
    side: PoolSide, database: Database
) -> None:
    """PostgreSQL decodes it as the publication was when it wrote, so it would not be told."""
    follower = Follower(side, database)
    await follower.ready("item")
    database.run("create table fresh (id int primary key)")
    with database.connect(autocommit=False) as connection:
        connection.execute("insert into fresh values (1)")
        follower.following.renew()
        await until(lambda: "fresh" in database.published())
        await trio.sleep(2 * pursuit.LOOK_EVERY_S)
        assert not follower.follows("fresh")
        assert follower.follows("item")
        connection.execute("insert into item values (9, 'nine')")
    fresh = database.oids("fresh")
    await until(lambda: follower.following.follows(fresh))
    assert database.oids("item") in follower.published


@beside
async def test_the_log_that_is_kept_for_us_is_bounded(
    side: PoolSide, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that stays open holds the slot back, however quickly we confirm."""
    monkeypatch.setattr(pursuit, "MAX_RETAINED_BYTES", 4 << 20)
    follower = Follower(side, database)
    await follower.ready("item")
    with database.connect(autocommit=False) as connection:
        connection.execute("insert into item values (9, 'nine')")
        database.run("select pg_logical_emit_message(true, 'test', repeat('x', 6 << 20))")
        await until(lambda: follower.published == [None])
        assert "MiB of its log" in follower.following.reason
        await until(lambda: not database.slots())
    await follower.ready("item")


@beside
async def test_half_a_record_at_the_end_of_the_log_is_no_backlog(
    side: PoolSide, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole pages of the log are written out before their transaction ends; the rest may wait for long."""
    monkeypatch.setattr(pursuit, "LOOK_EVERY_S", 0.2)
    monkeypatch.setattr(following, "FRESH_S", 1.0)
    follower = Follower(side, database)
    await follower.ready("item")
    item = database.oids("item")
    with database.connect(autocommit=False) as connection:
        connection.execute("insert into item select n, repeat('x', 500) from generate_series(10, 110) n")
        await trio.sleep(2)
        assert follower.following.follows(item)
        assert follower.published == []
