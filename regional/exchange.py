"""A conversation of our own with an origin: one simple query whose answer no client sees.

Settings before a lease, what a session has set, cleaning after it, the catalogue: each is one of these.
"""

from collections.abc import Callable

import attrs

from protos.pg.framer import Piece
from protos.pg.parsers import data_row_of, parameter_status_of
from protos.pg.tags import Backend


@attrs.define(eq=False)
class Exchange:
    """One simple query of our own and what came of it."""

    done: Callable[["Exchange"], None]
    rows: list[list[bytes | None]] = attrs.field(factory=list)
    parameters: dict[str, str] = attrs.field(factory=dict)
    error: bytes = b""
    """The first ErrorResponse."""
    status: int = 0
    """Transaction status at the end; 0 if the connection was lost instead."""

    def take(self, piece: Piece) -> None:
        """A message of the origin's; ReadyForQuery is the caller's business."""
        if piece.tag == Backend.DATA_ROW and piece.whole:
            self.rows.append(data_row_of(piece.data))
        elif piece.tag == Backend.PARAMETER_STATUS:
            name, value = parameter_status_of(piece.data)
            self.parameters[name] = value
        elif piece.tag == Backend.ERROR_RESPONSE:
            self.error = self.error or piece.data
