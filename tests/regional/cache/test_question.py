"""The core of a question: transactions by their BEGIN, the ages of tables, and which frame is the answer."""

import pytest

from regional.cache.classifier import Classifier
from regional.cache.question import Circumstances, Question, isolation_of
from regional.cache.reach import Reach
from regional.cache.reach_query import REACH_QUERY
from regional.configuration import Caching
from tests.regional.cache.conftest import Oids
from tests.support.cluster import Origin


@pytest.mark.parametrize(
    ("sql", "level"),
    [
        (b"begin", ""),
        (b"START TRANSACTION", ""),
        (b"begin work read only", ""),
        (b"begin isolation level READ COMMITTED, read write", "read committed"),
        (b"begin isolation level repeatable read", "repeatable read"),
        (b"begin transaction deferrable, isolation level serializable", "serializable"),
        (b"SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "read committed"),
        (b"SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY", "read committed"),
        (b"set transaction read only, isolation level serializable", "serializable"),
        (b"SET TRANSACTION READ ONLY", ""),
        (b"set session characteristics as transaction isolation level read committed", None),
        (b"set transaction snapshot '1'", None),
        (b"set local work_mem = '1MB'", None),
        (b"savepoint a", None),
        (b"begin; select 1", None),
        (b"not sql", None),
        (b"", None),
    ],
)
def test_the_isolation_that_a_transaction_is_opened_with(sql: bytes, level: str | None) -> None:
    assert isolation_of(sql) == level


def met(*, why_not: str = "", disabled: bool = False) -> Circumstances:
    caching = Caching(disabled=disabled)
    return Circumstances(caching, Classifier(), is_utf8=True, why_not=why_not, leaves_something=False)


def test_without_a_catalogue_nothing_is_kept() -> None:
    question = Question()
    question.begins(4, is_quiet=True, is_in_transaction=False)
    question.executes(b"select 1 from t")
    verdict = question.verdict(met(), 7)
    assert (verdict.why, verdict.only_now) == ("catalogue unknown", True)
    assert not question.keeps(1, 5, 7)


def test_a_configuration_that_does_not_cache_says_so_whatever_is_asked() -> None:
    verdict = Question().verdict(met(disabled=True, why_not="standby"), 7)
    assert (verdict.why, verdict.only_now) == ("disabled", False)


def test_only_the_frame_with_the_whole_answer_and_nothing_else_is_kept(origin: Origin, shop: Oids) -> None:
    with origin.connect() as connection:
        cursor = connection.execute(REACH_QUERY.encode())
        while cursor.description is None:
            assert cursor.nextset()
        rows = cursor.fetchall()
    classifier = Classifier()
    classifier.reach = Reach.from_rows([[str(value).encode() for value in row] for row in rows])
    circumstances = Circumstances(Caching(), classifier, is_utf8=True, why_not="", leaves_something=False)

    def asked() -> Question:
        question = Question()
        question.begins(4, is_quiet=True, is_in_transaction=False)
        question.executes(b"select note from shop.orders")
        assert list(question.verdict(circumstances, 7).tables) == [shop["orders"]]
        return question

    assert asked().keeps(1, 5, 7)
    assert not asked().keeps(2, 6, 7), "two answers at once"
    assert not asked().keeps(2, 5, 7), "that of the request before is in it"
    assert not asked().keeps(1, 6, 7), "it is another's"
    assert not asked().keeps(1, 5, 8), "the catalogue has changed"
    spoiled = asked()
    spoiled.spoil()
    assert not spoiled.keeps(1, 5, 7)
