"""One client after the other at one edge: reads and writes, judged by what is known.

A session of a player lasts until it vanishes or is lost; then another follows. What a player does is said by moves, as
far as the nodes let it.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from itertools import count, cycle
from typing import Final

import attrs

from bench.asker import Asker, LostError, RefusedError, Row, connect
from tests.staleness.knowledge import Answer, Knowledge
from tests.staleness.moves import FOCUS, Change, Ending, Look, LookTwice, Move, Pause
from tests.staleness.subjects import MAX_COLUMNS, Copy, Read, Step, Subject, Write

# What PostgreSQL or a node may say to anybody: deadlock, serialization, no connection or no pool node for now, an
# operation on a transaction that has failed, a table just dropped under its name, and what must be planned anew.
EXPECTED: Final = frozenset({"40P01", "40001", "53300", "57P03", "57P01", "08006", "25P02", "42P01", "0A000", "55006"})
# A row that is none, and a client that gives its COPY up.
COPY_FAILED: Final = frozenset({"22P02", "57014"})
BAD_ROW: Final = b"none\n"
TURN: Final = "SELECT 1 FROM turn WHERE subject = {} FOR UPDATE"
RETRY_S: Final = 0.1
ANSWER_TIMEOUT_S: Final = 30.0
# Between a watcher's reads, and so many of the same, which is longer than a lease.
LOOK_S: Final = 0.01
LOOKS: Final = 500
STATUS: Final = "onetrip cache: "

Ask = Callable[[Asker, int, Read], Awaitable[set[int]]]

_unique = count(1000)


@attrs.define
class Shared:
    """What the players have in common."""

    knowledge: Knowledge
    doors: list[tuple[str, ...]]
    """How to connect, by edge: one way for each configuration."""
    ask: Ask
    """How an answer is come by: its versions, for the edge and the read."""
    major: int
    """PostgreSQL's version."""
    focus: tuple[tuple[Subject, Read], ...] = ()
    counts: Counter[str] = attrs.field(factory=Counter)
    """Moves by kind."""
    outcomes: Counter[str] = attrs.field(factory=Counter)
    statuses: Counter[str] = attrs.field(factory=Counter)
    """Answers by what the cache has said of them."""
    quick: int = 0
    """Reads for which nothing can have crossed."""
    watched: int = 0
    """Reads of watchers, beside the moves."""
    asked: set[tuple[int, int, Subject, Read]] = attrs.field(factory=set)
    """What has been read where: by edge and door."""


class VanishedError(Exception):
    """The player has left without a word."""


class Player:
    """See above."""

    def __init__(self, shared: Shared, edge: int, door: int) -> None:
        self.shared = shared
        self.edge = edge
        self.door = door % len(shared.doors[edge])
        self._asker: Asker | None = None
        self._was_quick = False
        """The last answer was: too quick to have crossed."""

    async def play(self, moves: Iterable[Move]) -> None:
        """Make one move after the other."""
        for move in moves:
            await self._try(partial(self._make, move))
        self._leave()

    async def watch(self) -> None:
        """Read one thing again and again as long as nothing has to cross for it, then another; until cancelled.

        At an edge that hears nothing any more such a client is the last that gets answers: for as long as the lease.
        """
        try:
            for place in cycle(range(FOCUS)):
                await self._try(partial(self._look_on, place))
        finally:
            self._leave()

    async def check(self, pairs: Iterable[tuple[Subject, Read]]) -> None:
        """Read each once."""
        for subject, read in pairs:
            await self._try(partial(self._look, subject, read))
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

    async def _make(self, move: Move) -> None:
        match move:
            case Look(place, times):
                self.shared.counts["read"] += 1
                for _ in range(times):
                    await self._look(*self.shared.focus[place])
            case LookTwice(place, repeatable):
                await self._look_twice(*self.shared.focus[place], repeatable=repeatable)
            case Change(place):
                await self._write(self.shared.focus[place][0], move)
            case Pause(seconds):
                await asyncio.sleep(seconds)

    async def _connected(self) -> Asker:
        """Its connection; a node that is down is asked until it is there again."""
        while self._asker is None:
            try:
                self._asker = await connect(self.shared.doors[self.edge][self.door])
            except LostError:
                self.shared.outcomes["not connected"] += 1
                await asyncio.sleep(RETRY_S)
        return self._asker

    def _leave(self) -> None:
        if self._asker is not None:
            self._asker.close()
            self._asker = None

    async def _look(self, subject: Subject, read: Read) -> None:
        await self._answer(await self._connected(), subject, read)

    async def _look_on(self, place: int) -> None:
        asker = await self._connected()
        subject, read = self.shared.focus[place]
        for _ in range(LOOKS):
            self.shared.watched += 1
            await self._answer(asker, subject, read)
            await asyncio.sleep(LOOK_S)
            if not self._was_quick:
                return

    async def _look_twice(self, subject: Subject, read: Read, *, repeatable: bool) -> None:
        """In a transaction; under REPEATABLE READ, the second answer is that of the first's snapshot."""
        asker = await self._connected()
        if read.only_alone or (repeatable and subject.by_ddl):
            return
        self.shared.counts["read in a transaction"] += 1
        await asker.ask(b"BEGIN ISOLATION LEVEL REPEATABLE READ" if repeatable else b"BEGIN")
        first = await self._answer(asker, subject, read)
        if repeatable:
            second = await self.shared.ask(asker, self.edge, read)
            if first != second:
                text = f"two snapshots at edge {self.edge}: {read}: {sorted(first)}, then {sorted(second)}"
                self.shared.knowledge.violations.append(text)
        else:
            await self._answer(asker, subject, read)
        await asker.ask(b"COMMIT")

    async def _answer(self, asker: Asker, subject: Subject, read: Read) -> set[int]:
        """Read and judge; what versions there were."""
        shared = self.shared
        begun = time.monotonic()
        versions = await shared.ask(asker, self.edge, read)
        now = time.monotonic()
        shared.asked.add((self.edge, self.door, subject, read))
        for notice in asker.notices:
            if notice.startswith(STATUS):
                shared.statuses[notice.removeprefix(STATUS).partition(" ")[0]] += 1
        self._was_quick = now - begun < shared.knowledge.crossings_s[self.edge] / 2
        shared.quick += self._was_quick
        if versions:
            answer = Answer(
                edge=self.edge, subject=subject.number, versions=versions, begun=begun, now=now, what=read.sql
            )
            shared.knowledge.read(answer)
        elif not subject.may_be_empty:
            shared.knowledge.violations.append(f"no rows at edge {self.edge}: {read.sql}")
        return versions

    async def _write(self, subject: Subject, move: Change) -> None:
        asker = await self._connected()
        known = self.shared.knowledge.known[subject.number].versions
        if subject.reads[0].counts_columns and known and known[-1] > MAX_COLUMNS:
            return
        write = subject.write(move.way, self.shared.major)
        self.shared.counts[f"write: {write.name}"] += 1
        if _needs_a_transaction(write, move):
            version = await self._transaction(asker, subject, write, move)
        else:
            version = await self._alone(asker, subject, write, move)
        if version:
            self.shared.outcomes["acknowledged"] += 1
            self.shared.knowledge.wrote(self.edge, subject.number, version, time.monotonic())
            await self._answer(asker, subject, _any_of(subject.reads, move))

    async def _alone(self, asker: Asker, subject: Subject, write: Write, move: Change) -> int:
        """In no transaction of its client's; the version that it made."""
        (first, *_) = write.steps
        if isinstance(first, Copy):
            return await self._copy(asker, first, 0, move, is_alone=True)
        steps = [TURN.format(subject.number), *write.steps] if write.as_one_message else write.steps
        return _version(await self._last(asker, "; ".join(map(_words, steps)).encode(), move))

    async def _transaction(self, asker: Asker, subject: Subject, write: Write, move: Change) -> int:
        """All steps; 0 if they were rolled back, or wrote nothing."""
        await asker.ask(b"BEGIN")
        if move.looks_first and not subject.by_ddl:
            await self._answer(asker, subject, _any_of(subject.reads, move))
        await asker.ask(TURN.format(subject.number).encode())
        version = 0
        for step in write.steps:
            if isinstance(step, Copy):
                version = await self._copy(asker, step, version, move)
                if not version:
                    return 0
            else:
                version = _version(await asker.ask(_words(step, version).encode())) or version
            if move.ending.is_halfway:
                self._vanish(asker, move)
        if version:
            await self._read_own(asker, subject, version, _any_of(subject.reads, move))
        if not move.ending.is_sent:
            await self._roll_back(asker, move)
            return 0
        if not write.prepared:
            await self._last(asker, b"COMMIT", move)
            return version
        name = f"staleness-{next(_unique)}"
        await asker.ask(f"PREPARE TRANSACTION '{name}'".encode())
        await self._last(asker, f"COMMIT PREPARED '{name}'".encode(), move)
        return version

    async def _copy(self, asker: Asker, step: Copy, version: int, move: Change, *, is_alone: bool = False) -> int:
        """The version that it made; 0 if it was given up, and its transaction with it."""
        new = next(_unique) if step.is_numbered else version + 1
        first, second = step.halves(new)
        await asker.copy(step.sql.encode(), extended=step.extended)
        asker.copy_data(first)
        await asyncio.sleep(move.pause_s)
        if move.ending.is_halfway:
            self._vanish(asker, move)
        asker.copy_data(second + BAD_ROW if move.ending is Ending.FAIL else second)
        if is_alone and move.ending in (Ending.VANISH, Ending.LEAVE):
            asker.end_copy_and_vanish(says_goodbye=move.ending.says_goodbye)
            raise VanishedError
        try:
            await asker.copy_end(b"no more" if is_alone and move.ending is Ending.ROLL_BACK else None)
        except RefusedError as error:
            if error.sqlstate not in COPY_FAILED:
                raise
            self.shared.outcomes["copy given up"] += 1
            if not is_alone:
                await asker.ask(b"ROLLBACK")
            return 0
        return new

    async def _read_own(self, asker: Asker, subject: Subject, version: int, read: Read) -> None:
        """A transaction sees what it has written itself, and that alone."""
        versions = await self.shared.ask(asker, self.edge, read)
        if not (versions == {version} or (subject.only_grows and min(versions, default=0) > version)):
            text = f"own write not seen at edge {self.edge}: {read.sql}: {sorted(versions)} and not {version}"
            self.shared.knowledge.violations.append(text)

    async def _roll_back(self, asker: Asker, move: Change) -> None:
        self.shared.outcomes["rolled back"] += 1
        if move.ending is Ending.FAIL:
            try:
                await asker.ask(b"SELECT 1/0")
            except RefusedError:
                await asker.ask(b"COMMIT")
                return
        await asker.ask(b"ROLLBACK")

    async def _last(self, asker: Asker, sql: bytes, move: Change) -> list[Row]:
        """What commits; some clients do not wait for the answer."""
        if move.ending is Ending.COMMIT:
            return await asker.ask(sql)
        asker.send_and_vanish(sql, says_goodbye=move.ending.says_goodbye)
        raise VanishedError

    def _vanish(self, asker: Asker, move: Change) -> None:
        asker.vanish(says_goodbye=move.ending.says_goodbye)
        raise VanishedError


def _needs_a_transaction(write: Write, move: Change) -> bool:
    """Of its own. A COPY alone may also fail, or be left, alone."""
    if write.prepared or (len(write.steps) > 1 and not write.as_one_message):
        return True
    if isinstance(write.steps[0], Copy):
        return move.looks_first
    return not move.ending.is_sent


def _any_of(reads: tuple[Read, ...], move: Change) -> Read:
    return reads[move.way % len(reads)]


def _words(step: Step, version: int = 0) -> str:
    assert isinstance(step, str)
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
