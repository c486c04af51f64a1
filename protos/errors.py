"""The errors of Onetrip: whose fault each is, which SQLSTATE it becomes and what a client may read.

Theory of operation: whatever ends a session or a statement is raised as a `ServiceError` and translated once, at the
session's boundary, into an ErrorResponse. The exception's own text is for our logs; a client reads `public_message`,
`detail` and `hint` and nothing else. `LocalProtocolError` is a bug of ours and is no `ServiceError`: at the boundary it
becomes XX000 and one logged traceback, like anything unforeseen.
"""

from enum import Enum
from typing import ClassVar


class Fault(Enum):
    """Who has to act so that an error does not come again."""

    CLIENT = "client"
    EDGE = "edge"
    LINK = "link"
    REGIONAL = "regional"
    ORIGIN = "origin"


class LocalProtocolError(Exception):
    """We asked a protocol core for something that cannot happen: our own bug."""


class ServiceError(Exception):
    """Base of the errors that a client meets as an ErrorResponse.

    `message` is for our logs. `public` replaces the class's `public_message` for this one error; `detail` and `hint`
    are read by the client too.
    """

    sqlstate: ClassVar[str] = "XX000"
    fault: ClassVar[Fault] = Fault.EDGE
    #: Whether the same thing, tried again, may work without anybody changing anything.
    retryable: ClassVar[bool] = False
    #: FATAL ends the session, ERROR only the statement.
    severity: ClassVar[str] = "FATAL"
    public_message: str = "internal error in the connection service"

    def __init__(
        self, message: str = "", *, public: str | None = None, detail: str | None = None, hint: str | None = None
    ) -> None:
        if public is not None:
            self.public_message = public
        self.detail = detail
        self.hint = hint
        super().__init__(message or self.public_message)


class RemoteProtocolError(ServiceError):
    """The peer broke the protocol; the only error that bytes from outside may cause in a protocol core."""

    sqlstate = "08P01"
    fault = Fault.CLIENT
    public_message = "protocol violation"


class UnsupportedProtocolError(RemoteProtocolError):
    """The peer asked for a protocol version that nobody speaks."""

    sqlstate = "0A000"
    public_message = "unsupported frontend protocol"


class InvalidPasswordError(ServiceError):
    """Wrong password, or a user or configuration that does not exist (rules 27)."""

    sqlstate = "28P01"
    fault = Fault.CLIENT
    public_message = "password authentication failed"


class NotAllowedError(ServiceError):
    """Authenticated, or about to be, but not for this."""

    sqlstate = "28000"
    fault = Fault.CLIENT
    public_message = "not allowed to use this configuration"


class UnknownConfigurationError(ServiceError):
    """A valid user named a configuration that does not exist."""

    sqlstate = "3D000"
    fault = Fault.CLIENT
    public_message = "no such configuration"


class InvalidParameterError(ServiceError):
    """A startup parameter has a value that the origin refuses."""

    sqlstate = "22023"
    fault = Fault.CLIENT
    public_message = "invalid value for a startup parameter"


class InvalidOptionsError(InvalidParameterError):
    """The startup parameter `options` is no command line that PostgreSQL takes."""

    sqlstate = "42601"
    public_message = "invalid command-line arguments for server process"


class IdleInTransactionError(ServiceError):
    """The client left a transaction open and said nothing for too long."""

    sqlstate = "25P03"
    fault = Fault.CLIENT
    public_message = "terminating connection due to idle-in-transaction timeout"

    @classmethod
    def after(cls, limit_s: float) -> "IdleInTransactionError":
        """limit_s: what the configuration allows."""
        return cls(
            detail=f"The configuration allows {limit_s:g} s.",
            hint="Commit or roll back sooner, or raise idle_in_transaction_timeout_s.",
        )


class StatementMemoryError(ServiceError):
    """A session's prepared statements are over their bound."""

    sqlstate = "53200"
    fault = Fault.CLIENT
    severity = "ERROR"
    public_message = "this session holds too many prepared statements"
    #: Of their text, in bytes (rules 12).
    BOUND: ClassVar[int] = 16 << 20

    @classmethod
    def over_bound(cls) -> "StatementMemoryError":
        return cls(
            detail=f"A session's prepared statements may have {cls.BOUND} bytes of text together.",
            hint="Close statements that are not used any more, or use unnamed ones.",
        )


class CheckoutTimeoutError(ServiceError):
    """No origin connection came free before the deadline."""

    sqlstate = "53300"
    fault = Fault.REGIONAL
    retryable = True
    severity = "ERROR"
    public_message = "timed out waiting for a database connection"


class TooManyClientsError(ServiceError):
    """The configuration, or the edge itself, has as many clients as it may have."""

    sqlstate = "53300"
    fault = Fault.EDGE
    retryable = True
    public_message = "too many clients already"


class TooManyWaitersError(ServiceError):
    """The queue for an origin connection is full."""

    sqlstate = "53300"
    fault = Fault.REGIONAL
    retryable = True
    severity = "ERROR"
    public_message = "too many clients are waiting for a database connection"


class QueryCancelledError(ServiceError):
    """Cancelled by the client, or over the query limit."""

    sqlstate = "57014"
    fault = Fault.CLIENT
    severity = "ERROR"
    public_message = "canceling statement due to user request"


class DrainingError(ServiceError):
    """The node is going away."""

    sqlstate = "57P01"
    fault = Fault.EDGE
    retryable = True
    public_message = "terminating connection because the connection service is shutting down"


class NotReadyError(ServiceError):
    """No pool node can be reached, or the node is starting."""

    sqlstate = "57P03"
    fault = Fault.LINK
    retryable = True
    public_message = "the connection service is not ready"


class ConnectionLostError(ServiceError):
    """The link or the origin was lost in the middle; the detail says whether the outcome is unknown."""

    sqlstate = "08006"
    fault = Fault.LINK
    public_message = "the connection to the database was lost"

    @classmethod
    def of_link(cls, owed: int, *, is_in_doubt: bool) -> "ConnectionLostError":
        """owed: how many answers were to come; is_in_doubt: something may have run."""
        return cls(
            f"link lost with {owed} answers owed",
            detail="It is unknown whether the last statements have taken effect."
            if is_in_doubt
            else "The transaction that was open has been rolled back.",
            hint="Connect again; before repeating anything that writes, look whether it has happened.",
        )


class OriginRefusedError(ServiceError):
    """No origin connection could be opened; nothing ran."""

    sqlstate = "08006"
    fault = Fault.ORIGIN
    retryable = True
    severity = "ERROR"
    public_message = "could not connect to the database"


class OriginFullError(OriginRefusedError):
    """The origin has no room for another connection (its own 53300): those that there are must do for a while."""


class OriginRejectedError(OriginRefusedError):
    """The origin said no to the login itself (password, database): trying again will not help."""

    retryable = False


class UnsupportedError(ServiceError):
    """Something that transaction mode cannot keep; the hint says what to do instead."""

    sqlstate = "0A000"
    fault = Fault.CLIENT
    severity = "ERROR"
    public_message = "not supported in transaction mode"
