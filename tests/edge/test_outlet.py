"""What an edge answers is written in its order, and counted until it is taken."""

from collections.abc import Iterator
from typing import Final

import pytest

from edge.cache.store import Kept, Store
from edge.cache.unsent import MAX_OF_CLIENT, Long
from edge.client import Client
from edge.outlet import Outlet
from protos.errors import DrainingError
from protos.pg.messages import query
from tests.support.stage import Driver, Stage, configuration, staged

SLICES: Final = (b"a" * 300_000, b"b" * 300_000)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as made:
        made.up(configuration())
        yield made


def connected(stage: Stage) -> tuple[Driver, Client, Outlet, Store]:
    driver = stage.connect()
    (client,) = stage.edge.clients
    return driver, client, client._outlet, stage.edge.directory._store


def test_nothing_is_given_where_nothing_was_answered(stage: Stage) -> None:
    driver, _, outlet, store = connected(stage)
    assert not outlet.give()
    assert driver.read() == b""
    assert store.unsent.bytes == 0


def test_a_long_answer_goes_before_what_is_behind_it(stage: Stage) -> None:
    driver, client, outlet, store = connected(stage)
    kept = Kept(client.entry.answers, "key", 600_000)
    here = client._session.here
    here.long, here.to_client = Long(kept, SLICES), b"then"
    assert outlet.give(b" this")
    assert here.long is None
    assert not here.to_client
    assert (kept.borrowers, store.unsent.bytes >= 600_000) == (1, True)
    assert driver.read() == b"".join(SLICES) + b"then this"
    assert (kept.borrowers, store.unsent.bytes) == (0, 0)


def test_what_the_client_has_not_taken_is_counted(stage: Stage) -> None:
    driver, client, outlet, store = connected(stage)
    client._session.here.to_client = bytes(2_000_000)
    assert outlet.give()
    assert store.unsent.bytes == client.connection.pending_bytes > 0
    outlet.leave()
    driver.hang_up()
    store.unsent.tick()
    assert store.unsent.bytes == 0


SHOW: Final = query(b"set onetrip.cache = off") + query(b"show onetrip.cache") + query(b"set onetrip.cache = on")
SHOWN: Final = "CZTDCZCZ"
TIMES: Final = 9_000
READ_BYTES: Final = 1 << 16  # what an edge reads at once


def test_who_takes_nothing_of_what_is_answered_here_is_not_read_either(stage: Stage) -> None:
    driver, client, _, _ = connected(stage)
    driver.send(SHOW * TIMES)
    assert driver.unsent_bytes > READ_BYTES
    assert client.connection.is_paused
    assert MAX_OF_CLIENT < client.connection.pending_bytes < MAX_OF_CLIENT + 3 * READ_BYTES
    assert driver.tags() == SHOWN * TIMES
    assert driver.unsent_bytes == 0
    assert not client.connection.is_paused
    driver.send(SHOW)
    assert driver.tags() == SHOWN
    assert not stage.pool.channels


def test_it_is_noticed_that_such_a_client_has_gone(stage: Stage) -> None:
    driver, client, _, store = connected(stage)
    driver.send(SHOW * TIMES)
    driver.hang_up()
    assert client.connection.is_closed
    assert not stage.edge.clients
    stage.pass_time(0.0)
    assert store.unsent.bytes == 0


def test_a_client_that_is_to_end_meanwhile_is_told_so_behind_its_answers(stage: Stage) -> None:
    driver, client, _, _ = connected(stage)
    driver.send(SHOW * TIMES)
    client.end_when_quiet(DrainingError())
    received = driver.messages()
    assert received[-1][:1] == b"E"
    assert len(received) > 1000
