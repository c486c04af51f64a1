"""Which of a client's messages an edge looks at; the bytes of all others pass.

While a request is going on, CopyData and the rest of oversized messages pass through. Between requests what belongs to
a COPY means nothing (it has failed, and its client goes on sending): PostgreSQL ignores it, and we must not borrow a
connection for it. So CopyData is looked at then, and a run is the rest of one message.
"""

from typing import Final

from protos.pg.tags import Frontend

WHOLE: Final = frozenset({
    Frontend.BIND, Frontend.CLOSE, Frontend.COPY_DONE, Frontend.COPY_FAIL, Frontend.DESCRIBE, Frontend.EXECUTE,
    Frontend.FLUSH, Frontend.FUNCTION_CALL, Frontend.PARSE, Frontend.PASSWORD, Frontend.QUERY, Frontend.SYNC,
    Frontend.TERMINATE,
})  # fmt: skip
VOID_BETWEEN: Final = frozenset({Frontend.COPY_DATA, Frontend.COPY_DONE, Frontend.COPY_FAIL, Frontend.FLUSH})
WHOLE_BETWEEN: Final = WHOLE | VOID_BETWEEN
ENDS: Final = frozenset({
    Frontend.COPY_DONE, Frontend.COPY_FAIL, Frontend.FUNCTION_CALL, Frontend.QUERY, Frontend.SYNC,
})  # fmt: skip
"""What ends a request."""
