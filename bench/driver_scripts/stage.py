"""The scripts that every driver plays, and the marks that separate their steps.

A script opens a connection, works, and gives the connection back: a figure for each of the three. It says so on
standard output (`cold begin`, `cold connected`, `cold done`, `cold released`) and waits for a line on standard input
after each, so whoever counts can read the counter between two steps. By hand, `</dev/null` answers all of them. What
is read is checked within the script, what was written after it, uncounted; `cold fails: …` says what went wrong.

The other languages' scripts (`drivers.mjs`, `Drivers.java`, `drivers.go`) do the same.
"""

import contextlib
import re
import secrets
import sys
from collections.abc import Callable, Sequence
from typing import Final, Protocol

COLD: Final = "cold"
AGAIN: Final = "again"
TRANSACTION: Final = "transaction"
TEN: Final = "ten"
BATCH: Final = "batch"
ORM: Final = "orm"
SCRIPTS: Final = (COLD, AGAIN, TRANSACTION, TEN, BATCH, ORM)

# The table of the scripts, as whoever counts has made it: `word` is 'word N', `seen` is what scripts write.
TABLE: Final = "driver_things"
ROWS: Final = 30
SETUP: Final = (
    f"create table {TABLE} (id integer primary key, word text not null, seen integer not null default 0)",
    f"insert into {TABLE} select n, 'word ' || n from generate_series(1, {ROWS}) n",
)
READ: Final = f"select word from {TABLE} where id = $1"
WRITE: Final = f"update {TABLE} set seen = $1 where id = $2"
SEEN: Final = f"select min(seen) from {TABLE} where id between $1 and $2"
ONE: Final = 1
BATCH_ROWS: Final = range(11, 21)


class Driver(Protocol):
    """A driver's way of doing the steps. `scripts` are those that mean something to it.

    It may be connected again after `close`, and keeps then what it keeps in an application.
    """

    scripts: tuple[str, ...]

    def connect(self) -> None:
        """Open a connection."""

    def word(self, number: int) -> str:
        """Run the one query with a parameter: the word of a row."""

    def seen(self, first: int, last: int) -> int:
        """The smallest number seen in some rows."""

    def transaction(self, number: int, value: int) -> str:
        """Read a row's word, write what was seen, commit."""

    def batch(self, numbers: Sequence[int], value: int) -> None:
        """Write to many rows at once, commit."""

    def orm(self, number: int, value: int) -> str:
        """Load an object, change it, commit; the word it had."""

    def release(self) -> None:
        """Give the connection back to the pool, if there is one."""

    def close(self) -> None:
        """End what is open and close the connection, and the pool."""


def numbered(sql: str) -> str:
    """SQL of ours for drivers that want %s."""
    return re.sub(r"\$\d", "%s", sql)


def mark(script: str, step: str) -> None:
    """Say where we are, and wait until whoever counts has looked."""
    print(script, step, flush=True)
    sys.stdin.readline()


def play(scripts: Sequence[str], play_one: Callable[[str], None]) -> bool:
    """Play some scripts one after the other; whether all went well."""
    well = True
    for script in scripts:
        try:
            play_one(script)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises is this script's result
            complaint = " ".join(f"{type(error).__name__}: {error}".split())
            mark(script, f"fails: {complaint}")
            well = False
    return well


def play_driver(driver: Driver, script: str) -> None:
    """Play one script with a driver that has done nothing yet."""
    try:
        _play_steps(driver, script)
    except BaseException:
        with contextlib.suppress(Exception):  # it has failed already
            driver.close()
        raise


def _play_steps(driver: Driver, script: str) -> None:
    value = secrets.randbelow(1 << 30)
    if script == AGAIN:
        driver.connect()
        expect(driver.word(2), "word 2")
        driver.release()
        driver.close()
    mark(script, "begin")
    driver.connect()
    mark(script, "connected")
    written = _STEPS[script](driver, value)
    mark(script, "done")
    driver.release()
    mark(script, "released")
    if written is not None:
        expect(driver.seen(*written), value)
        driver.release()
    driver.close()


def _ask(driver: Driver, _: int) -> None:
    expect(driver.word(7), "word 7")


def _transaction(driver: Driver, value: int) -> tuple[int, int]:
    expect(driver.transaction(ONE, value), "word 1")
    return ONE, ONE


def _ten(driver: Driver, _: int) -> None:
    for number in BATCH_ROWS:
        expect(driver.word(number), f"word {number}")


def _batch(driver: Driver, value: int) -> tuple[int, int]:
    driver.batch(BATCH_ROWS, value)
    return BATCH_ROWS[0], BATCH_ROWS[-1]


def _orm(driver: Driver, value: int) -> tuple[int, int]:
    expect(driver.orm(ONE, value), "word 1")
    return ONE, ONE


_STEPS: Final[dict[str, Callable[[Driver, int], tuple[int, int] | None]]] = {
    COLD: _ask,
    AGAIN: _ask,
    TRANSACTION: _transaction,
    TEN: _ten,
    BATCH: _batch,
    ORM: _orm,
}


def expect(got: object, wanted: object) -> None:
    """A result that is not the right one fails the script."""
    if got != wanted:
        message = f"{got!r} instead of {wanted!r}"
        raise AssertionError(message)
