"""Speak to a pool node's admin endpoint.

Theory of operation: one request, one JSON answer, one connection, with the standard library, since a command lives for
a moment. Proxies of the environment are left aside: the endpoint is on loopback or named on purpose. The bearer token
goes out only over TLS or within this machine. Every failure becomes a CommandError; the endpoint's own errors carry
their cure.
"""

import http.client
import json
import os
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import attrs

from deploy.addresses import is_loopback
from deploy.complaint import CommandError, WrongUseError

DEFAULT_ADMIN: Final = "http://127.0.0.1:6433"
TOKEN_VARIABLE: Final = "ONETRIP_ADMIN_TOKEN"
# Creating a configuration waits for its origin (15 s unless it says otherwise) and for the edges (5 s).
TIMEOUT_S: Final = 60.0
MAX_ANSWER_BYTES: Final = 16 << 20
# The endpoint's own cures speak to who calls it by HTTP; these to who types.
_CURES: Final = {
    "exists": "change it with `onetrip config update`, or choose another name",
    "not_found": "`onetrip config list` shows what there is",
    "no_table": "write TABLE or SCHEMA.TABLE as `\\d` of psql shows them, or leave --table out",
    "origin_refused": "see to the origin's address, user, password and sslmode",
    "stale": "somebody else changed it meanwhile; try again",
    "tampered": "`onetrip config delete` it and make it anew",
}
# What the endpoint refuses because of how it was asked (400, 422) is wrong use, as a flag of the wrong kind is.
_WRONG_USE: Final = frozenset({400, 422})


@attrs.frozen(kw_only=True)
class AdminClient:
    """Where the endpoint is and what opens it."""

    host: str
    port: int
    path: str = ""
    tls: ssl.SSLContext | None = None
    token: str | None = attrs.field(default=None, repr=False)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{self.path}"

    def request(
        self, method: str, path: str, body: Mapping[str, object] | None = None, *, timeout_s: float = TIMEOUT_S
    ) -> Any:  # noqa: ANN401 - what JSON holds
        """Ask for `path` below /v1 and return the answer; CommandError says what went wrong."""
        headers = {"Accept": "application/json"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection = self._connection(timeout_s)
        try:
            content = None if body is None else json.dumps(body).encode()
            connection.request(method, f"{self.path}/v1{path}", content, headers)
            response = connection.getresponse()
            return self._answer(response.status, response.read(MAX_ANSWER_BYTES))
        except ssl.SSLError as error:
            cure = "give its CA as --admin-ca, or http:// if it has no TLS"
            raise CommandError(
                f"cannot speak TLS with {self.url}: {error.reason or 'handshake failed'}", cure
            ) from error
        except (TimeoutError, socket.gaierror, OSError) as error:
            raise CommandError(f"no admin endpoint answers at {self.url}: {_reason(error)}", _ABSENT) from error
        except http.client.HTTPException as error:
            raise CommandError(f"what answers at {self.url} is no admin endpoint", "check --admin") from error
        finally:
            connection.close()

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        if self.tls is None:
            return http.client.HTTPConnection(self.host, self.port, timeout=timeout_s)
        return http.client.HTTPSConnection(self.host, self.port, timeout=timeout_s, context=self.tls)

    def _answer(self, status: int, content: bytes) -> Any:  # noqa: ANN401 - what JSON holds
        try:
            answer = json.loads(content) if content else None
        except ValueError:
            answer = content
        if 200 <= status < 300 and not isinstance(answer, bytes):
            return answer
        if status == 401:
            what = f"{self.url} does not accept the token" if self.token else f"no token for {self.url} was found"
            raise CommandError(what, f"give --token-file or {TOKEN_VARIABLE}, or run as the user of the pool node")
        match answer:
            case {"error": {"what": str(what), "cure": str(cure), "code": str(code)}}:
                raise (WrongUseError if status in _WRONG_USE else CommandError)(what, _CURES.get(code, cure))
        raise CommandError(f"what answers at {self.url} is no admin endpoint (HTTP {status})", "check --admin")


_ABSENT: Final = "start a pool node there, or give --admin URL"


def open_client(url: str, *, token_file: str | None = None, ca_file: str | None = None) -> AdminClient:
    """The client of one endpoint, with the token that is given or found."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1 or "@" in parts.netloc or parts.query:
        raise WrongUseError("--admin is no address of an admin endpoint", f"write it as {DEFAULT_ADMIN}")
    secure = parts.scheme == "https"
    if not secure and not is_loopback(parts.hostname):
        what = f"plain HTTP would show the token on the way to {parts.hostname}"
        raise WrongUseError(what, "use https://, or a tunnel to the pool node's loopback")
    port = port or (443 if secure else 80)
    tls = _tls(ca_file) if secure else None
    token = given_token(token_file) or found_token(parts.hostname, port)
    return AdminClient(host=parts.hostname, port=port, path=parts.path.rstrip("/"), tls=tls, token=token)


def given_token(token_file: str | None, environ: Mapping[str, str] | None = None) -> str | None:
    """The token that the operator names: the file of the call, then the variable."""
    if token_file is None:
        return _usable((os.environ if environ is None else environ).get(TOKEN_VARIABLE, ""), TOKEN_VARIABLE)
    try:
        text = Path(token_file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"cannot read {token_file}: {_reason(error)}", "name the token's file") from error
    token = _usable(text, token_file)
    if token is None:
        raise CommandError(f"{token_file} is empty", "name the token's file")
    return token


def found_token(host: str, port: int) -> str | None:
    """The token that a pool node of this user on this machine made; None where there is none."""
    if not is_loopback(host):
        return None
    from regional.admin.token import find_token
    from regional.state import StateError

    try:
        return find_token(port)
    except StateError as error:
        raise CommandError(str(error)) from None


def configuration_path(name: str, action: str = "") -> str:
    """The path of one configuration, whatever is in the name."""
    return f"/configurations/{quote(name, safe='')}" + (f"/{action}" if action else "")


def _usable(text: str, source: str) -> str | None:
    token = text.strip()
    if not all("!" <= character <= "~" for character in token):
        raise CommandError(f"{source} holds no token", "a token is one word of printable ASCII")
    return token or None


def _tls(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise CommandError(f"cannot use {ca_file} as --admin-ca: {_reason(error)}", "name a PEM file") from error


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, UnicodeDecodeError):
        return "it is no text"
    if isinstance(error, http.client.RemoteDisconnected):
        return "it closed the connection (does it want https://?)"
    return (getattr(error, "strerror", None) or type(error).__name__).lower()
