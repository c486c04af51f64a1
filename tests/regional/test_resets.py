"""RESET leads back to the startup of its session at once, on whatever connection (rules 6)."""

from collections.abc import Mapping
from typing import Final

import pytest

from protos.pg.messages import bind, execute, flush, parse, query, sync
from regional.resets import MAX_BYTES, Followers, followers_of
from tests.support.beside import Answer, Client, PoolSide, beside
from tests.support.cluster import Origin

STARTUP: Mapping[str, str] = {"timezone": "Asia/Tokyo", "search_path": '"$user", other', "app.x": "it's", "role": "r"}
TIMEZONE = b"pg_catalog.set_config('timezone','Asia/Tokyo',false) IS NULL"


@pytest.mark.parametrize(
    "sql",
    [
        b"reset timezone",
        b"RESET TimeZone ; -- why not",
        b"set timezone to default",
        b"set session timezone = default",
        b"set time zone local",
        b"/* a */ reset time zone",
    ],
)
def test_what_resets_a_parameter_of_the_startup_is_followed(sql: bytes) -> None:
    assert followers_of(sql, STARTUP) == Followers((b"SET SESSION timezone TO 'Asia/Tokyo'",))


@pytest.mark.parametrize(
    "sql",
    [
        b"reset work_mem",
        b"set timezone = 'local'",
        b"reset timezone; select 1",
        b"select 'reset'",
        b"reset",
        b"discard all",
        b"reset timezone --" + b" " * MAX_BYTES,
    ],
)
def test_nothing_else_is(sql: bytes) -> None:
    assert followers_of(sql, STARTUP) == Followers()


def test_a_reset_for_a_transaction_is_followed_by_one_for_it() -> None:
    followers = followers_of(b"set local timezone to default", STARTUP)
    assert followers == Followers((b"SET LOCAL timezone TO 'Asia/Tokyo'",), is_local=True)


def test_a_list_of_names_is_not_set_as_one_name() -> None:
    for value, expected in (
        ('"$user", other', b"""SET SESSION search_path TO "$user", "other\""""),
        ("", b"SELECT pg_catalog.set_config('search_path','',false) IS NULL"),
        ("$user", b"SELECT pg_catalog.set_config('search_path','$user',false) IS NULL"),
    ):
        assert followers_of(b"reset search_path", {"search_path": value}) == Followers((expected,))


@beside
async def test_a_list_shows_as_it_was_given(side: PoolSide, origin: Origin) -> None:
    client = side.serve(origin).client(search_path="pg_catalog,public")
    for again in (query(b"reset search_path"), parse(b"", b"reset search_path") + bind(b"", b"") + execute() + sync()):
        await client.ask(query(b"set search_path = public"))
        await client.ask(again)
        assert (await client.ask(query(b"show search_path"))).value == b"pg_catalog,public"
    await client.ask(query(b"begin"))
    for sql in (b"reset search_path", b"set transaction isolation level serializable"):
        assert not (await client.ask(query(sql))).errors


def test_reset_all_leaves_the_role() -> None:
    followers = followers_of(b"reset all", STARTUP).statements
    assert b"SET SESSION app.x TO  E'it''s'" in followers
    assert b"SET SESSION timezone TO 'Asia/Tokyo'" in followers
    assert len(followers) == 3
    assert followers_of(b"reset role", STARTUP) == Followers((b"SET SESSION role TO 'r'",))
    assert followers_of(b"reset all", {"role": "r"}) == Followers()


# --- beside a real PostgreSQL ---


def extended(sql: bytes, portal: bytes = b"") -> tuple[bytes, ...]:
    return parse(b"", sql), bind(portal, b""), execute(portal)


async def ask(client: Client, sql: bytes, *, is_extended: bool) -> Answer:
    return await client.ask(*extended(sql), sync()) if is_extended else await client.ask(query(sql))


async def show(client: Client, name: str) -> bytes | None:
    return (await client.ask(query(f"select current_setting('{name}', true)".encode()))).value


def reported(answer: Answer) -> list[bytes]:
    return [message.data[5:-1] for message in answer.messages if message.tag == ord("S")]


async def client_of(side: PoolSide, origin: Origin, mode: str = "track") -> Client:
    edge = side.serve(origin, session_state=mode)
    await side.alone()
    settings = {"timezone": "Asia/Tokyo", "search_path": '"$user", pg_catalog', "app.x": "mine", "work_mem": "8MB"}
    return edge.client(**settings)


@pytest.mark.parametrize("is_extended", [False, True], ids=["simple", "extended"])
@beside
async def test_a_transaction_may_have_its_isolation_level_after_a_reset(
    side: PoolSide, origin: Origin, *, is_extended: bool
) -> None:
    one = await client_of(side, origin)
    await one.ask(query(b"begin"))
    for sql in (b"reset timezone", b"reset all"):
        assert not (await ask(one, sql, is_extended=is_extended)).errors
    assert not (await one.ask(query(b"set transaction isolation level serializable"))).errors


@pytest.mark.parametrize("is_extended", [False, True], ids=["simple", "extended"])
@pytest.mark.parametrize("mode", ["track", "reset", "pin"])
@beside
async def test_in_a_transaction_the_value_of_the_startup_is_there_at_once(
    side: PoolSide, origin: Origin, mode: str, *, is_extended: bool
) -> None:
    one = await client_of(side, origin, mode)
    await one.ask(query(b"begin"))
    await one.ask(query(b"set work_mem = '5MB'; set timezone = 'UTC'; set search_path = public; set app.x = 'other'"))
    answer = await ask(one, b"reset timezone", is_extended=is_extended)
    assert answer.tags == ("12CSZ" if is_extended else "CSZ")
    assert answer.messages[-3].data == b"C\0\0\0\nRESET\0"
    assert reported(answer) == [b"TimeZone\0Asia/Tokyo"]
    assert await show(one, "TimeZone") == b"Asia/Tokyo"
    assert await show(one, "work_mem") == b"5MB"
    assert await show(one, "app.x") == b"other"
    answer = await ask(one, b"reset all", is_extended=is_extended)
    assert answer.tags == ("12CZ" if is_extended else "CZ")
    for name, value in (("work_mem", b"8MB"), ("search_path", b'"$user", pg_catalog'), ("app.x", b"mine")):
        assert await show(one, name) == value
    await one.ask(query(b"commit"))
    await side.quiet()
    assert not reported(one.take())
    assert await show(one, "app.x") == b"mine"


@pytest.mark.parametrize("is_extended", [False, True], ids=["simple", "extended"])
@beside
async def test_a_rollback_undoes_it(side: PoolSide, origin: Origin, *, is_extended: bool) -> None:
    one = await client_of(side, origin)
    await one.ask(query(b"set timezone = 'UTC'"))
    await one.ask(query(b"begin"))
    await ask(one, b"reset timezone", is_extended=is_extended)
    assert reported(await one.ask(query(b"rollback"))) == [b"TimeZone\0UTC"]
    assert await show(one, "TimeZone") == b"UTC"


@pytest.mark.parametrize("is_extended", [False, True], ids=["simple", "extended"])
@beside
async def test_a_reset_for_a_transaction_lasts_as_long(side: PoolSide, origin: Origin, *, is_extended: bool) -> None:
    one = await client_of(side, origin)
    await one.ask(query(b"begin"))
    assert not reported(await ask(one, b"set local timezone to default", is_extended=is_extended))
    await one.ask(query(b"commit"))
    await one.ask(query(b"set timezone = 'UTC'"))
    await one.ask(query(b"begin"))
    answer = await ask(one, b"set local timezone to default", is_extended=is_extended)
    assert reported(answer) == [b"TimeZone\0Asia/Tokyo"]
    assert reported(await one.ask(query(b"commit"))) == [b"TimeZone\0UTC"]


LOCAL: Final = (b"set local timezone to default", b"set local time zone local")
WARNING: Final = "SET LOCAL can only be used in transaction blocks"


@pytest.mark.parametrize("is_extended", [False, True], ids=["simple", "extended"])
@pytest.mark.parametrize("end", [b"commit", b"rollback"])
@beside
async def test_outside_of_a_transaction_it_does_nothing_and_there_is_a_warning(
    side: PoolSide, origin: Origin, end: bytes, *, is_extended: bool
) -> None:
    one = await client_of(side, origin)
    for sql in LOCAL:
        reset = (*extended(sql), sync()) if is_extended else (query(sql),)
        assert (await one.ask(*reset)).notices == [WARNING]
        await one.ask(query(b"begin"))
        answer = await one.ask(query(b"savepoint s"), *extended(end), sync(), *reset)
        assert answer.notices == [WARNING], "the end of the transaction was not answered yet"
        assert (await one.ask(*reset)).notices == [WARNING]


@pytest.mark.parametrize("is_extended", [False, True], ids=["simple", "extended"])
@beside
async def test_a_reset_for_a_transaction_may_come_at_once_behind_its_begin(
    side: PoolSide, origin: Origin, *, is_extended: bool
) -> None:
    one = await client_of(side, origin)
    await one.ask(query(b"set timezone = 'UTC'"))
    reset = (*extended(LOCAL[0]), sync()) if is_extended else (query(LOCAL[0]),)
    value = query(b"select current_setting('timezone')")
    answer = await one.ask(query(b"begin"), *reset, value, query(b"rollback"), value)
    assert answer.notices == []
    assert [row[0] for row in answer.rows] == [b"Asia/Tokyo", b"UTC"]
    assert reported(answer) == [b"TimeZone\0Asia/Tokyo", b"TimeZone\0UTC"]
    answer = await one.ask(query(b"begin"), query(b"select 1/0"), *reset, query(b"rollback"), value)
    assert [error["C"] for error in answer.errors] == ["22012", "25P02"]
    assert (answer.notices, answer.value) == ([], b"UTC")


@beside
async def test_in_a_group_of_messages_it_lasts_up_to_its_sync(side: PoolSide, origin: Origin) -> None:
    one = await client_of(side, origin)
    await one.ask(query(b"set timezone = 'UTC'"))
    value = extended(b"select current_setting('timezone')")
    answer = await one.ask(*extended(LOCAL[0]), *value, sync(), *value, sync())
    assert [row[0] for row in answer.rows] == [b"Asia/Tokyo", b"UTC"]
    assert answer.notices == [WARNING]
    answer = await one.ask(
        parse(b"", b"select 1/0"), bind(b"", b""), execute(), *extended(LOCAL[0]), sync(), *value, sync()
    )
    assert (answer.code, answer.notices, answer.value) == ("22012", [], b"UTC")


@beside
async def test_a_pipeline_gets_each_answer_in_its_place(side: PoolSide, origin: Origin) -> None:
    one = await client_of(side, origin)
    value = b"select current_setting('timezone')"
    await one.ask(query(b"begin"))
    answer = await one.ask(
        query(b"select 1"), query(b"set timezone = 'UTC'"), query(b"reset timezone -- so"), query(value),
        *extended(b"set timezone = 'UTC'"), *extended(b"reset timezone"), *extended(value), sync(), query(value),
    )  # fmt: skip
    assert [row[0] for row in answer.rows] == [b"1", b"Asia/Tokyo", b"Asia/Tokyo", b"Asia/Tokyo"]
    assert answer.tags.replace("S", "") == "TDCZCZCZTDCZ12C12C12DCZTDCZ"
    assert (await one.ask(query(b"select name from pg_prepared_statements"))).rows == []
    assert (await one.ask(query(b"select name from pg_cursors"))).rows == []


@beside
async def test_where_the_reset_fails_nothing_follows(side: PoolSide, origin: Origin) -> None:
    one = await client_of(side, origin)
    await one.ask(query(b"set timezone = 'UTC'"))
    await one.ask(query(b"begin"))
    await one.ask(query(b"savepoint s"))
    await one.ask(query(b"select 1/0"))
    assert (await one.ask(query(b"reset timezone"))).code == "25P02"
    assert (await one.ask(*extended(b"reset timezone"), sync())).code == "25P02"
    await one.ask(query(b"rollback to s"))
    assert await show(one, "TimeZone") == b"UTC"
    answer = await one.ask(parse(b"", b"reset timezone"), bind(b"p", b""), execute(b"other"), sync())
    assert answer.code == "34000"
    await one.ask(query(b"rollback"))
    assert await show(one, "TimeZone") == b"UTC"


@beside
async def test_what_is_bound_and_not_executed_resets_nothing(side: PoolSide, origin: Origin) -> None:
    one = await client_of(side, origin)
    await one.ask(query(b"begin"))
    await one.ask(query(b"set timezone = 'UTC'"))
    await one.ask(parse(b"", b"reset timezone"), bind(b"p", b""), sync())
    assert await show(one, "TimeZone") == b"UTC"
    assert reported(await one.ask(execute(b"p"), sync())) == [b"TimeZone\0Asia/Tokyo"]
    await one.ask(query(b"set timezone = 'UTC'"))
    one.send(*extended(b"reset timezone"), flush())
    assert (await one.ask(*extended(b"select current_setting('timezone')"), sync())).value == b"Asia/Tokyo"


@beside
async def test_a_function_that_resets_is_put_right_when_its_transaction_has_ended(
    side: PoolSide, origin: Origin
) -> None:
    one = await client_of(side, origin)
    await one.ask(query(b"begin"))
    await one.ask(query(b"select set_config('timezone', null, false)"))
    assert await show(one, "TimeZone") != b"Asia/Tokyo"
    await one.ask(query(b"commit"))
    assert await show(one, "TimeZone") == b"Asia/Tokyo"


@pytest.mark.parametrize("sql", [b"set search_path to default", b"set role to default", b"reset search_path"])
@beside
async def test_what_leads_back_is_not_refused_where_it_would_be_forgotten(
    side: PoolSide, origin: Origin, sql: bytes
) -> None:
    one = await client_of(side, origin, "reset")
    assert (await one.ask(query(sql))).tags == "CZ"
    assert (await one.ask(query(b"set search_path to public"))).code == "0A000"


@beside
async def test_the_end_of_a_group_keeps_its_answer(side: PoolSide, origin: Origin) -> None:
    one = await client_of(side, origin)
    answer = await one.ask(*extended(b"select 1"), query(b"reset timezone"))
    assert answer.tags.replace("S", "") == "12DCCZ"
    assert await show(one, "TimeZone") == b"Asia/Tokyo"
