"""The tables of `bench leak`; what it plays is tested in tests/leak."""

from collections import Counter

from bench.leak import actions_table, outcomes_table
from tests.leak.ledger import LedgerReport
from tests.leak.runner import Report


def test_the_tables_show_what_was_done_and_seen() -> None:
    leak = Report({"set": 3, "killed while idle": 1}, {"refused": 2, "killed": 1}, ["a leak"], 5, 1.0)
    ledger = LedgerReport(acknowledged=7, found=1, outcomes=Counter(killed=2), restarts=1)
    assert [row[0] for row in actions_table(leak, 4).rows] == ["set", "killed while idle"]
    rows = {row[0]: row[1:] for row in outcomes_table(leak, ledger).rows}
    assert rows["actions, transfers"] == ("4", "8")
    assert rows["killed"] == ("1", "2")
    assert rows["violations"] == ("1", "0")
