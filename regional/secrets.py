"""Secrets: how they are made, and how an origin's is sealed before it is kept.

Theory of operation: a secret is sealed with AES-256-GCM under a key that is never in the database. What it is sealed
together with (the configuration as it is stored) is authenticated, so a row that was changed behind our back, or a
secret moved to another row, does not open. A sealed secret names its key by a digest; so "another key" and "tampered
with" are told apart.
"""

import base64
import binascii
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from regional.configuration import OriginSecret
from regional.state import make_private_file, read_private_file

KEY_VARIABLE: Final = "ONETRIP_POOL_STORE_KEY"
KEY_BYTES: Final = 32
FORMAT: Final = b"\x01"
KEY_NAME_BYTES: Final = 8
NONCE_BYTES: Final = 12
# Names are lower case so that they need no quotes anywhere: 36^12 of them, 62 bits.
USER_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
USER_CHARACTERS: Final = 12
PASSWORD_BYTES: Final = 24
KEY_CURE: Final = "make one with: openssl rand -base64 32"


class SecretError(Exception):
    """A secret or its key that cannot be used; the text holds neither."""


class StoreKeyError(SecretError):
    """The key itself is missing or malformed."""


class WrongKeyError(SecretError):
    """The secret was sealed under another key."""


class TamperedError(SecretError):
    """The secret, or what it was sealed with, is not what was written."""


class SecretBox:
    """Seals and opens secrets under one key."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise StoreKeyError(f"the store's key must be {KEY_BYTES} bytes; {KEY_CURE}")
        self._cipher = AESGCM(_derived(key, b"onetrip store: cipher", KEY_BYTES))
        self._name = _derived(key, b"onetrip store: name of the key", KEY_NAME_BYTES)

    def seal(self, secret: OriginSecret, context: bytes) -> bytes:
        """Encrypt a secret so that it opens only together with the same context."""
        head = FORMAT + self._name
        nonce = secrets.token_bytes(NONCE_BYTES)
        plain = msgspec.json.encode([secret.password, secret.client_key])
        return head + nonce + self._cipher.encrypt(nonce, plain, head + context)

    def open(self, sealed: bytes, context: bytes) -> OriginSecret:
        """Decrypt what `seal` returned for this context."""
        head, nonce = sealed[: 1 + KEY_NAME_BYTES], sealed[1 + KEY_NAME_BYTES : 1 + KEY_NAME_BYTES + NONCE_BYTES]
        if head[:1] != FORMAT or len(nonce) != NONCE_BYTES:
            raise TamperedError("a stored secret is not in a form that this version writes")
        if head[1:] != self._name:
            raise WrongKeyError(
                "the store was written under another key; give that one with --store-key-file or " + KEY_VARIABLE
            )
        try:
            plain = self._cipher.decrypt(nonce, sealed[len(head) + NONCE_BYTES :], head + context)
        except InvalidTag:
            raise TamperedError("a stored configuration or its secret is not what was written") from None
        password, client_key = msgspec.json.decode(plain, type=tuple[str, str | None])
        return OriginSecret(password, client_key)


def _derived(key: bytes, purpose: bytes, length: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=purpose).derive(key)


def parse_key(text: str, source: str) -> bytes:
    """A key of 32 bytes in base64 (either alphabet) or hexadecimal."""
    text = text.strip()
    try:
        if len(text) == 2 * KEY_BYTES:
            key = bytes.fromhex(text)
        else:
            key = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES:
        raise StoreKeyError(f"{source} does not hold a key of {KEY_BYTES} bytes in base64 or hexadecimal; {KEY_CURE}")
    return key


def given_key(key_file: str | None, environ: Mapping[str, str] | None = None) -> bytes | None:
    """The key that the operator gave by file or variable, or None."""
    if key_file is not None:
        try:
            content = Path(key_file).read_bytes()[:1024]
        except OSError as error:
            raise StoreKeyError(f"cannot read the store's key file {key_file}: {error.strerror}") from error
        return parse_key(content.decode("ascii", "replace"), key_file)
    text = (os.environ if environ is None else environ).get(KEY_VARIABLE)
    return parse_key(text, KEY_VARIABLE) if text else None


def kept_key(path: Path, *, may_make: bool) -> bytes:
    """The key in a file of our own, which is made at the first start of an empty store."""
    text = read_private_file(path)
    if text is None:
        if not may_make:
            raise StoreKeyError(f"the store has configurations, but its key file {path} is gone; restore it")
        text = make_private_file(path, base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode())
    return parse_key(text, str(path))


def generate_user() -> str:
    """A client's user name, which says whose it is."""
    return "ot_" + "".join(secrets.choice(USER_ALPHABET) for _ in range(USER_CHARACTERS))


def generate_password() -> str:
    """192 bits in [A-Za-z0-9_-]; never a leading '-', which command lines take for an option."""
    while (password := secrets.token_urlsafe(PASSWORD_BYTES)).startswith("-"):
        pass
    return password
