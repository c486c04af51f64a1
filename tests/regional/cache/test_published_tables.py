"""Which tables of a real PostgreSQL are followed, and that the publication hurts nobody."""

import pytest

from regional.cache import pursuit
from regional.cache.publication import publication_name
from tests.regional.cache.followed import USER, Database, Follower
from tests.support.beside import PoolSide, beside, until


@beside
async def test_only_tables_that_logical_decoding_can_follow_are_followed(side: PoolSide, database: Database) -> None:
    follower = Follower(side, database)
    await follower.ready("item", "other", "whole", "measure", "measure_1", "item_view")
    for name in ("keyless", "scratch", "late", "item_copy"):
        assert not follower.follows(name)
        assert not follower.follows("item", name)
    assert database.published() == ["item", "measure_1", "measure_2", "other", "whole"]


@beside
async def test_tables_without_a_replica_identity_can_still_be_written(side: PoolSide, database: Database) -> None:
    follower = Follower(side, database)
    await follower.ready("item")
    database.run(
        "update keyless set name = 'two'", "delete from keyless",
        "insert into late values (1)", "update late set name = 'a'", "delete from late",
        "update scratch set id = 2", "refresh materialized view item_copy",
    )  # fmt: skip


@beside
async def test_a_new_table_is_followed_and_the_others_are_all_the_while(side: PoolSide, database: Database) -> None:
    follower = Follower(side, database)
    await follower.ready("item")
    database.run("create table fresh (id int primary key)")
    follower.following.renew()
    item, fresh = database.oids("item"), database.oids("fresh")

    def is_there() -> bool:
        assert follower.following.follows(item)
        return follower.following.follows(fresh)

    await until(is_there)
    assert follower.published == []
    database.run("insert into fresh values (1)", "insert into item values (9, 'nine')")
    await until(lambda: frozenset().union(*map(_tables, follower.published)) == item | fresh)
    await until(lambda: len(database.slots()) == 1)


def _tables(published: frozenset[int] | None) -> frozenset[int]:
    assert published is not None
    return published


@beside
async def test_a_table_that_loses_its_key_is_unpublished_and_invalidated(side: PoolSide, database: Database) -> None:
    follower = Follower(side, database)
    await follower.ready("item", "other")
    database.run("alter table other drop constraint other_pkey")
    follower.following.renew()
    await follower.told("other")
    await until(lambda: "other" not in database.published())
    assert not follower.follows("other")
    assert follower.follows("item")
    database.run("update other set name = 'new'")


@beside
async def test_a_locked_table_is_left_for_later(
    side: PoolSide, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pursuit, "TABLES_EVERY_S", 0.2)
    with database.connect(autocommit=False) as connection:
        connection.execute("lock table other in share update exclusive mode")
        follower = Follower(side, database)
        await follower.ready("item")
        assert not follower.follows("other")
    await follower.ready("other")


@beside
async def test_tables_of_somebody_else_are_not_followed(side: PoolSide, database: Database) -> None:
    with database.connect(database.origin.superuser) as connection:
        connection.execute("alter table other owner to by_scram")
    follower = Follower(side, database)
    await follower.ready("item")
    assert not follower.follows("other")
    assert follower.following.unowned == 1


@beside
async def test_whoever_drops_the_publication_is_noticed(side: PoolSide, database: Database) -> None:
    follower = Follower(side, database)
    await follower.ready("item")
    database.run(f'drop publication "{publication_name(USER)}"')
    database.run("update item set name = 'untold'")
    # The stream ends, and everything is invalidated; since PostgreSQL 18 it goes on and tells nothing.
    item = database.oids("item")
    await until(lambda: any(tables is None or item <= tables for tables in follower.published))
    await follower.ready("item")
    database.run("update item set name = 'told'")
    await follower.told("item")


@beside
async def test_two_followers_of_one_database_share_a_publication(side: PoolSide, database: Database) -> None:
    one, two = Follower(side, database), Follower(side, database)
    await one.ready("item")
    await two.ready("item")
    database.run("create table fresh (id int primary key)")
    one.following.renew()
    await one.ready("fresh")
    await two.ready("fresh")  # nobody has told it
    database.run("insert into fresh values (1)")
    await one.told("fresh")
    await two.told("fresh")
