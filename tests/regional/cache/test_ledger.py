"""What is due when: the ledger alone, with the origin's words made by hand."""

import pytest

from protos.pg.messages import bind_complete, command_complete, data_row, notice_response, parse_complete
from protos.pg.tags import TransactionStatus
from regional.cache.ledger import Ledger
from regional.cache.verdicts import EVERYTHING, NOTHING, Writing

IDLE, OPEN, FAILED = TransactionStatus.IDLE, TransactionStatus.INTRANS, TransactionStatus.INERROR
ONE, TWO = Writing(frozenset({1})), Writing(frozenset({2}))
ROLLBACK = command_complete("ROLLBACK")


def say(ledger: Ledger, *messages: bytes) -> None:
    for message in messages:
        ledger.heard(message[0], message)


def test_what_writes_nothing_is_not_noted() -> None:
    ledger = Ledger()
    ledger.note(NOTHING, 0)
    assert not ledger
    ledger.ready(1, IDLE, IDLE)
    assert ledger.take_due() is None


def test_it_is_due_at_ready_for_query_outside_of_a_transaction() -> None:
    ledger = Ledger()
    ledger.note(ONE, 0)
    ledger.ready(1, IDLE, OPEN)
    assert ledger.take_due() is None
    ledger.note(TWO, 1)
    ledger.ready(2, OPEN, IDLE)
    assert ledger.take_due() == Writing(frozenset({1, 2}))
    assert not ledger
    assert ledger.take_due() is None


def test_what_was_sent_later_is_due_later() -> None:
    ledger = Ledger()
    ledger.note(ONE, 0)
    ledger.note(TWO, 1)
    ledger.ready(1, IDLE, IDLE)
    assert ledger.take_due() == ONE
    ledger.ready(2, IDLE, IDLE)
    assert ledger.take_due() == TWO


@pytest.mark.parametrize("before", [OPEN, FAILED])
@pytest.mark.parametrize("beside", [[], [parse_complete(), bind_complete()]])
def test_a_rollback_alone_is_not_published(before: int, beside: list[bytes]) -> None:
    ledger = Ledger()
    ledger.note(ONE, 0)
    ledger.ready(1, IDLE, before)
    say(ledger, *beside, ROLLBACK)
    ledger.ready(2, before, IDLE)
    assert ledger.take_due() is None
    assert not ledger


@pytest.mark.parametrize(
    "said",
    [
        [],
        [command_complete("COMMIT")],
        [ROLLBACK, ROLLBACK],
        [ROLLBACK, command_complete("INSERT 0 1")],
        [command_complete("COMMIT"), ROLLBACK],
        [data_row([b"C\0\0\0\x0dROLLBACK\0"])],
        [data_row([b"x" * 1000]), ROLLBACK],
        [command_complete("ROLLBACK PREPARED")],
    ],
)
def test_whatever_is_not_proven_is_published(said: list[bytes]) -> None:
    ledger = Ledger()
    ledger.note(ONE, 0)
    ledger.ready(1, IDLE, OPEN)
    say(ledger, *said)
    ledger.ready(2, OPEN, IDLE)
    assert ledger.take_due() == ONE


def test_a_rollback_outside_of_a_transaction_proves_nothing() -> None:
    ledger = Ledger()
    ledger.note(ONE, 0)
    say(ledger, ROLLBACK)
    ledger.ready(1, IDLE, IDLE)
    assert ledger.take_due() == ONE


def test_what_outlives_a_rollback_is_published() -> None:
    ledger = Ledger()
    ledger.note(ONE, 0)
    ledger.note(EVERYTHING, 1)
    ledger.ready(2, IDLE, OPEN)
    say(ledger, ROLLBACK)
    ledger.ready(3, OPEN, IDLE)
    assert ledger.take_due() == EVERYTHING


@pytest.mark.parametrize("end", ["COMMIT", "PREPARE TRANSACTION", "COMMIT PREPARED", "CALL", "DO"])
def test_an_end_inside_is_due_at_once_and_again(end: str) -> None:
    ledger = Ledger()
    ledger.note(ONE, 0)
    say(ledger, command_complete("INSERT 0 1"))
    assert ledger.take_due() is None
    said = command_complete(end)
    for cut in (said[:9], said[9:]):  # as they may come from the network
        ledger.heard(0, cut)
    assert ledger.take_due() == ONE
    assert ledger.take_due() is None
    ledger.ready(1, IDLE, IDLE)
    assert ledger.take_due() == ONE


def test_a_notice_may_come_behind_a_commit_of_a_procedure() -> None:
    ledger = Ledger()
    ledger.note(ONE, 0)
    say(ledger, notice_response({"S": "NOTICE", "M": "hello"}))
    assert ledger.take_due() is None
    ledger.note(EVERYTHING, 0)
    say(ledger, notice_response({"S": "NOTICE", "M": "hello"}))
    due = ledger.take_due()
    assert due is not None
    assert due.everything


def test_what_is_left_at_the_end_is_due_whatever_became_of_it() -> None:
    ledger = Ledger()
    ledger.note(ONE, 0)
    ledger.note(TWO, 4)
    assert ledger.take_all() == Writing(frozenset({1, 2}))
    assert ledger.take_all() is None


def test_a_rollback_of_our_own_leaves_what_outlives_it() -> None:
    ledger = Ledger()
    ledger.note(ONE, 0)
    ledger.rolled_back()
    assert ledger.take_all() is None
    ledger.note(EVERYTHING, 0)
    ledger.rolled_back()
    assert ledger.take_all() == EVERYTHING


def test_what_was_not_looked_at_is_doubted_until_it_is_settled() -> None:
    ledger = Ledger()
    ledger.doubt(group=5, owed=2)
    ledger.ready(4, IDLE, IDLE)
    assert ledger.take_due() == EVERYTHING
    ledger.ready(6, IDLE, IDLE)
    assert ledger.take_due() == EVERYTHING
    assert not ledger
