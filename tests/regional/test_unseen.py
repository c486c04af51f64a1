"""DDL that a function hides: what it makes is known before anybody is harmed by it. Beside a real PostgreSQL."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import psycopg
import pytest
import trio

from protos.pg.messages import bind, execute, parse, query, sync
from regional.exchange import Exchange
from regional.knowledge import CATALOG_AGE_S, Knowledge
from regional.origin import Origin as Lease
from regional.unseen_query import NUMBER_QUERY, STATE_QUERY
from tests.support.beside import PoolSide, active, beside, configuration_for, until
from tests.support.cluster import Origin

Direct = psycopg.Connection[tuple[Any, ...]]

_SCHEMA = """
drop schema if exists hidden cascade; create schema hidden;
create table hidden.items (id int); create table hidden.ledger (id int);
create function hidden.runs(sql text) returns int language plpgsql as 'begin execute sql; return 1; end';
create function hidden.sets() returns trigger language plpgsql as
  $$ begin perform set_config('search_path', 'evil', false); return new; end $$;
"""
TRIGGER = "create trigger t before insert on hidden.items for each row execute function hidden.sets()"
INSERT = query(b"insert into hidden.items values (1)")
SHOW = query(b"show search_path")


@pytest.fixture(autouse=True)
def direct(origin: Origin) -> Iterator[Direct]:
    with origin.connect(origin.database) as connection:
        connection.execute("set role by_scram")  # as whom the pool node logs in
        connection.execute(_SCHEMA.encode())
        try:
            yield connection
        finally:
            connection.execute("drop schema if exists hidden cascade")


def runs(sql: str) -> bytes:
    return query(f"select hidden.runs($x${sql}$x$)".encode())


def is_known(side: PoolSide) -> bool:
    return side.tenant.knowledge.judge.catalog is not None


def last_query(direct: Direct, process_id: int) -> str:
    (text,) = direct.execute("select query from pg_stat_activity where pid = %s", (process_id,)).fetchone() or ("",)
    return str(text)


@pytest.fixture
def exchanges(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What the pool node asks its origin by itself."""
    asked: list[bytes] = []
    run = Lease.run

    def noted(self: Lease, sql: bytes, done: Callable[[Exchange], None]) -> None:
        asked.append(sql)
        run(self, sql, done)

    monkeypatch.setattr(Lease, "run", noted)
    return asked


# --- a lease and what follows it ---


@beside
async def test_what_a_hidden_trigger_sets_is_nobody_else_s(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, session_state="reset")
    one, other, third = edge.client(), edge.client(), edge.client()
    await side.alone()
    assert (await other.ask(INSERT)).tags == "CZ"
    await side.quiet()
    await one.ask(runs(TRIGGER))
    await other.ask(INSERT)
    assert (await third.ask(SHOW)).value == b'"$user", public'


@pytest.mark.parametrize(
    "messages",
    [
        [runs(TRIGGER)],
        [query(b"do $$ begin perform hidden.runs('" + TRIGGER.encode() + b"'); end $$")],
        [query(b"select query_to_xml($q$select hidden.runs('" + TRIGGER.encode() + b"')$q$, true, true, '')")],
        [parse(b"", b"select hidden.runs($1)"), bind(b"", b"", (TRIGGER.encode(),)), execute(), sync()],
        [query(b"begin"), runs(TRIGGER), query(b"commit")],
        [query(b"select '" + b"x" * 9000 + b"'; select hidden.runs('" + TRIGGER.encode() + b"')")],
    ],
    ids=["function", "do", "xml", "argument", "transaction", "long"],
)
@beside
async def test_it_is_known_however_it_was_run(side: PoolSide, origin: Origin, messages: list[bytes]) -> None:
    edge = side.serve(origin)
    client = edge.client()
    await side.alone()
    before = side.tenant.knowledge.judge.generation
    for message in messages if len(messages) == 3 else [b"".join(messages)]:
        await client.ask(message)
    await until(lambda: side.tenant.knowledge.judge.generation > before)
    await side.quiet()
    side.tick()
    await side.known()
    # PostgreSQL 18 says the search_path, too, that the trigger has set.
    assert (await client.ask(INSERT)).tags.replace("S", "") == "CZ"
    assert side.tenant.judge(INSERT[5:-1]).resets_settings


@beside
async def test_what_was_no_ddl_changes_nothing(side: PoolSide, origin: Origin, exchanges: list[bytes]) -> None:
    edge = side.serve(origin)
    client = edge.client()
    await side.alone()
    catalog, generation = side.tenant.knowledge.judge.catalog, side.tenant.knowledge.judge.generation
    for text in (
        "select 1",
        "insert into hidden.ledger values (1)",
        "create temp table mine (a int)",
        "create table hidden.never (a int); do $$ begin raise exception 'no'; end $$",
    ):
        await client.ask(runs(text))
        await side.quiet()
    assert side.tenant.knowledge.judge.catalog is catalog
    assert side.tenant.knowledge.judge.generation == generation
    assert side.tenant.knowledge.doubts.open == side.tenant.knowledge.doubts.told == 0


@beside
async def test_only_what_has_written_to_the_catalogue_is_looked_at_again(
    side: PoolSide, origin: Origin, exchanges: list[bytes]
) -> None:
    edge = side.serve(origin)
    client = edge.client()
    await side.alone()
    await client.ask(runs("select 1"))
    await side.quiet()
    exchanges.clear()
    for _ in range(3):
        await client.ask(runs("select 1"))
        await side.quiet()
    assert exchanges.count(NUMBER_QUERY.encode()) == 3
    assert (STATE_QUERY.encode() in exchanges) == (origin.major < 15)
    await client.ask(runs("create temp table mine (a int)"))
    await side.quiet()
    assert STATE_QUERY.encode() in exchanges


@beside
async def test_who_calls_nothing_that_hides_is_not_asked_about(
    side: PoolSide, origin: Origin, direct: Direct, exchanges: list[bytes]
) -> None:
    direct.execute("create function hidden.unseen_plain() returns int language plpgsql as 'begin return 1; end'")
    edge = side.serve(origin)
    client = edge.client()
    await side.alone()
    exchanges.clear()
    await client.ask(query(b"select hidden.unseen_plain()"))
    await side.quiet()
    assert NUMBER_QUERY.encode() not in exchanges


@beside
async def test_a_state_that_cannot_be_read_is_another(
    side: PoolSide, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = side.serve(origin)
    client = edge.client()
    await side.alone()
    monkeypatch.setattr("regional.unseen.STATE_QUERY", "select 1 / 0")
    monkeypatch.setattr("regional.unseen.NUMBER_QUERY", "select null")
    assert (await client.ask(runs("select 1"))).tags.endswith("Z")
    await until(lambda: not is_known(side))
    await until(lambda: side.tenant.knowledge.doubts.open == 0)


@beside
async def test_a_reading_that_has_begun_does_not_hide_it_again(
    side: PoolSide, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has found the state that is found again, and what is known is older."""
    gate = trio.Event()
    take = Knowledge._take

    async def held_back(self: Knowledge, exchange: Exchange, began: float) -> None:
        await gate.wait()
        await take(self, exchange, began)

    edge = side.serve(origin, origin_connection_limit=5)
    client = edge.client()
    await side.known()
    before = side.tenant.knowledge.judge.generation
    client.send(query(b"do $$ begin execute '" + TRIGGER.encode() + b"'; commit; perform pg_sleep(1); end $$"))
    await active(origin, "pg_sleep(1)")
    await until(lambda: side.tenant.pool.idle)
    monkeypatch.setattr(Knowledge, "_take", held_back)
    side.tick(CATALOG_AGE_S + 1)
    await until(lambda: side.tenant.knowledge.doubts.reading is not None)
    assert (await client.answer()).tags == "CZ"
    await until(lambda: side.tenant.knowledge.doubts.open == 0)
    assert side.tenant.knowledge.judge.generation > before
    gate.set()


@beside
async def test_a_catalogue_that_is_older_elsewhere_counts_too(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    client = edge.client()
    await side.known()
    side.put(msgspec.structs.replace(configuration_for(origin), name="other"))
    other = side.tenants.get("other")
    assert other is not None
    other.knowledge.doubts.state = b"older"
    before = side.tenant.knowledge.judge.generation
    await client.ask(runs("create temp table mine (a int)"))
    await until(lambda: side.tenant.knowledge.judge.generation > before)


@beside
async def test_no_answer_is_kept_once_the_client_has_heard_of_it(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    client = edge.client()
    await side.known()
    client.send(runs("select 1"), query(b"select pg_sleep(30)"))
    await active(origin, "pg_sleep(30)")
    assert side.tenant.knowledge.doubts.told == 1
    client.cancel()
    await until(lambda: client.settled == 2)
    await side.quiet()
    assert side.tenant.knowledge.doubts.told == 0


# --- beside it ---


@beside
async def test_nothing_is_proven_clean_while_it_may_run(side: PoolSide, origin: Origin, direct: Direct) -> None:
    edge = side.serve(origin, session_state="reset", origin_connection_limit=5)
    one, other = edge.client(), edge.client()
    await side.known()
    before = side.tenant.knowledge.judge.generation
    one.send(runs("select pg_sleep(30)"))
    await active(origin, "pg_sleep(30)")
    await other.ask(query(b"select 1"))
    await until(lambda: not side.tenant.pool.resetting)
    used = max(side.tenant.pool.idle, key=lambda lease: lease.last_activity)
    assert "DISCARD" in last_query(direct, used.process_id)
    one.cancel()
    assert (await one.answer()).code == "57014"
    await side.quiet()
    assert side.tenant.knowledge.doubts.open == 0
    assert side.tenant.knowledge.judge.generation == before
    await other.ask(query(b"select 1"))
    await side.quiet()
    used = max(side.tenant.pool.idle, key=lambda lease: lease.last_activity)
    assert "DISCARD" not in last_query(direct, used.process_id)


@beside
async def test_other_configurations_of_the_database_know_it_too(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.known()
    side.put(msgspec.structs.replace(configuration_for(origin), name="other"))
    other = side.tenants.get("other")
    assert other is not None
    client = edge.client()
    client.send(runs("select pg_sleep(30)"))
    await active(origin, "pg_sleep(30)")
    assert side.tenant.knowledge.doubts.open == other.knowledge.doubts.open == 1
    client.cancel()
    await client.answer()
    await side.quiet()
    assert side.tenant.knowledge.doubts.open == other.knowledge.doubts.open == 0


@beside
async def test_what_is_lost_may_be_committed_until_its_backend_is_gone(
    side: PoolSide, origin: Origin, direct: Direct
) -> None:
    edge = side.serve(origin, origin_connection_limit=5)
    client = edge.client()
    await side.known()
    client.send(runs(f"{TRIGGER}; select pg_sleep(1)"))
    await active(origin, "pg_sleep(1)")
    (lease,) = side.tenant.pool.leased
    before = side.tenant.knowledge.judge.generation
    lease.lost("the test says so")
    assert side.tenant.knowledge.judge.generation > before
    await side.quiet()
    side.tick()
    await until(lambda: is_known(side))
    assert side.tenant.knowledge.doubts.open == 1
    await until(lambda: side.tenant.knowledge.doubts.open == 0)
    assert direct.execute("select count(*) from pg_trigger where tgrelid = 'hidden.items'::regclass").fetchone() == (1,)
    await side.quiet()
    side.tick()
    await side.known()
    assert side.tenant.judge(INSERT[5:-1]).resets_settings


@beside
async def test_a_session_that_waits_for_its_settings_hears_of_the_loss(
    side: PoolSide, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = side.serve(origin)
    client = edge.client()
    await side.alone()
    monkeypatch.setattr("regional.unseen.NUMBER_QUERY", "select pg_sleep(30)")
    await client.ask(runs("select 1"))
    await active(origin, "pg_sleep(30)")
    (lease,) = side.tenant.pool.all()
    lease.lost("the test says so")
    assert (await client.ended()).error["M"]


# --- sessions that keep their connection ---


@beside
async def test_a_pinned_session_is_asked_after_each_of_its_transactions(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, session_state="pin", origin_connection_limit=5)
    client = edge.client()
    await side.known()
    await client.ask(query(b"select pg_advisory_lock(7)"))
    before = side.tenant.knowledge.judge.generation
    await client.ask(runs(TRIGGER))
    await until(lambda: side.tenant.knowledge.judge.generation > before)
    await until(lambda: side.tenant.knowledge.doubts.open == 0)
    assert (await client.ask(query(b"select pg_advisory_unlock(7)"))).value == b"t"


@beside
async def test_what_a_pinned_session_has_made_for_itself_may_hide_it(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, session_state="pin", origin_connection_limit=5)
    client = edge.client()
    await side.known()
    await client.ask(query(b"create temp view mine as select hidden.runs('" + TRIGGER.encode() + b"')"))
    await until(lambda: side.tenant.pool.idle)
    side.tick()
    await until(lambda: is_known(side))
    await until(lambda: side.tenant.knowledge.doubts.open == 0)
    before = side.tenant.knowledge.judge.generation
    assert (await client.ask(query(b"select * from mine"))).value == b"1"
    await until(lambda: side.tenant.knowledge.judge.generation > before)
