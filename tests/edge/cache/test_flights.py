"""One request for all who ask the same at the same time: who joins, what they get, and that nobody waits for ever."""

import time
from typing import Final

import pytest

from edge.cache.flights import MAX_WAIT_S
from edge.cache.vouching import LEASE_S
from edge.client import PATIENCE_S
from protos.errors import DrainingError
from protos.link.link_pb2 import Reason
from protos.link.settings import KEEP
from protos.pg.messages import (
    bind,
    bind_complete,
    describe_portal,
    error_fields,
    error_response,
    execute,
    parse,
    parse_complete,
    query,
    sync,
    terminate,
)
from tests.support.cached import MAX_AGE_S, TABLE, Cached, cached, caching, row, rows
from tests.support.stage import FAILED, IN_TRANSACTION, Driver, done, ready

READ: Final = query(b"select v from t")
WHOLE: Final = parse(b"", b"select v from t") + bind(b"", b"", []) + describe_portal(b"") + execute() + sync()
BOUND: Final = bind(b"", b"s", []) + describe_portal(b"") + execute() + sync()
ANSWER: Final = row(b"1") + ready()
CANCELLED: Final = error_response({"S": "ERROR", "C": "57014", "M": "cancelled"})
REFUSAL: Final = error_response({"S": "ERROR", "C": "53300", "M": "no connection came free"})


def led(cache: Cached, request: bytes = READ, followers: int = 2) -> tuple[Driver, list[Driver]]:
    """A client whose read is on its way, and some that wait for it; each has a channel already."""
    drivers = [cache.stage.connect() for _ in range(followers + 1)]
    for driver in drivers:
        driver.send(query(b"create table x ()"))
        cache.pool.channel.take()
        cache.pool.answer(done("CREATE TABLE"))
        driver.read()
        cache.pool.channel.asks.clear()
    for driver in drivers:
        driver.send(request)
    assert [bool(channel.take()) for channel in cache.pool.channels] == [True] + [False] * followers
    return drivers[0], drivers[1:]


def test_one_request_answers_all(cache: Cached) -> None:
    leader, followers = led(cache)
    cache.judge(cache.pool.channels[0])
    cache.stage.settle()
    cache.pool.answer(row(b"1") + ready(), status=ord("I") | 0x1000, channel=cache.pool.channels[0])
    for driver in (leader, *followers):
        assert driver.read() == ANSWER
    assert (cache.answers.misses, cache.answers.hits) == (1, 2)
    assert not cache.answers.flights.by_key


def come_to_nothing(cache: Cached, leader: Driver, outcome: str) -> None:
    """What has become of the flight of the first channel."""
    first = cache.pool.channels[0]
    match outcome:
        case "negative":
            cache.judge(first, why="volatile")
        case "only now":
            cache.judge(first, why="being written", only_now=True)
        case "not kept":
            cache.answer(row(b"1"), channel=first, keep=False)
        case "error":
            cache.judge(first)
            cache.pool.answer(REFUSAL + ready(), channel=first)
        case "refused":
            cache.pool.close(Reason.REFUSED, REFUSAL, first)
        case "leader gone":
            leader.hang_up()
        case "closed":
            cache.pool.close(Reason.ENDED, REFUSAL, first)
        case "invalidated":
            cache.invalidate(TABLE)
            cache.answer(row(b"1"), channel=first)
    cache.stage.settle()


def took(cache: Cached) -> list[bytes]:
    """What has come on the channels of those who have waited."""
    return [channel.take() for channel in cache.pool.channels[1:]]


@pytest.mark.parametrize("outcome", ["negative", "only now", "not kept", "error"])
def test_those_who_wait_for_what_is_not_shared_go_their_own_way(cache: Cached, outcome: str) -> None:
    leader, followers = led(cache)
    come_to_nothing(cache, leader, outcome)
    assert took(cache) == [READ, READ]
    for number, follower in enumerate(followers, 1):
        cache.pool.answer(row(b"2") + ready(), channel=cache.pool.channels[number])
        assert follower.read() == row(b"2") + ready()
    assert not cache.answers.kept
    follower = followers[0]
    follower.send(query(b"insert into t values (1)"))
    assert cache.pool.channels[1].take(), "it goes on as usual"


def test_nobody_waits_again_for_what_there_is_no_room_to_collect() -> None:
    with cached(cache_bytes=40_000) as cache:
        long = row(b"x" * 20_000)
        leader, followers = led(cache)
        first = cache.pool.channels[0]
        cache.answer(long, channel=first)
        assert took(cache) == [READ, READ]
        assert leader.read() == long + ready()
        assert len(followers) == 2


VAIN: Final = ["refused", "leader gone", "closed", "invalidated"]


@pytest.mark.parametrize("outcome", VAIN)
def test_of_those_who_have_waited_in_vain_one_leads_again(cache: Cached, outcome: str) -> None:
    leader, followers = led(cache, followers=3)
    come_to_nothing(cache, leader, outcome)
    assert took(cache) == [READ, b"", b""]
    assert cache.pool.channels[1].asks
    cache.answer(row(b"2"), channel=cache.pool.channels[1])
    assert [follower.read() for follower in followers] == [row(b"2") + ready()] * 3
    assert took(cache) == [b"", b"", b""]


@pytest.mark.parametrize("outcome", ["refused", "closed", "invalidated"])
def test_who_has_waited_in_vain_twice_goes_their_own_way(cache: Cached, outcome: str) -> None:
    leader, followers = led(cache, followers=3)
    come_to_nothing(cache, leader, outcome)
    assert took(cache) == [READ, b"", b""]
    cache.invalidate(TABLE)
    cache.answer(row(b"1"), channel=cache.pool.channels[1])
    assert took(cache) == [b"", READ, READ]
    for number in (2, 3):
        cache.pool.answer(row(b"2") + ready(), channel=cache.pool.channels[number])
        assert followers[number - 1].read() == row(b"2") + ready()


@pytest.mark.parametrize("how", ["hangs up", "cancels"])
def test_as_long_as_anyone_waits_there_is_one_request(cache: Cached, how: str) -> None:
    """Rules 20, however many of those who ask for all are gone."""
    leader, followers = led(cache, followers=4)
    gone = [leader, *followers[:2]]
    for number, driver in enumerate(gone):
        if how == "hangs up":
            driver.hang_up()
        else:
            cancel(cache, number)
            cache.pool.answer(CANCELLED + ready(), channel=cache.pool.channels[number])
            assert driver.read() == CANCELLED + ready()
        assert [channel.take() == READ for channel in cache.pool.channels[1:]] == [at == number for at in range(4)]
    assert cache.pool.channels[3].asks
    cache.answer(row(b"2"), channel=cache.pool.channels[3])
    assert [follower.read() for follower in followers[2:]] == [row(b"2") + ready()] * 2
    assert took(cache) == [b""] * 4


def test_an_answer_that_comes_in_spite_of_a_cancel_is_for_all(cache: Cached) -> None:
    leader, (follower,) = led(cache, followers=1)
    cancel(cache, 0)
    cache.answer(row(b"1"), channel=cache.pool.channels[0])
    assert leader.read() == follower.read() == ANSWER


def test_who_joins_the_second_may_wait_for_a_third(cache: Cached) -> None:
    leader, followers = led(cache)
    leader.hang_up()
    assert took(cache) == [READ, b""]
    late = [cache.stage.connect() for _ in range(2)]
    for driver in late:
        driver.send(READ)
    assert len(cache.pool.channels) == 3, "they wait"
    followers[0].hang_up()
    assert took(cache) == [b"", READ], "of those who have waited longest one leads"
    cache.answer(row(b"3"), channel=cache.pool.channels[2])
    assert followers[1].read() == late[0].read() == late[1].read() == row(b"3") + ready()


def test_two_waits_are_no_longer_than_one_may_be(cache: Cached) -> None:
    leader, _ = led(cache)
    cache.now += MAX_WAIT_S - 1.0
    cache.vouch()
    leader.hang_up()
    assert took(cache) == [READ, b""]
    cache.now += 0.9
    cache.stage.pass_time(0.0)
    assert took(cache) == [b"", b""]
    cache.now += 0.1
    cache.stage.pass_time(0.0)
    assert took(cache) == [b"", READ]


def test_who_has_waited_in_vain_is_told_so(cache: Cached) -> None:
    leader, follower = cache.stage.connect(), cache.stage.connect()
    follower.send(query(b"set onetrip.cache_status = on"))
    follower.read()
    leader.send(READ)
    follower.send(READ)
    other = cache.stage.connect()
    other.send(READ)
    cache.judge(cache.pool.channels[0], why="being written", only_now=True)
    cache.stage.settle()
    assert cache.answers.uncacheable["being written"] == 1
    assert cache.answers.uncacheable["not shared"] == 1, "one of them leads again, so that others may follow that"


@pytest.mark.parametrize("is_first_lost", [True, False])
def test_a_lost_link_ends_the_wait(*, is_first_lost: bool) -> None:
    """Those who wait have channels of the same link, and may not have been told of its end when their wait ends.

    is_first_lost: it was the only link.
    """
    with cached(pools=(("pool-1", 1), ("pool-2", 2))) as cache:
        if not is_first_lost:
            cache.up(pool=cache.stage.pools[1])
        leader, followers = led(cache)
        cache.pool.channels[0].take()
        cache.stage.down()
        assert leader.fields()["C"] == "08006"
        if is_first_lost:
            assert [follower.read() for follower in followers] == [b"", b""]
            cache.up()
        pool = cache.pool if is_first_lost else cache.stage.pools[1]
        assert [channel.take() for channel in pool.channels] == [READ, READ]
        for channel, follower in zip(pool.channels, followers, strict=True):
            pool.answer(ANSWER, channel=channel)
            assert follower.read() == ANSWER


def test_another_grouping_is_served_by_the_same_flight(cache: Cached) -> None:
    leader = cache.stage.connect()
    leader.send(WHOLE)
    plain = cache.stage.connect()
    plain.send(parse(b"s", b"select v from t") + bind(b"", b"s", []) + execute() + sync())
    cache.answer(parse_complete() + bind_complete() + row(b"1"))
    assert leader.read() == parse_complete() + bind_complete() + row(b"1") + ready()
    assert plain.read() == parse_complete() + bind_complete() + rows(b"1") + ready()
    plain.send(BOUND)
    assert plain.read() == bind_complete() + row(b"1") + ready(), "its statement is there"


def test_what_comes_behind_a_read_that_waits_waits_too(cache: Cached) -> None:
    leader, (follower,) = led(cache, followers=1)
    write = query(b"update t set v = 2")
    follower.send(READ + write)
    follower.send(READ)
    assert not cache.pool.channels[1].take()
    cache.answer(row(b"1"), channel=cache.pool.channels[0])
    assert follower.read() == ANSWER + ANSWER
    assert cache.pool.channels[1].take() == write + READ
    assert leader.read() == ANSWER


def test_a_follower_that_leaves_disturbs_nobody(cache: Cached) -> None:
    leader, followers = led(cache, followers=3)
    followers[0].send(terminate())
    followers[0].hang_up()
    followers[1].hang_up()
    cache.answer(row(b"1"), channel=cache.pool.channels[0])
    assert leader.read() == followers[2].read() == ANSWER
    assert len(cache.stage.edge.clients) == 2


def test_a_follower_is_ended_by_a_drain_when_it_has_its_answer(cache: Cached) -> None:
    leader, (follower,) = led(cache, followers=1)
    for client in list(cache.stage.edge.clients):
        client.end_when_quiet(DrainingError())
    assert follower.read() == b""
    cache.answer(row(b"1"), channel=cache.pool.channels[0])
    for driver in (leader, follower):
        messages = driver.messages()
        assert b"".join(messages[:-1]) == ANSWER
        assert error_fields(messages[-1])["C"] == "57P01"


def test_a_channel_that_a_follower_does_not_need_may_be_closed(cache: Cached) -> None:
    leader, (follower,) = led(cache, followers=1)
    cache.pool.close(Reason.REFUSED, REFUSAL, cache.pool.channels[1])
    cache.stage.settle()
    assert follower.read() == b""
    cache.answer(row(b"1"), channel=cache.pool.channels[0])
    assert leader.read() == follower.read() == ANSWER


def test_nobody_joins_what_was_asked_before_an_invalidation(cache: Cached) -> None:
    """Rules 20: a reader joins a flight only if it began after every invalidation of its tables."""
    led(cache, followers=0)
    cache.judge(cache.pool.channels[0])
    cache.stage.settle()
    cache.invalidate(TABLE + 1)
    late = cache.stage.connect()
    late.send(READ)
    assert len(cache.pool.channels) == 1, "its tables are known, and are others"
    cache.invalidate(TABLE)
    later = cache.stage.connect()
    later.send(READ)
    assert cache.pool.channel.take() == READ
    assert cache.pool.channel.asks == [0]


def test_nobody_joins_before_its_tables_are_known_and_something_was_written(cache: Cached) -> None:
    led(cache, followers=0)
    cache.invalidate(TABLE + 1)
    late = cache.stage.connect()
    late.send(READ)
    assert cache.pool.channel.take() == READ


def test_nobody_joins_while_nothing_is_vouched_for(cache: Cached) -> None:
    led(cache, followers=0)
    cache.now += LEASE_S
    late = cache.stage.connect()
    late.send(READ)
    assert cache.pool.channel.take() == READ


@pytest.mark.parametrize("passed_s", [MAX_AGE_S - 0.1, MAX_AGE_S])
def test_an_answer_that_was_too_long_on_its_way_is_nobody_elses(cache: Cached, passed_s: float) -> None:
    _, (follower,) = led(cache, followers=1)
    cache.now += passed_s
    cache.vouch()
    cache.answer(row(b"1"), channel=cache.pool.channels[0])
    assert (follower.read() == ANSWER) == (passed_s < MAX_AGE_S)
    assert (cache.pool.channels[1].take() == READ) == (passed_s >= MAX_AGE_S)


def test_the_notice_of_a_miss_stands_in_front_of_its_answer(cache: Cached) -> None:
    driver = cache.stage.connect()
    driver.send(query(b"set onetrip.cache_status = on"))
    assert driver.read() == done("SET")
    driver.send(READ)
    cache.answer(row(b"1"))
    assert driver.tags() == "NTDCZ"


# --- nobody waits for ever ---


def cancel(cache: Cached, number: int) -> None:
    """A cancel request for the client that came as this one."""
    keys = [channel.opening.process_id for channel in cache.pool.channels]
    client = next(one for one in cache.stage.edge.clients if one.process_id == keys[number])
    cache.stage.edge.cancelling.asked(client.process_id, client.secret_key, "192.0.2.1")
    cache.stage.settle()


@pytest.mark.parametrize("request_", [READ, WHOLE], ids=["simple", "extended"])
def test_a_cancel_ends_the_wait(cache: Cached, request_: bytes) -> None:
    _, (follower,) = led(cache, request_, followers=1)
    behind = query(b"insert into t values (1)")
    follower.send(behind)
    cancel(cache, 1)
    error, last = follower.messages()
    assert error_fields(error)["C"] == "57014"
    assert last == ready()
    assert cache.pool.channels[1].take() == behind, "what was sent behind it goes on"
    assert "cancel" not in [frame.WhichOneof("control") for frame in cache.pool.heard]
    cache.answer(row(b"1"), channel=cache.pool.channels[0])
    assert follower.read() == b""


def test_a_group_that_is_cancelled_has_made_nothing_and_lost_nothing(cache: Cached) -> None:
    """No part of it was answered, as where PostgreSQL is cancelled in front of its first message."""
    leader, (follower,) = led(cache, WHOLE, followers=1)
    cache.answer(parse_complete() + bind_complete() + row(b"1"), channel=cache.pool.channels[0])
    old, new = (parse(name, b"select v from t") for name in (b"old", b"new"))
    run = bind(b"", b"old", []) + execute() + sync()
    follower.read()
    follower.send(old + run)
    assert follower.read() == parse_complete() + bind_complete() + rows(b"1") + ready()
    cache.invalidate(TABLE)
    leader.send(WHOLE)
    leader.read()
    follower.send(new + run.replace(b"old", b"new"))
    assert not cache.pool.channels[1].take()
    cancel(cache, 1)
    error, last = follower.messages()
    assert (error_fields(error)["C"], last) == ("57014", ready())
    cache.answer(parse_complete() + bind_complete() + row(b"1"), channel=cache.pool.channels[0])
    follower.send(run)
    assert follower.read() == bind_complete() + rows(b"1") + ready(), "what was made before is there"
    follower.send(run.replace(b"old", b"new"))
    assert cache.pool.channels[1].take() == run.replace(b"old", b"new"), "what it would have made is not"


def test_a_cancel_fails_the_transaction_that_is_held() -> None:
    pushed = caching(in_transactions=True)
    pushed.early.begin = True
    with cached(pushed) as cache:
        leader = cache.stage.connect()
        leader.send(READ)
        (before,) = cache.stage.edge.clients
        follower = cache.stage.connect()
        follower.send(query(b"begin") + READ)
        assert follower.read() == done("BEGIN", IN_TRANSACTION)
        (client,) = cache.stage.edge.clients - {before}
        cache.stage.edge.cancelling.asked(client.process_id, client.secret_key, "192.0.2.1")
        assert follower.messages()[-1] == ready(FAILED)
        follower.send(query(b"rollback"))
        assert follower.read() == done("ROLLBACK")


def test_a_cancel_of_the_leader_goes_to_its_pool_node(cache: Cached) -> None:
    led(cache)
    cancel(cache, 0)
    assert "cancel" in [frame.WhichOneof("control") for frame in cache.pool.heard]


def test_a_leader_whose_client_takes_nothing_keeps_nobody_waiting(cache: Cached) -> None:
    leader, (follower,) = led(cache, followers=1)
    client = next(c for c in cache.stage.edge.clients if c.process_id == cache.pool.channels[0].opening.process_id)
    cache.judge(cache.pool.channels[0])
    client.connection.blocked_at = time.monotonic() - PATIENCE_S - 0.1
    cache.stage.pass_time(0.0)
    assert cache.pool.channels[1].take() == READ
    client.connection.blocked_at = 0.0
    cache.pool.answer(row(b"1") + ready(), status=ord("I") | KEEP, channel=cache.pool.channels[0])
    assert leader.read() == ANSWER
    cache.pool.answer(row(b"2") + ready(), channel=cache.pool.channels[1])
    assert follower.read() == row(b"2") + ready()
    leader.send(READ)
    assert leader.read() == ANSWER, "it was kept all the same"


def test_nobody_waits_longer_than_that(cache: Cached) -> None:
    _, (follower,) = led(cache, followers=1)
    cache.now += MAX_WAIT_S - 0.1
    cache.stage.pass_time(0.0)
    assert not cache.pool.channels[1].take()
    cache.now += 0.1
    cache.stage.pass_time(0.0)
    assert cache.pool.channels[1].take() == READ
    assert follower.read() == b""


def test_nor_where_another_flight_has_taken_the_place_of_theirs(cache: Cached) -> None:
    _, (follower,) = led(cache, followers=1)
    cache.invalidate(TABLE)
    cache.now += MAX_WAIT_S - 1.0
    later = cache.stage.connect()
    later.send(READ)
    assert cache.pool.channels[2].take() == READ, "what is under way is too old for it"
    cache.now += 1.0
    cache.stage.pass_time(0.0)
    assert cache.pool.channels[1].take() == READ
    assert follower.read() == b""


def test_nor_behind_one_that_begins_again_and_again(cache: Cached) -> None:
    led(cache, followers=0)
    other = query(b"select w from t")
    leader, follower = cache.stage.connect(), cache.stage.connect()
    for driver in (leader, follower):
        driver.send(other)
    for _ in range(3):
        cache.now += MAX_WAIT_S / 3 + 0.01  # thirds may add up to less than the whole
        cache.invalidate(TABLE)
        cache.stage.connect().send(READ)
    assert [channel.take() for channel in cache.pool.channels] == [b"", other, READ, READ, READ]
    cache.stage.pass_time(0.0)
    assert [channel.take() for channel in cache.pool.channels[5:]] == [other]
    assert leader.read() == follower.read() == b""


def test_a_transaction_whose_read_waits_is_not_idle() -> None:
    pushed = caching(in_transactions=True)
    pushed.early.begin = True
    pushed.idle_in_transaction_timeout_s = 5.0
    with cached(pushed) as cache:
        leader = cache.stage.connect()
        leader.send(READ)
        follower = cache.stage.connect()
        follower.send(query(b"begin") + READ)
        assert follower.tags() == "CZ"
        cache.stage.pass_time(6.0)
        cache.answer(row(b"1"), channel=cache.pool.channels[0])
        assert follower.read() == row(b"1") + ready(IN_TRANSACTION)
