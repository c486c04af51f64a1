"""What was parsed before a change that concerns it is out of date, whatever comes in between."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.pg.messages import bind, describe_statement, execute, parse, query, sync
from regional import meaning as module
from regional.configuration import Early
from regional.knowledge import CATALOG_AGE_S
from regional.meaning import Meaning
from tests.support.beside import Edge, PoolSide, beside, turns, until
from tests.support.cluster import Origin
from tests.support.told import WRONG, Told, digest_in

Direct = psycopg.Connection[tuple[Any, ...]]
NAMES = [b"a", b"b", b"c"]


def test_what_was_parsed_before_a_change_is_out_of_date() -> None:
    meaning = Meaning()
    before = meaning.now
    assert meaning.is_current(b"a", before)
    meaning.changed()
    assert not meaning.is_current(b"a", before)
    assert meaning.is_current(b"a", meaning.now)


def test_a_doubt_concerns_its_statement_only() -> None:
    meaning = Meaning()
    before = meaning.now
    meaning.doubt(b"a")
    assert not meaning.is_current(b"a", before)
    assert meaning.is_current(b"b", before)
    assert meaning.is_current(b"a", meaning.now)


def test_the_number_of_doubts_is_bounded() -> None:
    meaning = Meaning()
    before = meaning.now
    for number in range(module.MAX_DOUBTED + 1):
        meaning.doubt(b"%d" % number)
    assert not meaning.is_current(b"never mentioned", before)
    assert not meaning._doubted


def test_descriptions_last_until_something_concerns_them() -> None:
    meaning = Meaning()
    for name in NAMES:
        meaning.learn(name, b"described " + name)
    assert meaning.description_of(b"a") == b"described a"
    meaning.doubt(b"a")
    assert not meaning.description_of(b"a")
    assert meaning.description_of(b"b")
    meaning.changed()
    assert not meaning.description_of(b"b")


def test_the_size_of_descriptions_is_bounded() -> None:
    meaning = Meaning()
    for number in range(200):
        meaning.learn(b"%d" % number, b"x" * 100_000)
        meaning.learn(b"%d" % number, b"y" * 100_000)
    kept = [number for number in range(200) if meaning.description_of(b"%d" % number)]
    assert kept == list(range(200 - len(kept), 200))
    assert 30 < len(kept) < 42


@given(st.lists(st.one_of(st.just(None), st.sampled_from(NAMES), st.tuples(st.sampled_from(NAMES)))))
def test_a_statement_is_current_if_nothing_concerned_it_since(steps: list[bytes | tuple[bytes] | None]) -> None:
    """None: all change; a name: it is doubted; a tuple: it is parsed."""
    meaning, moments, current = Meaning(), dict[bytes, int](), dict[bytes, bool]()
    for step in steps:
        match step:
            case None:
                meaning.changed()
                current = dict.fromkeys(current, False)
            case bytes():
                meaning.doubt(step)
                if step in current:
                    current[step] = False
            case (name,):
                moments[name] = meaning.now
                current[name] = True
        assert {name: meaning.is_current(name, moment) for name, moment in moments.items()} == current


# --- what a pool node makes of it, against a real PostgreSQL ---


@pytest.fixture
def direct(origin: Origin) -> Iterator[Direct]:
    """A way around us, with the table `meant`, which has one column."""
    with origin.connect(origin.database) as connection:
        connection.execute("set lock_timeout = 5000")
        connection.execute("drop table if exists meant; create table meant (a int); grant all on meant to public")
        connection.execute("alter table meant owner to by_scram")
        yield connection


SQL = b"select * from meant"
PREPARE = (parse(b"s", SQL), describe_statement(b"s"), sync())


def invalidations(edge: Edge) -> int:
    return sum(frame.HasField("invalidate") and frame.invalidate.meaning for frame in edge.frames)


@beside
async def test_a_statement_is_parsed_anew_for_who_comes_after_ddl(
    side: PoolSide, origin: Origin, direct: Direct
) -> None:
    edge = side.serve(origin)
    await side.alone()
    before, after = edge.client(), edge.client()
    first = await before.ask(*PREPARE)
    assert first.tags == "1tTZ"
    await before.ask(query(b"alter table meant add b text"))
    await side.quiet()
    await side.alone()
    second = await after.ask(*PREPARE)
    assert second.tags == "1tTZ", "0A000 would be the first session's"
    assert digest_in(second) != digest_in(first)
    when = query(b"select prepare_time from pg_prepared_statements where name like 'onetrip:%'")
    made = (await after.ask(when)).value
    assert (await edge.client().ask(*PREPARE)).tags == "1tTZ"
    assert (await after.ask(when)).value == made, "once is enough"


@beside
async def test_ddl_that_went_another_way_costs_one_0a000(side: PoolSide, origin: Origin, direct: Direct) -> None:
    edge = side.serve(origin, origin_connection_limit=5, early=Early(begin=False))
    await side.known()
    holders = [edge.client() for _ in range(3)]
    for each in holders:
        await each.ask(query(b"begin"))
        await each.ask(*PREPARE)
    for each in holders:
        await each.ask(query(b"commit"))
    direct.execute("alter table meant add b text")
    assert (await edge.client().ask(*PREPARE)).code == "0A000"
    told = [frame.description.description for frame in edge.frames if frame.HasField("description")]
    assert (told[-1], told.count(b"")) == (b"", 1), "how it is described is not known any more"
    holders = [edge.client() for _ in range(3)]
    for each in holders:
        await each.ask(query(b"begin"))
    for each in holders:
        assert (await each.ask(*PREPARE)).tags == "1tTZ", "nowhere else"
    told = [frame.description.description for frame in edge.frames if frame.HasField("description")]
    assert told.count(b"") == 1


@beside
async def test_a_session_gets_the_0a000_of_its_own_statement(side: PoolSide, origin: Origin, direct: Direct) -> None:
    edge = side.serve(origin)
    await side.alone()
    client = edge.client()
    await client.ask(*PREPARE)
    await edge.client().ask(query(b"alter table meant add b text"))
    await side.quiet()
    await side.alone()
    assert (await client.ask(bind(b"", b"s"), execute(), sync())).code == "0A000"


@pytest.mark.parametrize(
    ("sql", "is_uncertain"),
    [
        (b"alter table meant add b text", True),
        (b"create temp table meant (x text) on commit drop", True),
        (b"create temp table hidden_meant (x text)", True),
        (b"drop table meant", True),
        (b"create index on meant (a)", True),
        (b"set search_path = pg_catalog", True),
        (b"set local datestyle = german", True),
        (b"set role none", True),
        (b"do $$ begin execute 'create view seen_meant as select 1'; end $$", True),
        (b"not understood", True),
        (b"select 1", False),
        (b"insert into meant values (1)", False),
        (b"set local my.own = '1'", False),
        (b"select pg_advisory_xact_lock(1)", False),
    ],
)
@beside
async def test_a_transaction_says_if_it_changes_what_statements_mean(
    side: PoolSide, origin: Origin, direct: Direct, sql: bytes, *, is_uncertain: bool
) -> None:
    edge = side.serve(origin)
    await side.alone()
    client = Told(edge)
    await client.ask(query(b"begin"))
    assert not client.is_uncertain
    await client.ask(query(sql))
    assert client.is_uncertain == is_uncertain
    await client.ask(query(b"select 2"))
    assert client.is_uncertain == is_uncertain
    await client.ask(query(b"rollback"))
    assert client.status == ord("I")
    assert not client.is_uncertain
    await side.quiet()
    await client.ask(query(b"begin"))
    assert not client.is_uncertain


@pytest.mark.parametrize(
    "texts",
    [
        (b"alter table meant add b text",),
        (b"begin", b"alter table meant add b text", b"select 1", b"commit"),
        (b"drop table meant",),
        (b"create function meant_f() returns int language sql as 'select 1'",),
    ],
)
@beside
async def test_every_edge_hears_of_ddl_before_its_client_does(
    side: PoolSide, origin: Origin, direct: Direct, texts: tuple[bytes, ...]
) -> None:
    edges = [side.serve(origin), side.edge()]
    await side.alone()
    client = Told(edges[0])
    heard: list[list[int]] = []
    client.on_settled = lambda: heard.append([invalidations(edge) for edge in edges])
    try:
        for text in texts:
            await client.ask(query(text))
    finally:
        direct.execute("drop function if exists meant_f()")
    assert heard[-1][0] == 1
    assert [counts[0] for counts in heard[:-1]] == [0] * (len(texts) - 1), "nothing has changed for others before"
    await turns()
    assert [invalidations(edge) for edge in edges] == [1, 1]


@beside
async def test_ddl_in_the_middle_of_a_pipeline_is_told_with_its_own_answer(
    side: PoolSide, origin: Origin, direct: Direct
) -> None:
    edge = side.serve(origin)
    await side.alone()
    client = edge.client()
    client.send(query(b"alter table meant add b text"), query(b"select 'x' from pg_sleep(0.5)"))
    await until(lambda: client.settled == 1)
    assert invalidations(edge) == 1


@beside
async def test_ddl_on_a_connection_that_is_lost_may_have_been_done(
    side: PoolSide, origin: Origin, direct: Direct
) -> None:
    edge = side.serve(origin)
    await side.alone()
    client = edge.client()
    await client.ask(query(b"begin"), query(b"alter table meant add b text"))
    (connected,) = side.tenant.pool.leased
    direct.execute("select pg_terminate_backend(%s)", (connected.process_id,))
    await client.ended()
    assert invalidations(edge) in (1, 2)
    await until(lambda: invalidations(edge) == 2)  # once more when its backend is gone, which may commit till then


@pytest.mark.parametrize(
    ("sql", "is_told"),
    [
        ("alter table meant add b text", True),
        ("alter table meant rename a to b", True),
        ("alter table meant alter a type bigint", True),
        ("create table meant_other (a int)", True),
        ("create type meant_type as (a int, b int)", True),
        ("create or replace function meant_f() returns bigint language sql as 'select 1::bigint'", True),
        ("create temp table meant (a text)", False),
        ("analyze meant; insert into meant select 1; vacuum meant", False),
        ("select 1", False),
    ],
)
@beside
async def test_ddl_that_went_another_way_shows_in_the_catalogue(
    side: PoolSide, origin: Origin, direct: Direct, sql: str, *, is_told: bool
) -> None:
    direct.execute(
        "drop table if exists meant_other; drop type if exists meant_type; drop function if exists meant_f()"
    )
    edge = side.serve(origin)
    await side.known()
    for statement in sql.split(";"):
        direct.execute(statement)
    side.tick(CATALOG_AGE_S + 1)
    await side.quiet()
    await turns()
    assert invalidations(edge) == is_told
    direct.execute(
        "drop table if exists meant_other; drop type if exists meant_type; drop function if exists meant_f()"
    )


@beside
async def test_what_a_transaction_sees_of_its_own_ddl_is_told_to_nobody(
    side: PoolSide, origin: Origin, direct: Direct
) -> None:
    edge = side.serve(origin, early=Early(begin=False, prepare=False))
    await side.alone()
    client = Told(edge)
    digest = await client.learn(b"s", SQL)
    await client.ask(query(b"begin"), query(b"alter table meant add b text"))
    client.tell(WRONG)
    assert (await client.ask(bind(b"", b"s"), execute(), sync())).code == "0A000"
    await client.ask(query(b"rollback"))
    assert not [frame for frame in edge.frames if frame.HasField("description")]
    client.tell(digest)
    assert (await client.ask(bind(b"", b"s"), execute(), sync())).tags == "2CZ"
