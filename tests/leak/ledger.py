"""Money moved by many clients at once, while clients are killed and the origin is restarted under them.

A transfer is one transaction: two balances and a line in a log, whose id says whose transfer it is. A client that gets
an error, or loses its connection, does not know what has become of it: it looks for the id in the log, and tries again
only if that is not there. Before it looks it waits until the transaction of before has ended (its id is locked with
`pg_advisory_xact_lock`), or an answer "not there" would prove nothing.
"""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import attrs

from protos.pg.messages import bind, execute, parse, query, sync
from tests.leak.client import Client, LostError, connect
from tests.leak.stage import Stage
from tests.support.target import Target

ACCOUNTS: Final = 20
BALANCE: Final = 1000
PART_KILLED: Final = 0.05
PART_EXTENDED: Final = 0.5
DOUBLE: Final = "23505"
RETRY_S: Final = 0.05
PROGRESS_S: Final = 5.0
GIVE_UP_S: Final = 90.0
MAX_DELAY_S: Final = 0.02
LOOK_S: Final = 0.02
HOW: Final = (signal.SIGINT, signal.SIGQUIT)


@attrs.frozen
class LedgerPlan:
    """How much to move."""

    transfers: int = 10_000
    clients: int = 32
    restarts: int = 3
    mode: str = "track"
    seed: int = 1


@attrs.define
class LedgerReport:
    """What came of it."""

    acknowledged: int = 0
    """Transfers whose COMMIT was answered."""
    found: int = 0
    """Transfers of unknown outcome that turned out to be done."""
    outcomes: Counter[str] = attrs.field(factory=Counter)
    violations: list[str] = attrs.field(factory=list)
    restarts: int = 0
    seconds: float = 0.0


@attrs.frozen
class Transfer:
    """From one account to another."""

    id: str
    source: int
    target: int
    amount: int

    @property
    def key(self) -> int:
        """Of the lock that its transaction holds."""
        return int(self.id.rpartition("-")[2])

    def statements(self) -> list[str]:
        """What its transaction runs, in the order of accounts, so that two of them cannot wait for each other."""
        changes = sorted([(self.source, -self.amount), (self.target, self.amount)])
        updates = [f"UPDATE ledger_account SET balance = balance + {by} WHERE id = {at}" for at, by in changes]
        line = f"INSERT INTO ledger_log VALUES ('{self.id}', {self.source}, {self.target}, {self.amount})"
        return ["BEGIN", f"SELECT pg_advisory_xact_lock({self.key})", *updates, line, "COMMIT"]


class KilledError(Exception):
    """The client has vanished, as it was told."""


class FailedError(Exception):
    """A statement has failed; its transaction is rolled back with the connection or by hand."""


def move(stage: Stage, plan: LedgerPlan, say: Callable[[str], object] = lambda _: None) -> LedgerReport:
    """Move money, and say how it goes."""
    with stage.origin.admin() as connection:
        connection.execute("TRUNCATE ledger_account, ledger_log")
        connection.execute(
            f"INSERT INTO ledger_account SELECT i, {BALANCE} FROM generate_series(0, {ACCOUNTS - 1}) AS i".encode()
        )
    report = LedgerReport()
    began = time.monotonic()
    acknowledged = asyncio.run(_move(stage, plan, report, say))
    report.seconds = time.monotonic() - began
    _check(stage, report, acknowledged)
    return report


def _check(stage: Stage, report: LedgerReport, acknowledged: set[str]) -> None:
    """The total is what it was, and the log has everything acknowledged, and nothing twice."""
    with stage.origin.admin() as connection:
        accounts = connection.execute("SELECT id, balance FROM ledger_account").fetchall()
        lines = connection.execute("SELECT id, from_id, to_id, amount FROM ledger_log").fetchall()
    balances = {int(str(account)): int(str(balance)) for account, balance in accounts}
    total = sum(balances.values())
    if total != ACCOUNTS * BALANCE:
        report.violations.append(f"the total is {total}, and was {ACCOUNTS * BALANCE}")
    logged = [str(line[0]) for line in lines]
    if len(set(logged)) != len(logged):
        report.violations.append("a transfer is in the log twice")
    missing = acknowledged - set(logged)
    if missing:
        report.violations.append(f"acknowledged and not there: {sorted(missing)[:10]}")
    unknown = set(logged) - acknowledged
    if unknown:
        report.violations.append(f"there, and nobody knows of it: {sorted(unknown)[:10]}")
    wanted = dict.fromkeys(range(ACCOUNTS), BALANCE)
    for _, source, target, amount in lines:
        wanted[int(str(source))] -= int(str(amount))
        wanted[int(str(target))] += int(str(amount))
    if wanted != balances:
        report.violations.append("the balances are not what the log makes them")


async def _move(stage: Stage, plan: LedgerPlan, report: LedgerReport, say: Callable[[str], object]) -> set[str]:
    done: set[str] = set()
    budget = iter(range(plan.transfers))
    async with asyncio.TaskGroup() as group:
        upkeep = [
            group.create_task(_watch(done, plan, report, say)),
            group.create_task(_restart(stage, plan, report, done)),
        ]
        movers = [Mover(stage.targets[plan.mode], plan, number, report, done) for number in range(plan.clients)]
        await asyncio.wait([group.create_task(mover.run(budget)) for mover in movers])
        for task in upkeep:
            task.cancel()
    return done


async def _watch(done: set[str], plan: LedgerPlan, report: LedgerReport, say: Callable[[str], object]) -> None:
    while True:
        await asyncio.sleep(PROGRESS_S)
        outcomes = ", ".join(f"{count} {what}" for what, count in sorted(report.outcomes.items()))
        say(f"{len(done)} of {plan.transfers} transfers; {report.restarts} restarts; {outcomes}")


async def _restart(stage: Stage, plan: LedgerPlan, report: LedgerReport, done: set[str]) -> None:
    """Restart the origin at equal distances, in turn in order and at once."""
    for number in range(plan.restarts):
        while len(done) < plan.transfers * (number + 1) / (plan.restarts + 1):  # noqa: ASYNC110 - a count, no event
            await asyncio.sleep(LOOK_S)
        how = HOW[(number + 1) % len(HOW)]
        await asyncio.to_thread(stage.origin.stop, how)
        stage.origin.start()  # in this thread: a child that was started by another would end with that
        report.restarts += 1


class Mover:
    """One client after the other, and one transfer after the other."""

    def __init__(
        self, targets: list[Target], plan: LedgerPlan, number: int, report: LedgerReport, done: set[str]
    ) -> None:
        self._targets = targets
        self._random = random.Random(f"{plan.seed}-{number}")
        self._report = report
        self._done = done
        self._client: Client | None = None
        self.run = partial(self._run, number)

    async def _run(self, number: int, budget: Iterator[int]) -> None:
        for count in budget:
            source, target = self._random.sample(range(ACCOUNTS), 2)
            transfer = Transfer(f"t{number}-{count}", source, target, self._random.randrange(1, 50))
            try:
                async with asyncio.timeout(GIVE_UP_S):
                    await self._see_through(transfer)
            except TimeoutError:
                self._report.violations.append(f"{transfer} came to no end")
                self._drop()
        if self._client is not None:
            await self._client.close()

    async def _see_through(self, transfer: Transfer) -> None:
        """Try until it is done."""
        is_unknown = False
        while True:
            try:
                if is_unknown and await self._is_done(transfer):
                    self._report.found += 1
                    break
                is_unknown = True
                await self._try(transfer)
                self._report.acknowledged += 1
                break
            except KilledError:
                self._drop()
            except (LostError, FailedError) as error:
                sqlstate = error.sqlstate if isinstance(error, LostError) else str(error)
                self._report.outcomes[f"errors {sqlstate or 'without a word'}"] += 1
                if sqlstate == DOUBLE:
                    self._report.violations.append(f"{transfer} was done, although the log did not have it")
                self._drop()
                await asyncio.sleep(RETRY_S)
        self._done.add(transfer.id)

    async def _is_done(self, transfer: Transfer) -> bool:
        """Whether the log has it, once the transaction of before is over."""
        client = await self._connected()
        await self._ask(client, query(b"BEGIN"))
        await self._ask(client, query(f"SELECT pg_advisory_xact_lock({transfer.key})".encode()))
        rows = await self._ask(client, query(f"SELECT 1 FROM ledger_log WHERE id = '{transfer.id}'".encode()))
        await self._ask(client, query(b"COMMIT"))
        return rows > 0

    async def _try(self, transfer: Transfer) -> None:
        """Run it; now and then vanish in the middle."""
        client = await self._connected()
        statements = transfer.statements()
        vanishes_at = self._random.randrange(len(statements)) if self._random.random() < PART_KILLED else -1
        is_extended = self._random.random() < PART_EXTENDED
        for index, sql in enumerate(statements):
            message = query(sql.encode())
            if is_extended:
                message = parse(b"", sql.encode()) + bind(b"", b"") + execute() + sync()
            if index == vanishes_at:
                self._report.outcomes["killed"] += 1
                client.send(message)
                await asyncio.sleep(self._random.random() * MAX_DELAY_S)
                raise KilledError
            await self._ask(client, message)

    async def _ask(self, client: Client, message: bytes) -> int:
        """The number of rows."""
        answer = await client.ask(message)
        if answer.sqlstate:
            raise FailedError(answer.sqlstate)
        return len(answer.rows)

    async def _connected(self) -> Client:
        if self._client is None:
            self._client = await connect(self._random.choice(self._targets))
        return self._client

    def _drop(self) -> None:
        if self._client is not None:
            self._client.vanish()
            self._client = None
