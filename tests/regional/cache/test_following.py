"""Following a real PostgreSQL: what is published of writes that nobody told of, and why nothing is."""

import tempfile
import time
from pathlib import Path

import pytest
import trio
from structlog.testing import capture_logs

from regional.cache import following
from regional.cache.following import BEHIND, drop_publication
from regional.cache.publication import COMMENT, publication_name
from regional.configuration import OriginSecret
from tests.regional.cache.followed import USER, Database, Follower, open_database
from tests.support.beside import PoolSide, beside, until
from tests.support.cluster import open_origin

# Longer than a commit needs to be decoded, asked about and published; nothing comes is shown by waiting so long.
QUIET_S = 0.3


@beside
async def test_a_write_past_onetrip_is_published_when_it_has_committed(side: PoolSide, database: Database) -> None:
    follower = Follower(side, database)
    await follower.ready("item", "other")
    database.run("insert into item values (2, 'two')")
    await follower.told("item")
    database.run("update other set name = 'new'")
    await follower.told("other")
    database.run("delete from item")
    await follower.told("item")


@beside
async def test_nothing_is_published_of_what_has_not_committed(side: PoolSide, database: Database) -> None:
    follower = Follower(side, database)
    await follower.ready("item")
    with database.connect(autocommit=False) as connection:
        connection.execute("insert into item values (3, 'three')")
        connection.execute("savepoint a; insert into other values (3, 'three'); rollback to a")
        await trio.sleep(QUIET_S)
        assert follower.published == []
        connection.commit()
        await follower.told("item")
        connection.execute("insert into item values (4, 'four')")
        connection.rollback()
    await trio.sleep(QUIET_S)
    assert follower.published == []


@beside
async def test_truncate_and_partitions_are_published_by_the_tables_that_hold_rows(
    side: PoolSide, database: Database
) -> None:
    follower = Follower(side, database)
    await follower.ready("measure", "measure_1", "measure_2", "item_view")
    database.run("insert into measure values (1, 11)")
    await follower.told("measure_2")
    database.run("update measure set day = 5")
    await follower.told("measure_1", "measure_2")
    database.run("truncate measure")
    await follower.told("measure_1", "measure_2")
    database.run("truncate item, other")
    await follower.told("item", "other")


@beside
async def test_silence_invalidates_everything(
    side: PoolSide, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    forwarder = await side.forwarder(database.origin)
    follower = Follower(side, database, port=forwarder.port)
    await follower.ready("item")
    forwarder.hold()
    began = time.monotonic()
    monkeypatch.setattr(following, "FRESH_S", 1.0)
    await until(lambda: follower.published)
    assert 0.3 < time.monotonic() - began < 3
    assert follower.published == [None]
    assert follower.following.reason == BEHIND
    assert not follower.follows("item")
    database.run("update item set name = 'meanwhile'")
    forwarder.release()
    item = database.oids("item")
    await until(lambda: follower.following.follows(item))
    await until(lambda: item in follower.published)


@beside
async def test_a_user_that_may_not_replicate_reads_the_cure(side: PoolSide, database: Database) -> None:
    with database.connect(database.origin.superuser) as connection:
        connection.execute(f"alter table item owner to by_scram; grant create on database {database.name} to by_scram")
    with capture_logs() as logs:
        follower = Follower(side, database, user="by_scram")
        await until(lambda: "ALTER ROLE" in follower.following.reason)
        assert not follower.follows("item")
        await until(lambda: logs)
    (line,) = [line for line in logs if line["event"].startswith("the origin's writes are not followed")]
    assert 'ALTER ROLE "by_scram" REPLICATION' in line["why"]


@beside
async def test_a_user_that_may_not_publish_reads_the_cure(side: PoolSide, database: Database) -> None:
    follower = Follower(side, database, user="by_scram")
    await until(lambda: "GRANT CREATE ON DATABASE" in follower.following.reason)


def test_an_origin_without_logical_decoding_says_so() -> None:
    place = tempfile.TemporaryDirectory(prefix="onetrip-", ignore_cleanup_errors=True)
    settings = {"wal_level": "replica", "max_wal_senders": "1"}
    with place as directory, open_origin(Path(directory), **settings) as origin, open_database(origin) as database:
        _expect_reason(database, "wal_level is replica; set wal_level = logical")


@beside
async def _expect_reason(side: PoolSide, database: Database, reason: str) -> None:
    follower = Follower(side, database)
    await until(lambda: reason in follower.following.reason)
    assert not follower.follows("item")
    assert database.published() == []


@beside
async def test_the_publication_is_told_from_others_and_dropped(side: PoolSide, database: Database) -> None:
    follower = Follower(side, database)
    await follower.ready("item")
    follower.end()
    await until(lambda: not database.slots())
    assert publication_name(USER) == "onetrip_cache_follower"
    described = "select obj_description(oid, 'pg_publication') from pg_publication"
    assert database.ask(described) == [COMMENT]
    secret = OriginSecret(password=database.origin.password)
    assert await drop_publication(side.tenants.dialer, database.configuration(), secret) == ""
    assert database.ask("select count(*)::int from pg_publication") == [0]
    assert await drop_publication(side.tenants.dialer, database.configuration(), OriginSecret(password="no")) != ""


@beside
async def test_the_end_of_following_invalidates_everything(side: PoolSide, database: Database) -> None:
    follower = Follower(side, database)
    await follower.ready("item")
    follower.end()
    await until(lambda: follower.published == [None])
    assert not follower.follows("item")
