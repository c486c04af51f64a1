"""Have a client prove that it knows its password: SCRAM-SHA-256(-PLUS), or the password in clear inside TLS.

Theory of operation: `start` asks, `receive` takes each response and gives what comes next: something to send, a
password to be checked, or `Proven`. Whatever else happens raises. It is the server's role of PostgreSQL; nothing here
knows whether the user exists: one who does not has a mock credential and fails at the very end, like one with a wrong
password (rules 27).

Source: src/backend/libpq/auth.c, auth-sasl.c.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Final

import attrs

from edge.handshake_actions import CheckPassword, Send
from protos.errors import InvalidPasswordError, LocalProtocolError, NotAllowedError
from protos.pg import messages
from protos.pg.framer import HEADER_BYTES
from protos.pg.sasl import SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramServer, printable_nonce
from protos.pg.scram import ScramVerifier

CLIENT_AUTH_SCRAM: Final = "scram-sha-256"
CLIENT_AUTH_PASSWORD: Final = "password"


@attrs.frozen(kw_only=True)
class Credential:
    """What a user of a configuration is known by, and how it is to prove itself."""

    verifier: ScramVerifier
    client_auth: str = CLIENT_AUTH_SCRAM


@attrs.frozen
class Proven:
    """The client is who it says. data is the last word of the exchange, which AuthenticationOk follows."""

    data: bytes = attrs.field(repr=False)


class _Step(Enum):
    """What is awaited."""

    MECHANISM = auto()
    CLIENT_FIRST = auto()
    CLIENT_FINAL = auto()
    PASSWORD = auto()
    CHECK = auto()
    ENDED = auto()


class Authentication:
    """One client's proof, from the question to the verdict."""

    def __init__(
        self, user: str, credential: Credential, *, certificate_hash: bytes | None, nonce: Callable[[], bytes]
    ) -> None:
        """Take the hash of our certificate where the connection is bound to it; nonce gives `NONCE_BYTES`."""
        self._user = user
        self._credential = credential
        self._certificate_hash = certificate_hash
        self._nonce = nonce
        self._scram: ScramServer | None = None
        self._step = _Step.MECHANISM

    @property
    def is_awaiting_proof(self) -> bool:
        """Whether the client has its challenge, and pays PBKDF2."""
        return self._step is _Step.CLIENT_FINAL

    def start(self, *, is_secured: bool) -> Send:
        """Ask for the proof."""
        if self._credential.client_auth == CLIENT_AUTH_PASSWORD:
            if not is_secured:
                raise NotAllowedError(
                    "a password in clear without TLS",
                    public="this configuration takes passwords over TLS only",
                    hint="Connect with sslmode=require or stronger.",
                )
            self._step = _Step.PASSWORD
            return Send(messages.authentication_cleartext_password())
        mechanisms = [SCRAM_SHA_256] if self._certificate_hash is None else [SCRAM_SHA_256_PLUS, SCRAM_SHA_256]
        return Send(messages.authentication_sasl(mechanisms))

    def receive(self, message: bytes) -> Send | CheckPassword | Proven:
        """Take a message with the tag 'p', whole."""
        match self._step:
            case _Step.MECHANISM:
                return self._mechanism(*messages.sasl_initial_of(message))
            case _Step.CLIENT_FIRST:
                return self._client_first(message[HEADER_BYTES:])
            case _Step.CLIENT_FINAL:
                return self._client_final(message[HEADER_BYTES:])
            case _Step.PASSWORD:
                return self._password(messages.password_of(message))
        raise LocalProtocolError(f"no response is awaited in {self._step.name}")

    def password_checked(self, *, ok: bool) -> Proven:
        """Take the verdict that `CheckPassword` asked for."""
        if self._step is not _Step.CHECK:
            raise LocalProtocolError("no password is being checked")
        self._step = _Step.ENDED
        if not ok:
            raise self._failed("wrong password")
        return Proven(b"")

    def _mechanism(self, mechanism: str, client_first: bytes | None) -> Send:
        nonce = printable_nonce(self._nonce())
        self._scram = ScramServer(self._credential.verifier, mechanism, self._certificate_hash, nonce)
        if client_first is None:
            self._step = _Step.CLIENT_FIRST
            return Send(messages.authentication_sasl_continue(b""))
        return self._client_first(client_first)

    def _client_first(self, message: bytes) -> Send:
        assert self._scram is not None
        answer = self._scram.receive_first(message)
        self._step = _Step.CLIENT_FINAL
        return Send(messages.authentication_sasl_continue(answer))

    def _client_final(self, message: bytes) -> Proven:
        assert self._scram is not None
        self._step = _Step.ENDED
        answer = self._scram.receive_final(message)
        if answer is None:
            raise self._failed("wrong proof")
        return Proven(messages.authentication_sasl_final(answer))

    def _password(self, password: bytes) -> CheckPassword:
        if not password:
            raise InvalidPasswordError("empty password", public="empty password returned by client")
        self._step = _Step.CHECK
        return CheckPassword(password, self._credential.verifier)

    def _failed(self, why: str) -> InvalidPasswordError:
        public = f'password authentication failed for user "{self._user}"'
        return InvalidPasswordError(f"{public}: {why}", public=public)
