"""Prepared statements that sessions share on a connection: the bookkeeping, and what drivers see of it (rules 8, 12).

The first part runs against a real PostgreSQL, because that is what the bookkeeping must agree with: whatever goes wrong
in the middle of a pipeline, a statement that we believe to be there is there, and one that is there is not made twice.
"""

import random

import pytest

from protos.errors import RemoteProtocolError
from protos.pg.framer import Piece
from protos.pg.messages import (
    bind,
    close_statement,
    describe_statement,
    execute,
    flush,
    parse,
    parse_complete,
    query,
    sync,
)  # fmt: skip
from protos.pg.names import PREFIX
from protos.pg.pipeline import Pipeline
from protos.pg.tags import Frontend
from regional import prepared as module
from regional.prepared import Prepared, may_set_locally, name_in, statement_named_in
from tests.support.beside import Client, PoolSide, beside, until
from tests.support.cluster import Origin

RUN = (execute(), sync())


# Parse refuses it, and we know that it leaves nothing: what follows is as shared as ever.
BAD = b"select 'x'::int4"
BAD_CODE = "22P02"


async def made(side: PoolSide) -> int:
    """How many statements the one connection holds, as we believe."""
    await side.quiet()
    (connected,) = side.tenant.pool.idle
    return len(connected.prepared)


async def there(client: Client) -> int:
    """How many it holds indeed."""
    value = (await client.ask(query(b"select count(*) from pg_prepared_statements where name like 'onetrip:%'"))).value
    assert value is not None
    return int(value)


@beside
async def test_a_statement_is_made_once_for_all_sessions(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    for number in range(3):
        client = edge.client()
        answer = await client.ask(parse(b"s%d" % number, b"select 1 as same"), sync())
        assert answer.tags == "1Z"
        answer = await client.ask(bind(b"", b"s%d" % number), describe_statement(b"s%d" % number), *RUN)
        assert answer.tags == "2tTDCZ"
    assert await there(edge.client()) == 1


@beside
async def test_a_statement_goes_with_its_session_to_every_connection(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, origin_connection_limit=5)
    await side.known()
    client = edge.client()
    await client.ask(parse(b"s", b"select pg_backend_pid() + $1::int * 0", [23]), sync())
    served: set[bytes | None] = set()
    holders: list[Client] = []
    for _ in range(5):
        answer = await client.ask(bind(b"", b"s", [b"1"]), *RUN)
        assert answer.tags == "2DCZ"
        served.add(answer.value)
        holders.append(edge.client())
        await holders[-1].ask(query(b"begin"))
    assert len(served) == 5


@beside
async def test_one_name_stands_for_one_meaning_of_each_session(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    clients = [edge.client() for _ in range(3)]
    for number, client in enumerate(clients):
        await client.ask(parse(b"s", b"select %d" % number), sync())
    for number, client in enumerate(clients):
        assert (await client.ask(bind(b"", b"s"), *RUN)).value == b"%d" % number
    tokyo = edge.client(timezone="Asia/Tokyo")
    await tokyo.ask(parse(b"s", b"select 0"), sync())
    await tokyo.ask(bind(b"", b"s"), *RUN)
    assert await there(edge.client()) == 4, "what Parse reads of the settings is a part of the meaning"


@beside
async def test_a_failing_parse_gives_its_own_error_each_time(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    for _ in range(3):
        client = edge.client()
        answer = await client.ask(parse(b"s", BAD), describe_statement(b"s"), sync())
        assert answer.tags == "EZ"
        assert answer.code == BAD_CODE
    assert await made(side) == await there(edge.client()) == 0


async def failed_in_the_middle(client: Client) -> None:
    """The origin skips what this client sends from here on, up to its Sync."""
    client.send(parse(b"", BAD), flush())
    assert (await client.more("E")).code == BAD_CODE


@beside
async def test_what_comes_while_the_origin_skips_is_not_taken_for_done(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    one, other = edge.client(), edge.client()
    for client in (one, other):
        await client.ask(parse(b"s", b"select 1"), sync())
    await edge.client().ask(query(b"deallocate all"))
    assert await made(side) == 0
    await failed_in_the_middle(one)
    assert (await one.ask(bind(b"", b"s"), *RUN)).tags == "Z"
    assert (await other.ask(bind(b"", b"s"), *RUN)).tags == "2DCZ"
    assert await made(side) == await there(other) == 1


@beside
async def test_a_name_in_use_is_so_though_the_origin_has_skipped_the_same_before(
    side: PoolSide, origin: Origin
) -> None:
    edge = side.serve(origin)
    await side.alone()
    client = edge.client()
    await client.ask(parse(b"s", b"select 1"), sync())
    await failed_in_the_middle(client)
    assert (await client.ask(parse(b"s", b"select 2"), sync())).tags == "Z"
    assert (await client.ask(parse(b"s", b"select 2"), sync())).code == "42P05"


@beside
async def test_a_failing_parse_behind_an_unnamed_one_is_not_taken_for_done(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    for _ in range(2):
        client = edge.client()
        answer = await client.ask(parse(b"", b"select 1"), parse(b"s", BAD), bind(b"", b"s"), *RUN)
        assert answer.tags == "1EZ"
        assert answer.code == BAD_CODE
    assert await made(side) == await there(edge.client()) == 0


@beside
async def test_a_parse_that_was_skipped_is_made_in_the_next_group_of_the_pipeline(
    side: PoolSide, origin: Origin
) -> None:
    edge = side.serve(origin)
    await side.alone()
    client = edge.client()
    answer = await client.ask(
        parse(b"bad", BAD), parse(b"s", b"select 1"), sync(),
        parse(b"s", b"select 1"), bind(b"", b"s"), *RUN,
        bind(b"", b"s"), *RUN,
    )  # fmt: skip
    assert answer.tags == "EZ12DCZ2DCZ"
    assert (await client.ask(bind(b"", b"s"), *RUN)).value == b"1"
    assert (await edge.client().ask(parse(b"other", b"select 1"), bind(b"", b"other"), *RUN)).value == b"1"
    assert await made(side) == await there(edge.client()) == 1


@beside
async def test_a_parse_behind_a_query_that_was_skipped_is_not_taken_for_done(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    client, other = edge.client(), edge.client()
    await client.ask(parse(b"s", b"select 1"), sync())
    bad = (parse(b"", BAD), query(b"select 0"), parse(b"t", b"select 2"), parse(b"s", b"select 2"))
    assert (await client.ask(*bad, sync())).tags == "EZ"
    assert (await client.ask(parse(b"s", b"select 2"), sync())).code == "42P05"
    assert (await other.ask(parse(b"t", b"select 2"), bind(b"", b"t"), *RUN)).value == b"2"
    assert await made(side) == await there(client) == 2 + 1, "with the one that is in use everywhere"


@beside
async def test_the_least_recently_used_statement_makes_room(
    side: PoolSide, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_STATEMENTS", 3)
    edge = side.serve(origin)
    await side.alone()
    client = edge.client()
    for number in range(5):
        name = b"s%d" % number
        answer = await client.ask(parse(name, b"select %d" % number), bind(b"", name), *RUN)
        assert answer.tags == "12DCZ"
        assert (await client.ask(bind(b"", b"s0"), *RUN)).value == b"0"
    assert await made(side) == await there(client) == 3


@beside
async def test_room_is_made_in_the_middle_of_a_pipeline(
    side: PoolSide, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_STATEMENTS", 2)
    edge = side.serve(origin)
    await side.alone()
    client = edge.client()
    messages = []
    for number in range(6):
        name = b"s%d" % number
        messages += [parse(name, b"select %d" % number), bind(b"", name), execute()]
    answer = await client.ask(*messages, sync())
    assert answer.tags == "12DC" * 6 + "Z"
    assert [row[0] for row in answer.rows] == [b"%d" % number for number in range(6)]
    answer = await client.ask(*[part for n in range(6) for part in (bind(b"", b"s%d" % n), execute())], sync())
    assert [row[0] for row in answer.rows] == [b"%d" % number for number in range(6)]
    assert await made(side) == await there(client) == 2


@beside
async def test_a_statement_that_should_have_made_room_and_did_not_is_not_made_twice(
    side: PoolSide, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_STATEMENTS", 2)
    edge = side.serve(origin)
    await side.alone()
    client = edge.client()
    for name in (b"a", b"b"):
        await client.ask(parse(name, b"select '%s'" % name), sync())
    # The error comes before the Close of "a", which therefore is skipped.
    answer = await client.ask(parse(b"", BAD), parse(b"c", b"select 'c'"), sync())
    assert answer.tags == "EZ"
    for name in (b"a", b"b", b"c", b"a"):
        answer = await client.ask(bind(b"", name), *RUN) if name != b"c" else await client.ask(
            parse(b"c", b"select 'c'"), bind(b"", b"c"), *RUN
        )  # fmt: skip
        assert answer.errors == []
        assert answer.value == name


@beside
async def test_statements_that_a_session_takes_away_are_made_again(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    one, other = edge.client(), edge.client()
    for client in (one, other):
        await client.ask(parse(b"s", b"select 1"), bind(b"", b"s"), *RUN)
    for text in (b"deallocate all", b"discard all", b"begin; deallocate all; rollback"):
        await one.ask(query(text))
        assert (await other.ask(bind(b"", b"s"), *RUN)).value == b"1"


@beside
async def test_closing_a_statement_leaves_it_to_the_others(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    one, other = edge.client(), edge.client()
    for client in (one, other):
        await client.ask(parse(b"s", b"select 1"), sync())
    assert (await one.ask(close_statement(b"s"), sync())).tags == "3Z"
    assert (await other.ask(bind(b"", b"s"), *RUN)).value == b"1"
    answer = await one.ask(bind(b"", b"s"), *RUN)
    assert answer.code == "26000"


@beside
async def test_a_parse_that_is_answered_by_us_keeps_its_place(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    one, other = edge.client(), edge.client()
    await one.ask(parse(b"s", b"select 1"), sync())
    answer = await other.ask(
        query(b"select 2"), parse(b"", b"select 3"), parse(b"t", b"select 1"), bind(b"", b"t"), *RUN
    )
    assert answer.tags == "TDCZ112DCZ"
    other.send(parse(b"u", b"select 1"), flush())
    assert (await other.more("1")).tags == "1"
    assert (await other.ask(sync())).tags == "Z"


@beside
async def test_a_failed_transaction_refuses_to_parse_what_is_there(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    client = edge.client()
    same = close_statement(b"s") + parse(b"s", b"select 'there'")
    assert (await client.ask(same, sync())).tags == "31Z"
    await client.ask(query(b"begin"))
    assert (await client.ask(query(b"select 1/0"))).code == "22012"
    assert (await client.ask(same, sync())).code == "25P02"
    await client.ask(query(b"rollback"))
    assert (await client.ask(same, sync())).tags == "31Z"
    answer = await client.ask(query(b"begin"), query(b"select 1/0"), same, sync(), query(b"rollback"), same, sync())
    assert (answer.tags, answer.errors[1]["C"]) == ("CZEZ3EZCZ31Z", "25P02")
    assert await there(client) == 1


@beside
async def test_a_missing_unnamed_statement_is_told_in_postgresqls_words(side: PoolSide, origin: Origin) -> None:
    client = side.serve(origin).client()
    for message in (bind(b"", b""), describe_statement(b"")):
        error = (await client.ask(message, sync())).error
        assert (error["C"], error["M"]) == ("26000", "unnamed prepared statement does not exist")


@beside
async def test_a_statement_in_the_middle_of_a_copy_ends_the_copy(
    side: PoolSide, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_STATEMENTS", 1)  # so that "s" is missing when it is bound
    edge = side.serve(origin)
    await side.alone()
    client, other = edge.client(), edge.client()
    await other.ask(parse(b"s", b"select 1"), sync())
    await client.ask(parse(b"s", b"select 1"), parse(b"new", b"select 2"), sync())
    await client.ask(query(b"begin; create temp table copied (a int)"))
    client.send(query(b"copy copied from stdin"))
    await client.more("G")
    client.send(bind(b"", b"s"), execute(), sync())
    await until(lambda: client.is_over or client.settled >= 3)
    assert client.take().errors[0]["C"] == "08P01"
    client.leave()
    await side.quiet()
    assert (await other.ask(bind(b"", b"s"), *RUN)).value == b"1"


@pytest.mark.parametrize("ends", [b"commit", b""], ids=["committed", "lost"])
@beside
async def test_a_statement_parsed_under_settings_of_its_transaction_is_nobody_elses(
    side: PoolSide, origin: Origin, ends: bytes
) -> None:
    edge = side.serve(origin)
    await side.alone()
    one, other, early = edge.client(), edge.client(), edge.client()
    text = b"select date '01/02/2024' = '2024-01-02'"
    assert (await early.ask(parse(b"s", text), bind(b"", b"s"), *RUN)).value == b"t"
    await one.ask(query(b"begin; set datestyle = 'ISO, DMY'"))
    assert (await one.ask(parse(b"s", text), bind(b"", b"s"), *RUN)).value == b"f"
    if ends:
        await one.ask(query(ends))
    else:
        one.leave()
    await side.quiet()
    assert (await other.ask(parse(b"s", text), bind(b"", b"s"), *RUN)).value == b"t"
    assert (await early.ask(bind(b"", b"s"), *RUN)).value == b"t"


@beside
async def test_settings_of_a_transaction_count_also_where_nothing_reports_them(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    one, other = edge.client(), edge.client()
    text = b"select (null = null) is null"
    one.send(query(b"begin"), query(b"SET LOCAL transform_null_equals = on"), parse(b"s", text), bind(b"", b"s"), *RUN)
    assert (await one.answer()).value == b"f"
    await one.ask(query(b"commit"))
    assert (await other.ask(parse(b"s", text), bind(b"", b"s"), *RUN)).value == b"t"


@pytest.mark.parametrize(
    ("sql", "may"),
    [
        (b"SET LOCAL DateStyle = 'German'", True),
        (b"begin; set/**/local/**/datestyle = german", True),
        (b'set local "x.y" = 1', True),
        (b"select 1 -- local", True),
        (b"set local statement_timeout = 5", False),
        (b"SET  LOCAL my_app.user_id = '7'; set local lock_timeout = 0", False),
        (b"set local my_app.user_id = '7'; set local datestyle = german", True),
        (b"select localtimestamp, locality from locals", False),
        (b"select 1", False),
    ],
)
def test_which_texts_may_set_something_for_their_transaction(sql: bytes, *, may: bool) -> None:
    assert may_set_locally(sql) is may


GOOD = [b"select %d as good" % number for number in range(6)]


@beside
async def test_whatever_a_pipeline_does_statements_mean_what_they_say(
    side: PoolSide, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random pipelines of two sessions, with room for three statements: no answer but the right one, ever."""
    monkeypatch.setattr(module, "MAX_STATEMENTS", 3)
    edge = side.serve(origin)
    await side.alone()
    chance = random.Random(20261122)
    for _ in range(60):
        client = edge.client()
        expected: list[bytes] = []
        messages: list[bytes] = []
        for _ in range(chance.randint(1, 5)):
            is_failing = False
            for _ in range(chance.randint(1, 4)):
                sql = chance.choice(GOOD) if chance.random() < 0.85 else BAD
                name = chance.choice((b"", b"n%d" % chance.randint(0, 9)))
                messages += [close_statement(name), parse(name, sql), bind(b"", name), execute()]
                is_failing = is_failing or sql == BAD
                expected += [] if is_failing else [sql]
            messages.append(sync())
        answer = await client.ask(*messages)
        assert {error["C"] for error in answer.errors} <= {BAD_CODE}
        assert [b"select %s as good" % row[0] for row in answer.rows if row[0]] == expected
        client.leave()


# --- the bookkeeping alone ---


def shared(number: int) -> bytes:
    return parse(PREFIX + b"%d" % number, b"select %d" % number)


def test_a_parse_of_what_is_there_is_answered_in_its_place() -> None:
    prepared, pipeline, out = Prepared(), Pipeline(), list[bytes]()
    assert prepared.parse(shared(1), pipeline, out, is_private=False)
    pipeline.sent(Frontend.PARSE)
    pipeline.received(Piece(ord("1"), parse_complete(), whole=True))
    prepared.confirmed(parse_complete())
    assert not prepared.parse(shared(1), pipeline, out, is_private=False)
    assert pipeline.due() == parse_complete()
    assert out == []


def test_what_is_missing_is_put_before_its_bind() -> None:
    prepared, pipeline, out = Prepared(), Pipeline(), list[bytes]()
    name = PREFIX + b"1"
    assert prepared.text_of(name) is None
    prepared.need(name, shared(1), pipeline, out, is_private=False)
    assert out == [shared(1)]
    assert prepared.text_of(name) == shared(1)
    prepared.need(name, shared(1), pipeline, out, is_private=False)
    assert out == [shared(1)]


def test_a_bind_and_a_describe_name_their_statement() -> None:
    assert statement_named_in(Piece(Frontend.BIND, bind(b"portal", b"one"), whole=True)) == b"one"
    assert statement_named_in(Piece(Frontend.DESCRIBE, describe_statement(b"two"), whole=True)) == b"two"


def test_the_number_of_statements_is_bounded() -> None:
    prepared, pipeline = Prepared(), Pipeline()
    for number in range(2 * module.MAX_STATEMENTS):
        out = list[bytes]()
        assert prepared.parse(shared(number), pipeline, out, is_private=False)
        pipeline.sent(Frontend.PARSE)
        assert out == ([close_statement(PREFIX + b"%d" % (number - 500))] if number >= 500 else [])
    assert len(prepared) == module.MAX_STATEMENTS


def test_what_is_used_is_not_what_makes_room() -> None:
    prepared, pipeline = Prepared(), Pipeline()
    for number in range(module.MAX_STATEMENTS):
        prepared.parse(shared(number), pipeline, [], is_private=False)
    prepared.need(PREFIX + b"0", shared(0), pipeline, [], is_private=False)
    assert not prepared.parse(shared(1), pipeline, [], is_private=False)
    out = list[bytes]()
    prepared.parse(shared(1000), pipeline, out, is_private=False)
    assert out == [close_statement(PREFIX + b"2")]


def test_what_the_connection_has_decides_after_a_doubt() -> None:
    prepared, pipeline = Prepared(), Pipeline()
    names = [PREFIX + b"%d" % number for number in range(5)]
    for number in range(3):
        prepared.parse(shared(number), pipeline, [], is_private=False)
        pipeline.sent(Frontend.PARSE)
        prepared.confirmed(parse_complete())
    prepared.doubt()
    assert len(prepared) == 0
    assert prepared.is_worth_asking
    prepared.make(names[2], shared(2), pipeline, [], is_private=False)
    prepared.make(names[3], shared(3), pipeline, [], is_private=True)
    assert prepared.reconcile([names[0], names[2], names[3], names[4]]) == [names[3], names[4]]
    assert [name in prepared for name in names] == [True, False, True, False, False]
    assert not prepared.has_private
    assert not prepared.is_unsure
    out = list[bytes]()
    assert not prepared.parse(shared(0), Pipeline(), out, is_private=False), "it is as good as before"
    assert out == []


def test_what_may_be_there_after_many_doubts_is_bounded() -> None:
    prepared, pipeline = Prepared(), Pipeline()
    for number in range(3 * module.MAX_STATEMENTS):
        prepared.parse(shared(number), pipeline, [], is_private=False)
        prepared.doubt()
    assert len(prepared._before) <= module.MAX_STATEMENTS


def test_too_many_doubts_are_noticed() -> None:
    prepared, pipeline = Prepared(), Pipeline()
    for number in range(module.MAX_DOUBTFUL + 1):
        assert not prepared.is_unsure
        prepared.parse(shared(number), pipeline, [], is_private=False)
        prepared.failed(0)
    assert prepared.is_unsure
    prepared.forget()
    assert not prepared.is_unsure


def test_a_name_without_an_end_is_garbage() -> None:
    with pytest.raises(RemoteProtocolError):
        name_in(b"B\0\0\0\x10abc", 5)
    with pytest.raises(RemoteProtocolError):
        statement_named_in(Piece(Frontend.BIND, b"B\0\1\0\0" + b"x" * 1024, whole=False))
