"""When answers are vouched for at an edge with real links, and what its pool nodes hear of its queries."""

from collections.abc import Iterator
from typing import Final

import pytest

from edge.cache.upkeep import REPORT_S
from edge.cache.vouching import LEASE_S
from protos.link.ddl import RECENT_S
from protos.link.link_pb2 import Ddl, Group, Reason, Statuses
from protos.pg.messages import error_response, query
from protos.runtime.clock import seconds
from tests.support.cached import TABLE, Cached, cached, caching, row
from tests.support.stage import Driver, PlayedPool, configuration, ready

READ: Final = query(b"select v from t")
ANSWER: Final = row(b"1") + ready()
TWO: Final = (("pool-1", 1), ("pool-2", 2))


def is_hit(cache: Cached, driver: Driver) -> bool:
    """Whether a read is answered here; if not, its answer comes and may not be kept."""
    driver.send(READ)
    channel = next((one for pool in cache.stage.pools for one in pool.channels if one.data), None)
    if channel is None:
        return driver.read() == ANSWER
    channel.take()
    pool = next(pool for pool in cache.stage.pools if channel in pool.channels)
    pool.answer(ANSWER, channel=channel)
    assert driver.read() == ANSWER
    return False


def test_hits_are_served_under_the_lease_only(cache: Cached) -> None:
    driver = cache.stage.connect()
    cache.kept(driver, READ, row(b"1"))
    cache.now += LEASE_S - 0.5
    assert is_hit(cache, driver)
    cache.now += 0.6
    assert not is_hit(cache, driver)
    cache.vouch()
    assert is_hit(cache, driver), "it has missed nothing, so it is good again"


@pytest.mark.parametrize("what", [{"tables": [TABLE]}, {"answers": True}, {"meaning": True}, {}], ids=str)
def test_what_is_invalidated_is_gone(cache: Cached, what: dict[str, object]) -> None:
    driver = cache.stage.connect()
    cache.kept(driver, READ, row(b"1"))
    cache.invalidate(TABLE + 1)
    assert is_hit(cache, driver)
    cache.invalidate(*what.pop("tables", ()), **what)  # type: ignore[arg-type,misc]
    assert not is_hit(cache, driver)


def test_another_boot_of_the_pool_node_begins_with_nothing(cache: Cached) -> None:
    driver = cache.stage.connect()
    cache.kept(driver, READ, row(b"1"))
    cache.stage.down()
    cache.pool.node = "another"
    cache.up()
    assert not is_hit(cache, driver)


def test_a_group_that_is_not_all_here_serves_nothing() -> None:
    with cached(pools=TWO) as cache:
        driver = cache.stage.connect()
        cache.kept(driver, READ, row(b"1"))
        first, second = cache.stage.pools
        first.say(group=Group(nodes=[first.node, second.node]))
        cache.stage.settle()
        assert not is_hit(cache, driver)
        cache.up(pool=second, group=[first.node, second.node])
        assert not is_hit(cache, driver), "the other link may have missed something"
        driver.send(READ)
        cache.pool.channel.take()
        cache.answer(row(b"1"))
        driver.read()
        assert is_hit(cache, driver)
        cache.invalidate(TABLE, pool=second)
        assert not is_hit(cache, driver), "it was written through the other one"
        driver.send(READ)
        cache.pool.channel.take()
        cache.answer(row(b"1"))
        driver.read()
        assert is_hit(cache, driver)
        cache.now += LEASE_S
        cache.vouch(first)
        assert not is_hit(cache, driver)
        cache.vouch(second)
        assert is_hit(cache, driver)
        second.say(group=Group(unknown=True))
        cache.stage.settle()
        assert not is_hit(cache, driver)


@pytest.mark.parametrize("pushed", [configuration(version=2), caching(in_transactions=True)], ids=["off", "version"])
def test_a_changed_configuration_begins_with_nothing(cache: Cached, pushed: object) -> None:
    driver = cache.stage.connect()
    cache.kept(driver, READ, row(b"1"))
    pushed.version = 2  # type: ignore[attr-defined]
    cache.pool.say(configuration=pushed)
    cache.stage.settle()
    assert not cache.answers.kept
    assert not is_hit(cache, driver)


# --- DDL ---


def ddl(number: int = 1, node: str = "a") -> Ddl:
    return Ddl(configurations=["app"], node=node, number=number)


def passed_on(pool: PlayedPool) -> list[tuple[str, int]]:
    """The DDL that this pool node was told of."""
    found = [(frame.ddl.node, frame.ddl.number) for frame in pool.heard if frame.HasField("ddl")]
    pool.heard.clear()
    return found


@pytest.fixture
def pair() -> Iterator[Cached]:
    """An edge with two pool nodes of one group, and an answer that is kept."""
    with cached(pools=TWO) as cache:
        first, second = cache.stage.pools
        nodes = [first.node, second.node]
        cache.up(pool=second, group=nodes)
        first.say(group=Group(nodes=nodes))
        cache.stage.settle()
        keep(cache)
        yield cache


def keep(cache: Cached) -> None:
    driver = cache.stage.connect()
    cache.kept(driver, READ, row(b"1"))
    driver.hang_up()


def say(cache: Cached, pool: PlayedPool, said: Ddl) -> None:
    pool.say(ddl=said)
    cache.stage.settle()


def test_ddl_of_one_pool_node_is_passed_on_and_fences_until_the_other_one_knows(pair: Cached) -> None:
    driver = pair.stage.connect()
    assert is_hit(pair, driver)
    first, second = pair.stage.pools
    say(pair, first, ddl())
    assert passed_on(second) == [("a", 1)]
    assert not passed_on(first)
    assert not pair.answers.kept
    keep(pair)  # by the older catalogue, perhaps; and something is written by it that does not concern these tables
    assert pair.answers.kept
    assert not is_hit(pair, driver)
    pair.vouch(first)
    pair.vouch(second)
    assert not is_hit(pair, driver), "a pong does not say so"
    say(pair, second, ddl())
    assert not pair.answers.kept, "what was kept meanwhile is gone"
    keep(pair)
    assert is_hit(pair, driver)
    say(pair, first, ddl())
    say(pair, second, ddl())
    assert is_hit(pair, driver), "it is no news"
    assert not passed_on(first)
    assert not passed_on(second)


def test_two_pool_nodes_that_see_ddl_at_once_have_to_hear_of_each_other(pair: Cached) -> None:
    driver = pair.stage.connect()
    first, second = pair.stage.pools
    say(pair, first, ddl())
    say(pair, second, ddl(node="b"))
    assert (passed_on(first), passed_on(second)) == ([("b", 1)], [("a", 1)])
    say(pair, second, ddl())
    keep(pair)
    assert not is_hit(pair, driver)
    say(pair, first, ddl(node="b"))
    keep(pair)
    assert is_hit(pair, driver)


def test_a_pool_node_that_is_gone_is_not_waited_for(pair: Cached) -> None:
    driver = pair.stage.connect()
    first, second = pair.stage.pools
    second.cut()
    pair.vouch(first)
    assert not is_hit(pair, driver), "the first one still names it"
    first.say(group=Group(nodes=[first.node]))
    say(pair, first, ddl())
    keep(pair)
    assert is_hit(pair, driver)


def test_ddl_of_the_only_pool_node_fences_nothing(cache: Cached) -> None:
    driver = cache.stage.connect()
    keep(cache)
    say(cache, cache.pool, ddl())
    assert not cache.answers.kept
    keep(cache)
    assert is_hit(cache, driver)


def test_a_pool_node_that_is_linked_later_is_told(pair: Cached) -> None:
    driver = pair.stage.connect()
    first, second = pair.stage.pools
    second.cut()
    say(pair, first, ddl())
    pair.up(pool=second, group=[first.node, second.node])
    assert passed_on(second) == [("a", 1)]
    keep(pair)
    assert not is_hit(pair, driver)
    say(pair, second, ddl())
    keep(pair)
    assert is_hit(pair, driver)
    second.cut()
    pair.up(pool=second, group=[first.node, second.node])
    assert passed_on(second) == [("a", 1)], "it may have started again"


def test_a_pool_node_that_gets_the_configuration_later_is_told(pair: Cached) -> None:
    """It is new, and DDL comes before all pool nodes have it: who makes one goes on with a migration."""
    driver = pair.stage.connect()
    first, second = pair.stage.pools
    second.cut()
    pair.up(pushed=configuration(name="other"), pool=second, group=[first.node, second.node])
    say(pair, first, ddl())
    assert not passed_on(second)
    second.say(configuration=caching())
    pair.stage.settle()
    pair.stage.pass_time(REPORT_S)
    assert passed_on(second) == [("a", 1)]
    keep(pair)
    assert not is_hit(pair, driver)
    say(pair, second, ddl())
    keep(pair)
    assert is_hit(pair, driver)
    pair.stage.pass_time(2 * REPORT_S)
    assert not passed_on(second)


def test_a_pool_node_that_never_answers_reads_its_catalogue_again(
    pair: Cached, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of an earlier release, say."""
    driver = pair.stage.connect()
    first, second = pair.stage.pools
    say(pair, first, ddl())
    keep(pair)
    assert not is_hit(pair, driver)
    monkeypatch.setattr("edge.cache.upkeep.seconds", lambda: seconds() + RECENT_S)
    pair.vouch(second)
    assert is_hit(pair, driver)


def test_ddl_of_another_configuration_is_no_matter(pair: Cached) -> None:
    driver = pair.stage.connect()
    say(pair, pair.stage.pools[0], Ddl(configurations=["other"], node="a", number=1))
    assert not passed_on(pair.stage.pools[1])
    assert is_hit(pair, driver)


# --- the last resort ---


def last_resort(cache: Cached) -> Driver:
    driver = cache.stage.connect()
    cache.kept(driver, READ, row(b"1"))
    return driver


def test_without_a_link_an_older_answer_is_served_if_the_operator_says_so() -> None:
    with cached(caching(stale_if_unreachable_s=30.0)) as cache:
        driver = last_resort(cache)
        cache.now += 60.0
        cache.vouch()
        assert not is_hit(cache, driver), "it can be reached"
        cache.stage.down()
        assert is_hit(cache, driver)
        cache.now += 29.9
        assert is_hit(cache, driver)
        cache.now += 0.1
        driver.send(READ)
        assert driver.read() == b"", "it is held until a pool node is there"


def test_by_default_there_is_no_last_resort(cache: Cached) -> None:
    driver = last_resort(cache)
    cache.stage.down()
    driver.send(READ)
    assert driver.read() == b""


@pytest.mark.parametrize(("sqlstate", "is_served"), [("53300", True), ("08006", True), ("57014", False)])
def test_a_refusal_finds_the_older_answer(sqlstate: str, *, is_served: bool) -> None:
    with cached(caching(stale_if_unreachable_s=30.0)) as cache:
        driver = last_resort(cache)
        cache.now += 60.0
        cache.vouch()
        driver.send(READ)
        error = error_response({"S": "ERROR", "C": sqlstate, "M": "no"})
        cache.pool.close(Reason.REFUSED, error)
        assert driver.read() == (ANSWER if is_served else error + ready())
        cache.invalidate(TABLE)
        driver.send(READ)
        cache.pool.close(Reason.REFUSED, error)
        assert driver.read() == error + ready(), "what is invalidated is never served"


# --- what the pool nodes hear ---


def reports(cache: Cached) -> list[Statuses]:
    found = [frame.statuses for frame in cache.pool.heard if frame.WhichOneof("control") == "statuses"]
    cache.pool.heard.clear()
    return found


def test_a_pool_node_hears_what_has_changed(cache: Cached) -> None:
    driver = cache.stage.connect()
    cache.kept(driver, READ, row(b"1"))
    assert is_hit(cache, driver)
    cache.stage.pass_time(0.0)
    (said,) = reports(cache)
    assert (said.configuration, said.misses, said.hits, said.entries) == ("app", 1, 1, 1)
    assert said.bytes == cache.answers.bytes > 0
    cache.stage.pass_time(REPORT_S)
    assert not reports(cache)
    assert is_hit(cache, driver)
    cache.stage.pass_time(2 * REPORT_S)
    assert [one.hits for one in reports(cache)] == [2]


def test_a_pool_node_that_comes_back_hears_all_again(cache: Cached) -> None:
    cache.stage.pass_time(0.0)
    assert reports(cache)
    cache.stage.down()
    cache.up()
    cache.stage.pass_time(REPORT_S)
    assert reports(cache)
