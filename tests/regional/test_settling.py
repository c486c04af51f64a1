"""What a session sets follows it, is forgotten, or keeps its connection (rules 4 and 5), beside a real PostgreSQL."""

from collections.abc import Callable

import pytest

from protos.link.link_pb2 import Reason
from protos.pg.messages import bind, execute, parse, query, sync
from regional import knowledge, settling
from regional.exchange import Exchange
from regional.knowledge import Knowledge
from regional.names_query import NAMES_QUERY
from regional.origin import Origin as Lease
from tests.support.beside import Client, PoolSide, beside, until
from tests.support.cluster import Origin


async def show(client: Client, name: str) -> bytes | None:
    return (await client.ask(query(f"select current_setting('{name}', true)".encode()))).value


async def shuffle(side: PoolSide, client: Client, other: Client) -> None:
    """Have the other session use the connection that the client had."""
    await side.quiet()
    await other.ask(query(b"select 1"))
    await side.quiet()


async def pair(side: PoolSide, origin: Origin, mode: str = "track", **settings: str) -> tuple[Client, Client]:
    """Two sessions of one edge, and one origin connection."""
    edge = side.serve(origin, session_state=mode)
    one, other = edge.client(**settings), edge.client()
    await side.alone()
    return one, other


# --- track ---


@beside
async def test_what_a_session_sets_follows_it_and_nobody_else(side: PoolSide, origin: Origin) -> None:
    one, other = await pair(side, origin)
    answer = await one.ask(query(b"set datestyle = 'German'; set work_mem = '7MB'; set app.tenant = '42'"))
    assert answer.tags.startswith("C")
    await shuffle(side, one, other)
    assert await show(other, "DateStyle") == b"ISO, MDY"
    assert not await show(other, "app.tenant")
    assert await show(one, "work_mem") == b"7MB"
    assert await show(one, "app.tenant") == b"42"
    assert (await one.ask(query(b"select date '2024-02-01'"))).value == b"01.02.2024"


@beside
async def test_what_is_rolled_back_is_not_kept(side: PoolSide, origin: Origin) -> None:
    one, other = await pair(side, origin)
    await one.ask(query(b"set work_mem = '5MB'"))
    await one.ask(query(b"begin"))
    await one.ask(query(b"set work_mem = '6MB'"))
    await one.ask(query(b"savepoint s"))
    await one.ask(query(b"set statement_timeout = 1234"))
    await one.ask(query(b"rollback to s"))
    await one.ask(query(b"rollback"))
    await shuffle(side, one, other)
    assert await show(one, "work_mem") == b"5MB"
    assert await show(one, "statement_timeout") == b"0"


@beside
async def test_what_a_statement_computes_is_kept(side: PoolSide, origin: Origin) -> None:
    one, other = await pair(side, origin)
    await one.ask(query(b"select set_config('work_' || 'mem', (3 + 4)::text || 'MB', false)"))
    await one.ask(
        parse(b"", b"select set_config($1, $2, false)"), bind(b"", b"", (b"app.who", b"me")), execute(), sync()
    )
    await shuffle(side, one, other)
    assert await show(one, "work_mem") == b"7MB"
    assert await show(one, "app.who") == b"me"
    assert not await show(other, "app.who")


@beside
async def test_what_a_function_sets_is_kept(side: PoolSide, origin: Origin) -> None:
    with origin.connect(origin.database) as connection:
        connection.execute(
            "create or replace function sets_memory() returns void language sql as"
            " $$ select set_config('work_mem', '9MB', false) $$"
        )
    one, other = await pair(side, origin)
    await one.ask(query(b"select sets_memory()"))
    await shuffle(side, one, other)
    assert await show(one, "work_mem") == b"9MB"


@beside
async def test_what_a_function_sets_by_a_name_that_it_is_told_is_kept(side: PoolSide, origin: Origin) -> None:
    with origin.connect(origin.database) as connection:
        connection.execute(
            "create or replace function remember(name text, value text) returns text language sql as"
            " $$ select set_config(name, value, false) $$"
        )
    one, other = await pair(side, origin)
    await one.ask(query(b"select remember('own.first', 'mine')"))
    await shuffle(side, one, other)
    assert await show(one, "own.first") == b"mine"
    assert await show(other, "own.first") == b""


@pytest.mark.parametrize("is_known", [True, False], ids=["catalogue read", "first lease"])
@beside
async def test_what_only_a_function_names_is_kept(side: PoolSide, origin: Origin, is_known: bool) -> None:  # noqa: FBT001
    with origin.connect(origin.database) as connection:
        connection.execute(
            "create or replace function takes_tenant(tenant text) returns void language plpgsql as"
            " $$ begin perform set_config('hidden.tenant', tenant, false); end $$"
        )
    edge = side.serve(origin, origin_connection_limit=5)
    if is_known:
        await side.known()
    one, other = edge.client(), edge.client()
    await one.ask(query(b"select takes_tenant('mine')"))
    await one.ask(query(b"begin"))
    await until(lambda: one.present)
    assert (b"hidden.tenant", b"mine") in [(setting.name, setting.value) for setting in one.present]
    await one.ask(query(b"commit"))
    await shuffle(side, one, other)
    assert await show(one, "hidden.tenant") == b"mine"
    assert not await show(other, "hidden.tenant")


@beside
async def test_sessions_that_settle_before_the_catalogue_was_read_wait_for_one_of_them(
    side: PoolSide, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers: list[Lease] = []
    read = Knowledge.read_names

    def read_names(self: Knowledge, lease: Lease, done: Callable[[Exchange], None]) -> None:
        readers.append(lease)
        read(self, lease, done)

    monkeypatch.setattr(Knowledge, "read_names", read_names)
    monkeypatch.setattr(Knowledge, "refresh", lambda *_: None)
    monkeypatch.setattr(knowledge, "NAMES_QUERY", "select 'name','a.b' from pg_sleep(60)")
    edge = side.serve(origin, origin_connection_limit=5)
    clients = [edge.client() for _ in range(4)]
    for client in clients:
        client.send(query(b"set work_mem = '7MB'"))
    await until(lambda: sum(lease.settling is not None for lease in side.tenant.pool.all()) == 4)
    assert len(readers) == 1
    monkeypatch.setattr(knowledge, "NAMES_QUERY", NAMES_QUERY)
    readers[0].lost("the test says so")
    await side.quiet()
    assert len(readers) == 2
    for client in clients:
        if client.is_over:
            assert (await client.ended()).code == "08006"
        else:
            assert await show(client, "work_mem") == b"7MB"
    assert sum(client.is_over for client in clients) == 1


@pytest.mark.parametrize("sql", ["select 1/0", "select 'name'", "select 'constant', 'x'", "select null, null"])
@beside
async def test_an_origin_that_tells_no_names_costs_nobody_a_session(
    side: PoolSide, origin: Origin, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    monkeypatch.setattr(knowledge, "NAMES_QUERY", sql)
    one, other = await pair(side, origin)
    await one.ask(query(b"set work_mem = '7MB'"))
    await shuffle(side, one, other)
    assert await show(one, "work_mem") == b"7MB"


@beside
async def test_reset_leads_back_to_the_start_of_the_session(side: PoolSide, origin: Origin) -> None:
    one, other = await pair(side, origin, work_mem="8MB")
    await one.ask(query(b"set work_mem = '5MB'; set statement_timeout = 5000"))
    await shuffle(side, one, other)
    assert await show(one, "work_mem") == b"5MB"
    await one.ask(query(b"reset all"))
    await shuffle(side, one, other)
    assert await show(one, "work_mem") == b"8MB"
    assert await show(one, "statement_timeout") == b"0"


@beside
async def test_who_resets_what_was_given_at_startup_in_a_longer_text_is_told_its_value(
    side: PoolSide, origin: Origin
) -> None:
    one, other = await pair(side, origin, timezone="Asia/Tokyo", client_encoding="LATIN1")
    await one.ask(query(b"set timezone = 'UTC'"))
    await side.quiet()
    answer = await one.ask(query(b"reset all; select 1"))
    await side.quiet()
    told = [*answer.messages, *one.take().messages]
    reported = [message.data[5:-1] for message in told if message.tag == ord("S")]
    assert set(reported[-2:]) == {b"client_encoding\0LATIN1", b"TimeZone\0Asia/Tokyo"}  # servers differ in the order
    await shuffle(side, one, other)
    assert await show(one, "TimeZone") == b"Asia/Tokyo"


@beside
async def test_a_role_follows_its_session(side: PoolSide, origin: Origin) -> None:
    with origin.connect(origin.database) as connection:
        connection.execute("drop role if exists ot_follows; create role ot_follows; grant ot_follows to by_scram")
    one, other = await pair(side, origin)
    await one.ask(query(b"set role ot_follows"))
    await shuffle(side, one, other)
    assert (await other.ask(query(b"select current_user"))).value == b"by_scram"
    assert (await one.ask(query(b"select current_user"))).value == b"ot_follows"
    await one.ask(query(b"reset role"))
    await shuffle(side, one, other)
    assert (await one.ask(query(b"select current_user"))).value == b"by_scram"


@beside
async def test_what_comes_while_the_settings_are_read_waits_for_them(side: PoolSide, origin: Origin) -> None:
    one, _ = await pair(side, origin)
    seen: list[bytes] = []
    one.on_settled = lambda: seen.append(b"")
    one.send(query(b"set work_mem = '7MB'"))
    await until(lambda: seen)
    one.send(query(b"select current_setting('work_mem')"))
    assert (await one.answer()).value == b"7MB"


@beside
async def test_the_edge_learns_what_it_has_to_say_again(side: PoolSide, origin: Origin) -> None:
    one, _ = await pair(side, origin)
    await one.ask(query(b"set work_mem = '7MB'"))
    await side.quiet()
    await until(lambda: one.present)
    assert (b"work_mem", b"7168") in [(setting.name, setting.value) for setting in one.present]
    assert not one.session.is_settling
    assert not one.session.is_pinned


@beside
async def test_a_lost_connection_costs_a_session_whose_settings_were_not_read(
    side: PoolSide, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = await pair(side, origin)
    monkeypatch.setattr(settling, "harvest_sql", lambda names, *, pins: b"select pg_sleep(60)")
    one.send(query(b"set work_mem = '7MB'"))
    await until(lambda: any(lease.settling for lease in side.tenant.pool.all()))
    for lease in side.tenant.pool.all():
        lease.lost("the test says so")
    answer = await one.ended()
    assert answer.tags == "CZE"
    assert answer.code == "08006"
    assert "had set" in answer.error["D"]


@pytest.mark.parametrize(
    ("sql", "hint"),
    [
        (b"select pg_advisory_lock(1)", "pg_advisory_xact_lock"),
        (b"select pg_try_advisory_lock_shared(1, 2)", "pg_advisory_xact_lock"),
        (b"listen channel", "session_state=pin"),
        (b"begin; declare c cursor with hold for select 1; commit", "without HOLD"),
    ],
)
@pytest.mark.parametrize("mode", ["track", "reset"])
@beside
async def test_what_cannot_be_kept_is_refused(side: PoolSide, origin: Origin, mode: str, sql: bytes, hint: str) -> None:
    one, other = await pair(side, origin, mode)
    answer = await one.ask(query(sql))
    assert answer.tags == "EZ"
    assert (answer.code, answer.error["D"]) == ("0A000", f"session_state is {mode}.")
    assert hint in answer.error["H"]
    assert "P" not in answer.error
    assert (await one.ask(query(b"select 1"))).value == b"1"
    assert (await other.ask(query(b"select 1"))).value == b"1"


@beside
async def test_a_refusal_fails_its_transaction_and_skips_the_rest_of_its_group(side: PoolSide, origin: Origin) -> None:
    one, _ = await pair(side, origin)
    await one.ask(query(b"begin"))
    assert (await one.ask(query(b"listen x"))).tags == "EZ"
    assert (await one.ask(query(b"select 1"))).code == "25P02"
    await one.ask(query(b"rollback"))
    listening = (parse(b"l", b"listen x"), bind(b"", b"l"), execute())
    answer = await one.ask(*listening, parse(b"", b"select 1"), bind(b"", b""), execute(), sync(), query(b"select 2"))
    assert answer.tags == "EZTDCZ"
    assert answer.code == "0A000"
    answer = await one.ask(bind(b"", b"l"), execute(), sync())  # a driver that goes on as if it were there
    assert answer.tags == "EZ"
    assert answer.code == "26000"


@beside
async def test_a_notice_says_once_what_ends_with_the_transaction(side: PoolSide, origin: Origin) -> None:
    one, _ = await pair(side, origin)
    answer = await one.ask(query(b"create temporary table t (a int)"))
    assert answer.notices == ["temporary tables last until the end of the transaction here"]
    assert answer.tags == "CNZ"
    assert (await one.ask(query(b"create temporary table t (a int)"))).notices == []
    assert (await one.ask(query(b"create temporary table t (a int) on commit drop"))).notices == []
    assert len((await one.ask(query(b"prepare p as select 1; select 2"))).notices) == 1


@beside
async def test_nobody_waits_for_a_session_that_left_while_it_was_settling(side: PoolSide, origin: Origin) -> None:
    one, other = await pair(side, origin)
    one.on_settled = one.leave
    one.send(query(b"set work_mem = '7MB'"))
    await until(lambda: (one.process_id, one.secret) not in side.tenant.channels)
    await side.quiet()
    assert await show(other, "work_mem") != b"7MB"


# --- reset ---


@beside
async def test_reset_forgets_and_reports_it(side: PoolSide, origin: Origin) -> None:
    one, _ = await pair(side, origin, "reset", timezone="UTC")
    answer = await one.ask(query(b"set timezone = 'Asia/Tokyo'"))
    assert answer.tags == "CSSZ"
    assert answer.messages[2].data[5:] == b"TimeZone\0UTC\0"
    await side.quiet()
    assert await show(one, "TimeZone") == b"UTC"
    answer = await one.ask(query(b"set timezone = 'Asia/Tokyo'; select current_setting('TimeZone')"))
    assert answer.value == b"Asia/Tokyo"


@pytest.mark.parametrize("sql", [b"set search_path = a", b"set role none", b"set row_security = off"])
@beside
async def test_reset_refuses_what_would_change_the_meaning_of_later_statements(
    side: PoolSide, origin: Origin, sql: bytes
) -> None:
    one, _ = await pair(side, origin, "reset")
    answer = await one.ask(query(sql))
    assert answer.code == "0A000"
    assert "session_state=track" in answer.error["H"]
    assert (await one.ask(query(sql + b"; select 1"))).value == b"1"
    await one.ask(query(b"begin"))
    assert (await one.ask(query(sql))).tags == "CZ"
    await one.ask(query(b"commit"))


# --- pin ---


@beside
async def test_a_pinned_session_keeps_its_connection_while_it_holds_something(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, session_state="pin")
    one, other = edge.client(), edge.client()
    await side.known()
    process = (await one.ask(query(b"select pg_backend_pid() from (select pg_advisory_lock(7)) l"))).value
    await until(lambda: one.session.is_pinned)
    for _ in range(3):
        assert (await one.ask(query(b"select pg_backend_pid()"))).value == process
        assert (await other.ask(query(b"select pg_backend_pid()"))).value != process
    assert (await other.ask(query(b"select pg_try_advisory_lock(7)::text"))).value == b"false"
    side.tick(3600)  # between transactions nobody hurries it
    assert (await one.ask(query(b"select pg_advisory_unlock(7)::text"))).value == b"true"
    await until(lambda: not one.session.is_pinned and not one.session.is_settling)
    await side.quiet()
    assert not side.tenant.pool.leased


@beside
async def test_a_pinned_session_hears_what_it_listens_to(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, session_state="pin")
    one, other = edge.client(), edge.client()
    await one.ask(query(b"listen news"))
    await until(lambda: one.session.is_pinned)
    await other.ask(query(b"notify news, 'hello'"))
    assert b"hello" in (await one.more("A")).messages[0].data


@pytest.mark.parametrize(
    ("holds", "releases"),
    [
        (b"listen news", b"unlisten news"),
        (b"listen news", b"unlisten *"),
        (b"declare held cursor with hold for select 1", b"close held"),
        (b"create temp table mine (a int)", b"drop table mine"),
        (b"create temp table mine (a int)", b"discard temp"),
        (b"prepare mine as select 1; select 2", b"deallocate mine"),
        (b"select pg_advisory_lock(7)", b"select pg_advisory_unlock_all()"),
    ],
)
@beside
async def test_what_is_given_back_pins_no_longer(side: PoolSide, origin: Origin, holds: bytes, releases: bytes) -> None:
    one = side.serve(origin, session_state="pin").client()
    await side.known()
    await one.ask(query(holds))
    await until(lambda: one.session.is_pinned)
    await one.ask(query(releases))
    await until(lambda: not one.session.is_pinned)


@beside
async def test_nobody_gets_a_connection_that_has_listened(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, session_state="pin")
    one, other = edge.client(), edge.client()
    process = (await one.ask(query(b"listen news; select pg_backend_pid()"))).value
    await until(lambda: one.session.is_pinned)
    await one.ask(query(b"unlisten news"))
    await until(lambda: not one.session.is_pinned and not one.session.is_settling)
    await side.quiet()
    assert (await other.ask(query(b"select pg_backend_pid()"))).value != process
    await other.ask(query(b"begin; unlisten news"))
    assert (await other.ask(query(b"prepare transaction 'of a listener'"))).tags == "CZ"
    await other.ask(query(b"rollback prepared 'of a listener'"))


@beside
async def test_nor_one_that_has_listened_within_a_transaction(side: PoolSide, origin: Origin) -> None:
    one, _ = await pair(side, origin, "pin")
    process = (await one.ask(query(b"begin; listen news; unlisten news; select pg_backend_pid()"))).value
    await one.ask(query(b"commit"))
    await side.quiet()
    assert (await one.ask(query(b"select pg_backend_pid()"))).value != process


@pytest.mark.parametrize("reason", [Reason.TERMINATED, Reason.LOST])
@beside
async def test_what_a_pinned_session_held_goes_with_it(side: PoolSide, origin: Origin, reason: Reason) -> None:
    edge = side.serve(origin, session_state="pin")
    one, other = edge.client(), edge.client()
    await one.ask(query(b"create temporary table mine (a int); set work_mem = '7MB'"))
    await until(lambda: one.session.is_pinned)
    assert (await one.ask(query(b"select count(*) from mine"))).value == b"0"
    one.leave(reason)
    await side.quiet()
    await until(lambda: not side.tenant.pool.leased)  # the pool node may borrow one meanwhile
    for _ in range(3):
        assert (await other.ask(query(b"select to_regclass('mine')::text"))).rows == [[None]]
        assert await show(other, "work_mem") != b"7MB"


@beside
async def test_a_pinned_session_ends_with_its_connection(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, session_state="pin")
    one = edge.client()
    await one.ask(query(b"listen news"))
    await until(lambda: one.session.is_pinned)
    side.tenant.retire(lambda origin: True)
    assert (await one.ended()).code == "57P01"


@pytest.mark.parametrize("mode", ["track", "reset", "pin"])
@beside
async def test_what_a_function_prepares_ends_with_the_lease_or_the_session(
    side: PoolSide, origin: Origin, mode: str
) -> None:
    one, other = await pair(side, origin, mode)
    await one.ask(query(b"do $$ begin execute 'pre' || 'pare something as select 1'; end $$"))
    if mode == "pin":
        await until(lambda: one.session.is_pinned)
        one.leave(Reason.LOST)
    await side.quiet()
    for _ in range(3):
        assert (await other.ask(query(b"select count(*) from pg_prepared_statements where from_sql"))).value == b"0"


@beside
async def test_what_a_function_deallocates_is_made_again_for_others(side: PoolSide, origin: Origin) -> None:
    one, other = await pair(side, origin)
    await one.ask(parse(b"p", b"select 'one'"), bind(b"", b"p"), execute(), sync())
    await side.quiet()
    await other.ask(query(b"do $$ begin execute 'dealloc' || 'ate all'; end $$"))
    await side.quiet()
    assert (await one.ask(bind(b"", b"p"), execute(), sync())).value == b"one"


async def kept(side: PoolSide, client: Client) -> list[list[bytes | None]]:
    """When each shared statement of the one connection was parsed."""
    await side.quiet()
    sql = b"select name, prepare_time from pg_prepared_statements where name like 'onetrip:%' order by 1"
    return (await client.ask(query(sql))).rows


@pytest.mark.parametrize(
    "messages",
    [
        (query(b"prepare mine as select 1"),),
        (query(b'prepare "it\'s ""mine""" as select 1'), query(b'execute "it\'s ""mine"""')),
        (query(b"prepare mine as select 1; select 2"),),
        (query(b"do $$ begin execute 'prepare mine as select 1'; end $$"),),
        (query(b"do $$ begin execute 'pre' || 'pare mine as select 1'; end $$"),),
        (query(b"prepare mine as select 1; discard plans; deallocate mine"),),
        (query(b"begin"), query(b"set local timezone = 'Asia/Tokyo'"), parse(b"q", b"select date '2024-02-01'"), sync(),
         bind(b"", b"q"), execute(), sync(), query(b"commit")),
        (parse(b"q", b"select 1/0"), sync(), query(b"execute q")),
    ],
    ids=["alone", "quoted", "with others", "by DO", "hidden", "and gone", "under settings", "by the protocol"],
)  # fmt: skip
@beside
async def test_what_a_session_prepares_by_sql_costs_nobody_the_shared_statements(
    side: PoolSide, origin: Origin, messages: tuple[bytes, ...]
) -> None:
    one, other = await pair(side, origin)
    await other.ask(parse(b"p", b"select 'shared'"), bind(b"", b"p"), execute(), sync())
    before = await kept(side, other)
    assert len(before) == 1
    await one.ask(*messages)
    assert [row for row in await kept(side, other) if row in before] == before
    left = b"select count(*) from pg_prepared_statements where name not like 'onetrip:%'"
    assert (await other.ask(query(left))).value == b"0"
    assert len(await kept(side, other)) == sum(len(lent.prepared) for lent in side.tenant.pool.idle)
    assert (await other.ask(bind(b"", b"p"), execute(), sync())).value == b"shared"
    assert [row for row in await kept(side, other) if row in before] == before, "it was not parsed again"


@pytest.mark.parametrize(
    "sql",
    [
        b"deallocate all",
        b"do $$ begin for n in 1..2100 loop execute 'prepare p' || n || ' as select 1'; end loop; end $$",
    ],
    ids=["gone", "too many"],
)
@beside
async def test_what_cannot_be_kept_is_made_again(side: PoolSide, origin: Origin, sql: bytes) -> None:
    one, other = await pair(side, origin)
    await other.ask(parse(b"p", b"select 'shared'"), bind(b"", b"p"), execute(), sync())
    await one.ask(query(sql))
    await side.quiet()
    assert (await other.ask(query(b"select count(*) from pg_prepared_statements"))).value == b"0"
    assert (await other.ask(bind(b"", b"p"), execute(), sync())).value == b"shared"


@beside
async def test_reset_leads_a_pinned_session_back_to_its_start(side: PoolSide, origin: Origin) -> None:
    one, _ = await pair(side, origin, "pin", work_mem="8MB")
    await one.ask(query(b"listen news; set work_mem = '5MB'"))
    await until(lambda: one.session.is_pinned)
    assert await show(one, "work_mem") == b"5MB"
    await one.ask(query(b"reset work_mem"))
    assert await show(one, "work_mem") == b"8MB"
    await one.ask(query(b"reset all"))
    one.leave(Reason.LOST)
    await side.quiet()
    assert not side.tenant.pool.leased


@beside
async def test_a_pinned_session_whose_connection_is_retired_finishes_its_transaction(
    side: PoolSide, origin: Origin
) -> None:
    edge = side.serve(origin, session_state="pin")
    one = edge.client()
    await side.known()
    await one.ask(query(b"listen news"))
    await until(lambda: one.session.is_pinned)
    await one.ask(query(b"begin"))
    side.tenant.retire(lambda origin: True)
    assert (await one.ask(query(b"select 1"))).value == b"1"
    one.send(query(b"commit"))
    answer = await one.ended()
    assert answer.tags == "CZE"
    assert answer.code == "57P01"
