"""Take a client from its first byte to its place in a configuration: TLS, startup packet, proof of its password.

Theory of operation: bytes in, actions out, in the server's role. `Greeting` leads up to the startup packet, which names
user and configuration. What the `Directory` knows of them decides what `Authentication` asks and, at the end, what is
answered; nothing that a client sees before it has proven itself depends on whether they exist (rules 27). What a client
sends ahead of our answers, its first query say, is kept, up to a bound, and handed on in `Accepted`.

Source: src/backend/tcop/backend_startup.c, src/backend/libpq/auth.c.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Final, Protocol

from edge.authentication import Authentication, Credential, Proven
from edge.greeting import Greeting
from edge.handshake_actions import (
    Accepted,
    Action,
    Cancel,
    CheckPassword,
    Close,
    Refuse,
    Send,
    StartTls,
    Wait,
)
from protos.errors import (
    InvalidParameterError,
    InvalidPasswordError,
    LocalProtocolError,
    NotAllowedError,
    RemoteProtocolError,
    ServiceError,
    UnknownConfigurationError,
    UnsupportedError,
)
from protos.pg import messages
from protos.pg.framer import AUTHENTICATION_LIMITS, HEADER_BYTES
from protos.pg.scram import mock_verifier
from protos.pg.startup import StartupMessage, negotiate, startup_settings
from protos.pg.tags import Frontend

__all__ = [
    "Accepted",
    "Action",
    "Cancel",
    "CheckPassword",
    "Close",
    "Credential",
    "Directory",
    "Handshake",
    "Refuse",
    "Send",
    "StartTls",
    "Wait",
]

# What a client may send ahead of our answers: the largest single read of a shell, some times over.
MAX_EARLY_BYTES: Final = 1 << 18
# The spellings that PostgreSQL's parse_bool takes, cut ones included; "o" alone would be ambiguous.
_TRUE: Final = frozenset({"1", "on"} | {word[:size] for word in ("true", "yes") for size in range(1, 5)})
_FALSE: Final = frozenset({"0", "of", "off"} | {word[:size] for word in ("false", "no") for size in range(1, 6)})


class Directory(Protocol):
    """What the pool nodes have told this edge."""

    @property
    def is_ready(self) -> bool:
        """Whether what is not here does not exist."""

    @property
    def mock_secret(self) -> bytes:
        """What the credentials of users who do not exist are made of; the same on every edge, known to nobody else."""

    def find(self, user: str, configuration: str) -> Credential | None:
        """Give the credential of this user of this configuration."""

    def user_exists_elsewhere(self, user: str) -> Credential | None:
        """Give the credential of this user of any configuration."""

    def exists(self, configuration: str) -> bool:
        """Whether there is a configuration of this name."""


class _Step(Enum):
    """What is awaited."""

    STARTUP = auto()
    TLS = auto()
    DIRECTORY = auto()
    RESPONSE = auto()
    CHECK = auto()
    ENDED = auto()


class Handshake:
    """One client's handshake. After `Accepted`, `Cancel`, `Refuse` or `Close` it has nothing more to say."""

    def __init__(self, directory: Directory, *, tls_available: bool, nonce: Callable[[], bytes]) -> None:
        """nonce gives `sasl.NONCE_BYTES` of randomness."""
        self._directory = directory
        self._nonce = nonce
        self._step = _Step.STARTUP
        self._actions: list[Action] = []
        self._greeting = Greeting(tls_available=tls_available)
        self._certificate_hash: bytes | None = None
        self._startup: StartupMessage | None = None
        self._buffer = bytearray()  # what came behind the startup packet and is not used yet
        self._credential: Credential | None = None
        self._authentication: Authentication | None = None
        self._verdict: ServiceError | None = None  # on a user of another configuration, once it has proven itself

    @property
    def proof_awaited_for(self) -> str | None:
        """The configuration whose client has its challenge and is computing its proof now."""
        if self._step is not _Step.RESPONSE or self._authentication is None or self._startup is None:
            return None
        return self._startup.database if self._authentication.is_awaiting_proof else None

    def receive(self, data: bytes) -> list[Action]:
        """Take what the client sent."""
        match self._step:
            case _Step.ENDED:
                return []
            case _ if not data:
                return []
            case _Step.TLS:
                raise LocalProtocolError("bytes of the TLS handshake were taken for the client's")
            case _Step.STARTUP:
                return self._run(lambda: self._receive_startup(data))
        self._buffer += data
        return self._run(self._receive_responses)

    def secured(self, *, certificate_hash: bytes | None, alpn: str | None) -> list[Action]:
        """Note that TLS is up, with the hash of our certificate that proofs are bound to, if it has one."""
        if self._step is not _Step.TLS:
            raise LocalProtocolError(f"TLS cannot begin in {self._step.name}")
        self._step = _Step.STARTUP
        self._certificate_hash = certificate_hash
        if (refusal := self._greeting.secured(alpn)) is not None:
            self._end(refusal)
        return self._taken()

    def directory_ready(self) -> list[Action]:
        """Go on after `Wait`."""
        return self._run(self._ask) if self._step is _Step.DIRECTORY else []

    def password_checked(self, ok: bool) -> list[Action]:  # noqa: FBT001 - a callback's only argument
        """Go on after `CheckPassword`."""
        authentication = self._authentication
        if self._step is not _Step.CHECK or authentication is None:
            return []
        return self._run(lambda: self._proceed(authentication.password_checked(ok=ok)))

    def _run(self, step: Callable[[], None]) -> list[Action]:
        """Take a step; what goes wrong in it is the last action."""
        try:
            step()
        except ServiceError as error:
            self._end(Refuse(error))
        return self._taken()

    def _taken(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions

    def _end(self, action: Cancel | Refuse | Close | Accepted) -> None:
        self._step = _Step.ENDED
        self._buffer.clear()
        self._actions.append(action)

    # --- up to the startup packet ---

    def _receive_startup(self, data: bytes) -> None:
        for outcome in self._greeting.receive(data):
            match outcome:
                case StartupMessage():
                    self._startup = outcome
                    self._buffer += self._greeting.rest
                    self._begin(outcome)
                case Cancel() | Close():
                    self._end(outcome)
                case StartTls():
                    self._step = _Step.TLS
                    self._actions.append(outcome)
                case Send():
                    self._actions.append(outcome)

    def _begin(self, startup: StartupMessage) -> None:
        minor, unknown = negotiate(startup)
        if minor != startup.minor or unknown:
            self._actions.append(Send(messages.negotiate_protocol_version(minor, unknown)))
        _refuse_replication(startup.parameters.get("replication", "false"))
        startup.user  # noqa: B018 - raises if there is none
        startup_settings(startup.parameters)  # raises for what PostgreSQL would not take
        if self._directory.is_ready:
            self._ask()
        else:
            self._step = _Step.DIRECTORY
            self._actions.append(Wait())

    # --- the proof ---

    def _ask(self) -> None:
        assert self._startup is not None
        user, configuration = self._startup.user, self._startup.database
        self._credential = self._directory.find(user, configuration)
        credential = self._credential or self._stranger(user, configuration)
        self._authentication = Authentication(
            user, credential, certificate_hash=self._certificate_hash, nonce=self._nonce
        )
        self._step = _Step.RESPONSE
        self._actions.append(self._authentication.start(is_secured=self._greeting.is_secured))
        self._receive_responses()

    def _stranger(self, user: str, configuration: str) -> Credential:
        """Choose what a user whom this configuration does not have must prove, and what it gets for it (rules 27)."""
        credential = self._directory.user_exists_elsewhere(user)
        if credential is None:
            return Credential(verifier=mock_verifier(self._directory.mock_secret, user))
        if self._directory.exists(configuration):
            public = f'user "{user}" is not allowed to use the configuration "{configuration}"'
            self._verdict = NotAllowedError(public, public=public)
        else:
            public = f'database "{configuration}" does not exist'
            self._verdict = UnknownConfigurationError(public, public=public)
        return credential

    def _receive_responses(self) -> None:
        while self._step is _Step.RESPONSE and (message := self._next_response()) is not None:
            assert self._authentication is not None
            self._proceed(self._authentication.receive(message))
        if len(self._buffer) > MAX_EARLY_BYTES:
            self._end(Close("too many bytes before the client was let in"))

    def _next_response(self) -> bytes | None:
        """Take the next message, which has to be a response; None while it is incomplete."""
        buffer = self._buffer
        if buffer and buffer[0] != Frontend.PASSWORD:
            public = f"expected password response, got message type {buffer[0]}"
            raise RemoteProtocolError(public, public=public)
        if len(buffer) < HEADER_BYTES:
            return None
        length = int.from_bytes(buffer[1:HEADER_BYTES])
        if not 4 <= length <= AUTHENTICATION_LIMITS[Frontend.PASSWORD]:
            raise RemoteProtocolError(f"a response of {length} bytes", public="invalid password packet size")
        if len(buffer) < length + 1:
            return None
        message = bytes(buffer[: length + 1])
        del buffer[: length + 1]
        return message

    def _proceed(self, outcome: Send | CheckPassword | Proven) -> None:
        match outcome:
            case Proven(last_word):
                self._admit(last_word)
                return
            case CheckPassword():
                self._step = _Step.CHECK
            case Send():
                self._step = _Step.RESPONSE
        self._actions.append(outcome)

    def _admit(self, last_word: bytes) -> None:
        startup = self._startup
        assert startup is not None
        if self._credential is not None and self._directory.find(startup.user, startup.database) != self._credential:
            public = f'password authentication failed for user "{startup.user}"'
            raise InvalidPasswordError("the credential was changed during the login", public=public)
        self._actions.append(Send(last_word + messages.authentication_ok()))
        if self._verdict is not None:
            raise self._verdict
        accepted = Accepted(
            user=startup.user,
            configuration=startup.database,
            startup=startup,
            minor=negotiate(startup)[0],
            settings=startup_settings(startup.parameters),
            rest=bytes(self._buffer),
            secured=self._greeting.is_secured,
        )
        self._end(accepted)


def _refuse_replication(value: str) -> None:
    """Refuse what is not a session of SQL, and what is neither, as PostgreSQL refuses it."""
    if value.lower() in _FALSE:
        return
    if value.lower() in _TRUE or value == "database":
        raise UnsupportedError(
            "a replication connection",
            public="replication connections are not supported",
            hint="Connect to the database itself for replication.",
        )
    raise InvalidParameterError(
        "an invalid value for replication",
        public=f'invalid value for parameter "replication": "{value}"',
        hint='Valid values are: "false", 0, "true", 1, "database".',
    )
