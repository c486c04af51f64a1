"""What a session says of the cache never reaches the origin, and is answered as PostgreSQL answers such things."""

from typing import Final

import pytest

from edge.cache.switch import (
    CACHE,
    STATUS,
    Switch,
    Switches,
    bad_switch_in,
    switch_of,
    switches_in,
    without_switches,
)
from protos.link.link_pb2 import Early
from protos.link.settings import FACT, SETTLING
from protos.pg.messages import (
    bind,
    bind_complete,
    command_complete,
    data_row,
    describe_portal,
    describe_statement,
    error_fields,
    execute,
    no_data,
    parameter_description,
    parse,
    parse_complete,
    query,
    row_description,
    sync,
)
from tests.edge.cache.test_uncommitted import ASYNCPG_RESET
from tests.support.cached import Cached, cached, notices, row
from tests.support.stage import FAILED, IDLE, IN_TRANSACTION, Driver, configuration, done, ready, staged

READ: Final = query(b"select v from t")


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        (b"set onetrip.cache = off", Switch(CACHE, value=False)),
        (b" SET  SESSION Onetrip.Cache\tTO 'ON' ; ", Switch(CACHE, value=True)),
        (b"set onetrip.cache=default", Switch(CACHE)),
        (b"set onetrip.cache_status to true", Switch(STATUS, value=True)),
        (b"set onetrip.cache = maybe", Switch(CACHE, value=False, is_bad=True)),
        (b"reset onetrip.cache;", Switch(CACHE, tag="RESET")),
        (b"show onetrip.cache_status", Switch(STATUS, tag="SHOW")),
        (b"SET LOCAL onetrip.cache = off", Switch(CACHE, value=False, is_local=True)),
        (b"set local session onetrip.cache = off", None),
        (b"set onetrip.cache = off; select 1", None),
        (b"set onetrip.cachet = off", None),
        (b"/* onetrip.cache */ select 1", None),
        (b"select 'set onetrip.cache = off'", None),
        ("set onetrip.cache = 'ö'".encode(), None),
    ],
    ids=str,
)
def test_only_a_statement_that_does_nothing_else_is_a_switch(sql: bytes, found: Switch | None) -> None:
    assert switch_of(sql) == found


def test_settings_at_startup_are_told_apart() -> None:
    pairs = [("onetrip.cache", "off"), ("a.b", "c"), ("onetrip.cache_status", "maybe")]
    assert switches_in(pairs) == [Switch(CACHE, value=False)]
    assert without_switches(pairs) == pairs[1:]
    bad = bad_switch_in(pairs)
    assert bad is not None
    assert bad.name == STATUS
    assert bad_switch_in(pairs[:2]) is None


def test_a_reset_leads_back_to_the_startup() -> None:
    switches = Switches()
    switches.begin([Switch(CACHE, value=False)])
    assert switches.is_off
    switches.turn(Switch(CACHE, value=True))
    switches.turn(Switch(STATUS, value=True))
    assert (switches.value_of(CACHE), switches.value_of(STATUS)) == (b"on", b"on")
    switches.turn(Switch(CACHE, tag="RESET"))
    assert (switches.value_of(CACHE), switches.value_of(STATUS)) == (b"off", b"on")
    switches.ran_here(b"reset all", in_transaction=False)
    assert (switches.value_of(CACHE), switches.value_of(STATUS)) == (b"off", b"off")


def test_what_the_settings_say_no_longer_is_as_at_the_start() -> None:
    switches = Switches()
    switches.turn(Switch(STATUS, value=True))
    switches.adopt([], [Switch(CACHE, value=False)])
    assert (switches.is_off, switches.are_at_origin) == (True, True)
    switches.adopt([Switch(CACHE, value=False)], [])
    assert (switches.is_off, switches.are_at_origin) == (False, False)
    assert switches.reports, "which the settings never said"


# --- in a session ---


def extended(sql: bytes, *, name: bytes = b"") -> bytes:
    return parse(name, sql) + bind(b"", name, []) + describe_portal(b"") + execute() + sync()


def test_a_session_turns_the_cache_off_and_on(cache: Cached, driver: Driver) -> None:
    cache.kept(driver, READ, row(b"1"))
    driver.send(query(b"set onetrip.cache = off"))
    assert driver.read() == done("SET")
    driver.send(READ)
    assert cache.pool.channel.take() == READ
    assert not cache.pool.channel.asks
    cache.pool.answer(row(b"2") + ready())
    assert driver.read() == row(b"2") + ready()
    assert cache.answers.bypassed == 1
    driver.send(extended(b"set onetrip.cache = on"))
    assert driver.tags() == "12nCZ"
    driver.send(READ)
    assert driver.read() == row(b"1") + ready()
    assert not cache.pool.channel.take()


@pytest.mark.parametrize("early", [True, False])
def test_a_switch_stays_here_where_nothing_is_cached(*, early: bool) -> None:
    with cached(configuration(early=Early(begin=early))) as cache:
        driver = cache.stage.connect()
        driver.send(query(b"set onetrip.cache = off"))
        assert driver.read() == done("SET")
        driver.send(query(b"show onetrip.cache"))
        assert driver.read() == row_description(["onetrip.cache"]) + data_row([b"off"]) + done("SHOW")
        assert not cache.pool.channels


def said(cache: Cached, driver: Driver, sql: bytes, **settings: str) -> None:
    """It crosses, and the session's settings are these then."""
    driver.send(query(sql))
    assert cache.pool.channel.take() == query(sql)
    cache.pool.answer(done("SET"), status=IDLE | SETTLING)
    cache.pool.state({CACHE if name == "cache_" else name: value for name, value in settings.items()})
    cache.stage.settle()
    driver.read()


def test_behind_what_the_origin_was_told_it_is_told_the_rest(cache: Cached, driver: Driver) -> None:
    """Else what it was told first would count again as soon as another setting is heard of."""
    cache.kept(driver, READ, row(b"1"))
    said(cache, driver, b"select 1; set onetrip.cache = on", cache_="on")
    said(cache, driver, b"set onetrip.cache = off", cache_="off")
    said(cache, driver, b"set jit = off", cache_="off", jit="off")
    driver.send(READ)
    assert cache.pool.channel.take() == READ
    cache.pool.answer(row(b"2") + ready())
    driver.read()
    said(cache, driver, b"reset onetrip.cache")
    driver.send(query(b"show onetrip.cache") + query(b"set onetrip.cache = off"))
    assert driver.tags() == "TDCZCZ"
    assert not cache.pool.channel.take(), "the origin has none any more"


def test_while_it_may_have_been_told_it_is_asked(cache: Cached, driver: Driver) -> None:
    driver.send(query(b"begin") + query(b"select 1; set onetrip.cache = on"))
    cache.pool.channel.take()
    cache.pool.answer(done("BEGIN", IN_TRANSACTION) + done("SET", IN_TRANSACTION), status=IN_TRANSACTION, settled=2)
    driver.read()
    driver.send(query(b"set onetrip.cache = off"))
    assert cache.pool.channel.take() == query(b"set onetrip.cache = off")
    cache.pool.answer(done("SET", IN_TRANSACTION), status=IN_TRANSACTION)
    driver.send(query(b"rollback"))
    cache.pool.channel.take()
    cache.pool.answer(done("ROLLBACK"))
    driver.read()
    driver.send(query(b"set onetrip.cache = off"))
    assert not cache.pool.channel.take(), "nothing is left of it"


def test_show_in_the_extended_protocol(cache: Cached, driver: Driver) -> None:
    shape, value = row_description([CACHE]), data_row([b"on"]) + command_complete("SHOW")
    driver.send(extended(b"show onetrip.cache", name=b"s"))
    assert driver.read() == parse_complete() + bind_complete() + shape + value + ready()
    driver.send(describe_statement(b"s") + sync())
    assert driver.read() == parameter_description([]) + shape + ready()
    driver.send(bind(b"", b"s", []) + execute() + sync())
    assert driver.read() == bind_complete() + value + ready()
    assert not cache.pool.channels


@pytest.mark.parametrize("is_extended", [True, False])
def test_a_bad_value_is_refused_and_changes_nothing(cache: Cached, driver: Driver, *, is_extended: bool) -> None:
    sql = b"set onetrip.cache = maybe"
    driver.send(extended(sql) if is_extended else query(sql))
    *_, error, last = driver.messages()
    fields = error_fields(error)
    assert (fields["S"], fields["C"], fields["H"]) == ("ERROR", "22023", "Use on, off or DEFAULT.")
    assert last == ready()
    driver.send(query(b"show onetrip.cache"))
    assert data_row([b"on"]) in driver.read()
    assert not cache.pool.channels


def test_a_bad_value_fails_a_transaction_that_is_held() -> None:
    pushed = configuration(early=Early(begin=True))
    with cached(pushed) as cache:
        driver = cache.stage.connect()
        driver.send(query(b"begin") + query(b"set onetrip.cache = maybe"))
        assert driver.messages()[-1] == ready(FAILED)
        driver.send(READ)
        assert cache.pool.channel.take() == READ
        cache.pool.answer(ready(FAILED), status=FAILED)
        driver.read()


def test_a_bad_value_crosses_where_the_origin_has_the_transaction(cache: Cached, driver: Driver) -> None:
    driver.send(query(b"begin"))
    cache.pool.answer(done("BEGIN", IN_TRANSACTION), status=IN_TRANSACTION)
    driver.read()
    cache.pool.channel.take()
    driver.send(query(b"set onetrip.cache = maybe"))
    assert cache.pool.channel.take()


def test_startup_says_it_too(cache: Cached) -> None:
    driver = cache.stage.connect(parameters={"options": "-c onetrip.cache=off -c onetrip.cache_status=on"})
    driver.send(READ)
    cache.pool.answer(row(b"1") + ready())
    assert notices(driver) == (["bypassed"], "TDCZ")
    assert not cache.pool.channel.opening.settings
    assert cache.stage.refusal(parameters={"options": "-c onetrip.cache=maybe"})["C"] == "22023"


@pytest.mark.parametrize(("sql", "tag"), [(b"discard all", "DISCARD ALL"), (b"RESET ALL", "RESET")])
def test_what_resets_all_resets_the_switches(cache: Cached, driver: Driver, sql: bytes, tag: str) -> None:
    driver.send(query(b"set onetrip.cache = off"))
    driver.read()
    driver.send(query(sql))
    cache.pool.answer(done(tag))
    driver.read()
    driver.send(query(b"show onetrip.cache"))
    assert data_row([b"on"]) in driver.read()


@pytest.mark.parametrize("is_extended", [True, False])
def test_so_it_does_where_it_is_answered_here(cache: Cached, driver: Driver, *, is_extended: bool) -> None:
    request = extended(b"reset all") if is_extended else query(ASYNCPG_RESET)
    driver.send(request)
    reply = b"".join((parse_complete(), bind_complete(), no_data())) if is_extended else b""
    cache.pool.answer(reply + done("RESET"), status=IDLE | FACT | SETTLING)
    cache.pool.state({})
    driver.read()
    cache.pool.channel.take()
    driver.send(query(b"set onetrip.cache = off"))
    driver.read()
    driver.send(request)
    assert driver.tags().endswith("CZ")
    assert not cache.pool.channel.take(), "it is answered here"
    driver.send(query(b"show onetrip.cache"))
    assert data_row([b"on"]) in driver.read()


# --- what is said of each query ---


def test_the_status_of_each_query_is_told_in_front_of_its_answer() -> None:
    with cached() as cache:
        driver = cache.stage.connect()
        driver.send(query(b"set onetrip.cache_status = on"))
        assert driver.read() == done("SET")
        driver.send(READ)
        cache.answer(row(b"1"), stale_while_revalidate_s=30.0)
        assert notices(driver) == (["miss"], "TDCZ")
        driver.send(READ)
        assert notices(driver) == (["hit"], "TDCZ")
        cache.now += 60.0
        cache.vouch()
        driver.send(READ)
        assert notices(driver) == (["stale"], "TDCZ")
        driver.send(query(b"update t set v = 2"))
        cache.pool.answer(done("UPDATE 1"), channel=cache.pool.channels[0])
        assert notices(driver) == (["uncacheable (not a read)"], "CZ")
        driver.send(query(b"select random()"))
        cache.judge(cache.pool.channels[0], why="function: random")
        cache.pool.answer(row(b"1") + ready(), channel=cache.pool.channels[0])
        assert notices(driver) == (["uncacheable (function: random)"], "TDCZ")
        driver.send(query(b"begin"))
        cache.pool.answer(done("BEGIN", IN_TRANSACTION), status=IN_TRANSACTION, channel=cache.pool.channels[0])
        driver.read()
        driver.send(READ)
        cache.pool.answer(row(b"1") + ready(IN_TRANSACTION), status=IN_TRANSACTION, channel=cache.pool.channels[0])
        assert notices(driver) == (["transaction"], "TDCZ")


def test_a_notice_is_never_in_the_middle_of_another_answer(cache: Cached, driver: Driver) -> None:
    driver.send(query(b"set onetrip.cache_status = on"))
    driver.read()
    group = parse(b"", b"insert into t values (1) returning v") + bind(b"", b"", []) + execute()
    driver.send(group)
    row_ = data_row([b"1"])
    cache.pool.answer(parse_complete() + bind_complete() + row_[:5], settled=0)
    assert notices(driver)[0] == ["uncacheable (not a read)"]
    driver.send(bind(b"", b"", []) + execute() + sync())
    assert driver.read() == b"", "the row is still on its way"


def test_nothing_is_kept_where_caching_is_off() -> None:
    with staged() as stage:
        stage.up()
        driver = stage.connect()
        driver.send(query(b"set onetrip.cache_status = on") + READ)
        stage.pool.answer(row(b"1") + ready(IDLE))
        assert notices(driver) == (["disabled"], "CZTDCZ")
        assert not stage.pool.channel.asks
