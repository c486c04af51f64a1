"""The bearer token of the admin endpoint: made at the first start, found by a command of the same machine and user.

Both ends derive the file's name from the port alone, so that neither has to be told; several pool nodes of one user
do not meet.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from regional.state import make_private_directory, make_private_file, read_private_file, state_directory

TOKEN_BYTES: Final = 32


def token_path(port: int, environ: Mapping[str, str] | None = None) -> Path:
    """Where the token of the admin endpoint at this port is."""
    return state_directory(environ) / f"admin-{port}.token"


def find_token(port: int, environ: Mapping[str, str] | None = None) -> str | None:
    """The token of a pool node of this machine and user, or None; StateError when the file cannot be trusted."""
    return read_private_file(token_path(port, environ)) or None


def make_token(port: int, environ: Mapping[str, str] | None = None) -> str:
    """The token of this pool node, made if there is none; StateError when the state directory cannot be used."""
    present = find_token(port, environ)
    if present is not None:
        return present
    path = token_path(port, environ)
    make_private_directory(path.parent)
    return make_private_file(path, secrets.token_urlsafe(TOKEN_BYTES))


def is_token(given: bytes, token: str) -> bool:
    """Whether a request's token is ours, in a time that tells nothing of either."""
    return hmac.compare_digest(hashlib.sha256(given).digest(), hashlib.sha256(token.encode()).digest())
