"""What a session is answered from the cache, in either protocol, and what has to cross."""

from typing import Final

import pytest

from edge.answering import MAX_UNSENT_BYTES
from protos.pg.messages import (
    bind,
    bind_complete,
    describe_portal,
    describe_statement,
    error_response,
    execute,
    flush,
    parameter_description,
    parse,
    parse_complete,
    query,
    row_description,
    sync,
)
from tests.support.cached import TABLE, Cached, row, rows
from tests.support.stage import Driver, done, ready

SQL: Final = b"select v from t where k = $1"
READ: Final = query(b"select v from t")
TYPES: Final = parameter_description([25])
SHAPE: Final = row_description(["v"])
WHOLE: Final = parse(b"", SQL) + bind(b"", b"", [b"1"]) + describe_portal(b"") + execute() + sync()
REFUSAL: Final = error_response({"S": "ERROR", "C": "53300", "M": "no connection came free"})


def crossed(cache: Cached) -> bytes:
    """What has come to the pool node since the last look, on all channels."""
    return b"".join(channel.take() for channel in cache.pool.channels)


# --- simple queries ---


def test_a_read_is_answered_here_once_it_was_answered_there(cache: Cached, driver: Driver) -> None:
    driver.send(READ)
    assert cache.pool.channel.asks == [0]
    assert crossed(cache) == READ
    cache.answer(row(b"1"))
    assert driver.read() == row(b"1") + ready()
    driver.send(READ)
    assert driver.read() == row(b"1") + ready()
    other = cache.stage.connect()
    other.send(READ)
    assert other.read() == row(b"1") + ready()
    assert not crossed(cache)
    assert (cache.answers.misses, cache.answers.hits) == (1, 2)


@pytest.mark.parametrize(
    "parameters",
    [{"search_path": "s"}, {"TimeZone": "Asia/Tokyo"}, {"role": "r"}, {"client_encoding": "LATIN1"}, {"a.b": "c"}],
    ids=str,
)
def test_what_an_answer_may_hang_on_keeps_sessions_apart(
    cache: Cached, driver: Driver, parameters: dict[str, str]
) -> None:
    cache.kept(driver, READ, row(b"1"))
    other, login = cache.stage.begin(parameters=parameters)
    while not cache.pool.questions:
        cache.stage.settle()
        cache.stage.proceed(other, login)
    cache.pool.resolve({})
    cache.stage.finish(other, login)
    other.send(READ)
    assert crossed(cache) == READ


def test_what_an_answer_does_not_hang_on_keeps_nobody_apart(cache: Cached, driver: Driver) -> None:
    cache.kept(driver, READ, row(b"1"))
    other = cache.stage.connect(parameters={"application_name": "another"})
    other.send(READ)
    assert other.read() == row(b"1") + ready()


def test_a_setting_of_the_session_keeps_it_apart(cache: Cached, driver: Driver) -> None:
    cache.kept(driver, READ, row(b"1"))
    other = cache.stage.connect()
    other.send(query(b"set timezone = 'Asia/Tokyo'"))
    cache.pool.answer(done("SET"), status=ord("I") | 0x100)
    cache.pool.state({"TimeZone": "Asia/Tokyo"})
    other.read()
    crossed(cache)
    other.send(READ)
    assert crossed(cache) == READ


@pytest.mark.parametrize(
    "request_", [query(b"update t set v = 1"), query(b"begin; select 1"), query(b""), query(b"-- select 1")], ids=str
)
def test_only_what_looks_like_a_read_is_asked_about(cache: Cached, driver: Driver, request_: bytes) -> None:
    driver.send(request_)
    assert crossed(cache) == request_
    assert not cache.pool.channel.asks


def test_a_read_behind_another_request_is_not_served_and_not_kept(cache: Cached, driver: Driver) -> None:
    """A session never overtakes itself (rules 20)."""
    cache.kept(driver, READ, row(b"1"))
    write = query(b"update t set v = 2")
    driver.send(write)
    driver.send(READ)
    assert crossed(cache) == write + READ
    assert not cache.pool.channel.asks
    cache.pool.answer(done("UPDATE 1"))
    assert driver.read() == done("UPDATE 1")
    cache.invalidate(TABLE)
    cache.pool.answer(row(b"2") + ready())
    assert driver.read() == row(b"2") + ready()
    driver.send(READ + READ)
    assert crossed(cache) == READ + READ
    assert not cache.pool.channel.asks, "the second one crosses behind it, so its answer could not be told from it"


def test_a_negative_verdict_is_remembered_until_the_meaning_may_have_changed(cache: Cached, driver: Driver) -> None:
    for _ in range(2):
        for asks in ([0], []):
            driver.send(READ)
            assert cache.pool.channel.asks[-1:] == asks or len(cache.pool.channel.asks) == len(asks)
            cache.pool.channel.asks.clear()
            cache.pool.channel.received_bytes = 0
            assert crossed(cache) == READ
            if asks:
                cache.judge(why="function: random")
            cache.pool.answer(row(b"1") + ready())
            assert driver.read() == row(b"1") + ready()
        cache.invalidate(meaning=True)
    assert not cache.answers.kept
    assert dict(cache.answers.uncacheable) == {"function": 4}


@pytest.mark.parametrize("keep", [True, False])
def test_the_frame_that_settles_it_has_the_last_word(cache: Cached, driver: Driver, *, keep: bool) -> None:
    driver.send(READ)
    cache.answer(row(b"1"), keep=keep)
    assert len(cache.answers) == keep


def test_without_a_verdict_nothing_is_kept(cache: Cached, driver: Driver) -> None:
    driver.send(READ)
    cache.pool.answer(row(b"1") + ready(), status=ord("I") | 0x1000)
    assert driver.read() == row(b"1") + ready()
    assert not cache.answers.kept


# --- the extended protocol ---

ANSWERS: Final = {
    "whole": (WHOLE, parse_complete() + bind_complete() + SHAPE + rows(b"1")),
    "described": (
        parse(b"", SQL) + describe_statement(b"") + bind(b"", b"", [b"1"]) + execute() + sync(),
        parse_complete() + TYPES + SHAPE + bind_complete() + rows(b"1"),
    ),
    "plain": (
        parse(b"", SQL) + bind(b"", b"", [b"1"]) + execute() + sync(),
        parse_complete() + bind_complete() + rows(b"1"),
    ),
    "named": (
        parse(b"s", SQL) + bind(b"", b"s", [b"1"]) + describe_portal(b"") + execute() + sync(),
        parse_complete() + bind_complete() + SHAPE + rows(b"1"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("first", ["whole", "described"])
@pytest.mark.parametrize("second", list(ANSWERS))
def test_a_group_hits_whatever_its_messages(cache: Cached, driver: Driver, first: str, second: str) -> None:
    cache.kept(driver, *ANSWERS[first])
    other = cache.stage.connect()
    request, answer = ANSWERS[second]
    for _ in range(2):
        other.send(request)
        if first == "whole" and second == "described":
            assert crossed(cache), "nobody has asked for the statement's description yet"
            return
        assert not crossed(cache)
        assert other.read() == answer + ready()
        other = cache.stage.connect()


def test_what_is_parsed_first_and_bound_later_hits(cache: Cached, driver: Driver) -> None:
    cache.kept(driver, *ANSWERS["described"])
    bound = bind(b"", b"s", [b"1"]) + describe_portal(b"") + execute() + sync()
    for client in (cache.stage.connect(), cache.stage.connect()):
        client.send(parse(b"s", SQL) + describe_statement(b"s") + flush())
        if crossed(cache):
            cache.pool.answer(parse_complete() + TYPES + SHAPE, settled=0)
        client.read()
        client.send(sync())
        crossed(cache)
        cache.pool.answer(ready())
        client.read()
        client.send(bound)
        if crossed(cache):  # it was told a description, so it asks for rows that fit it
            cache.answer(bind_complete() + SHAPE + rows(b"1"))
        assert client.read() == bind_complete() + SHAPE + rows(b"1") + ready()
        client.send(bound)
        assert not crossed(cache)
        assert client.read() == bind_complete() + SHAPE + rows(b"1") + ready()


@pytest.mark.parametrize(
    "values",
    [
        bind(b"", b"", [b"2"]),
        bind(b"", b"", [b"1"], formats=[1]),
        bind(b"", b"", [b"1"], result_formats=[1]),
        bind(b"", b"", [None]),
    ],
    ids=["value", "format", "result format", "null"],
)
def test_values_and_formats_keep_requests_apart(cache: Cached, driver: Driver, values: bytes) -> None:
    cache.kept(driver, *ANSWERS["whole"])
    driver.send(parse(b"", SQL) + values + describe_portal(b"") + execute() + sync())
    assert crossed(cache)


def test_a_number_of_rows_keeps_requests_apart(cache: Cached, driver: Driver) -> None:
    cache.kept(driver, *ANSWERS["whole"])
    driver.send(parse(b"", SQL) + bind(b"", b"", [b"1"]) + describe_portal(b"") + execute(max_rows=1) + sync())
    assert crossed(cache)


def test_two_groups_in_a_row_cross(cache: Cached, driver: Driver) -> None:
    cache.kept(driver, *ANSWERS["whole"])
    driver.send(query(b"update t set v = 1") + WHOLE)
    assert crossed(cache).endswith(WHOLE)


def test_a_fact_that_is_a_read_too_leaves_no_flight_behind(cache: Cached, driver: Driver) -> None:
    """An Ask that waits for the next request would keep the answer to that under the wrong key."""
    fact = parse(b"", b"select version()") + bind(b"", b"", []) + execute() + sync()
    driver.send(fact)
    crossed(cache)
    cache.pool.answer(parse_complete() + bind_complete() + rows(b"15") + ready(), status=ord("I") | 0x400)
    driver.read()
    driver.send(fact)
    assert not crossed(cache), "it is remembered"
    assert driver.read() == parse_complete() + bind_complete() + rows(b"15") + ready()
    assert not cache.answers.flights.by_key
    cache.pool.channel.asks.clear()
    driver.send(query(b"update t set v = 1 returning v"))
    assert not cache.pool.channel.asks


# --- a client that does not take what it gets ---


def test_what_waits_for_a_client_to_take_it_is_bounded(cache: Cached, driver: Driver) -> None:
    big = row(b"x" * 100_000)
    cache.kept(driver, READ, big)
    driver.send(READ * 1000)
    (client,) = cache.stage.edge.clients
    assert client.connection.pending_bytes <= MAX_UNSENT_BYTES + len(big)
    assert crossed(cache).startswith(READ), "the rest crosses, and comes as fast as it is taken"
    hits = cache.answers.hits
    assert 1 < hits <= 2 + MAX_UNSENT_BYTES // len(big)
    driver.send(READ)
    assert cache.answers.hits == hits
    assert driver.read() == (big + ready()) * hits


def test_a_client_that_takes_what_it_gets_is_served_here(cache: Cached, driver: Driver) -> None:
    big = row(b"x" * 300_000)
    cache.kept(driver, READ, big)
    for _ in range(5):
        driver.send(READ)
        assert driver.read() == big + ready()
    assert cache.answers.hits == 5
