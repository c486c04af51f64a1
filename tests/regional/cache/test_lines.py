"""A line to a real PostgreSQL: questions in order, refusals, and its end."""

import pytest
from psycopg import sql

from regional.cache.lines import Line, RefusedError
from regional.configuration import OriginSecret
from regional.exchange import Exchange
from tests.regional.cache.followed import Database
from tests.support.beside import PoolSide, beside, until


async def open_line(side: PoolSide, database: Database, **parameters: str) -> Line:
    secret = OriginSecret(password=database.origin.password)
    login = await side.tenants.dialer.presenting(**parameters).dial(database.configuration(), secret)
    return Line(login.connection)


@beside
async def test_questions_are_answered_in_their_order(side: PoolSide, database: Database) -> None:
    line = await open_line(side, database)
    answers: list[Exchange] = []
    line.ask(b"select 1", answers.append)
    line.ask(b"select nowhere", answers.append)
    assert await line.rows(b"select 2; select 3, null") == [[b"2"], [b"3", None]]
    assert [answer.rows for answer in answers] == [[[b"1"]], []]
    assert b"42703" in answers[1].error
    line.close()


@beside
async def test_a_refusal_has_its_code(side: PoolSide, database: Database) -> None:
    line = await open_line(side, database)
    with pytest.raises(RefusedError) as caught:
        await line.rows(b"select nowhere")
    assert caught.value.code == "42703"
    assert await line.rows(b"select 1") == [[b"1"]]
    line.close()


@beside
async def test_a_login_presents_what_it_was_given(side: PoolSide, database: Database) -> None:
    line = await open_line(side, database, search_path="nowhere", application_name="mine")
    assert await line.rows(b"show search_path; show application_name") == [[b"nowhere"], [b"mine"]]
    line.close()
    plain = await open_line(side, database)
    assert await plain.rows(b"show application_name") == [[b"Onetrip"]]
    plain.close()


@beside
async def test_a_line_that_is_lost_answers_all_and_says_so(side: PoolSide, database: Database) -> None:
    line = await open_line(side, database)
    why: list[str] = []
    answers: list[Exchange] = []
    line.on_lost = why.append
    ((pid,),) = await line.rows(b"select pg_backend_pid()")
    line.ask(b"select pg_sleep(60)", answers.append)
    line.ask(b"select 1", answers.append)
    with database.origin.connect() as connection:
        connection.execute(sql.SQL("select pg_terminate_backend({})").format(int(pid or b"0")))
    await until(lambda: why)
    assert [answer.status for answer in answers] == [0, 0]
    assert b"57P01" in answers[0].error
    with pytest.raises(RefusedError):
        await line.rows(b"select 1")


@beside
async def test_what_an_idle_line_is_told_ends_it(side: PoolSide, database: Database) -> None:
    line = await open_line(side, database)
    why: list[str] = []
    line.on_lost = why.append
    ((pid,),) = await line.rows(b"select pg_backend_pid()")
    with database.origin.connect() as connection:
        connection.execute(sql.SQL("select pg_terminate_backend({})").format(int(pid or b"0")))
    await until(lambda: why)
    assert "terminating connection" in why[0]
