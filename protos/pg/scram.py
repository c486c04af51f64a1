"""The secrets of SCRAM-SHA-256: what a password becomes at either end (RFC 5802, RFC 7677), as PostgreSQL has it.

Theory of operation: a server keeps a *verifier*, from which the password cannot be had; a client turns password, salt
and iteration count into *keys*, with which it proves that it knows the password. PBKDF2 is the one costly step, and
only who has the password pays it: `derive_keys` (2.5 ms for 4,096 iterations), which `KeyCache` spares whoever logs in
again. The exchange itself is in `sasl.py`. Randomness comes in as a parameter; no repr shows a secret.

Source: src/common/scram-common.c, src/backend/libpq/auth-scram.c.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections import OrderedDict
from typing import Final, Self

import attrs
from cryptography import exceptions, x509

from protos.pg.saslprep import prepared

DEFAULT_ITERATIONS: Final = 4096
SALT_BYTES: Final = 16
KEY_BYTES: Final = 32
# A user has one password here and a node serves some thousands of configurations; an entry takes about 400 bytes.
MAX_CACHED_KEYS: Final = 4096

_VERIFIER: Final = re.compile(r"SCRAM-SHA-256\$([1-9][0-9]{0,9}):([\w+/=]+)\$([\w+/=]+):([\w+/=]+)", re.ASCII)


@attrs.frozen
class ScramKeys:
    """What a password is worth to a client: enough to log in wherever salt and iterations are the same."""

    client_key: bytes = attrs.field(repr=False)
    server_key: bytes = attrs.field(repr=False)

    @property
    def stored_key(self) -> bytes:
        """What a server compares a client's proof with."""
        return sha256(self.client_key)


@attrs.frozen
class Challenge:
    """What a server wants a password to be derived with."""

    salt: bytes
    iterations: int


@attrs.frozen
class ScramVerifier:
    """What a server keeps in place of a password; `pg_authid.rolpassword` has the same text."""

    iterations: int
    salt: bytes = attrs.field(repr=False)
    stored_key: bytes = attrs.field(repr=False)
    server_key: bytes = attrs.field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `SCRAM-SHA-256$4096:salt$stored:server`; ValueError, without the text, if it is something else."""
        match = _VERIFIER.fullmatch(text)
        if match is not None:
            salt, stored_key, server_key = (decoded(match[part].encode()) for part in (2, 3, 4))
            if salt and stored_key and server_key and len(stored_key) == len(server_key) == KEY_BYTES:
                return cls(int(match[1]), salt, stored_key, server_key)
        raise ValueError("not a SCRAM-SHA-256 verifier")

    def format(self) -> str:
        """Write it as PostgreSQL stores it."""
        salt, stored_key, server_key = map(encoded, (self.salt, self.stored_key, self.server_key))
        text = b"SCRAM-SHA-256$%d:%b$%b:%b" % (self.iterations, salt, stored_key, server_key)
        return text.decode("ascii")


def derive_keys(password: str | bytes, challenge: Challenge) -> ScramKeys:
    """Pay PBKDF2. The GIL is released meanwhile, so a thread is a good place for it."""
    salted = hashlib.pbkdf2_hmac("sha256", prepared(password), challenge.salt, challenge.iterations)
    return ScramKeys(hmac_sha256(salted, b"Client Key"), hmac_sha256(salted, b"Server Key"))


def make_verifier(password: str | bytes, iterations: int, salt: bytes) -> ScramVerifier:
    """Make what a server stores. salt is `SALT_BYTES` of randomness."""
    keys = derive_keys(password, Challenge(salt, iterations))
    return ScramVerifier(iterations, salt, keys.stored_key, keys.server_key)


def verifies(password: str | bytes, verifier: ScramVerifier) -> bool:
    """Whether password, which came in clear, is the one that verifier was made of. Pays PBKDF2."""
    keys = derive_keys(password, Challenge(verifier.salt, verifier.iterations))
    return hmac.compare_digest(keys.stored_key, verifier.stored_key)


def mock_verifier(secret: bytes, user: str, iterations: int = DEFAULT_ITERATIONS) -> ScramVerifier:
    """Make a verifier that no password has, for a user who does not exist.

    It is the same at every attempt, as a real user's is, so that trying does not tell who exists (rules 27).
    """
    name = user.encode("utf-8", "surrogatepass")
    salt, stored_key, server_key = (hmac_sha256(secret, kind + name) for kind in (b"salt:", b"stored:", b"server:"))
    return ScramVerifier(iterations, salt[:SALT_BYTES], stored_key, server_key)


def certificate_hash(der: bytes) -> bytes | None:
    """Hash a server's certificate for tls-server-end-point (RFC 5929, 4.1).

    None where that is undefined, for Ed25519 say: then there is no channel binding to offer.
    """
    try:
        algorithm = x509.load_der_x509_certificate(der).signature_hash_algorithm
    except (ValueError, exceptions.UnsupportedAlgorithm):
        return None
    if algorithm is None:
        return None
    name = "sha256" if algorithm.name in {"md5", "sha1"} else algorithm.name.replace("-", "_")
    return hashlib.new(name, der).digest() if name in hashlib.algorithms_available else None


class KeyCache:
    """Derived keys, so that many logins with one password pay PBKDF2 once.

    Entries are found by a digest, so the cache holds no password. What it holds opens one user's login at one server.
    """

    def __init__(self, max_entries: int = MAX_CACHED_KEYS) -> None:
        self._max_entries = max_entries
        self._keys: OrderedDict[tuple[bytes, Challenge], ScramKeys] = OrderedDict()

    @property
    def size(self) -> int:
        """How many entries there are."""
        return len(self._keys)

    def find(self, password: str | bytes, challenge: Challenge) -> ScramKeys | None:
        """Give the keys if they are here."""
        place = _place(password, challenge)
        keys = self._keys.get(place)
        if keys is not None:
            self._keys.move_to_end(place)
        return keys

    def store(self, password: str | bytes, challenge: Challenge, keys: ScramKeys) -> None:
        """Keep keys that were derived elsewhere, in a thread say."""
        self._keys[_place(password, challenge)] = keys
        while len(self._keys) > self._max_entries:
            self._keys.popitem(last=False)

    def derive(self, password: str | bytes, challenge: Challenge) -> ScramKeys:
        """Give the keys, paying PBKDF2 the first time."""
        keys = self.find(password, challenge)
        if keys is None:
            keys = derive_keys(password, challenge)
            self.store(password, challenge, keys)
        return keys


def _place(password: str | bytes, challenge: Challenge) -> tuple[bytes, Challenge]:
    return hmac_sha256(challenge.salt, prepared(password)), challenge


def sha256(data: bytes) -> bytes:
    """H() of RFC 5802."""
    return hashlib.sha256(data).digest()


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """HMAC() of RFC 5802."""
    return hmac.digest(key, data, "sha256")


def encoded(data: bytes) -> bytes:
    """Write base64."""
    return base64.b64encode(data)


def decoded(data: bytes) -> bytes | None:
    """Read base64, strictly; None if it is something else."""
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        return None
