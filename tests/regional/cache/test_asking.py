"""What an edge is told of the answers that it asks about, in front of a real PostgreSQL: each rule on its own."""

from collections.abc import Callable

import attrs
import msgspec
import pytest

from protos.link.link_pb2 import Begin, Verdict
from protos.link.settings import KEEP
from protos.pg.messages import bind, execute, flush, parse, query, sync
from regional.configuration import Caching
from regional.residue import Residue
from tests.regional.cache.conftest import Oids
from tests.support.beside import Answer, Client, Edge, PoolSide, active, beside, configuration_for, turns, until
from tests.support.cluster import Origin

READ = query(b"select price from shop.prices")


async def ready(side: PoolSide, origin: Origin, **changes: object) -> tuple[Edge, Client]:
    """An edge and a client, with everything known."""
    edge = side.serve(origin, **changes)
    if not side.tenant.configuration.caching.disabled:
        await side.cached()
    await side.known()
    return edge, edge.client()


def verdicts(edge: Edge) -> list[Verdict]:
    return [frame.verdict for frame in edge.heard if frame.HasField("verdict")]


def kept(edge: Edge) -> list[bool]:
    """Of each frame that settled something, whether the answer may be kept."""
    return [bool(frame.status & KEEP) for frame in edge.heard if frame.settled]


async def asked(client: Client, *messages: bytes) -> tuple[Answer, Verdict, bool]:
    """Ask about this request, and send it: the answer, the verdict, and whether it is to be kept."""
    edge = client.edge
    edge.heard.clear()
    edge.ask(client)
    answer = await client.ask(*messages)
    (verdict,) = verdicts(edge)
    places = [number for number, frame in enumerate(edge.heard) if frame.HasField("verdict") or frame.data]
    assert edge.heard[places[0]].HasField("verdict"), "it comes ahead of the answer"
    return answer, verdict, kept(edge)[-1]


@pytest.mark.parametrize(
    "messages",
    [
        (READ,),
        (parse(b"", b"select price from shop.prices where id = $1"), bind(b"", b"", [b"1"]), execute(), sync()),
        (parse(b"s", b"select price from shop.prices"), sync()),
    ],
    ids=["simple", "extended", "named"],
)
@beside
async def test_a_read_may_be_kept(side: PoolSide, origin: Origin, shop: Oids, messages: tuple[bytes, ...]) -> None:
    edge, client = await ready(side, origin)
    if len(messages) == 2:
        await client.ask(*messages)
        messages = (bind(b"", b"s"), execute(), sync())
    answer, verdict, is_kept = await asked(client, *messages)
    assert not answer.errors
    assert verdict == Verdict(tables=[shop["prices"]], max_age_s=60, stale_while_revalidate_s=15)
    assert is_kept
    assert kept(edge) == [True]
    await client.ask(*messages)
    assert kept(edge) == [True, False], "what nobody has asked about is not kept"


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        (b"select 1", "no table"),
        (b"insert into shop.prices values (3, 3)", "not a read"),
        (b"select random() from shop.prices", "volatile function"),
        (b"select price from shop.prices; select 1", "several statements"),
        (b"/* onetrip: cache=off */ select price from shop.prices", "bypassed"),
    ],
)
@beside
async def test_a_statement_that_is_no_such_read(
    side: PoolSide, origin: Origin, shop: Oids, sql: bytes, why: str
) -> None:
    _, client = await ready(side, origin)
    _, verdict, is_kept = await asked(client, query(sql))
    assert verdict.why.partition(":")[0] == why
    assert not verdict.only_now
    assert not is_kept


@beside
async def test_a_value_that_may_be_a_date_word(side: PoolSide, origin: Origin, shop: Oids) -> None:
    _, client = await ready(side, origin)
    read = parse(b"", b"select price from shop.prices where $1::date > '2020-01-01'")
    _, verdict, is_kept = await asked(client, read, bind(b"", b"", [b"now"]), execute(), sync())
    assert (verdict.why, verdict.only_now, is_kept) == ("date word", True, False)
    _, verdict, is_kept = await asked(client, read, bind(b"", b"", [b"2024-01-01"]), execute(), sync())
    assert (verdict.why, is_kept) == ("", True)


@beside
async def test_a_configuration_that_does_not_cache(side: PoolSide, origin: Origin, shop: Oids) -> None:
    _, client = await ready(side, origin, caching=Caching(disabled=True))
    _, verdict, is_kept = await asked(client, READ)
    assert (verdict.why, is_kept) == ("disabled", False)


@beside
async def test_before_the_catalogue_is_known(side: PoolSide, origin: Origin, shop: Oids) -> None:
    _, client = await ready(side, origin)
    side.tenant.knowledge.drop_catalog()
    _, verdict, is_kept = await asked(client, READ)
    assert (verdict.why, verdict.only_now, is_kept) == ("catalogue unknown", True, False)


@beside
async def test_the_least_age_of_the_tables_counts(side: PoolSide, origin: Origin, shop: Oids) -> None:
    caching = Caching(tables={"shop.prices": 5, "orders": 20, "lines": 0}, stale_while_revalidate=1)
    _, client = await ready(side, origin, caching=caching)
    ages = []
    for tables in (b"shop.prices", b"shop.orders", b"shop.prices, shop.orders", b"shop.audited"):
        _, verdict, is_kept = await asked(client, query(b"select 1 from " + tables))
        assert is_kept
        ages.append(verdict.max_age_s)
    assert ages == [5, 20, 5, 60]
    _, verdict, is_kept = await asked(client, query(b"select 1 from shop.orders, shop.lines"))
    assert (verdict.why, is_kept) == ("table setting", False)


@beside
async def test_an_answer_with_an_error_is_not_kept(side: PoolSide, origin: Origin, shop: Oids) -> None:
    _, client = await ready(side, origin)
    answer, verdict, is_kept = await asked(client, query(b"select 1 / (price - 100) from shop.prices"))
    assert answer.code == "22012"
    assert (verdict.why, is_kept) == ("", False)


@beside
async def test_a_request_that_is_refused_has_its_verdict(side: PoolSide, origin: Origin, shop: Oids) -> None:
    _, client = await ready(side, origin)
    answer, verdict, is_kept = await asked(client, query(b"listen here"))
    assert answer.code == "0A000"
    assert (verdict.why, is_kept) == ("not a read", False)
    answer, verdict, is_kept = await asked(client, bind(b"", b"nothing has this name"), execute(), sync())
    assert answer.errors
    assert verdict.why
    assert not is_kept


@beside
async def test_what_comes_with_a_question_is_not_alone(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge, client = await ready(side, origin)
    step = parse(b"", b"select price from shop.prices") + bind(b"", b"") + execute()
    _, verdict, is_kept = await asked(client, step, step, sync())
    assert (verdict.why, verdict.only_now, is_kept) == ("several statements", True, False)
    client.send(query(b"select pg_sleep(76)"))
    await active(origin, "pg_sleep(76)")
    edge.heard.clear()
    edge.ask(client)
    client.send(READ)
    await until(lambda: verdicts(edge))
    client.cancel()
    await client.answer()
    (verdict,) = verdicts(edge)
    assert (verdict.why, verdict.only_now) == ("several statements", True)
    assert not any(kept(edge))


@beside
async def test_a_request_that_goes_on_after_its_verdict_is_not_kept(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge, client = await ready(side, origin)
    edge.ask(client)
    client.send(parse(b"", b"select price from shop.prices"), bind(b"", b""), execute(), flush())
    await until(lambda: verdicts(edge))
    assert not verdicts(edge)[0].why
    await client.ask(parse(b"", b"select note from shop.orders"), bind(b"", b""), execute(), sync())
    assert not any(kept(edge))
    assert len(verdicts(edge)) == 1


async def kept_after(client: Client, origin: Origin, happens: Callable[[], None]) -> bool:
    """Whether an answer is to be kept, if something happens between its verdict and its end."""
    edge = client.edge
    edge.heard.clear()
    edge.ask(client)
    with origin.connect() as other, other.transaction():
        other.execute("lock table shop.prices")  # the read waits for it
        client.send(READ)
        await until(lambda: verdicts(edge))
        assert not verdicts(edge)[0].why
        happens()
    await client.answer()
    (is_kept,) = kept(edge)
    return is_kept


@beside
async def test_an_answer_that_had_to_wait_is_kept(side: PoolSide, origin: Origin, shop: Oids) -> None:
    _, client = await ready(side, origin)
    assert await kept_after(client, origin, lambda: None)


@beside
async def test_a_catalogue_that_changes_meanwhile_spoils_the_answer(side: PoolSide, origin: Origin, shop: Oids) -> None:
    _, client = await ready(side, origin)
    assert not await kept_after(client, origin, side.tenant.knowledge.drop_catalog)


@beside
async def test_a_connection_that_is_not_clean_any_more_spoils_the_answer(
    side: PoolSide, origin: Origin, shop: Oids
) -> None:
    def soil() -> None:
        (leased,) = side.tenant.pool.leased
        leased.residue = Residue.SETTINGS

    _, client = await ready(side, origin)
    assert not await kept_after(client, origin, soil)


@beside
async def test_a_question_without_an_answer_ends_with_its_channel(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge, client = await ready(side, origin, origin_connection_limit=5)
    for _ in range(5):
        await edge.client().ask(query(b"begin"))
    edge.heard.clear()
    edge.ask(client)
    client.send(READ)
    await turns()
    side.tick(20)
    answer = await client.answer()
    assert answer.code == "53300"
    assert not verdicts(edge)


# --- transactions ---

BEGIN = Begin(statements=[b"begin"])


async def asked_in(client: Client, begin: Begin, *messages: bytes) -> tuple[Verdict, bool]:
    edge = client.edge
    edge.heard.clear()
    edge.begin(client, begin)
    edge.ask(client)
    await client.ask(*messages)
    (verdict,) = verdicts(edge)
    is_kept = kept(edge)[-1]
    await client.ask(query(b"rollback"))
    return verdict, is_kept


@beside
async def test_the_first_read_of_a_held_transaction(side: PoolSide, origin: Origin, shop: Oids) -> None:
    _, client = await ready(side, origin, caching=Caching(in_transactions=True))
    for begin in (b"begin", b"start transaction read only", b"begin isolation level read committed"):
        verdict, is_kept = await asked_in(client, Begin(statements=[begin]), READ)
        assert (verdict.why, is_kept) == ("", True), begin
    for shape in (b"ISOLATION LEVEL READ COMMITTED", b"ISOLATION LEVEL READ COMMITTED, READ ONLY", b"READ ONLY"):
        opening = [b"BEGIN", b"SET TRANSACTION " + shape]
        verdict, is_kept = await asked_in(client, Begin(statements=opening), READ)
        assert (verdict.why, is_kept) == ("", True), shape
    opening = [b"BEGIN", b"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"]
    verdict, is_kept = await asked_in(client, Begin(statements=opening), READ)
    assert (verdict.why, is_kept) == ("transaction", False)
    for begin in (b"begin isolation level repeatable read", b"begin transaction isolation level serializable"):
        verdict, is_kept = await asked_in(client, Begin(statements=[begin]), READ)
        assert (verdict.why, verdict.only_now, is_kept) == ("transaction", True, False), begin
    verdict, is_kept = await asked_in(client, Begin(statements=[b"begin", b"set local work_mem = '1MB'"]), READ)
    assert (verdict.why, is_kept) == ("transaction", False)


@beside
async def test_a_transaction_that_is_open_or_not_wanted(side: PoolSide, origin: Origin, shop: Oids) -> None:
    _, client = await ready(side, origin)
    verdict, is_kept = await asked_in(client, BEGIN, READ)
    assert (verdict.why, is_kept) == ("transaction", False)
    side.put(configuration_for(origin, version=2, caching=Caching(in_transactions=True)))
    await client.ask(query(b"begin"))
    _, verdict, is_kept = await asked(client, READ)
    assert (verdict.why, is_kept) == ("transaction", False)
    await client.ask(query(b"rollback"))
    own = client.edge.client(default_transaction_isolation="serializable")
    verdict, is_kept = await asked_in(own, BEGIN, READ)
    assert (verdict.why, is_kept) == ("transaction", False)


# --- sessions and connections ---


@beside
async def test_a_session_that_has_just_set_something(side: PoolSide, origin: Origin, shop: Oids) -> None:
    """Its edge does not know of it yet, so it would keep the answer under the wrong settings."""
    _, client = await ready(side, origin)
    await client.ask(query(b"set search_path = shop"))
    await side.quiet()
    _, verdict, is_kept = await asked(client, query(b"select price from prices"))
    assert (verdict.why, is_kept) == ("", True), "now it does"
    (channel,) = side.tenant.channels.values()
    channel.settings.state(pinned=False)
    _, verdict, is_kept = await asked(client, query(b"select price from prices"))
    assert (verdict.why, verdict.only_now, is_kept) == ("session settings", True, False)


@beside
async def test_a_table_that_the_catalogue_does_not_know_yet(side: PoolSide, origin: Origin, shop: Oids) -> None:
    """It might be a view that sets something; that is no setting of the session's."""
    _, client = await ready(side, origin)
    with origin.connect() as connection:
        connection.execute("create table shop.later (id int); grant select on shop.later to by_scram")
    for messages in (
        (query(b"select id from shop.later"),),
        (parse(b"", b"select id from shop.later"), bind(b"", b"", []), execute(), sync()),
    ):
        answer, verdict, is_kept = await asked(client, *messages)
        await side.quiet()
        assert (answer.errors, verdict.why, verdict.only_now, is_kept) == ([], "unknown name: later", False, False)


@beside
async def test_a_function_of_the_user_s(side: PoolSide, origin: Origin) -> None:
    """One that is not proven pure may leave something, and read anything, whatever its label says."""
    with origin.connect() as connection:
        connection.execute("drop database if exists functions")
        connection.execute("create database functions")
    origin = attrs.evolve(origin, database="functions")
    with origin.connect(origin.database) as connection:
        connection.execute(
            "create table prices (price int); grant select on prices to public;"
            "create function twice(n int) returns int language sql immutable as 'select n * 2';"
            "create function other(n int) returns bigint language sql immutable"
            " as 'select count(*) from prices where price = n'"
        )
    _, client = await ready(side, origin)
    _, verdict, is_kept = await asked(client, query(b"select twice(price) from prices"))
    assert (verdict.why, len(verdict.tables), is_kept) == ("", 1, True)
    _, verdict, is_kept = await asked(client, query(b"select other(price) from prices"))
    assert (verdict.why, verdict.only_now, is_kept) == ("leaves something", False, False)


@beside
async def test_a_session_that_keeps_its_connection(side: PoolSide, origin: Origin, shop: Oids) -> None:
    _, client = await ready(side, origin, session_state="pin")
    await client.ask(query(b"select pg_advisory_lock(5)"))
    await until(lambda: any(origin.kept for origin in side.tenant.pool.leased))
    _, verdict, is_kept = await asked(client, READ)
    assert (verdict.why, verdict.only_now, is_kept) == ("pinned", True, False)


@beside
async def test_a_server_that_may_be_behind_another(side: PoolSide, origin: Origin, shop: Oids) -> None:
    _, client = await ready(side, origin)
    await side.alone()
    (connected,) = side.tenant.pool.idle
    connected.scrutiny.was_read_only = True
    _, verdict, is_kept = await asked(client, READ)
    assert (verdict.why, verdict.only_now, is_kept) == ("standby", True, False)
    connected.scrutiny.was_read_only = False
    del connected.parameters["in_hot_standby"]  # PostgreSQL 13
    _, verdict, is_kept = await asked(client, READ)
    assert (verdict.why, is_kept) == ("standby", False)
    where = msgspec.structs.replace(side.tenant.configuration.origin, target_session_attrs="primary")
    side.tenant.configuration = msgspec.structs.replace(side.tenant.configuration, origin=where)
    _, verdict, is_kept = await asked(client, READ)
    assert (verdict.why, is_kept) == ("", True)


@beside
async def test_what_a_lost_connection_may_still_change(side: PoolSide, origin: Origin, shop: Oids) -> None:
    edge, client = await ready(side, origin)
    writer = edge.client()
    writer.send(query(b"insert into shop.prices select 9, 9 from pg_sleep(74)"))
    await active(origin, "pg_sleep(74)")
    (leased,) = side.tenant.pool.leased
    leased.lost("the network broke")
    await until(lambda: side.tenant.publishing.in_doubt)
    await side.known()
    _, verdict, is_kept = await asked(client, READ)
    assert (verdict.why, verdict.only_now, is_kept) == ("outcome unknown", True, False)
    _, verdict, is_kept = await asked(client, query(b"select note from shop.orders"))
    assert (verdict.why, is_kept) == ("", True)
    with origin.connect() as connection:
        connection.execute("select pg_cancel_backend(pid) from pg_stat_activity where application_name = 'Onetrip'")
    await until(lambda: not side.tenant.publishing.in_doubt)
    _, verdict, is_kept = await asked(client, READ)
    assert (verdict.why, is_kept) == ("", True)
