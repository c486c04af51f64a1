"""Which reply ends what the origin says to a message: the table that `pipeline` matches replies with.

The extended-query messages are answered by one message each, with others before it perhaps: DataRows before the
CommandComplete of an Execute, a ParameterDescription before the RowDescription of a Describe. Query, FunctionCall and
Sync are answered up to a ReadyForQuery.
"""

from collections.abc import Iterable
from itertools import islice, takewhile
from typing import Final

from protos.pg.tags import Backend, Frontend

#: Messages that are answered up to a ReadyForQuery.
SYNC_POINTS: Final = frozenset({Frontend.QUERY, Frontend.FUNCTION_CALL, Frontend.SYNC})

#: Messages whose error makes the origin skip everything up to the next Sync.
EXTENDED: Final = frozenset({Frontend.PARSE, Frontend.BIND, Frontend.DESCRIBE, Frontend.EXECUTE, Frontend.CLOSE})

#: Messages that end a COPY FROM STDIN, and that are ignored where there is none.
COPY_ENDS: Final = frozenset({Frontend.COPY_DONE, Frontend.COPY_FAIL})

#: Messages that can turn out to be a COPY FROM STDIN.
MAY_COPY: Final = frozenset({Frontend.EXECUTE, Frontend.QUERY})

# In a pipeline's queue a message of ours is its tag made negative.
OURS: Final = frozenset(-tag for tag in EXTENDED | SYNC_POINTS)
ANY_EXTENDED: Final = EXTENDED | frozenset(-tag for tag in EXTENDED)
ANY_SYNC_POINT: Final = SYNC_POINTS | frozenset(-tag for tag in SYNC_POINTS)
ANY_SYNC: Final = frozenset({Frontend.SYNC, -Frontend.SYNC})
#: Those whose replies are not matched one by one.
UP_TO_READY: Final = ANY_SYNC_POINT - ANY_SYNC

#: The reply that ends what the origin says to an extended-query message, and that message.
ENDED_BY: Final = {
    Backend.PARSE_COMPLETE: Frontend.PARSE,
    Backend.BIND_COMPLETE: Frontend.BIND,
    Backend.CLOSE_COMPLETE: Frontend.CLOSE,
    Backend.ROW_DESCRIPTION: Frontend.DESCRIBE,
    Backend.NO_DATA: Frontend.DESCRIBE,
    Backend.COMMAND_COMPLETE: Frontend.EXECUTE,
    Backend.EMPTY_QUERY_RESPONSE: Frontend.EXECUTE,
    Backend.PORTAL_SUSPENDED: Frontend.EXECUTE,
}

#: What the origin may say at any time. Always read whole, so that no answer of ours falls into the middle of one.
AT_ANY_TIME: Final = frozenset({Backend.NOTICE_RESPONSE, Backend.NOTIFICATION_RESPONSE, Backend.PARAMETER_STATUS})

#: What must be seen of a plain pipeline, and of one that is watched.
WHOLE_WHEN_PLAIN: Final = AT_ANY_TIME | {Backend.READY_FOR_QUERY, Backend.ERROR_RESPONSE, Backend.COPY_IN_RESPONSE}
WHOLE_WHEN_WATCHED: Final = WHOLE_WHEN_PLAIN | frozenset(ENDED_BY) | {Backend.PARAMETER_DESCRIPTION}


def up_to_sync(entries: Iterable[int | bytes]) -> list[int | bytes]:
    """Those in front of the first Sync."""
    return list(takewhile(lambda entry: entry not in ANY_SYNC, entries))


def executes_behind(entries: Iterable[int | bytes]) -> bool:
    """Whether an Execute comes behind the first of them, in the same group."""
    return Frontend.EXECUTE in takewhile(EXTENDED.__contains__, islice(entries, 1, None))
