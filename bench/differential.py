"""`python -m bench differential`: many random conversations with Onetrip and with PostgreSQL, and what differed.

The conversations, the player and the table of differences are those of `tests/differential`, of which CI plays a few
hundred; both are run from a checkout, with what the tests need installed. Status 1 if any conversation differed by
something that no row of the table excuses; it is shown, made as small as it went.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from bench.report import Table, save
from bench.workspace import UnavailableError, say

if TYPE_CHECKING:
    from tests.differential.differences import Excused
    from tests.differential.many import Failure
    from tests.differential.stage import Stage

HEADS: Final = ("what differs", "messages")
SAY_EVERY: Final = 500
MAX_FAILURES: Final = 20


@attrs.frozen(kw_only=True)
class DifferentialOptions:
    """What to play."""

    conversations: int = 20_000
    seed: int = 0
    mode: str = "track"
    hostile: bool = False
    json_file: str | None = None


def run(options: DifferentialOptions) -> None:
    """Play, print the table, and end with status 1 if something differed that may not."""
    begun = time.monotonic()
    failures: list[Failure] = []
    with _open_stage(options.mode) as stage:
        excused = stage.excused
        try:
            _converse(stage, options, failures)
        finally:  # also where a signal ends it early
            seconds = time.monotonic() - begun
            print(tabulate(excused, seconds).text(), flush=True)
            say(f"{stage.hits()} reads were answered from the cache")
    figures = {
        "benchmark": "differential",
        "options": attrs.asdict(options),
        "conversations": excused.conversations,
        "messages": excused.compared,
        "seconds": round(seconds, 1),
        "excused": excused.messages,
        "failures": [f"{failure.conversation}\n{failure.complaint}" for failure in failures],
    }
    save(figures, options.json_file)
    if failures:
        sys.exit(1)


@contextmanager
def _open_stage(mode: str) -> "Iterator[Stage]":
    """A PostgreSQL and a house of nodes of our own."""
    try:
        from tests.differential.modes import MODES
        from tests.differential.stage import open_stage
        from tests.differential.world import open_world
        from tests.support.cluster import open_origin
        from tests.support.onetrip import open_house
    except ModuleNotFoundError as error:
        message = f"the tests and what they need: {error}"
        raise UnavailableError(message) from error
    with tempfile.TemporaryDirectory(prefix="onetrip-differential-") as name:
        directory = Path(name)
        directory.chmod(0o755)  # PostgreSQL runs as another user where we are root
        (directory / "origin").mkdir()
        say("starting PostgreSQL and Onetrip")
        with (
            open_origin(directory / "origin") as origin,
            open_house(directory) as house,
            open_world(origin) as world,
            open_stage(house, world, MODES[mode]) as stage,
        ):
            yield stage


def _converse(stage: "Stage", options: DifferentialOptions, failures: "list[Failure]") -> None:
    from tests.differential.many import converse

    begun = time.monotonic()

    def progress(done: int) -> None:
        if done % SAY_EVERY == 0 or done == options.conversations:
            say(f"{done} conversations, {done / (time.monotonic() - begun):.0f} a second")

    for failure in converse(stage, options.conversations, options.seed, progress, is_hostile=options.hostile):
        failures.append(failure)
        print(f"{failure.conversation}\n{failure.complaint}\n", flush=True)
        if len(failures) == MAX_FAILURES:
            say(f"{MAX_FAILURES} have failed; that is enough")
            break


def tabulate(excused: "Excused", seconds: float) -> Table:
    """How many messages each row of the table of differences has excused."""
    title = (
        f"{excused.conversations} conversations in {seconds:.0f} s, {excused.compared} messages compared one by one; "
        f"those excused, of both sides, by row"
    )
    table = Table(title, HEADS)
    for name, count in excused.messages.items():
        table.add(name, str(count))
    return table
