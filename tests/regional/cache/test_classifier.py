"""The memo over both verdicts: what it may share, what it forgets, what it looks at each time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regional.cache import classifier as classifier_module
from regional.cache.classifier import Classifier
from regional.cache.reach import Reach
from regional.cache.verdicts import EVERYTHING, Reading
from regional.cache.writing import written

pytestmark = pytest.mark.postgres


@pytest.fixture
def classifier(reach: Reach) -> Classifier:
    return Classifier(reach)


def _types(*oids: int) -> bytes:
    return len(oids).to_bytes(2, "big") + b"".join(oid.to_bytes(4, "big") for oid in oids)


def test_texts_that_differ_in_constants_share_a_verdict(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert classifier.reading(b"select id from item where name = 'a' and id = 1").is_cacheable
    assert classifier.writing(b"update item set name = 'a' where id = 1").tables
    monkeypatch.setattr(classifier_module, "read", None)
    monkeypatch.setattr(classifier_module, "written", None)
    assert classifier.reading(b"select id from item where name = 'b' and id = 22").is_cacheable
    assert classifier.writing(b"update item set name = 'b' where id = 22").tables


@pytest.mark.parametrize(
    ("kept", "refused"),
    [
        (b"select id from item where due < '2024-01-01'", b"select id from item where due < 'now'"),
        (b"select id from item where due < 'a'\n'b'", b"select id from item where due < 'no'\n'w'"),
        (b"select id from item where due < e'a'", b"select id from item where due < e'n\\x6fw'"),
        (b"select id from item where due < u&'a'", b"select id from item where due < u&'n\\006fw'"),
        (b"select id from item where due < $$a$$", b"select id from item where due < $$today$$"),
        (b"select id from item where days = '{}'", b"select id from item where days = '{\"n\\ow\"}'"),
    ],
)
def test_a_date_word_is_seen_under_a_known_text(classifier: Classifier, kept: bytes, refused: bytes) -> None:
    assert classifier.reading(kept).is_cacheable
    assert classifier.reading(refused).why == "date word"
    assert classifier.reading(kept).is_cacheable


def test_a_constant_that_goes_on_behind_a_comment_is_not_understood(classifier: Classifier) -> None:
    assert classifier.reading(b"select id from item where due < 'no' -- c\n 'w'").why == "not understood"


def test_another_snapshot_forgets_everything(classifier: Classifier) -> None:
    assert classifier.reading(b"select id from item").is_cacheable
    assert not classifier.writing(b"update item set id = 1").everything
    reach, classifier.reach = classifier.reach, None
    assert classifier.reading(b"select id from item") == Reading("catalogue unknown")
    assert classifier.writing(b"update item set id = 1").everything
    assert classifier.memo_bytes > 0
    classifier.reach = reach
    assert classifier.memo_bytes == 0
    assert classifier.reading(b"select id from item").is_cacheable


def test_types_of_parameters_count(classifier: Classifier) -> None:
    sql = b"select id from item where due = $1"
    assert classifier.reading(sql, _types()).is_cacheable
    assert classifier.reading(sql, _types(0, 23, 25, 705, 1082)).is_cacheable
    assert classifier.reading(sql, _types(23, 1266)).why == "type: of a parameter"
    assert classifier.reading(sql, _types(2205)).why == "type: of a parameter"
    assert classifier.reading(sql, _types(999_999)).why == "type: of a parameter"
    assert classifier.reading(sql, _types(1083)).is_cacheable
    zoned = b"select id from item where created_at > $1 at time zone 'utc'"
    assert classifier.reading(zoned, _types(1114)).is_cacheable
    assert classifier.reading(zoned, _types(1083)).why == "stable function: timezone"


def test_a_text_in_another_encoding_is_not_understood(classifier: Classifier) -> None:
    sql = "select id from item where name = 'größe'".encode()
    assert classifier.reading(sql).is_cacheable
    assert classifier.reading(sql, is_utf8=False).why == "not understood: encoding"
    assert classifier.reading(b"select id from item", is_utf8=False).is_cacheable
    assert classifier.writing("update item set name = 'ä'".encode(), is_utf8=False).everything


def test_a_long_text_is_not_looked_at(classifier: Classifier) -> None:
    sql = b"select id from item" + b" " * (64 << 10)
    assert classifier.reading(sql).why == "too long"
    assert classifier.writing(sql) == EVERYTHING


def test_a_comment_bypasses(classifier: Classifier) -> None:
    assert classifier.reading(b"select id from item").is_cacheable
    assert classifier.reading(b"/* onetrip: cache=off */ select id from item").why == "bypassed"
    assert classifier.reading(b"/* other */ select id from item").is_cacheable


@given(st.sampled_from([b"select id from item where id = %d", b"delete from tag where id = %d"]), st.integers(0, 10**9))
def test_the_memo_says_what_the_walk_says(reach: Reach, text: bytes, number: int) -> None:
    classifier = Classifier(reach)
    for sql in (text % 7, text % number):
        assert classifier.writing(sql) == written(sql, reach)
