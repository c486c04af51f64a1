"""A session's way to the pool node: credit follows what the client has taken, and a fast client is not read."""

from collections.abc import Iterator
from typing import Final

import pytest

from edge.client import Client
from edge.passage import MAX_BACKLOG_BYTES, Passage
from protos.link.lane import INITIAL_CREDIT_BYTES
from protos.link.link_pb2 import Frame, Reason, State
from protos.pg.messages import query
from tests.support.stage import Driver, Stage, configuration, ready, staged

ROWS: Final = b"D" + (100_000 + 4).to_bytes(4, "big") + bytes(100_000)
READ: Final = query(b"update t set v = 1")


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as made:
        made.up(configuration())
        yield made


@pytest.fixture
def driver(stage: Stage) -> Driver:
    """One with a channel."""
    driver = stage.connect()
    driver.send(READ)
    stage.pool.channel.take()
    return driver


def client_of(stage: Stage) -> Client:
    (client,) = stage.edge.clients
    return client


def passage_of(stage: Stage) -> Passage:
    return client_of(stage)._passage


def test_without_a_channel_there_is_nothing_to_say_or_to_give_back(stage: Stage) -> None:
    stage.connect()
    passage = passage_of(stage)
    assert (passage.lane, passage.is_lost, passage.is_leaving, passage.unconsumed_bytes) == (None, False, False, 0)
    passage.say(Frame(state=State()))
    passage.consume(5)
    passage.close(Reason.TERMINATED)
    stage.settle()
    assert not stage.pool.channels


def test_a_client_that_takes_its_answer_gives_credit_for_all_of_it(stage: Stage, driver: Driver) -> None:
    for _ in range(10):
        stage.pool.answer(ROWS, settled=0)
        assert driver.read() == ROWS
    assert passage_of(stage).unconsumed_bytes == 0
    assert stage.pool.channel.lane.backlog_bytes == 0


def test_a_client_that_takes_nothing_gives_none(stage: Stage, driver: Driver) -> None:
    """What the kernel has taken counts as taken."""
    for _ in range(20):
        stage.pool.answer(ROWS, settled=0)
    stage.settle()
    client, passage = client_of(stage), passage_of(stage)
    assert passage.unconsumed_bytes == client.connection.pending_bytes > 0
    assert client.connection.pending_bytes <= INITIAL_CREDIT_BYTES
    assert stage.pool.channel.lane.backlog_bytes > 0, "the pool node keeps the rest"
    assert driver.read() == ROWS * 20
    assert passage.unconsumed_bytes == 0


def test_what_was_answered_here_is_not_taken_for_credit(stage: Stage, driver: Driver) -> None:
    stage.pool.answer(ready())
    driver.read()
    client, passage = client_of(stage), passage_of(stage)
    client.connection.write(bytes(3_000_000))
    local = client.connection.pending_bytes
    assert local > 0
    passage.consume(0)
    assert passage.unconsumed_bytes == 0
    driver.send(READ)
    stage.pool.answer(ROWS, settled=0)
    stage.settle()
    assert passage.unconsumed_bytes == len(ROWS)
    assert client.connection.pending_bytes == local + len(ROWS)


def test_a_client_that_sends_faster_than_the_link_takes_is_not_read(stage: Stage, driver: Driver) -> None:
    stage.pool.takes = False
    driver.send(query(b"x" * 3_000_000))
    client, passage = client_of(stage), passage_of(stage)
    assert passage.lane is not None
    assert MAX_BACKLOG_BYTES < passage.lane.backlog_bytes < 2 * MAX_BACKLOG_BYTES
    assert client.connection.is_paused
    assert driver.unsent_bytes > 0
    stage.pool.takes = True
    channel = stage.pool.channel
    stage.pool.mux.consumed(channel.lane, channel.received_bytes - len(READ), 0.0)  # that was consumed before
    stage.settle()
    assert driver.unsent_bytes == 0
    assert not client.connection.is_paused
    assert passage.lane.on_room is None


def test_a_channel_that_is_gone_lets_its_client_be_read_again(stage: Stage, driver: Driver) -> None:
    stage.pool.takes = False
    driver.send(query(b"x" * 3_000_000))
    client, passage = client_of(stage), passage_of(stage)
    lane = passage.lane
    assert lane is not None
    passage.close(Reason.LOST)
    assert not client.connection.is_paused
    assert (lane.on_room, passage.lane) == (None, None)


def test_a_link_that_is_gone_is_noticed_before_its_owners_are_told(stage: Stage, driver: Driver) -> None:
    passage = passage_of(stage)
    assert not passage.is_lost
    stage.pool.uplink._stream = None
    assert passage.is_lost
    passage.forget()
    assert not passage.is_lost
