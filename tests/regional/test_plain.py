"""Statements under the client's own names on a shared connection: there for their lease, and for nobody else."""

import pytest

from protos.pg.messages import bind, close_statement, describe_portal, describe_statement, execute, parse, query, sync
from protos.pg.names import PREFIX
from protos.pg.pipeline import Pipeline
from protos.pg.tags import Frontend
from regional.configuration import Early
from regional.plain import make, plain_piece
from regional.prepared import Prepared
from tests.support.beside import PoolSide, beside
from tests.support.cluster import Origin

RUN = (execute(), sync())


@beside
async def test_prepare_lives_on_in_its_session_and_in_no_other(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    one, other = edge.client(), edge.client()
    answer = await one.ask(query(b"prepare s (int) as select $1 + 1"))
    assert (answer.tags, answer.notices) == ("CZ", [])
    assert (await other.ask(query(b"execute s(1)"))).code == "26000"
    await other.ask(query(b"prepare s as select 'other'"))
    assert (await one.ask(query(b"execute s(1)"))).value == b"2"
    assert (await other.ask(query(b"execute s"))).value == b"other"
    assert (await one.ask(query(b"prepare s as select 1"))).error["M"] == 'prepared statement "s" already exists'
    assert (await one.ask(query(b"deallocate s"))).tags == "CZ"
    assert (await one.ask(query(b"deallocate s"))).code == "26000"
    assert (await other.ask(query(b"execute s"))).value == b"other"


@beside
async def test_sql_and_the_protocol_name_the_same_statements(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    client = edge.client()
    await client.ask(query(b"prepare s (int) as select $1 + 1"))
    assert (await client.ask(bind(b"", b"s", [b"4"]), *RUN)).value == b"5"
    assert (await client.ask(parse(b"s", b"select 1"), sync())).error["M"] == 'prepared statement "s" already exists'
    assert (await client.ask(close_statement(b"s"), parse(b"s", b"select 7"), sync())).tags == "31Z"
    assert (await client.ask(query(b"execute s"))).value == b"7"
    assert (await client.ask(parse(b"", b"execute s"), bind(b"", b""), *RUN)).value == b"7"
    await client.ask(query(b"deallocate all"))
    assert (await client.ask(bind(b"", b"s"), *RUN)).code == "26000"


@pytest.mark.parametrize("name", [b"x", b""], ids=["named", "unnamed"])
@beside
async def test_an_execute_is_described_as_it_was_parsed_and_runs_what_there_is(
    side: PoolSide, origin: Origin, name: bytes
) -> None:
    edge = side.serve(origin)
    await side.alone()
    client = edge.client()
    for columns, now in enumerate((b"select 1", b"select 1, 2", b"select 1, 2, 3")):
        await client.ask(parse(name, b"execute s"), sync())
        await client.ask(close_statement(b"s"), parse(b"s", now), sync())
        asked = (describe_statement(name), bind(b"", name), describe_statement(name), describe_portal(b""), *RUN)
        answer = await client.ask(*asked)
        assert answer.tags == ("tT2tTTDCZ" if columns else "tn2tnTDCZ")
        told = [message.data[6] for message in answer.messages if message.tag == ord("T")]
        assert told == ([columns] * 2 if columns else []) + [columns + 1]
        assert len(answer.rows[0]) == columns + 1
        await client.ask(close_statement(name), sync())


@beside
async def test_what_an_execute_prepares_is_described_as_what_was_found_before_it(
    side: PoolSide, origin: Origin
) -> None:
    edge = side.serve(origin)
    await side.alone()
    client = edge.client()
    await client.ask(parse(b"makes", b"prepare s as select 1"), sync())
    runs = (parse(b"", b"execute makes"), bind(b"", b""), execute())
    answer = await client.ask(parse(b"outer", b"execute s"), *runs, describe_statement(b"outer"), sync())
    assert answer.tags == "112CtnZ"
    assert (await client.ask(query(b"execute s"))).value == b"1"
    assert (await client.ask(query(b"execute makes"))).code == "42P05"


@beside
async def test_errors_of_an_execute_are_at_their_place_in_its_own_text(side: PoolSide, origin: Origin) -> None:
    client = side.serve(origin).client()
    await client.ask(query(b"prepare s (int) as select $1"))
    error = (await client.ask(query(b"execute s (nope)"))).error
    assert (error["C"], error["P"]) == ("42703", "12")
    error = (await client.ask(query(b"prepare t as selec"))).error
    assert (error["C"], error["P"]) == ("42601", "14")
    assert (await client.ask(query(b"execute t"))).code == "26000"


@pytest.mark.parametrize("early", [Early(), Early(begin=False, prepare=False)], ids=["early", "not early"])
@beside
async def test_a_command_whose_statement_fails_to_parse_now_says_why(
    side: PoolSide, origin: Origin, early: Early
) -> None:
    edge = side.serve(origin, early=early)
    await side.alone()
    client = edge.client()
    for text in (b"create schema away", b"create table away.far (n int)", b"set search_path = away"):
        await client.ask(query(text))
    try:
        await client.ask(query(b"prepare s as select n from far"))
        await client.ask(parse(b"p", b"select n from far"), sync())
        await client.ask(query(b"set search_path = pg_catalog"))
        for name in (b"s", b"p"):
            assert (await client.ask(query(b"execute " + name))).error["M"] == 'relation "far" does not exist'
            await client.ask(query(b"begin"))
            assert (await client.ask(query(b"execute " + name))).code == "42P01"
            assert (await client.ask(query(b"select 1"))).code == "25P02"
            await client.ask(query(b"rollback"))
            outer = b"outer " + name
            behind = (bind(b"", b"nobody"), *RUN)
            answer = await client.ask(parse(outer, b"execute " + name), *behind)
            assert (answer.tags, answer.code) == ("1EZ", "26000"), "that is about another name"
            assert (await client.ask(bind(b"", outer), *RUN)).code == "42P01"
        assert (await client.ask(query(b"execute nobody"))).code == "26000"
        assert (await client.ask(query(b"deallocate s"))).tags == "CZ"
        assert (await client.ask(query(b"execute s"))).code == "26000"
    finally:
        await client.ask(query(b"drop schema away cascade"))


@beside
async def test_deallocate_stays_done_after_a_rollback_and_not_after_an_error(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    client = edge.client()
    await client.ask(parse(b"s", b"select 1"), sync())
    for text in (b"begin", b"discard all", b"rollback"):
        await client.ask(query(text))
    assert (await client.ask(bind(b"", b"s"), *RUN)).value == b"1"
    for text in (b"begin", b"deallocate s", b"rollback"):
        await client.ask(query(text))
    assert (await client.ask(bind(b"", b"s"), *RUN)).code == "26000"


@beside
async def test_nothing_of_it_is_left_for_the_next_lease(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    client = edge.client()
    await client.ask(query(b"prepare s as select 1"))
    await client.ask(query(b"execute s"))
    left = b"select count(*) from pg_prepared_statements where name not like 'onetrip:%'"
    assert (await edge.client().ask(query(left))).value == b"0"


@pytest.mark.parametrize("mode", ["pin", "reset"])
@beside
async def test_it_is_the_same_in_every_session_state(side: PoolSide, origin: Origin, mode: str) -> None:
    edge = side.serve(origin, session_state=mode)
    await side.alone()
    one = edge.client()
    await one.ask(query(b"prepare s as select 1"))
    await one.ask(parse(b"t", b"select 2"), sync())
    for name, value in ((b"s", b"1"), (b"t", b"2"), (b"s", b"1")):
        assert (await one.ask(query(b"execute " + name))).value == value
        assert (await one.ask(bind(b"", name), *RUN)).value == value
    assert (await one.ask(query(b"deallocate s"))).tags == "CZ"
    assert (await one.ask(query(b"execute s"))).code == "26000"


def test_the_name_is_made_free_first_and_where_there_is_nothing_to_make_too() -> None:
    prepared = Prepared()
    for text, expected in ((None, b""), (parse(PREFIX + b"1", b"select 1"), b"CPS"), (None, b"CS")):
        pipeline, out = Pipeline(), list[bytes]()
        make(plain_piece(b"s", text, is_sql=False, made_for=Frontend.QUERY), prepared, pipeline, out, is_private=False)
        assert bytes(message[0] for message in out) == expected
        assert not pipeline.owed


def test_in_the_middle_of_a_group_no_sync_of_ours_ends_it() -> None:
    pipeline, out = Pipeline(), list[bytes]()
    pipeline.sent(Frontend.PARSE)
    text = parse(PREFIX + b"1", b"select 1")
    make(plain_piece(b"s", text, is_sql=False, made_for=Frontend.QUERY), Prepared(), pipeline, out, is_private=False)
    assert bytes(message[0] for message in out) == b"CP"


def test_nor_does_one_end_what_an_error_may_have_skipped() -> None:
    pipeline, out = Pipeline(), list[bytes]()
    pipeline.sent(Frontend.PARSE)
    pipeline.sent(Frontend.QUERY)  # if the Parse fails, this is skipped, and so is what comes next
    text = parse(PREFIX + b"1", b"select 1")
    make(plain_piece(b"s", text, is_sql=False, made_for=Frontend.QUERY), Prepared(), pipeline, out, is_private=False)
    assert bytes(message[0] for message in out) == b"CP"


@beside
async def test_what_a_function_has_prepared_is_there_as_long_as_its_lease(side: PoolSide, origin: Origin) -> None:
    client = side.serve(origin).client()
    await client.ask(query(b"begin"))
    await client.ask(query(b"do $$ begin execute 'prepare s as select 1'; end $$"))
    assert (await client.ask(query(b"execute s"))).value == b"1"
    assert (await client.ask(bind(b"", b"s"), *RUN)).value == b"1"
    await client.ask(query(b"commit"))
    assert (await client.ask(query(b"execute s"))).code == "26000"


@pytest.mark.parametrize("gone", [b"deallocate s", b"deallocate all"])
@beside
async def test_what_a_function_prepares_by_a_name_that_was_given_back_is_its_own(
    side: PoolSide, origin: Origin, gone: bytes
) -> None:
    client = side.serve(origin).client()
    await client.ask(query(b"begin"))
    await client.ask(query(b"prepare s as select 1"))
    await client.ask(query(gone))
    await client.ask(query(b"do $$ begin execute 'prepare s as select 2'; end $$"))
    assert (await client.ask(query(b"execute s"))).value == b"2"
    await client.ask(query(b"commit"))


@beside
async def test_a_prepare_that_fails_takes_nothing_from_who_has_the_name(side: PoolSide, origin: Origin) -> None:
    client = side.serve(origin).client()
    await client.ask(query(b"begin; do $$ begin execute 'prepare s as select 1'; end $$; savepoint a"))
    assert (await client.ask(query(b"prepare s as select 2"))).code == "42P05"
    await client.ask(query(b"rollback to a"))
    assert (await client.ask(query(b"execute s"))).value == b"1"
    assert (await client.ask(query(b"deallocate s"))).tags == "CZ"
    await client.ask(query(b"commit"))


@beside
async def test_a_name_that_was_closed_is_gone_in_its_lease_too(side: PoolSide, origin: Origin) -> None:
    client = side.serve(origin).client()
    await client.ask(query(b"begin"))
    await client.ask(query(b"prepare s as select 1"))
    await client.ask(close_statement(b"s"), sync())
    assert (await client.ask(bind(b"", b"s"), *RUN)).code == "26000"


@beside
async def test_what_an_execute_has_deallocated_is_made_again_in_its_lease(side: PoolSide, origin: Origin) -> None:
    client = side.serve(origin).client()
    await client.ask(parse(b"drops", b"deallocate all"), sync())
    await client.ask(query(b"begin"))
    for drops in (b"execute drops", b""):
        answer = await client.ask(parse(b"s", b"select 5"), bind(b"", b"s"), *RUN)
        assert (answer.tags, answer.value) == ("12DCZ", b"5")
        await client.ask(query(b"savepoint a"))
        assert (await client.ask(parse(b"s", b"select 6"), sync())).code == "42P05"
        await client.ask(query(b"rollback to a"))
        if drops:
            assert (await client.ask(query(drops))).tags == "CZ"
