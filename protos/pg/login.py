"""Log in to an origin: the frontend's role from the first byte to the first ReadyForQuery.

Theory of operation: `start()` gives what goes out first, `receive()` turns what comes back into events, in one fixed
order of steps: TLS is agreed on (unless sslmode is `disable`), the origin asks for proof of the password, reports its
parameters and is ready. Whatever is not expected at a step refuses the login. A password leaves only as a proof
(SCRAM) unless the target says that it may go out plainly, which md5 and clear text need (rules 28). With SCRAM the
origin has to prove itself too: its AuthenticationOk is not believed before its signature was.

Source: src/interfaces/libpq/fe-connect.c, PQconnectPoll(); fe-auth.c, pg_fe_sendauth().
"""

import hashlib
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Final

import attrs

from protos.errors import LocalProtocolError, OriginRefusedError, RemoteProtocolError, ServiceError
from protos.pg import messages, refusal
from protos.pg.framer import BACKEND_LIMITS, Framer, FramingError, Piece
from protos.pg.sasl import SCRAM_SHA_256_PLUS, ScramClient, printable_nonce
from protos.pg.saslprep import raw_password
from protos.pg.scram import Challenge, KeyCache, ScramKeys, certificate_hash
from protos.pg.startup import ssl_request, startup_message
from protos.pg.tags import Backend

# What an origin sends up to its first ReadyForQuery, and how long each may be: libpq's bound, which is generous.
_EXPECTED: Final = frozenset(
    {
        Backend.AUTHENTICATION,
        Backend.BACKEND_KEY_DATA,
        Backend.ERROR_RESPONSE,
        Backend.NOTICE_RESPONSE,
        Backend.PARAMETER_STATUS,
        Backend.READY_FOR_QUERY,
    }
)
_LIMITS: Final = {**BACKEND_LIMITS, **dict.fromkeys(_EXPECTED, 30_000)}
# PostgreSQL 18 reports 15; extensions may add some. More is not an origin.
MAX_PARAMETERS: Final = 500
_ASKS_TLS: Final = frozenset({"require", "verify-ca", "verify-full"})


@attrs.frozen(kw_only=True)
class LoginTarget:
    """Where to log in, as whom, and how far the connection is to be trusted."""

    user: str
    password: str | bytes = attrs.field(repr=False)
    database: str
    parameters: Mapping[str, str] = attrs.field(factory=dict)
    sslmode: str = "require"
    may_send_plain: bool = False
    """Whether a password may go out in clear or as md5: TLS is verified, or the configuration allows it."""


@attrs.frozen
class Send:
    """Send these bytes."""

    data: bytes = attrs.field(repr=False)


@attrs.frozen
class StartTls:
    """Do the TLS handshake as a client, verify as sslmode says, then call `Login.secured`."""


@attrs.frozen
class DeriveKeys:
    """Run `scram.derive_keys(password, challenge)` in a thread, then call `Login.derived`."""

    password: str | bytes = attrs.field(repr=False)
    challenge: Challenge


@attrs.frozen
class LoggedIn:
    """The origin is ready for the first query."""

    parameters: dict[str, str]
    process_id: int
    secret_key: bytes = attrs.field(repr=False)
    rest: bytes = attrs.field(default=b"", repr=False)
    """What came behind ReadyForQuery: a notice, say."""


@attrs.frozen
class Refused:
    """The login failed: close the connection. fields are the origin's ErrorResponse, if it sent one."""

    error: ServiceError
    fields: dict[str, str] = attrs.field(factory=dict)


Event = Send | StartTls | DeriveKeys | LoggedIn | Refused


class _Step(Enum):
    """What is awaited from the origin, or from our own side."""

    TLS_REPLY = auto()
    TLS = auto()
    AUTHENTICATION = auto()
    SASL_CONTINUE = auto()
    KEYS = auto()
    SASL_FINAL = auto()
    AUTHENTICATION_OK = auto()
    READY = auto()
    ENDED = auto()


class Login:
    """One login. Bytes in, events out; after `LoggedIn` or `Refused` it has nothing more to say."""

    def __init__(
        self,
        target: LoginTarget,
        *,
        nonce: Callable[[], bytes],
        keys: KeyCache,
        max_inline_iterations: int | None = None,
    ) -> None:
        """nonce gives `sasl.NONCE_BYTES`; beyond max_inline_iterations keys are asked for with `DeriveKeys`."""
        if target.sslmode not in _ASKS_TLS | {"disable"}:
            raise LocalProtocolError(f"there is no sslmode {target.sslmode!r} here")
        self._target = target
        self._nonce = nonce
        self._keys = keys
        self._max_inline_iterations = max_inline_iterations
        self._step = _Step.TLS_REPLY if target.sslmode in _ASKS_TLS else _Step.AUTHENTICATION
        self._framer = Framer(_LIMITS, _EXPECTED)
        self._certificate_hash: bytes | None = None
        self._scram: ScramClient | None = None
        self._challenge: Challenge | None = None
        self._parameters: dict[str, str] = {}
        self._key = (0, b"")

    def start(self) -> bytes:
        """Give the first bytes to send."""
        return ssl_request() if self._step is _Step.TLS_REPLY else self._startup_message()

    def secured(self, certificate_der: bytes) -> bytes:
        """Note that TLS is up, with this certificate of the origin; gives the bytes to send."""
        if self._step is not _Step.TLS:
            raise LocalProtocolError(f"TLS cannot begin in {self._step.name}")
        self._certificate_hash = certificate_hash(certificate_der)
        self._step = _Step.AUTHENTICATION
        return self._startup_message()

    def receive(self, data: bytes) -> list[Event]:
        """Take what the origin sent."""
        if self._step is _Step.ENDED or not data:
            return []
        if self._step is _Step.TLS:
            raise LocalProtocolError("bytes of the TLS handshake were taken for the origin's")
        try:
            return self._tls_reply(data) if self._step is _Step.TLS_REPLY else self._messages(data)
        except OriginRefusedError as error:
            return self._refuse(error)
        except RemoteProtocolError as error:
            return self._refuse(refusal.protocol_broken(str(error)))

    def derived(self, keys: ScramKeys) -> list[Event]:
        """Go on after `DeriveKeys`."""
        if self._step is _Step.ENDED:
            return []
        if self._step is not _Step.KEYS or self._challenge is None:
            raise LocalProtocolError(f"no keys were asked for in {self._step.name}")
        self._keys.store(self._target.password, self._challenge, keys)
        return self._respond(keys)

    def _startup_message(self) -> bytes:
        target = self._target
        return startup_message({"user": target.user, "database": target.database, **target.parameters})

    def _refuse(self, error: ServiceError, fields: dict[str, str] | None = None) -> list[Event]:
        self._step = _Step.ENDED
        return [Refused(error, fields or {})]

    def _tls_reply(self, data: bytes) -> list[Event]:
        if len(data) > 1 and data[:1] in {b"S", b"N"}:
            raise refusal.bytes_before_tls()
        match data[:1]:
            case b"S":
                self._step = _Step.TLS
                return [StartTls()]
            case b"N":
                raise refusal.no_tls()
            case b"E":
                raise refusal.error_before_tls()
        raise refusal.not_postgresql()

    def _messages(self, data: bytes) -> list[Event]:
        failure: FramingError | None = None
        try:
            pieces = self._framer.feed(data)
        except FramingError as error:
            pieces, failure = error.pieces, error  # before the fault the origin may have said what is wrong
        events: list[Event] = []
        for index, piece in enumerate(pieces):
            if piece.tag == Backend.READY_FOR_QUERY and self._step is _Step.READY and failure is None:
                self._step = _Step.ENDED
                rest = b"".join(later.data for later in pieces[index + 1 :]) + self._framer.rest
                return [*events, LoggedIn(self._parameters, *self._key, rest)]
            events += self._message(piece)
            if self._step is _Step.ENDED:
                return events
        if failure is not None:
            raise failure
        return events

    def _message(self, piece: Piece) -> list[Event]:
        match piece.tag:
            case Backend.NOTICE_RESPONSE:
                pass
            case Backend.ERROR_RESPONSE:
                fields = messages.error_fields(piece.data)
                return self._refuse(refusal.refused_by_origin(fields), fields)
            case Backend.AUTHENTICATION:
                return self._authentication(piece.data)
            case Backend.PARAMETER_STATUS if self._step is _Step.READY and len(self._parameters) < MAX_PARAMETERS:
                name, value = messages.parameter_status_of(piece.data)
                self._parameters[name] = value
            case Backend.BACKEND_KEY_DATA if self._step is _Step.READY:
                self._key = messages.backend_key_of(piece.data)
            case _:
                raise RemoteProtocolError(f"message {piece.tag} came while {self._step.name} was awaited")
        return []

    def _authentication(self, message: bytes) -> list[Event]:
        code, body = messages.authentication_of(message)
        match self._step, code:
            case ((_Step.AUTHENTICATION | _Step.AUTHENTICATION_OK), messages.AUTHENTICATION_OK):
                self._step = _Step.READY
                return []
            case _Step.AUTHENTICATION, messages.AUTHENTICATION_SASL:
                return self._choose_mechanism(body)
            case _Step.SASL_CONTINUE, messages.AUTHENTICATION_SASL_CONTINUE:
                return self._challenged(body)
            case _Step.SASL_FINAL, messages.AUTHENTICATION_SASL_FINAL if self._scram is not None:
                self._scram.verify(body)
                self._step = _Step.AUTHENTICATION_OK
                return []
            case _Step.AUTHENTICATION, messages.AUTHENTICATION_MD5_PASSWORD if len(body) == 4:
                return self._send_plain("an md5 password", self._md5(body))
            case _Step.AUTHENTICATION, messages.AUTHENTICATION_CLEARTEXT_PASSWORD:
                return self._send_plain("a clear-text password", self._password())
            case _Step.AUTHENTICATION, _ if code in refusal.OTHER_METHODS:
                raise refusal.unknown_method(refusal.OTHER_METHODS[code])
        raise RemoteProtocolError(f"authentication request {code} came while {self._step.name} was awaited")

    def _password(self) -> bytes:
        password = raw_password(self._target.password)
        if not password:
            raise refusal.no_password()
        return password

    def _send_plain(self, what: str, password: bytes) -> list[Event]:
        if not self._target.may_send_plain:
            raise refusal.plain_password(what)
        self._step = _Step.AUTHENTICATION_OK
        return [Send(messages.password_message(password))]

    def _md5(self, salt: bytes) -> bytes:
        user = raw_password(self._target.user)
        inner = hashlib.md5(self._password() + user, usedforsecurity=False).hexdigest().encode()
        return b"md5" + hashlib.md5(inner + salt, usedforsecurity=False).hexdigest().encode()

    def _choose_mechanism(self, body: bytes) -> list[Event]:
        offered = messages.sasl_mechanisms_of(body)
        self._password()  # without one, say so rather than prove nothing
        scram = ScramClient(
            printable_nonce(self._nonce()),
            channel_binding=self._certificate_hash,
            plus_offered=SCRAM_SHA_256_PLUS in offered,
        )
        if scram.mechanism not in offered:
            raise refusal.unknown_method(f"SASL with {', '.join(offered) or 'no mechanism'}")
        self._scram = scram
        self._step = _Step.SASL_CONTINUE
        return [Send(messages.sasl_initial_response(scram.mechanism, scram.first()))]

    def _challenged(self, message: bytes) -> list[Event]:
        assert self._scram is not None
        self._challenge = challenge = self._scram.challenged(message)
        keys = self._keys.find(self._target.password, challenge)
        bound = self._max_inline_iterations
        if keys is None and bound is not None and challenge.iterations > bound:
            self._step = _Step.KEYS
            return [DeriveKeys(self._target.password, challenge)]
        return self._respond(keys or self._keys.derive(self._target.password, challenge))

    def _respond(self, keys: ScramKeys) -> list[Event]:
        assert self._scram is not None
        self._step = _Step.SASL_FINAL
        return [Send(messages.sasl_response(self._scram.respond(keys)))]
