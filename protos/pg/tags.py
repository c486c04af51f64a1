"""The one-byte types of PostgreSQL's messages, by direction, and the transaction status of ReadyForQuery.

Tags are ints, because that is what indexing bytes gives; the same letter means different things in the two directions,
so each direction has a class of its own. The letters are those of src/include/libpq/protocol.h in PostgreSQL.
"""

from typing import Final, final


@final
class Frontend:
    """Messages that a client sends, whoever relays them."""

    BIND: Final = ord("B")
    CLOSE: Final = ord("C")
    COPY_DATA: Final = ord("d")
    COPY_DONE: Final = ord("c")
    COPY_FAIL: Final = ord("f")
    DESCRIBE: Final = ord("D")
    EXECUTE: Final = ord("E")
    FLUSH: Final = ord("H")
    FUNCTION_CALL: Final = ord("F")
    PARSE: Final = ord("P")
    #: PasswordMessage, SASLInitialResponse, SASLResponse and GSSResponse share a tag.
    PASSWORD: Final = ord("p")
    QUERY: Final = ord("Q")
    SYNC: Final = ord("S")
    TERMINATE: Final = ord("X")


@final
class Backend:
    """Messages that an origin sends, whoever relays them."""

    AUTHENTICATION: Final = ord("R")
    BACKEND_KEY_DATA: Final = ord("K")
    BIND_COMPLETE: Final = ord("2")
    CLOSE_COMPLETE: Final = ord("3")
    COMMAND_COMPLETE: Final = ord("C")
    COPY_BOTH_RESPONSE: Final = ord("W")
    COPY_DATA: Final = ord("d")
    COPY_DONE: Final = ord("c")
    COPY_IN_RESPONSE: Final = ord("G")
    COPY_OUT_RESPONSE: Final = ord("H")
    DATA_ROW: Final = ord("D")
    EMPTY_QUERY_RESPONSE: Final = ord("I")
    ERROR_RESPONSE: Final = ord("E")
    FUNCTION_CALL_RESPONSE: Final = ord("V")
    NEGOTIATE_PROTOCOL_VERSION: Final = ord("v")
    NO_DATA: Final = ord("n")
    NOTICE_RESPONSE: Final = ord("N")
    NOTIFICATION_RESPONSE: Final = ord("A")
    PARAMETER_DESCRIPTION: Final = ord("t")
    PARAMETER_STATUS: Final = ord("S")
    PARSE_COMPLETE: Final = ord("1")
    PORTAL_SUSPENDED: Final = ord("s")
    READY_FOR_QUERY: Final = ord("Z")
    ROW_DESCRIPTION: Final = ord("T")


@final
class TransactionStatus:
    """What ReadyForQuery says of the session's transaction; libpq's names."""

    IDLE: Final = ord("I")
    INTRANS: Final = ord("T")
    INERROR: Final = ord("E")


#: Every status that ReadyForQuery may carry.
STATUSES: Final = frozenset({TransactionStatus.IDLE, TransactionStatus.INTRANS, TransactionStatus.INERROR})
