"""Each query is counted once, under what has come of it."""

import pytest

from edge.cache.answers import Answers
from edge.cache.store import Store
from edge.cache.switch import Switch, Switches
from edge.cache.tally import SLOW, Tally
from protos.link.link_pb2 import Caching
from protos.pg.messages import error_fields

IDLE, IN_TRANSACTION = ord("I"), ord("T")


def tally(*, is_on: bool = True) -> tuple[Answers, Tally]:
    answers = Answers(Store(1 << 20), lambda: 0.0)
    answers.allow(Caching(enabled=is_on))
    return answers, Tally(answers, Switches())


@pytest.mark.parametrize(
    ("is_on", "is_off", "status", "is_slow", "is_alone", "counted"),
    [
        (False, True, IN_TRANSACTION, True, True, "disabled"),
        (True, True, IN_TRANSACTION, True, True, "bypassed"),
        (True, False, IN_TRANSACTION, True, True, "transaction"),
        (True, False, IDLE, True, True, SLOW),
        (True, False, IDLE, True, False, SLOW),
        (True, False, IDLE, False, True, "not a read"),
        (True, False, IDLE, False, False, "not alone"),
    ],
)
def test_what_crosses_is_counted_by_the_first_reason(
    *, is_on: bool, is_off: bool, status: int, is_slow: bool, is_alone: bool, counted: str
) -> None:
    answers, one = tally(is_on=is_on)
    one.switches.is_off, one.is_slow = is_off, is_slow
    one.crossed(status, is_alone=is_alone)
    simple = {"disabled": answers.disabled, "bypassed": answers.bypassed, "transaction": answers.transaction}
    assert {name: count for name, count in (simple | answers.uncacheable).items() if count} == {counted: 1}
    assert not one.is_slow, "the next may be another kind"


def test_what_was_judged_is_not_counted_again() -> None:
    answers, one = tally()
    one.missed()
    one.is_counted = True
    one.crossed(IDLE, is_alone=True)
    one.crossed(IDLE, is_alone=True)
    assert (answers.misses, dict(answers.uncacheable)) == (1, {"not a read": 1})


def test_a_renewal_is_no_query() -> None:
    answers, one = tally()
    one.is_renewal = True
    one.switches.turn(Switch("onetrip.cache_status", value=True))
    one.missed()
    one.uncacheable("locks rows")
    assert (answers.renewals, answers.misses, sum(answers.uncacheable.values())) == (2, 0, 0)
    assert not one.take_words()
    assert answers.statuses("app").renewals == 2


def test_a_client_that_asks_is_told_in_full_and_the_sums_by_class() -> None:
    answers, one = tally()
    one.uncacheable("volatile function: random")
    assert not one.take_words()
    one.switches.turn(Switch("onetrip.cache_status", value=True))
    one.uncacheable("volatile function: random")
    assert error_fields(one.take_words())["M"] == "onetrip cache: uncacheable (volatile function: random)"
    assert not one.take_words()
    assert answers.uncacheable == {"volatile function": 2}
