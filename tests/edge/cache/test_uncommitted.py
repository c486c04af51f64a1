"""What a transaction says of the cache goes with it as PostgreSQL's own settings do."""

import os
import socket
from collections.abc import Iterator
from typing import Final

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.cache.uncommitted import resets_all
from protos.link.link_pb2 import Configuration, Early, Reason
from protos.pg.framer import BACKEND_LIMITS, FRONTEND_LIMITS, Framer
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
from protos.pg.tags import Backend as Tag
from tests.support.cached import Cached, cached, caching
from tests.support.cluster import Origin
from tests.support.stage import FAILED, IDLE, IN_TRANSACTION, Driver, PlayedPool, ready

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


@pytest.mark.parametrize("reset", [query(b"reset all"), parse(b"", b"reset all") + bind(b"", b"", []) + execute()])
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


def answered(cache: Cached, driver: Driver, *replies: tuple[bytes, int]) -> None:
    """Of what has crossed, all at once."""
    data = b"".join(reply + ready(status) for reply, status in replies)
    cache.pool.channel.take()
    cache.pool.answer(data, settled=len(replies), status=replies[-1][1])
    driver.read()


def test_a_rollback_to_a_savepoint_that_was_sent_before_an_error_came_back_is_done(
    cache: Cached, driver: Driver
) -> None:
    begin(cache, driver)
    run(cache, driver, b"savepoint s", "SAVEPOINT")
    driver.send(query(b"insert") + query(b"rollback to s"))
    answered(cache, driver, (ERROR, FAILED), (command_complete("ROLLBACK"), IN_TRANSACTION))
    assert value(driver) == b"off"
    run(cache, driver, b"commit", "COMMIT", IDLE)
    assert value(driver) == b"off"


def test_what_stands_behind_an_error_in_one_request_is_not_done(cache: Cached, driver: Driver) -> None:
    begin(cache, driver)
    run(cache, driver, b"savepoint s", "SAVEPOINT")
    driver.send(query(b"set onetrip.cache = on"))
    driver.read()
    group = parse(b"", b"insert") + bind(b"", b"", []) + execute() + parse(b"", b"savepoint s") + bind(b"", b"", [])
    driver.send(group + execute() + sync() + query(b"rollback to s"))
    answered(cache, driver, (ERROR, FAILED), (command_complete("ROLLBACK"), IN_TRANSACTION))
    assert value(driver) == b"off", "it is the earlier one"


def test_what_resets_all_counts_when_it_is_done(cache: Cached, driver: Driver) -> None:
    begin(cache, driver)
    driver.send(query(b"savepoint s") + query(b"reset all"))
    answered(
        cache, driver, (command_complete("SAVEPOINT"), IN_TRANSACTION), (command_complete("RESET"), IN_TRANSACTION)
    )
    assert value(driver) == b"on"
    run(cache, driver, b"rollback to s", "ROLLBACK")
    assert value(driver) == b"off"
    driver.send(query(b"insert") + query(b"reset all"))
    answered(cache, driver, (ERROR, FAILED), (ERROR, FAILED))
    run(cache, driver, b"rollback to s", "ROLLBACK")
    assert value(driver) == b"off"
    run(cache, driver, b"commit", "COMMIT", IDLE)
    assert value(driver) == b"off"


@pytest.mark.parametrize(("reply", "after"), [(command_complete("RESET"), b"on"), (ERROR, b"off")])
def test_so_it_does_outside_of_a_transaction(cache: Cached, driver: Driver, reply: bytes, after: bytes) -> None:
    driver.send(query(OFF))
    driver.read()
    driver.send(query(b"select pg_sleep(1)") + query(b"reset all"))
    answered(cache, driver, (command_complete("SELECT 1"), IDLE), (reply, IDLE))
    assert value(driver) == after


@pytest.mark.parametrize("is_held", [True, False])
def test_what_is_refused_is_not_done(*, is_held: bool) -> None:
    with cached(caching_with_begin()) as cache:
        driver = cache.stage.connect()
        driver.send((query(b"begin") if is_held else b"") + query(OFF))
        driver.read()
        driver.send(query(b"rollback to s" if is_held else b"reset all"))
        cache.pool.close(Reason.REFUSED, ERROR)
        driver.read()
        if is_held:
            driver.send(query(b"rollback"))
            driver.read()
        assert value(driver) == (b"on" if is_held else b"off")


ASYNCPG_RESET: Final = b"SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;"


@pytest.mark.parametrize(
    ("sql", "resets"),
    [
        (b" Discard  ALL;", True),
        (ASYNCPG_RESET, True),
        (b"reset a; reset all", True),
        (b"reset allx", False),
        (b"select 1 -- ; reset all", False),
        (b"select '; reset all ;'", False),
        (b"select $$; reset all ;$$", False),
        (b"discard plans", False),
        (b"reset all" + b" " * 200, False),
    ],
)
def test_what_resets_all_is_seen(sql: bytes, *, resets: bool) -> None:
    assert resets_all(sql) == resets


# --- the same as PostgreSQL ---


STATEMENTS: Final = (
    b"begin", b"savepoint a", b"savepoint b", b"rollback to a", b"rollback to b", b"release a", b"select 1/0",
    b"commit", b"rollback", b"commit and chain", b"rollback and chain", b"reset all",
)  # fmt: skip
SCRIPTS: Final = (b"savepoint a; rollback to b", b"commit; reset all", b"select; reset all; savepoint a", ASYNCPG_RESET)
SWITCHES: Final = (OFF, b"set onetrip.cache = on", b"set local onetrip.cache = off", b"reset onetrip.cache")


def group_of(statements: list[bytes]) -> bytes:
    return b"".join(parse(b"", sql) + bind(b"", b"", []) + execute() for sql in statements) + sync()


requests: Final = st.one_of(
    st.sampled_from(STATEMENTS[1:7]).map(query),
    st.sampled_from(STATEMENTS + SCRIPTS).map(query),
    st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=3).map(group_of),
)
batches: Final = st.lists(requests, min_size=1, max_size=3)
switches: Final = st.sampled_from(SWITCHES)
steps: Final = st.one_of(switches, batches)


@st.composite
def sessions(draw: st.DrawFn) -> list[bytes | list[bytes]]:
    """What a client says: one of the switches, or requests in a row. Mostly there are savepoints to go back to."""
    begun = [[query(sql)] for sql in draw(st.sampled_from([(), STATEMENTS[:2], STATEMENTS[:3]]))]
    opening = [step for one in begun for step in (one, draw(switches))]
    return opening + draw(st.lists(steps, min_size=1, max_size=6))


class Backend:
    """A connection to PostgreSQL, by its bytes."""

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        self._connection = connection
        self._socket = socket.socket(fileno=os.dup(connection.fileno()))
        self._socket.setblocking(True)
        self.status = IDLE

    def ask(self, data: bytes) -> tuple[bytes, int]:
        """The answer, and to how many requests it is."""
        asked = sum(
            piece.tag in (ord("Q"), ord("S"))
            for piece in Framer(FRONTEND_LIMITS, frozenset(FRONTEND_LIMITS)).feed(data)
        )
        self._socket.sendall(data)
        framer, reply, settled = Framer(BACKEND_LIMITS, frozenset({Tag.READY_FOR_QUERY})), b"", 0
        while settled < asked:
            received = self._socket.recv(1 << 16)
            reply += received
            for piece in framer.feed(received):
                if piece.tag:
                    settled, self.status = settled + 1, piece.data[5]
        return reply, settled

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(scope="module")
def backends(origin: Origin) -> Iterator[tuple[Backend, Backend]]:
    """One behind the edge, and one that gets all that the client says."""
    url = origin.url(sslmode="disable")
    with psycopg.connect(url) as behind, psycopg.connect(url, options="-c onetrip.cache=on") as beside:
        both = Backend(behind), Backend(beside)
        yield both
        for one in both:
            one.close()


def pass_on(pool: PlayedPool, backend: Backend) -> None:
    """What has crossed is done, and answered."""
    for frame in pool.heard:
        if frame.HasField("begin"):
            for statement in frame.begin.statements:
                backend.ask(query(statement))
            assert not frame.begin.failed
    pool.heard.clear()
    data = pool.channel.take() if pool.channels else b""
    if data:
        reply, settled = backend.ask(data)
        pool.answer(reply, settled=settled, status=backend.status)


@pytest.mark.postgres
@pytest.mark.parametrize("is_held", [True, False])
def test_what_is_said_goes_as_a_setting_of_postgresql(backends: tuple[Backend, Backend], *, is_held: bool) -> None:
    """What the edge says of the cache is what PostgreSQL says of a parameter, whatever the transaction has come to."""
    behind, beside = backends
    with cached(caching_with_begin() if is_held else caching()) as cache:

        @settings(max_examples=30)
        @given(sessions())
        def check(said: list[bytes | list[bytes]]) -> None:
            for one in backends:
                one.ask(query(b"rollback") + query(b"reset all"))
            driver = cache.stage.connect()
            for step in said:
                if isinstance(step, list):
                    request = b"".join(step)
                elif beside.status == FAILED or (step.startswith(b"set local") and beside.status == IDLE):
                    continue  # it would cross, and be refused
                else:
                    request = query(step)
                driver.send(request)
                pass_on(cache.pool, behind)
                driver.read()
                beside.ask(request)
                if beside.status != FAILED:
                    shown, _ = beside.ask(query(b"show onetrip.cache"))
                    assert data_row([value(driver)]) in shown, said
            driver.hang_up()

        check()
