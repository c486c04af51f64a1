"""One client after the other at one edge: reads and writes, judged by what is known.

A session of a player lasts until it vanishes or is lost; then another follows. What a player does follows from its
seed, as far as the nodes let it.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from typing import Final

import attrs

from bench.asker import Asker, LostError, RefusedError, Row, connect
from tests.staleness.knowledge import Answer, Knowledge
from tests.staleness.subjects import DDL, MAX_COLUMNS, ROWS, Read, Subject, Write

# What PostgreSQL or a node may say to anybody: deadlock, serialization, no connection or no pool node for now, an
# operation on a transaction that has failed, a table just dropped under its name, and what must be planned anew.
EXPECTED: Final = frozenset({"40P01", "40001", "53300", "57P03", "57P01", "08006", "25P02", "42P01", "0A000", "55006"})
# So many pairs of subject and read are in use at a time, and for so many actions: what is read by all is kept.
FOCUS: Final = 3
FOCUS_ACTIONS: Final = 120
PART_WRITES: Final = 0.06
PART_DDL: Final = 0.08
PART_IN_TRANSACTION: Final = 0.05
PART_VANISHING: Final = 0.04
PART_ROLLED_BACK: Final = 0.15
TURN: Final = "SELECT 1 FROM turn WHERE subject = {} FOR UPDATE"
RETRY_S: Final = 0.1
ANSWER_TIMEOUT_S: Final = 30.0
# Between a watcher's reads, and so many of the same, which is longer than a lease.
LOOK_S: Final = 0.01
LOOKS: Final = 500

Ask = Callable[[Asker, int, Read], Awaitable[set[int]]]

_unique = count(1)


@attrs.define
class Shared:
    """What the players have in common."""

    knowledge: Knowledge
    ends: list[str]
    """How to connect, by edge."""
    chance: random.Random
    ask: Ask
    """How an answer is come by: its versions, for the edge and the read."""
    counts: Counter[str] = attrs.field(factory=Counter)
    """Actions by kind."""
    outcomes: Counter[str] = attrs.field(factory=Counter)
    quick: int = 0
    """Reads for which nothing can have crossed."""
    watched: int = 0
    """Reads of watchers, beside the actions."""
    focus: list[tuple[Subject, Read]] = attrs.field(factory=list)

    def look_elsewhere(self) -> None:
        """Choose what is read for the next moment."""
        subjects = [self.chance.choice(DDL if self.chance.random() < PART_DDL else ROWS) for _ in range(FOCUS)]
        self.focus = [(subject, self.chance.choice(subject.reads)) for subject in subjects]


class VanishedError(Exception):
    """The player has left without a word."""


class Player:
    """See above."""

    def __init__(self, shared: Shared, edge: int, seed: str) -> None:
        self.shared = shared
        self.edge = edge
        self.chance = random.Random(seed)
        self._asker: Asker | None = None

    async def play(self, budget: Iterator[int]) -> None:
        """Act until the budget is used up."""
        for number in budget:
            if number % FOCUS_ACTIONS == 0:
                self.shared.look_elsewhere()
            await self._try(self._act)
        self._leave()

    async def watch(self) -> None:
        """Read one thing again and again as long as nothing has to cross for it, then another; until cancelled.

        At an edge that hears nothing any more such a client is the last that gets answers: for as long as the lease.
        """
        try:
            while True:
                await self._try(self._look)
        finally:
            self._leave()

    async def _try(self, act: Callable[[], Awaitable[None]]) -> None:
        """Do something, and take it as it comes."""
        shared = self.shared
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await act()
        except LostError:
            shared.outcomes["lost"] += 1
            self._leave()
            await asyncio.sleep(RETRY_S)
        except VanishedError:
            shared.outcomes["vanished"] += 1
            self._leave()
        except RefusedError as error:
            shared.outcomes[f"refused {error.sqlstate}"] += 1
            if error.sqlstate not in EXPECTED:
                shared.knowledge.violations.append(f"refused at edge {self.edge}: {error}")
            self._leave()
        except TimeoutError:
            shared.knowledge.violations.append(f"no answer at edge {self.edge} within {ANSWER_TIMEOUT_S:g} s")
            self._leave()

    async def _look(self) -> None:
        asker = await self._connected()
        subject, read = self.chance.choice(self.shared.focus)
        for _ in range(LOOKS):
            self.shared.watched += 1
            is_quick = await self._read(asker, subject, read)
            await asyncio.sleep(LOOK_S)
            if not is_quick:
                return

    async def _connected(self) -> Asker:
        """Its connection; a node that is down is asked until it is there again."""
        while self._asker is None:
            try:
                self._asker = await connect(self.shared.ends[self.edge])
            except LostError:
                self.shared.outcomes["not connected"] += 1
                await asyncio.sleep(RETRY_S)
        return self._asker

    def _leave(self) -> None:
        if self._asker is not None:
            self._asker.close()
            self._asker = None

    async def _act(self) -> None:
        asker = await self._connected()
        subject, read = self.chance.choice(self.shared.focus)
        if self.chance.random() < PART_WRITES:
            await self._write(asker, subject, self.chance.choice(subject.writes))
        elif self.chance.random() < PART_IN_TRANSACTION and not read.only_alone:
            self.shared.counts["read in a transaction"] += 1
            await asker.ask(b"BEGIN")
            await self._read(asker, subject, read)
            await self._read(asker, subject, read)
            await asker.ask(b"COMMIT")
        else:
            self.shared.counts["read"] += 1
            await self._read(asker, subject, read)

    async def _read(self, asker: Asker, subject: Subject, read: Read) -> bool:
        """Read and judge; whether it was too quick to have crossed."""
        begun = time.monotonic()
        versions = await self.shared.ask(asker, self.edge, read)
        now = time.monotonic()
        is_quick = now - begun < self.shared.knowledge.crossings_s[self.edge] / 2
        self.shared.quick += is_quick
        if versions:
            answer = Answer(
                edge=self.edge, subject=subject.number, versions=versions, begun=begun, now=now, what=read.sql
            )
            self.shared.knowledge.read(answer)
        elif not subject.may_be_empty:
            self.shared.knowledge.violations.append(f"no rows at edge {self.edge}: {read.sql}")
        return is_quick

    async def _write(self, asker: Asker, subject: Subject, write: Write) -> None:
        if (
            subject.reads[0].counts_columns
            and (self.shared.knowledge.known[subject.number].versions or [0])[-1] > MAX_COLUMNS
        ):
            return
        self.shared.counts[f"write: {write.name}"] += 1
        if len(write.steps) == 1 or write.as_one_message:
            steps = [TURN.format(subject.number), *write.steps] if write.as_one_message else write.steps
            rows = await self._last(asker, "; ".join(_words(step) for step in steps).encode())
            version = _version(rows)
        else:
            version = await self._transaction(asker, subject, write)
        if version:
            self.shared.outcomes["acknowledged"] += 1
            self.shared.knowledge.wrote(self.edge, subject.number, version, time.monotonic())
            await self._read(asker, subject, self.chance.choice(subject.reads))

    async def _transaction(self, asker: Asker, subject: Subject, write: Write) -> int:
        """All steps; 0 if they were rolled back, or wrote nothing."""
        await asker.ask(b"BEGIN")
        await asker.ask(TURN.format(subject.number).encode())
        version = 0
        for step in write.steps:
            version = _version(await asker.ask(_words(step, version).encode())) or version
        if version:
            await self._read_own(asker, subject, version)
        if self.chance.random() < PART_ROLLED_BACK:
            await self._roll_back(asker)
            return 0
        if not write.prepared:
            await self._last(asker, b"COMMIT")
            return version
        name = f"staleness-{next(_unique)}"
        await asker.ask(f"PREPARE TRANSACTION '{name}'".encode())
        await self._last(asker, f"COMMIT PREPARED '{name}'".encode())
        return version

    async def _read_own(self, asker: Asker, subject: Subject, version: int) -> None:
        """A transaction sees what it has written itself, and that alone."""
        read = self.chance.choice(subject.reads)
        versions = await self.shared.ask(asker, self.edge, read)
        if versions != {version}:
            text = f"own write not seen at edge {self.edge}: {read.sql}: {sorted(versions)} and not {version}"
            self.shared.knowledge.violations.append(text)

    async def _roll_back(self, asker: Asker) -> None:
        self.shared.outcomes["rolled back"] += 1
        if self.chance.random() < 0.5:
            try:
                await asker.ask(b"SELECT 1/0")
            except RefusedError:
                await asker.ask(b"COMMIT")
                return
        await asker.ask(b"ROLLBACK")

    async def _last(self, asker: Asker, sql: bytes) -> list[Row]:
        """What commits; now and then its client does not wait for the answer."""
        if self.chance.random() < PART_VANISHING:
            asker.send_and_vanish(sql, says_goodbye=self.chance.random() < 0.5)
            raise VanishedError
        return await asker.ask(sql)


def _words(step: str, version: int = 0) -> str:
    return step.replace("{v}", str(version)).replace("{unique}", str(next(_unique)))


def _version(rows: list[Row]) -> int:
    """The last value, if it is a version."""
    return int(rows[-1][-1] or b"0") if rows and rows[-1] else 0


async def versions_of(asker: Asker, _: int, read: Read) -> set[int]:
    """Ask the node; all versions in the answer."""
    if read.value is not None:
        rows = await asker.ask_extended(read.sql.encode(), [read.value.encode()])
    else:
        rows = await asker.ask(read.sql.encode())
    if read.counts_columns:
        return {len(rows[0])}
    return {int(value) for row in rows for value in row if value is not None}
