"""The tables of `bench staleness`; what it plays is tested in tests/staleness."""

from bench.staleness import actions_table, seen_table
from tests.staleness.runner import Report


def test_the_tables_show_what_was_done_and_seen() -> None:
    oldest = {"own edge": 0.0, "other edge": 0.0123, "under faults": 2.5}
    report = Report({"read": 5, "fault: cut a link": 1}, {"acknowledged": 3}, {"hit": 2}, 7, 4, oldest, ["stale"], 9.0)
    assert actions_table(report).rows == [("fault: cut a link", "1"), ("read", "5")]
    rows = {row[0]: row[1] for row in seen_table(report, 20.0).rows}
    assert rows["reads for which nothing can have crossed"] == "4"
    assert rows["oldest answer, other edge, ms"] == "12"
    assert rows["answers told to be hit"] == "2"
    assert rows["violations"] == "1"
