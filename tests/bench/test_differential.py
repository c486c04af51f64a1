"""`python -m bench differential`: its table. What it plays is tested by tests/differential."""

from bench.differential import tabulate
from tests.differential.differences import NAMES, Excused


def test_the_table_has_each_row_with_its_number() -> None:
    excused = Excused(conversations=3, compared=40)
    excused.add(NAMES[0], 2)
    table = tabulate(excused, 1.5)
    assert "3 conversations in 2 s, 40 messages" in table.title
    assert table.rows == [(NAMES[0], "2"), *((name, "0") for name in NAMES[1:])]
