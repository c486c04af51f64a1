"""What one session reads through the cache, where no other has a part in it."""

import pytest

from edge.cache.answers import Answer, Answers, Asked
from edge.cache.parts import Parts
from edge.cache.reader import MAX_REQUEST_BYTES, Reader
from edge.cache.store import Store
from edge.memos import Settings
from protos.link.link_pb2 import Caching, Verdict

BEGIN = b"BEGIN"


def reader(**policy: bool) -> Reader:
    answers = Answers(Store(1 << 20), lambda: 0.0)
    answers.allow(Caching(enabled=True, **policy))
    return Reader(answers, Settings((), b"", b"", sets_isolation=policy.get("in_transactions", False)))


@pytest.mark.parametrize(
    ("opening", "may"),
    [
        ((BEGIN,), False),
        ((BEGIN, b"SET TRANSACTION ISOLATION LEVEL READ COMMITTED"), True),
        ((BEGIN, b"SET TRANSACTION READ ONLY, ISOLATION LEVEL READ UNCOMMITTED"), True),
        ((BEGIN, b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"), False),
        ((BEGIN, b"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"), False),
        ((BEGIN, b"SET TRANSACTION ISOLATION LEVEL READ COMMITTED", b'SAVEPOINT "s"'), False),
        (None, False),
    ],
)
def test_a_held_transaction_is_served_if_it_reads_what_is_committed(
    opening: tuple[bytes, ...] | None, *, may: bool
) -> None:
    """Its session has set an isolation for all of its transactions."""
    assert reader(in_transactions=True, is_read_committed=True).may_read(opening, is_idle=False) == may
    assert not reader(is_read_committed=True).may_read(opening, is_idle=False)


def test_a_request_that_is_too_long_is_not_asked_about() -> None:
    one = reader()
    assert not one.expect("key", "statement", bytes(MAX_REQUEST_BYTES + 1), lambda kept: b"")
    assert not one.asks


def test_a_query_that_is_past_the_cache_by_its_comment_is_counted_as_that() -> None:
    answers = Answers(Store(1 << 20), lambda: 10.0)
    answers.allow(Caching(enabled=True))
    for _ in range(2):
        one = Reader(answers, Settings((), b"", b""))
        one.expect("key", "statement", b"Q", lambda kept: b"")
        one.judged(Verdict(why="bypassed"))
    assert (answers.bypassed, sum(answers.uncacheable.values())) == (2, 0)


def test_what_nobody_vouches_for_is_counted_as_stale() -> None:
    answers = Answers(Store(1 << 20), lambda: 10.0)
    answers.allow(Caching(enabled=True))
    asked = Asked(answers.number, 9.0, b"Q", b"statement", size=1)
    answer = Answer(answers, "key", asked, Verdict(tables=[1], max_age_s=60), Parts(b"", b"", b"x"))
    for answers.vouched_until in (9.0, 11.0):
        Reader(answers, Settings((), b"", b"")).serve(answer)
    assert (answers.stale, answers.hits) == (1, 1)
