"""`python -m bench leak`: the leak test and the ledger at full size (tests/leak), with what was done and what was seen.

It measures nothing: it is the proof that a shared connection shows nobody what is another's, and loses no commit. What
plays is a part of the tests, so it is run from a checkout with the development dependencies.
"""

import sys
from typing import TYPE_CHECKING, Final

import attrs

from bench.report import Table, save
from bench.workspace import UnavailableError, say

if TYPE_CHECKING:
    from tests.leak.ledger import LedgerReport
    from tests.leak.runner import Report

SHOWN_VIOLATIONS: Final = 10


@attrs.frozen(kw_only=True)
class LeakOptions:
    """How much to play."""

    sessions: int = 64
    actions: int = 20_000
    transfers: int = 10_000
    restarts: int = 3
    seed: int = 1
    json_file: str | None = None


def run(options: LeakOptions) -> None:
    """Play, print, and end with status 1 if anything was seen that must not be."""
    try:
        from tests.leak.ledger import LedgerPlan, move
        from tests.leak.runner import Plan, play
        from tests.leak.stage import open_stage
    except ImportError as error:
        message = f"the tests and what they need are not here ({error}): run it from a checkout, see make environment"
        raise UnavailableError(message) from error
    say("starting PostgreSQL, a pool node and two edges")
    with open_stage() as stage:
        say(f"{options.sessions} sessions, {options.actions} actions, seed {options.seed}")
        leak = play(stage, Plan(sessions=options.sessions, actions=options.actions, seed=options.seed), say)
        say(f"{options.transfers} transfers, {options.restarts} restarts of the origin")
        plan = LedgerPlan(transfers=options.transfers, restarts=options.restarts, seed=options.seed)
        ledger = move(stage, plan, say)
    print(actions_table(leak, options.sessions).text())
    print(outcomes_table(leak, ledger).text())
    violations = [*leak.violations, *ledger.violations]
    figures = {"options": attrs.asdict(options), "leak": attrs.asdict(leak), "ledger": attrs.asdict(ledger)}
    save({"benchmark": "leak", **figures}, options.json_file)
    for violation in violations[:SHOWN_VIOLATIONS]:
        say(violation)
    if violations:
        sys.exit(1)


def actions_table(report: "Report", sessions: int) -> Table:
    """Actions by kind."""
    title = f"{report.actions} actions of {sessions} sessions at once, {report.sessions} in all, {report.seconds:.0f} s"
    table = Table(title, ("action", "times"))
    for name, count in sorted(report.counts.items(), key=lambda item: (item[0].startswith("killed"), item[0])):
        table.add(name, str(count))
    return table


def outcomes_table(leak: "Report", ledger: "LedgerReport") -> Table:
    """What came of both parts."""
    table = Table("What was seen", ("what", "leak", "ledger"))
    table.add("actions, transfers", str(leak.actions), str(ledger.acknowledged + ledger.found))
    table.add("answered COMMIT", "", str(ledger.acknowledged))
    table.add("done, found by the log", "", str(ledger.found))
    table.add("restarts of the origin", "", str(ledger.restarts))
    for name in sorted(leak.outcomes.keys() | ledger.outcomes.keys()):
        table.add(name, str(leak.outcomes.get(name, "")), str(ledger.outcomes.get(name, "")))
    table.add("seconds", f"{leak.seconds:.0f}", f"{ledger.seconds:.0f}")
    table.add("violations", str(len(leak.violations)), str(len(ledger.violations)))
    return table
