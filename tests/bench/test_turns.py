"""Crossings are turns: what leaves together and its whole answer count once, whatever the time."""

import threading
import time

import psycopg
import pytest

from bench.played import open_counter
from bench.turns import UNANSWERED, Turns, matters, show
from protos.link.link_pb2 import Batch, Close, Credit, Frame, Open, Ping, State
from protos.link.mux import UPKEEP
from protos.pg.messages import query
from tests.support.cluster import Origin
from tests.support.target import Target, connect

DELAY_S = 0.015


def test_a_burst_and_its_answer_are_one_crossing() -> None:
    turns = Turns()
    for _ in range(3):
        turns.sent(b"-")
    for _ in range(4):
        turns.answered()
    assert turns.taken() == 1
    turns.sent(b"-")
    turns.answered()
    assert turns.taken() == 1
    assert turns.taken() == 0


def test_what_made_a_crossing_can_be_told() -> None:
    told: list[list[bytes]] = []
    turns = Turns(told.append)
    turns.sent(b"first")
    turns.sent(b"second")
    turns.answered()
    turns.answered()
    assert told == [[b"first", b"second"]]


def test_what_nobody_answers_is_none() -> None:
    turns = Turns()
    turns.sent(b"-")
    assert turns.taken() == 0


def test_what_is_owed_when_nobody_waits_any_more_is_none() -> None:
    turns = Turns()
    turns.sent(b"-")
    turns.taken()
    turns.answered()
    assert turns.taken() == 0


def test_what_comes_by_itself_is_none() -> None:
    turns = Turns()
    turns.answered()
    assert turns.taken() == 0


@pytest.mark.parametrize(
    ("frames", "counts"),
    [
        ([], False),
        ([Frame(ping=Ping())], False),
        ([Frame(channel=3, credit=Credit(bytes=9))], False),
        ([Frame(channel=3, data=b"Q")], True),
        ([Frame(ping=Ping()), Frame(channel=3, data=b"Q")], True),
        ([Frame(channel=3, close=Close())], True),
    ],
)
def test_only_frames_of_a_session_matter(frames: list[Frame], counts: bool) -> None:  # noqa: FBT001 - pytest's parameter
    assert matters(Batch(frames=frames, acknowledged_bytes=1).SerializeToString(), but=UPKEEP) == counts


def test_a_farewell_and_a_receipt_wait_for_no_answer() -> None:
    for frame in (Frame(channel=3, close=Close()), Frame(channel=3, state=State())):
        assert not matters(Batch(frames=[frame]).SerializeToString(), but=UPKEEP | UNANSWERED)


def test_what_a_crossing_carries_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    frames = [Frame(channel=3, open=Open()), Frame(channel=3, data=query(b"select 42"))]
    show([Batch(frames=frames).SerializeToString(), Batch(frames=[Frame(data=b"S")]).SerializeToString()])
    assert capsys.readouterr().err == "crossing: open | Q select 42 | S\n"


@pytest.fixture
def straight(origin: Origin) -> Target:
    return Target(port=origin.port, user="by_scram", password=origin.password, database=origin.database)


@pytest.mark.postgres
def test_the_crossings_of_a_connection_are_counted(straight: Target) -> None:
    with open_counter("tcp", straight.host, straight.port) as counter:
        through = Target(port=counter.port, user=straight.user, password=straight.password, database=straight.database)
        counter.take(DELAY_S)
        connection = connect(through, autocommit=True)
        assert counter.take(DELAY_S) == 4, "TCP, startup, and SCRAM's two"
        for _ in range(3):
            connection.execute("select 1")
        assert counter.take(DELAY_S) == 3
        with connection.pipeline():
            for _ in range(20):
                connection.execute("select 1")
        assert counter.take(DELAY_S) == 1
        connection.execute("select repeat('x', 1000000)")
        assert counter.take(DELAY_S) == 1, "an answer in many pieces is one"
        connection.close()
        time.sleep(4 * DELAY_S)
        assert counter.take(0) == 0, "a farewell is not answered"


@pytest.mark.postgres
def test_what_comes_when_the_client_has_gone_is_none(straight: Target) -> None:
    with open_counter("tcp", straight.host, straight.port) as counter:
        parameters = {**straight.libpq, "port": str(counter.port), "sslmode": "require"}
        connection = psycopg.connect(psycopg.conninfo.make_conninfo(**parameters), autocommit=True)
        counter.take(DELAY_S)
        connection.close()  # PostgreSQL ends TLS in its turn
        time.sleep(4 * DELAY_S)
        assert counter.take(0) == 0


@pytest.mark.postgres
def test_connections_side_by_side_cross_together(straight: Target) -> None:
    with open_counter("tcp", straight.host, straight.port) as counter:
        through = Target(port=counter.port, user=straight.user, password=straight.password, database=straight.database)
        connections = [connect(through, autocommit=True) for _ in range(3)]
        counter.take(0.1)
        started = time.monotonic()
        threads = [threading.Thread(target=each.execute, args=("select 1",)) for each in connections]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - started >= 0.2, "they were held back each way"
        assert counter.take(0) == 1
        for each in connections:
            each.close()


@pytest.mark.postgres
def test_a_relay_ends_its_connections_with_the_origin_s(straight: Target) -> None:
    with open_counter("tcp", straight.host, straight.port) as counter:
        through = Target(port=counter.port, user=straight.user, password=straight.password, database=straight.database)
        connection = connect(through, autocommit=True)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select pg_terminate_backend(pg_backend_pid())")
