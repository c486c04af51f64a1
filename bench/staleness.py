"""`python -m bench staleness`: the staleness checker at full size (tests/staleness), with what was done and seen.

Clients at several edges read and write, in transactions, through functions, triggers, foreign keys and DDL, while
links are cut or fall silent and nodes are killed; every answer is held against what was known to be committed when it
was asked for. What plays is a part of the tests, so it is run from a checkout with the development dependencies.
"""

import asyncio
import sys
from typing import TYPE_CHECKING, Final

import attrs

from bench.report import Table, save
from bench.workspace import UnavailableError, say

if TYPE_CHECKING:
    from tests.staleness.runner import Report

SHOWN_VIOLATIONS: Final = 10


@attrs.frozen(kw_only=True)
class StalenessOptions:
    """How much to play, and where."""

    actions: int = 50_000
    edges: int = 3
    pools: int = 2
    players: int = 4
    delay_ms: float = 20.0
    faults: bool = True
    seed: int = 1
    json_file: str | None = None


def run(options: StalenessOptions) -> None:
    """Play, print, and end with status 1 if anything was seen that must not be."""
    try:
        from tests.staleness.moves import drawn
        from tests.staleness.runner import Game, Plan
        from tests.staleness.stage import open_stage
    except ImportError as error:
        message = f"the tests and what they need are not here ({error}): run it from a checkout, see make environment"
        raise UnavailableError(message) from error
    plan = Plan(options.actions, players=options.players, faults=options.faults)
    scripts = drawn(options.actions, options.seed)

    async def played() -> "Report":
        say(f"starting PostgreSQL, {options.pools} pool nodes and {options.edges} edges")
        async with open_stage(edges=options.edges, pools=options.pools, delay_s=options.delay_ms / 1000) as stage:
            say(f"{options.actions} actions, seed {options.seed}")
            return await Game(stage).play_on(scripts, plan, say)

    report = asyncio.run(played())
    print(actions_table(report).text())
    print(seen_table(report, options.delay_ms).text())
    save({"benchmark": "staleness", "options": attrs.asdict(options), **attrs.asdict(report)}, options.json_file)
    for violation in report.violations[:SHOWN_VIOLATIONS]:
        say(violation)
    if report.violations:
        sys.exit(1)


def actions_table(report: "Report") -> Table:
    """What was done, by kind."""
    table = Table(f"Actions, {report.seconds:.0f} s", ("action", "times"))
    for name, count in sorted(report.counts.items()):
        table.add(name, str(count))
    return table


def seen_table(report: "Report", delay_ms: float) -> Table:
    """What came of it, and how old the oldest answers were."""
    table = Table(f"What was seen; a crossing is {2 * delay_ms:g} ms", ("what", "figure"))
    for name, count in sorted(report.outcomes.items()):
        table.add(name, str(count))
    for name, count in sorted(report.statuses.items()):
        table.add(f"answers told to be {name}", str(count))
    table.add("reads of watchers", str(report.watched))
    table.add("reads for which nothing can have crossed", str(report.quick_reads))
    for name, oldest_s in report.oldest_s.items():
        table.add(f"oldest answer, {name}, ms", f"{oldest_s * 1000:.0f}")
    table.add("violations", str(len(report.violations)))
    return table
