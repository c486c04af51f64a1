"""An edge on a stage whose configuration caches: its pool node vouches for what is kept, and says what may be."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from edge.cache.answers import Answers
from protos.link.link_pb2 import Caching, Configuration, Frame, Group, Invalidate, Verdict
from protos.link.settings import KEEP
from protos.pg.messages import command_complete, data_row, error_fields, row_description
from tests.support.stage import IDLE, NAME, Driver, PlayedChannel, PlayedPool, Stage, configuration, ready, staged

TABLE: Final = 16_400
MAX_AGE_S: Final = 60.0


def caching(**changes: object) -> Configuration:
    """A configuration that caches; changes are those of its Caching."""
    fields: dict[str, object] = {"enabled": True, "is_read_committed": True}
    return configuration(caching=Caching(**(fields | changes)))  # type: ignore[arg-type]


def row(value: bytes, *, description: bytes = row_description(["v"])) -> bytes:
    """What an origin says to a simple query, but for the ReadyForQuery."""
    return description + rows(value)


def rows(value: bytes) -> bytes:
    """What an origin says to an Execute."""
    return data_row([value]) + command_complete("SELECT 1")


def notices(driver: Driver) -> tuple[list[str], str]:
    """What has come: the words of the notices, and the tags of all else."""
    messages = driver.messages()
    words = [error_fields(message)["M"].removeprefix("onetrip cache: ") for message in messages if message[:1] == b"N"]
    return words, "".join(chr(message[0]) for message in messages if message[:1] != b"N")


class Cached:
    """The stage, its pool nodes, and a clock for the answers."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.now = time.monotonic() + 1000.0  # a link sends pings of its own, which must not count

    @property
    def pool(self) -> PlayedPool:
        return self.stage.pool

    @property
    def answers(self) -> Answers:
        entry = self.stage.edge.directory.get(NAME)
        assert entry is not None
        return entry.answers

    def up(
        self, pushed: Configuration | None = None, pool: PlayedPool | None = None, group: Sequence[str] = ()
    ) -> None:
        """Link a pool node, which says who is in its group and vouches."""
        pool = pool or self.pool
        pool.link()
        pool.welcome(caching() if pushed is None else pushed)
        pool.say(group=Group(nodes=group or [pool.node]))
        self.stage.settle()
        self.answers.clock = lambda: self.now
        self.vouch(pool)

    def vouch(self, pool: PlayedPool | None = None) -> None:
        """A ping is sent now, and answered."""
        stream = (pool or self.pool).uplink.stream
        assert stream is not None
        stream.mux.ping(self.now)
        self.stage.settle()

    def invalidate(self, *tables: int, pool: PlayedPool | None = None, **what: bool) -> None:
        (pool or self.pool).say(invalidate=Invalidate(configuration=NAME, tables=tables, **what))
        self.stage.settle()

    def judge(self, channel: PlayedChannel | None = None, why: str = "", **changes: object) -> None:
        """Say that the answer which comes may be kept, or why not."""
        lane = (channel or self.pool.channel).lane
        fields: dict[str, object] = {"why": why} if why else {"tables": [TABLE], "max_age_s": MAX_AGE_S}
        verdict = Verdict(**(fields | changes))  # type: ignore[arg-type]
        self.pool.mux.send_in_order(lane, Frame(channel=lane.id, verdict=verdict))

    def answer(
        self,
        body: bytes,
        *,
        channel: PlayedChannel | None = None,
        status: int = IDLE,
        keep: bool = True,
        **verdict: Any,
    ) -> None:
        """Judge, and answer what was asked; it may be kept."""
        self.judge(channel, **verdict)
        self.pool.answer(body + ready(status), status=status | (KEEP if keep else 0), channel=channel)
        self.stage.settle()

    def kept(self, driver: Driver, request: bytes, body: bytes, **verdict: Any) -> None:
        """Ask something, which is then kept."""
        driver.send(request)
        channel = self.pool.channel
        assert channel.asks, "nobody asked"
        channel.take()
        channel.asks.clear()
        self.answer(body, channel=channel, **verdict)
        assert driver.read().endswith(body + ready())


@contextmanager
def cached(pushed: Configuration | None = None, **options: object) -> Iterator[Cached]:
    """An edge that is linked to its first pool node."""
    with staged(**options) as stage:
        cached = Cached(stage)
        cached.up(pushed)
        yield cached
