"""What is measured of the classifier, and what is shown of it. Nothing here asserts a time."""

import pytest

from bench.classifier import HEADS, LONG, SHORT, TARGETS_US, ClassifierOptions, measure, reach, table_of, texts
from regional.cache.classifier import Classifier


@pytest.mark.parametrize(("pattern", "size", "tables"), [(SHORT, 100, 1), (LONG, 650, 2)])
def test_the_statements_are_of_their_size_and_may_be_kept(pattern: str, size: int, tables: int) -> None:
    classifier = Classifier(reach())
    for sql in texts(pattern, 3):
        assert abs(len(sql) - size) < 0.4 * size
        reading = classifier.reading(sql)
        assert reading.why == ""
        assert len(reading.tables) == tables
        assert classifier.writing(sql).tables == frozenset()


def test_no_statement_comes_twice() -> None:
    assert len(set(texts(SHORT, 100))) == 100


def test_a_size_over_its_target_is_named() -> None:
    options = ClassifierOptions(statements=5)
    figures = measure(options)
    for size in HEADS[1:]:
        figures[size]["reading, a miss"] = {"median": 1.0, "least": 1.0}
    figures[HEADS[2]]["reading, a miss"]["median"] = TARGETS_US[HEADS[2]] + 1
    table = table_of(figures, options)
    assert table.notes == ["A miss is to cost at most 40 µs and 150 µs; over: 650 characters."]
    assert len(table.rows) == 4
