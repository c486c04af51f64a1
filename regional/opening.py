"""A transaction that began at the edge, opened at the origin in front of its first statement (rules 13).

The client has had the answers to what opens it. BEGIN goes first and alone, because it cannot fail; so whatever fails
behind it, a mode that a standby does not know, say, leaves a failed transaction, in which the origin runs nothing. The
client's first statement is then refused with 25P02, and gets the error that explains it instead.

Where a statement of the transaction was refused before it came here, the transaction has failed for its client. It is
opened as one that has.
"""

from typing import Final

from protos.pg.framer import Piece
from protos.pg.messages import error_fields

FAILING: Final = b"onetrip_refused_a_statement_of_this_transaction"
"""A syntax error, whose words tell the origin's log why."""

_IN_FAILED_TRANSACTION: Final = "25P02"


class Opening:
    """Of one lease."""

    def __init__(self) -> None:
        self.is_meant_to_fail = False
        self._error: Piece | None = None

    def answer(self, error: Piece, *, is_ours: bool) -> Piece:
        """What the client gets for an ErrorResponse of the origin's; is_ours: nothing, for it answers the opening."""
        if is_ours:
            if self._error is None and not self.is_meant_to_fail:
                self._error = error
            return error
        first, self._error = self._error, None
        if first is None or not error.whole or error_fields(error.data).get("C") != _IN_FAILED_TRANSACTION:
            return error
        return first
