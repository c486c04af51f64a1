"""What a transaction says of the cache goes with it as PostgreSQL's own settings do."""

from collections.abc import Iterator
from typing import Final

import pytest

from edge.cache.uncommitted import Said, Uncommitted
from protos.link.link_pb2 import Configuration, Early
from protos.pg.messages import (
    bind,
    bind_complete,
    command_complete,
    data_row,
    error_response,
    execute,
    parse,
    parse_complete,
    query,
    sync,
)
from tests.support.cached import Cached, cached, caching
from tests.support.stage import FAILED, IDLE, IN_TRANSACTION, Driver, ready

OFF: Final = b"set onetrip.cache = off"
ERROR: Final = error_response({"S": "ERROR", "C": "23505", "M": "twice"})


@pytest.fixture
def cache() -> Iterator[Cached]:
    with cached() as made:
        yield made


@pytest.fixture
def driver(cache: Cached) -> Driver:
    return cache.stage.connect()


def value(driver: Driver, name: bytes = b"onetrip.cache") -> bytes:
    driver.send(query(b"show " + name))
    (answer,) = [message for message in driver.messages() if message[:1] == b"D"]
    return b"on" if answer == data_row([b"on"]) else b"off"


def run(cache: Cached, driver: Driver, sql: bytes, tag: str, status: int = IN_TRANSACTION) -> None:
    """A statement that crosses."""
    driver.send(query(sql))
    assert cache.pool.channel.take().endswith(query(sql))
    cache.pool.answer((command_complete(tag) if tag else ERROR) + ready(status), status=status)
    driver.read()


def begin(cache: Cached, driver: Driver, sql: bytes = OFF) -> None:
    """A transaction of the origin that has said something."""
    run(cache, driver, b"begin", "BEGIN")
    driver.send(query(sql))
    assert driver.tags() == "CZ"


@pytest.mark.parametrize(
    ("sql", "tag", "after"),
    [
        (b"commit", "COMMIT", b"off"),
        (b"end", "COMMIT", b"off"),
        (b"prepare transaction 'x'", "PREPARE TRANSACTION", b"off"),
        (b"rollback", "ROLLBACK", b"on"),
        (b"commit", "ROLLBACK", b"on"),
        (b"commit", "", b"on"),
    ],
)
def test_the_end_of_a_transaction_decides(cache: Cached, driver: Driver, sql: bytes, tag: str, after: bytes) -> None:
    begin(cache, driver)
    assert value(driver) == b"off"
    run(cache, driver, sql, tag, IDLE)
    assert value(driver) == after
    run(cache, driver, b"rollback", "ROLLBACK", IDLE)
    assert value(driver) == after, "it is the session's now"


def test_outside_of_a_transaction_it_is_said_for_good(cache: Cached, driver: Driver) -> None:
    driver.send(query(OFF))
    driver.read()
    run(cache, driver, b"begin", "BEGIN")
    run(cache, driver, b"rollback", "ROLLBACK", IDLE)
    assert value(driver) == b"off"


def test_an_error_takes_it_back_with_the_transaction(cache: Cached, driver: Driver) -> None:
    begin(cache, driver)
    run(cache, driver, b"insert", "", FAILED)
    run(cache, driver, b"commit", "ROLLBACK", IDLE)
    assert value(driver) == b"on"


@pytest.mark.parametrize("sql", [b"reset onetrip.cache", b"reset all", OFF + b";"])
def test_a_reset_is_taken_back_too(cache: Cached, driver: Driver, sql: bytes) -> None:
    driver.send(query(OFF))
    driver.read()
    run(cache, driver, b"begin", "BEGIN")
    if sql == b"reset all":
        run(cache, driver, sql, "RESET")
    else:
        driver.send(query(sql))
        driver.read()
    run(cache, driver, b"rollback", "ROLLBACK", IDLE)
    assert value(driver) == b"off"


@pytest.mark.parametrize("reset", [query(b"reset all"), parse(b"", b"discard all")])
def test_a_reset_behind_an_answer_in_the_middle_counts_at_once(cache: Cached, driver: Driver, reset: bytes) -> None:
    """What comes next of that answer begins no message; taken for one, it would be garbage and end the whole link."""
    driver.send(query(OFF))
    driver.read()
    run(cache, driver, b"begin", "BEGIN")
    driver.send(query(b"select long"))
    row = data_row([b"x" * 1000])
    cache.pool.answer(row[:500], settled=0, status=IN_TRANSACTION)
    assert driver.read() == row[:500]
    driver.send(reset if reset[:1] == b"Q" else reset + sync())
    cache.pool.answer(row[500:] + command_complete("SELECT 1") + ready(IN_TRANSACTION), status=IN_TRANSACTION)
    cache.pool.answer(ready(IN_TRANSACTION), status=IN_TRANSACTION)
    assert driver.read().startswith(row[500:])
    run(cache, driver, b"rollback", "ROLLBACK", IDLE)
    assert value(driver) == b"on"


@pytest.mark.parametrize(("ends", "after"), [(b"commit", b"off"), (b"rollback", b"on")])
def test_a_transaction_that_is_held_here_likewise(ends: bytes, after: bytes) -> None:
    with cached(caching_with_begin()) as cache:
        driver = cache.stage.connect()
        driver.send(query(b"begin") + query(OFF))
        driver.read()
        assert value(driver) == b"off"
        driver.send(query(ends))
        driver.read()
        assert value(driver) == after
        assert not cache.pool.channels


def caching_with_begin() -> Configuration:
    pushed = caching()
    pushed.early.CopyFrom(Early(begin=True))
    return pushed


def test_savepoints_that_are_held_here() -> None:
    with cached(caching_with_begin()) as cache:
        driver = cache.stage.connect()
        driver.send(query(b"begin") + query(b"set onetrip.cache_status = on") + query(b"savepoint s1") + query(OFF))
        driver.read()
        assert value(driver) == b"off"
        run(cache, driver, b"rollback to s1", "ROLLBACK")
        assert (value(driver), value(driver, b"onetrip.cache_status")) == (b"on", b"on")
        run(cache, driver, b"rollback", "ROLLBACK", IDLE)
        assert value(driver, b"onetrip.cache_status") == b"off"


SAVEPOINTS: Final = [
    ([b"savepoint a", OFF, b"rollback to a"], b"on"),
    ([b"savepoint a", OFF, b"ROLLBACK  TO SAVEPOINT A"], b"on"),
    ([b'savepoint "a b"', OFF, b'rollback work to "a b"'], b"on"),
    ([b"savepoint a", OFF, b"release a"], b"off"),
    ([b"savepoint a", OFF, b"savepoint b", b"rollback to b"], b"off"),
    ([b"savepoint a", OFF, b"savepoint b", b"release b", b"rollback to a"], b"on"),
    ([OFF, b"savepoint a", b"set onetrip.cache = on", b"rollback to a"], b"off"),
    ([OFF, b"savepoint a", b"savepoint a", b"set onetrip.cache = on", b"release a", b"rollback to a"], b"off"),
    ([b"savepoint a", b"set local onetrip.cache = off", b"rollback to a"], b"on"),
    ([b"set local onetrip.cache = off"], b"off"),
]


@pytest.mark.parametrize("is_extended", [False, True])
@pytest.mark.parametrize(("statements", "after"), SAVEPOINTS, ids=str)
def test_a_rollback_to_a_savepoint_takes_back_what_came_behind_it(
    cache: Cached, driver: Driver, statements: list[bytes], after: bytes, *, is_extended: bool
) -> None:
    run(cache, driver, b"begin", "BEGIN")
    for sql in statements:
        if b"onetrip" in sql:
            driver.send(query(sql))
            assert driver.tags() == "CZ"
            continue
        tag = sql.split()[0].decode().upper()
        if is_extended:
            driver.send(parse(b"", sql) + bind(b"", b"", []) + execute() + sync())
            reply = parse_complete() + bind_complete() + command_complete(tag) + ready(IN_TRANSACTION)
            for start in range(0, len(reply), 7):
                is_last = start + 7 >= len(reply)
                cache.pool.answer(reply[start : start + 7], settled=int(is_last), status=IN_TRANSACTION * is_last)
            driver.read()
        else:
            run(cache, driver, sql, tag)
    assert value(driver) == after


def test_set_local_ends_with_the_transaction(cache: Cached, driver: Driver) -> None:
    begin(cache, driver, b"set local onetrip.cache = off")
    driver.send(query(b"set onetrip.cache_status = on"))
    driver.read()
    run(cache, driver, b"commit", "COMMIT", IDLE)
    assert (value(driver), value(driver, b"onetrip.cache_status")) == (b"on", b"on")


def test_set_local_outside_of_a_transaction_is_the_origins(cache: Cached, driver: Driver) -> None:
    """It warns, and nothing is set."""
    run(cache, driver, b"set local onetrip.cache = off", "SET", IDLE)
    assert value(driver) == b"on"


def test_in_a_chain_each_transaction_is_for_itself(cache: Cached, driver: Driver) -> None:
    begin(cache, driver)
    run(cache, driver, b"commit and chain", "COMMIT")
    driver.send(query(b"set onetrip.cache = on"))
    driver.read()
    run(cache, driver, b"rollback and chain", "ROLLBACK")
    assert value(driver) == b"off"
    run(cache, driver, b"commit", "COMMIT", IDLE)
    assert value(driver) == b"off"


def test_what_stands_behind_an_error_is_not_done() -> None:
    before = Said({"a": True}, {"a": True})
    uncommitted = Uncommitted(before)
    uncommitted.sent(b"savepoint s")
    uncommitted.failed()
    uncommitted.sent(b"rollback to s")
    assert uncommitted.completed(b"ROLLBACK", Said({"a": False}, {"a": False})) == before
