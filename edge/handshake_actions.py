"""What a handshake asks of the shell that drives it: values, each a thing to do, in the order in which they come."""

import attrs

from protos.errors import ServiceError
from protos.pg.scram import ScramVerifier
from protos.pg.startup import StartupMessage


@attrs.frozen
class Send:
    """Send these bytes."""

    data: bytes = attrs.field(repr=False)


@attrs.frozen
class StartTls:
    """Do the TLS handshake as a server, then call `secured`. hello is what of the client's part was read already."""

    hello: bytes = attrs.field(default=b"", repr=False)


@attrs.frozen
class CheckPassword:
    """Run `scram.verifies(password, verifier)` in a thread, as it takes milliseconds, then call `password_checked`."""

    password: bytes = attrs.field(repr=False)
    verifier: ScramVerifier


@attrs.frozen
class Wait:
    """The directory is not ready: call `directory_ready` when it is, or refuse with NotReadyError when it stays so."""


@attrs.frozen
class Cancel:
    """Pass this cancellation on and close, without an answer."""

    process_id: int
    secret: bytes = attrs.field(repr=False)


@attrs.frozen
class Refuse:
    """Log error once, send it as an ErrorResponse of severity FATAL whatever its class says, close."""

    error: ServiceError


@attrs.frozen
class Close:
    """Close without an answer."""

    reason: str


@attrs.frozen(kw_only=True)
class Accepted:
    """The client is in. AuthenticationOk went out; what follows it is up to the session."""

    user: str
    configuration: str
    startup: StartupMessage
    minor: int
    settings: list[tuple[str, str]]
    rest: bytes = attrs.field(repr=False)
    """What the client sent already for the session."""
    secured: bool
    """Whether the client is inside TLS."""


Action = Send | StartTls | CheckPassword | Wait | Cancel | Refuse | Close | Accepted
