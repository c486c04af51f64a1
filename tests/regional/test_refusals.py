"""A refused statement fails at the origin, and the client reads why."""

import pytest

from protos.errors import UnsupportedError
from protos.pg.framer import Piece
from protos.pg.messages import bind, describe_statement, error_response, parse, query
from protos.pg.parsers import error_fields
from protos.pg.tags import Backend, Frontend
from regional.refusals import TOKEN, Refusals


def response(text: bytes) -> Piece:
    data = error_response({"S": "ERROR", "C": "42601", "M": f'syntax error at or near "{text.decode()}"', "P": "1"})
    return Piece(Backend.ERROR_RESPONSE, data, whole=True)


@pytest.mark.parametrize(
    "message", [query(b"listen x"), parse(b"s", b"listen x"), bind(b"", b"s"), describe_statement(b"s")]
)
def test_what_goes_out_is_of_the_same_type_and_names_the_refusal(message: bytes) -> None:
    refusals = Refusals()
    instead = refusals.in_place_of(Piece(message[0], message, whole=True), UnsupportedError())
    assert (instead.tag, instead.data[0]) == (message[0], message[0])
    assert TOKEN % 0 in instead.data
    assert b"listen" not in instead.data


def test_each_error_finds_its_reason_and_others_pass() -> None:
    refusals = Refusals()
    assert not refusals
    for number in range(12):
        error = UnsupportedError(public=f"reason {number}", hint="Do otherwise.")
        refusals.in_place_of(Piece(Frontend.QUERY, query(b""), whole=True), error)
    assert refusals
    for number in range(12):
        fields = error_fields(refusals.answer(response(TOKEN % number)).data)
        assert (fields["C"], fields["M"], fields["H"]) == ("0A000", f"reason {number}", "Do otherwise.")
        assert "P" not in fields
    other = response(b"selct")
    assert refusals.answer(other) is other
