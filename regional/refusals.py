"""Statements that are not run, in a conversation that goes on as if they had failed at the origin.

A refusal must leave the transaction failed, skip the rest of a pipeline, and come in its place among the answers:
exactly what PostgreSQL does with a statement that fails. So in the place of the refused message the origin gets one of
the same type that names a thing which does not exist, and its ErrorResponse, known by that name, is replaced by ours.
The name says in the origin's log whose doing it was.
"""

from collections.abc import Callable, Mapping
from typing import Final

from protos.errors import ServiceError
from protos.pg.framer import Piece
from protos.pg.messages import bind, describe_statement, parse, query, service_error
from protos.pg.tags import Frontend

TOKEN: Final = b"onetrip_refuses_%d_"

_FAILING: Final[Mapping[int, Callable[[bytes], bytes]]] = {
    Frontend.QUERY: query,  # a syntax error, at or near the name
    Frontend.PARSE: lambda token: parse(b"", token),
    Frontend.BIND: lambda token: bind(b"", token),  # a prepared statement that is not there
    Frontend.DESCRIBE: describe_statement,
}


class Refusals:
    """Of one lease."""

    def __init__(self) -> None:
        self._errors: dict[bytes, bytes] = {}

    def __bool__(self) -> bool:
        return bool(self._errors)

    def in_place_of(self, piece: Piece, error: ServiceError) -> Piece:
        """What the origin gets instead of a Query, Parse, Bind or Describe."""
        token = TOKEN % len(self._errors)
        self._errors[token] = service_error(error, "ERROR")
        return Piece(piece.tag, _FAILING[piece.tag](token), whole=True)

    def answer(self, response: Piece) -> Piece:
        """What the client gets for an ErrorResponse of the origin's."""
        for token, error in self._errors.items():
            if token in response.data:
                return Piece(response.tag, error, whole=True)
        return response
