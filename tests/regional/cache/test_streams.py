"""Streams of a real PostgreSQL: what they wait for, and that nothing of them is left."""

import signal
import subprocess
import sys
import time
from typing import Any

import pytest
import trio

from regional.cache import pursuit
from regional.cache.streams import Stream
from tests.regional.cache.followed import Database, Follower
from tests.support.beside import PoolSide, beside, until


@beside
async def test_a_lost_stream_invalidates_everything_and_is_made_again(side: PoolSide, database: Database) -> None:
    follower = Follower(side, database)
    await follower.ready("item")
    slots = database.slots()
    killed = database.ask(
        f"select pg_terminate_backend(active_pid) from pg_replication_slots where database = '{database.name}'"
    )
    assert killed == [True]
    await until(lambda: follower.published)
    assert follower.published[0] is None
    assert not follower.follows("item")
    assert "terminating connection" in follower.following.reason
    item = database.oids("item")
    await until(lambda: follower.following.follows(item))
    assert follower.published == [None, None]  # when it was lost, and before answers are kept again
    assert database.slots() != slots
    follower.published.clear()
    database.run("update item set name = 'again'")
    await follower.told("item")


@beside
async def test_a_transaction_that_began_before_the_stream_did_is_waited_for(
    side: PoolSide, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have committed before, as far as the log is concerned, and be seen later."""
    opened = Stream.open
    with database.connect(autocommit=False) as connection:

        async def begin(stream: Stream, *words: Any) -> str:
            server = await opened(stream, *words)
            connection.execute("insert into item values (9, 'nine')")
            return server

        monkeypatch.setattr(Stream, "open", begin)
        follower = Follower(side, database)
        await until(lambda: connection.info.transaction_status)
        await trio.sleep(2 * pursuit.LOOK_EVERY_S)
        assert not follower.follows("item")
    await follower.ready("item")


@beside
async def test_a_transaction_that_is_open_is_waited_for_at_the_beginning(side: PoolSide, database: Database) -> None:
    with database.connect(autocommit=False) as connection:
        connection.execute("insert into item values (9, 'nine')")
        follower = Follower(side, database)
        await until(lambda: "open" in follower.following.reason)
        assert not follower.follows("item")
    await follower.ready("item")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stalled"])
def test_no_slot_outlives_us(database: Database, how: signal.Signals) -> None:
    words = [sys.executable, "-m", "tests.regional.cache.followed", str(database.origin.port), database.name]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"following\n"
            assert database.ask("select temporary from pg_replication_slots") == [True]
            child.send_signal(how)
            deadline = time.monotonic() + 10
            while database.slots():
                database.run("update item set name = 'more'")
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            child.kill()
