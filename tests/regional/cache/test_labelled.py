"""The classifier's verdicts on the labelled statements, under the catalogue of a real PostgreSQL."""

import pytest

from regional.cache.classifier import Classifier
from regional.cache.reach import Reach
from regional.cache.reach_query import REACH_QUERY
from regional.cache.reading import has_date_word
from tests.regional.cache.conftest import Labels, run
from tests.regional.cache.labelled import ANY_CLASS, VALUES, Read, Value, Write
from tests.regional.cache.labelled_later import READS, WRITES

pytestmark = pytest.mark.postgres

# What has rows of its own. Views and partitioned tables stand for others, and may be named beside them.
HOLDS_ROWS = "rmf"


def _name(case: Read | Write) -> str:
    return case.sql[:60] + " - " + case.reason


@pytest.fixture(scope="module")
def classifier(labels: Labels) -> Classifier:
    with labels.connect() as connection:
        rows = [[value or b"" for value in row] for row in run(connection, REACH_QUERY)]
    classifier = Classifier()
    classifier.reach = Reach.from_rows(rows)
    return classifier


def _assert_tables(case: Read | Write, found: frozenset[int], labels: Labels) -> None:
    names = labels.of_kinds(found, HOLDS_ROWS + "pv")
    assert case.tables <= names
    if case.is_exact:
        assert labels.of_kinds(found, HOLDS_ROWS) <= case.tables


@pytest.mark.parametrize("case", READS, ids=_name)
def test_a_read_is_called_what_its_label_says(case: Read, classifier: Classifier, labels: Labels) -> None:
    if case.needs and case.needs not in labels.extensions:
        pytest.skip(f"without {case.needs}")
    reading = classifier.reading(case.sql.encode())
    found = reading.why.partition(":")[0]
    may_be_refused = ANY_CLASS in case.whys or not labels.has(case)
    assert found in case.whys or (found and may_be_refused)
    if reading.is_cacheable:
        _assert_tables(case, reading.tables, labels)


@pytest.mark.parametrize("case", WRITES, ids=_name)
def test_a_write_invalidates_what_its_label_says(case: Write, classifier: Classifier, labels: Labels) -> None:
    writing = classifier.writing(case.sql.encode())
    assert writing.everything or not case.everything
    if not labels.has(case):  # and its tables neither
        return
    if case.outlives_rollback is not None:
        assert writing.outlives_rollback == case.outlives_rollback
    if writing.everything:
        assert case.everything or case.or_everything
    else:
        _assert_tables(case, writing.tables, labels)


def test_without_a_catalogue_nothing_is_kept() -> None:
    assert {Classifier().reading(case.sql.encode()).is_cacheable for case in READS} == {False}


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.reason)
def test_a_date_word_in_a_value_is_seen(value: Value) -> None:
    assert has_date_word(value.text.encode()) == bool(value.type_name)
