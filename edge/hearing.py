"""Listen to the answer to a Describe as it passes, so that the next client can be told at once.

Only a Describe of a statement that nothing but Parses and Closes came before, from a moment on when nothing was owed:
then the first description that comes by is the one. The edge parses no other answers.
"""

from typing import Final

from edge.early import Description
from edge.meaning import Statement
from protos.pg.parsers import end_of_message
from protos.pg.tags import Backend

MAX_BYTES: Final = 64 << 10  # of an answer up to the end of the description; a larger one is not kept

_BEFORE: Final = frozenset({
    Backend.CLOSE_COMPLETE, Backend.NOTICE_RESPONSE, Backend.NOTIFICATION_RESPONSE, Backend.PARAMETER_STATUS,
    Backend.PARSE_COMPLETE,
})  # fmt: skip


class Hearing:
    """Of one Describe."""

    def __init__(self, name: bytes, statement: Statement) -> None:
        """name: the client's, which it gave the statement."""
        self.name = name
        self.statement = statement
        self.description: Description | None = None
        """What was heard when `is_over` has said that it is over; None if there was no description."""
        self._data = b""
        self._parameters = b""

    def is_over(self, data: bytes) -> bool:
        """Take bytes of the answer; whether enough has been heard."""
        data = self._data + data
        while (end := end_of_message(data)) <= len(data):
            message, data = data[:end], data[end:]
            tag = message[0]
            if tag == Backend.PARAMETER_DESCRIPTION:
                self._parameters = message
            elif tag in (Backend.ROW_DESCRIPTION, Backend.NO_DATA):
                if self._parameters:
                    self.description = Description(self._parameters, message)
                return True
            elif tag not in _BEFORE:
                return True
        self._data = data
        return len(data) > MAX_BYTES
