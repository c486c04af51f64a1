"""A stale answer is renewed behind the one that was served: once, on a channel of its own."""

from collections.abc import Iterator
from typing import Final

import pytest

from edge.cache.renewal import MAX_RENEWALS, Renewal
from protos.link.link_pb2 import Reason
from protos.pg.messages import (
    bind,
    bind_complete,
    describe_statement,
    error_response,
    execute,
    parameter_description,
    parse,
    parse_complete,
    query,
    row_description,
    sync,
)
from tests.support.cached import MAX_AGE_S, TABLE, Cached, cached, row, rows
from tests.support.stage import Driver, ready

READ: Final = query(b"select v from t")
STALE_S: Final = 30.0
TYPES: Final = parameter_description([])
SHAPE: Final = row_description(["v"])
REFUSAL: Final = error_response({"S": "ERROR", "C": "53300", "M": "no connection came free"})


@pytest.fixture(autouse=True)
def none_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(Renewal, "under_way", 0)  # tests of other files may have left theirs
    yield
    assert Renewal.under_way == 0


@pytest.fixture
def driver(cache: Cached) -> Driver:
    """Its read is stale by now."""
    driver = cache.stage.connect()
    cache.kept(driver, READ, row(b"1"), stale_while_revalidate_s=STALE_S)
    cache.now += MAX_AGE_S
    cache.vouch()
    return driver


def test_one_renewal_for_all(cache: Cached, driver: Driver) -> None:
    others = [cache.stage.connect() for _ in range(3)]
    for one in (driver, *others):
        one.send(READ)
        assert one.read() == row(b"1") + ready()
    assert len(cache.pool.channels) == 2
    renewal = cache.pool.channel
    assert (renewal.take(), renewal.asks) == (READ, [0])
    cache.answer(row(b"2"), stale_while_revalidate_s=STALE_S)
    assert renewal.reason == Reason.TERMINATED
    assert (cache.answers.renewals, cache.answers.misses) == (1, 1), "nobody has asked it"
    for one in (driver, *others):
        one.send(READ)
        assert one.read() == row(b"2") + ready()
    assert len(cache.pool.channels) == 2
    assert cache.answers.stale == 4


def test_beyond_that_it_is_not_served(cache: Cached, driver: Driver) -> None:
    cache.now += STALE_S
    cache.vouch()
    driver.send(READ)
    assert driver.read() == b""
    assert cache.pool.channels[0].take() == READ


def test_what_is_invalidated_is_never_served(cache: Cached, driver: Driver) -> None:
    cache.invalidate(TABLE)
    driver.send(READ)
    assert driver.read() == b""


@pytest.mark.parametrize("outcome", ["refused", "closed", "link lost", "error", "not kept"])
def test_a_renewal_that_comes_to_nothing_is_tried_again(cache: Cached, driver: Driver, outcome: str) -> None:
    driver.send(READ)
    assert driver.read() == row(b"1") + ready()
    if outcome == "refused":
        cache.pool.close(Reason.REFUSED, REFUSAL)
    elif outcome == "closed":
        cache.pool.close(Reason.ENDED, REFUSAL)
    elif outcome == "error":
        cache.pool.answer(REFUSAL + ready())
    elif outcome == "not kept":
        cache.answer(row(b"2"), keep=False)
    else:
        cache.stage.down()
    cache.stage.settle()
    assert Renewal.under_way == 0
    if outcome != "link lost":
        driver.send(READ)
        assert driver.read() == row(b"1") + ready()
        assert len(cache.pool.channels) == 3
        cache.answer(row(b"2"))


def test_what_may_not_be_kept_any_more_is_not_served_any_more(cache: Cached, driver: Driver) -> None:
    driver.send(READ)
    driver.read()
    cache.answer(row(b"2"), why="volatile", keep=False)
    driver.send(READ)
    assert driver.read() == b""


def test_the_number_at_once_is_bounded(cache: Cached, driver: Driver) -> None:
    Renewal.under_way += MAX_RENEWALS
    driver.send(READ)
    assert driver.read() == row(b"1") + ready()
    assert len(cache.pool.channels) == 1
    Renewal.under_way -= MAX_RENEWALS


@pytest.mark.parametrize("shape", [SHAPE, row_description(["other"])], ids=["same", "other"])
def test_what_a_client_was_told_holds_for_renewed_rows_too(shape: bytes) -> None:
    """Rules 10: its Bind would have been compared with that beside the database."""
    with cached() as cache:
        driver = cache.stage.connect()
        driver.send(parse(b"s", b"select v from t") + describe_statement(b"s") + sync())
        cache.pool.answer(parse_complete() + TYPES + SHAPE + ready())
        driver.read()
        cache.stage.edge.directory.get("app").early.allow(begin=False, prepare=True, remember=False)  # type: ignore[union-attr]
        driver.send(describe_statement(b"s") + sync())
        cache.pool.answer(TYPES + SHAPE + ready())
        driver.read()
        cache.pool.channel.asks.clear()
        request = bind(b"", b"s", []) + execute() + sync()
        cache.kept(driver, request, bind_complete() + rows(b"1"), stale_while_revalidate_s=STALE_S)
        cache.now += MAX_AGE_S
        cache.vouch()
        driver.send(request)
        assert driver.read() == bind_complete() + rows(b"1") + ready()
        cache.answer(parse_complete() + TYPES + shape + bind_complete() + rows(b"2"))
        driver.send(request)
        assert driver.read() == bind_complete() + rows(b"2" if shape == SHAPE else b"1") + ready()
        if shape != SHAPE:
            cache.pool.close(Reason.REFUSED, REFUSAL)
            cache.stage.settle()
