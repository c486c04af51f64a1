"""Whose error the first statement of a transaction that was opened for it gets."""

from protos.pg.framer import Piece
from protos.pg.messages import error_response
from protos.pg.tags import Backend
from regional.opening import Opening


def error(sqlstate: str, words: str = "no") -> Piece:
    return Piece(Backend.ERROR_RESPONSE, error_response({"S": "ERROR", "C": sqlstate, "M": words}), whole=True)


ABORTED = error("25P02")


def test_the_first_statement_gets_the_error_of_the_opening() -> None:
    opening = Opening()
    first = error("22023", "first")
    assert opening.answer(first, is_ours=True) is first
    opening.answer(error("25P02"), is_ours=True)
    assert opening.answer(ABORTED, is_ours=False) is first
    assert opening.answer(ABORTED, is_ours=False) is ABORTED, "once"


def test_another_error_stays_what_it_is() -> None:
    opening = Opening()
    opening.answer(error("22023"), is_ours=True)
    syntax = error("42601")
    assert opening.answer(syntax, is_ours=False) is syntax
    part = Piece(Backend.ERROR_RESPONSE, ABORTED.data[:10], whole=False)
    assert Opening().answer(part, is_ours=False) is part


def test_without_an_error_in_the_opening_nothing_is_changed() -> None:
    assert Opening().answer(ABORTED, is_ours=False) is ABORTED


def test_a_transaction_that_is_meant_to_fail_fails_in_postgresql_s_words() -> None:
    opening = Opening()
    opening.is_meant_to_fail = True
    opening.answer(error("42601"), is_ours=True)
    assert opening.answer(ABORTED, is_ours=False) is ABORTED
