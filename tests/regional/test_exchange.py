"""A conversation of our own: rows, parameters and the first error are kept."""

from protos.pg.framer import Piece
from protos.pg.messages import command_complete, data_row, error_response, parameter_status
from regional.exchange import Exchange


def test_what_the_origin_says_is_kept() -> None:
    exchange = Exchange(lambda _: None)
    first, second = error_response({"M": "first"}), error_response({"M": "second"})
    for message in (data_row([b"1", None]), parameter_status("a", "b"), command_complete("SELECT 1"), first, second):
        exchange.take(Piece(message[0], message, whole=True))
    assert exchange.rows == [[b"1", None]]
    assert exchange.parameters == {"a": "b"}
    assert exchange.error == first
    assert exchange.status == 0
