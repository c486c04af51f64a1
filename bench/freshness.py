"""Writers at one edge and readers at both: how long an older answer is still to be had.

It is a process of its own, near both edges, so that one clock sees everything. Each line on standard input is one
request, a `Plan` as a JSON object, answered by one line, a `Report`.

Theory of operation: a row's value is the number of times that it was written, so an answer tells which version it saw.
Each row has a table of its own, since a write makes edges drop all that was read from its table: with one table and
many writers nothing would be kept for long enough to grow old.

A *pair* writes a random row at the near edge. Before that it reads the row at both edges, so that both have it; from
the moment the write is sent it reads it again and again at the far edge, and from its acknowledgement without a pause
until the new version is there. Beside the pairs, readers read random rows at both edges all the time. A read that began
after version v was acknowledged and saw an older one is *stale*, by the time between the two; a write's *lag* at the
far edge is the most that any read was stale on its account, 0 if none was.
"""

import asyncio
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import attrs
import uvloop

from bench.asker import Asker, LostError, RefusedError, connect

SCHEMA: Final = "freshness"
READ: Final = f"SELECT version FROM {SCHEMA}.row_{{0}} WHERE key = {{0}}"
WRITE: Final = f"UPDATE {SCHEMA}.row_{{0}} SET version = version + 1 WHERE key = {{0}} RETURNING version"
NEAR: Final = "near"
FAR: Final = "far"


@attrs.frozen(kw_only=True)
class Plan:
    """Where and how much."""

    near: str
    """Connection strings: the writers' edge, and the other one."""
    far: str
    writes: int = 10_000
    keys: int = 1000
    pairs: int = 32
    readers: int = 4
    """At each edge, beside the pairs."""
    poll_s: float = 0.005
    """Between a pair's reads while its write is under way, and between those of a reader."""
    seed: int = 1


def statements(keys: int) -> list[str]:
    """What makes the tables."""
    make = (
        f"FOR key IN 1..{keys} LOOP "
        f"EXECUTE format('CREATE TABLE {SCHEMA}.row_%s (key int PRIMARY KEY, version bigint NOT NULL)', key); "
        f"EXECUTE format('INSERT INTO {SCHEMA}.row_%s VALUES (%s, 1)', key, key); "
        "END LOOP"
    )
    return [f"CREATE SCHEMA {SCHEMA}", f"DO $$ BEGIN {make}; END $$"]


@attrs.define
class Write:
    """One that was acknowledged."""

    version: int
    acknowledged: float
    lag_s: float = 0.0


@attrs.define
class Ledger:
    """What was acknowledged, by row, and what the reads say of it."""

    writes: dict[int, list[Write]] = attrs.field(factory=lambda: defaultdict(list))
    newest: dict[int, int] = attrs.field(factory=dict)
    reads: dict[str, int] = attrs.field(factory=lambda: {NEAR: 0, FAR: 0})
    stale: dict[str, list[float]] = attrs.field(factory=lambda: {NEAR: [], FAR: []})
    """By how much, in seconds."""
    took_s: dict[str, list[float]] = attrs.field(factory=lambda: {NEAR: [], FAR: []})

    def wrote(self, key: int, version: int, now: float) -> None:
        """A write has been acknowledged."""
        self.writes[key].append(Write(version, now))
        self.newest[key] = max(version, self.newest.get(key, 0))

    def saw(self, edge: str, key: int, version: int, begun: float) -> None:
        """A read that began then has seen this version."""
        self.reads[edge] += 1
        self.took_s[edge].append(time.monotonic() - begun)
        if version >= self.newest.get(key, 0):
            return
        missed = [write for write in self.writes[key] if write.version > version and write.acknowledged < begun]
        if missed:
            self.stale[edge].append(begun - min(write.acknowledged for write in missed))
        if edge == FAR:
            for write in missed:
                write.lag_s = max(write.lag_s, begun - write.acknowledged)

    def report(self) -> dict[str, Any]:
        """For who asked."""
        writes = [write for key in self.writes for write in self.writes[key]]
        return {
            "writes": len(writes),
            "lags_ms": [write.lag_s * 1000 for write in writes],
            "reads": self.reads,
            "stale_ms": {edge: [age * 1000 for age in ages] for edge, ages in self.stale.items()},
            "took_ms": {edge: _summary(times) for edge, times in self.took_s.items()},
        }


def _summary(times: list[float]) -> list[float]:
    """Deciles, in ms."""
    ordered = sorted(times)
    return [ordered[(len(ordered) - 1) * part // 10] * 1000 for part in range(11)] if ordered else []


class Reader:
    """A connection to an edge that reads versions."""

    def __init__(self, ledger: Ledger, edge: str, asker: Asker) -> None:
        self._ledger = ledger
        self._edge = edge
        self._asker = asker

    async def read(self, key: int) -> int:
        """One read; the version that it saw."""
        begun = time.monotonic()
        rows = await self._asker.ask(READ.format(key).encode())
        version = int(rows[0][0] or b"0")
        self._ledger.saw(self._edge, key, version, begun)
        return version


@attrs.define
class Pair:
    """A writer at the near edge and a reader at each."""

    ledger: Ledger
    writer: Asker
    near: Reader
    far: Reader
    poll_s: float
    acknowledged: int = 0
    """The version whose acknowledgement the far reader waits for; 0 until then."""

    async def play(self, keys: Iterator[int]) -> None:
        """Write these."""
        for key in keys:
            await asyncio.gather(self.near.read(key), self.far.read(key))
            self.acknowledged = 0
            watching = asyncio.ensure_future(self._watch(key))
            ((value,),) = await self.writer.ask(WRITE.format(key).encode())
            self.acknowledged = int(value or b"0")
            self.ledger.wrote(key, self.acknowledged, time.monotonic())
            await asyncio.gather(self.near.read(key), watching)

    async def _watch(self, key: int) -> None:
        while not (seen := await self.far.read(key)) or not self.acknowledged or seen < self.acknowledged:
            if not self.acknowledged:
                await asyncio.sleep(self.poll_s)


async def play(plan: Plan) -> dict[str, Any]:
    """All pairs and readers, until everything is written."""
    ledger = Ledger()
    chance = random.Random(plan.seed)
    keys = iter([chance.randint(1, plan.keys) for _ in range(plan.writes)])
    ends = {NEAR: plan.near, FAR: plan.far}
    pairs = [
        Pair(
            ledger,
            await connect(plan.near),
            Reader(ledger, NEAR, await connect(plan.near)),
            Reader(ledger, FAR, await connect(plan.far)),
            plan.poll_s,
        )
        for _ in range(plan.pairs)
    ]
    readers = [Reader(ledger, edge, await connect(ends[edge])) for edge in ends for _ in range(plan.readers)]
    begun = time.monotonic()
    reading = [asyncio.ensure_future(_read_on(reader, plan, plan.seed + i)) for i, reader in enumerate(readers)]
    await asyncio.gather(*(pair.play(keys) for pair in pairs))
    seconds = time.monotonic() - begun
    for task in reading:
        task.cancel()
    results = await asyncio.gather(*reading, return_exceptions=True)
    for result in results:
        if not isinstance(result, asyncio.CancelledError) and isinstance(result, BaseException):
            raise result
    return {**ledger.report(), "seconds": seconds}


async def _read_on(reader: Reader, plan: Plan, seed: int) -> None:
    chance = random.Random(seed)
    while True:
        await reader.read(chance.randint(1, plan.keys))
        await asyncio.sleep(plan.poll_s)


def main() -> None:
    """Answer requests until standard input ends."""
    for line in sys.stdin:
        try:
            answer = uvloop.run(play(Plan(**json.loads(line))))
        except (LostError, RefusedError) as error:
            answer = {"refused": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
