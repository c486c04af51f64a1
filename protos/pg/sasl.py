"""The SCRAM-SHA-256 and SCRAM-SHA-256-PLUS exchanges in both roles (RFC 5802, RFC 7677), as PostgreSQL speaks them.

Theory of operation: four messages, of which each end makes two. The client proves that it knows the password, the
server that it knows the verifier; neither crosses the wire. With -PLUS the hash of the server's certificate goes into
the proof (tls-server-end-point, RFC 5929): a man in the middle with another certificate cannot pass the proof on.

What PostgreSQL does its own way, and so do we: the user name inside the exchange is ignored (libpq leaves it empty).

Source: src/backend/libpq/auth-scram.c, src/interfaces/libpq/fe-auth-scram.c.
"""

import hmac
import re
from typing import Final

from protos.errors import LocalProtocolError, NotAllowedError, RemoteProtocolError, UnsupportedProtocolError
from protos.pg.scram import KEY_BYTES, Challenge, ScramKeys, ScramVerifier, decoded, encoded, hmac_sha256, sha256

SCRAM_SHA_256: Final = "SCRAM-SHA-256"
SCRAM_SHA_256_PLUS: Final = "SCRAM-SHA-256-PLUS"
# PBKDF2 at this count takes over half a second: asking for more would be a way to stop us, not to protect a password.
MAX_ITERATIONS: Final = 1_000_000
# 18 random bytes, as PostgreSQL takes; base64 makes them printable.
NONCE_BYTES: Final = 18

_BINDING_TYPE: Final = b"tls-server-end-point"
_PRINTABLE: Final = rb"[!-+\--~]+"  # without the comma
_EXTENSIONS: Final = rb"(?:,[A-Za-oq-z]=[^,\0]*)*"
_NONCE: Final = re.compile(_PRINTABLE)
_GS2_HEADER: Final = re.compile(rb"(?:([ny])|p=([^,\0]*)),(a=[^,\0]*)?,")
_CLIENT_FIRST_BARE: Final = re.compile(rb"n=[^,\0]*,r=(" + _PRINTABLE + rb")" + _EXTENSIONS)
_SERVER_FIRST: Final = re.compile(rb"r=(" + _PRINTABLE + rb"),s=([^,\0]+),i=([0-9]{1,10})" + _EXTENSIONS)
_CLIENT_FINAL: Final = re.compile(rb"(c=([^,\0]*),r=(" + _PRINTABLE + rb")" + _EXTENSIONS + rb"),p=([^,\0]*)")
_SERVER_FINAL: Final = re.compile(rb"v=([^,\0]*)" + _EXTENSIONS)


def printable_nonce(random: bytes) -> bytes:
    """Make a nonce of `NONCE_BYTES` of randomness."""
    return encoded(random)


class ScramServer:
    """One exchange in the server's role: client-first in, server-first out; client-final in, server-final out.

    Bad messages raise RemoteProtocolError; a client that was tricked about channel binding gets NotAllowedError.
    """

    def __init__(self, verifier: ScramVerifier, mechanism: str, channel_binding: bytes | None, nonce: bytes) -> None:
        """Take the mechanism that the client chose, the certificate's hash if -PLUS was on offer, a fresh nonce."""
        offered = {SCRAM_SHA_256} if channel_binding is None else {SCRAM_SHA_256, SCRAM_SHA_256_PLUS}
        if mechanism not in offered:
            raise RemoteProtocolError(
                "the client chose a SASL mechanism that was not on offer",
                public="client selected an invalid SASL authentication mechanism",
            )
        self._verifier = verifier
        self._is_plus = mechanism == SCRAM_SHA_256_PLUS
        self._channel_binding = channel_binding
        self._nonce = _checked(nonce)
        self._binding = b""  # what client-final has to repeat
        self._messages = b""  # client-first-bare and server-first: AuthMessage as far as it is known

    def receive_first(self, message: bytes) -> bytes:
        """Answer client-first with server-first."""
        if self._messages:
            raise LocalProtocolError("client-first was received before")
        header = _GS2_HEADER.match(message)
        if header is None:
            raise _malformed("malformed channel-binding flag in client-first-message")
        self._check_header(header)
        bare = message[header.end() :]
        match = _CLIENT_FIRST_BARE.fullmatch(bare)
        if match is None:
            if bare.startswith(b"m="):
                raise UnsupportedProtocolError(public="client requires an unsupported SCRAM extension")
            raise _malformed("malformed client-first-message")
        self._binding = header[0] + (self._channel_binding or b"" if self._is_plus else b"")
        self._nonce = match[1] + self._nonce
        salt = encoded(self._verifier.salt)
        server_first = b"r=%b,s=%b,i=%d" % (self._nonce, salt, self._verifier.iterations)
        self._messages = bare + b"," + server_first
        return server_first

    def receive_final(self, message: bytes) -> bytes | None:
        """Answer client-final with server-final, or with None if the proof is wrong."""
        if not self._messages:
            raise LocalProtocolError("client-final comes after client-first")
        match = _CLIENT_FINAL.fullmatch(message)
        if match is None:
            raise _malformed("malformed client-final-message")
        unproven, binding, nonce, proof = match[1], match[2], match[3], decoded(match[4])
        self._check_binding(binding)
        if not hmac.compare_digest(nonce, self._nonce):
            raise RemoteProtocolError("SCRAM nonce does not match", public="invalid SCRAM response")
        if proof is None or len(proof) != KEY_BYTES:
            raise _malformed("malformed proof in client-final-message")
        auth_message = self._messages + b"," + unproven
        client_key = _xor(proof, hmac_sha256(self._verifier.stored_key, auth_message))
        if not hmac.compare_digest(sha256(client_key), self._verifier.stored_key):
            return None
        return b"v=" + encoded(hmac_sha256(self._verifier.server_key, auth_message))

    def _check_header(self, header: re.Match[bytes]) -> None:
        flag, binding_type, authorization_identity = header.groups()
        if self._is_plus != (flag is None):
            raise _malformed("the mechanism and the channel-binding flag contradict each other")
        if flag is None and binding_type != _BINDING_TYPE:
            raise RemoteProtocolError(public="unsupported SCRAM channel-binding type")
        if flag == b"y" and self._channel_binding is not None:
            # We offered -PLUS, the client supports it and saw no offer: somebody between us took it away.
            raise NotAllowedError(
                "the client did not see our offer of SCRAM-SHA-256-PLUS",
                public="SCRAM channel binding negotiation error",
                detail="The client supports SCRAM channel binding but thinks the server does not. "
                "However, this server does support channel binding.",
            )
        if authorization_identity is not None:
            raise UnsupportedProtocolError(public="client uses authorization identity, but it is not supported")

    def _check_binding(self, binding: bytes) -> None:
        if hmac.compare_digest(binding, encoded(self._binding)):
            return
        if self._is_plus:
            raise NotAllowedError(
                "the client saw another certificate than ours", public="SCRAM channel binding check failed"
            )
        raise RemoteProtocolError(public="unexpected SCRAM channel-binding attribute in client-final-message")


class ScramClient:
    """One exchange in the client's role; every bad message raises RemoteProtocolError.

    `first()` goes out; `challenged()` reads server-first and says what to derive keys with; `respond(keys)` goes out;
    `verify()` reads server-final. Until it has returned nothing shows that the server is the one that we mean.
    """

    def __init__(self, nonce: bytes, *, channel_binding: bytes | None, plus_offered: bool) -> None:
        """Take a fresh nonce, and the hash of the server's certificate where there is one."""
        self._nonce = _checked(nonce)
        self._channel_binding = b""
        if channel_binding is None:
            self._header = b"n,,"
        elif plus_offered:
            self._header = b"p=" + _BINDING_TYPE + b",,"
            self._channel_binding = channel_binding
        else:
            self._header = b"y,,"  # "we could bind, you seem not to": a server that did offer it then refuses
        self._bare = b"n=,r=" + self._nonce
        self._server_first = b""
        self._server_signature = b""

    @property
    def mechanism(self) -> str:
        """What to choose of the server's offer."""
        return SCRAM_SHA_256_PLUS if self._channel_binding else SCRAM_SHA_256

    def first(self) -> bytes:
        """Make client-first."""
        return self._header + self._bare

    def challenged(self, message: bytes) -> Challenge:
        """Read server-first."""
        match = _SERVER_FIRST.fullmatch(message)
        if match is None:
            raise _malformed("malformed server-first-message")
        nonce, salt, iterations = match[1], decoded(match[2]), int(match[3])
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce):
            raise _malformed("the server did not extend our nonce")
        if not salt:
            raise _malformed("malformed salt in server-first-message")
        if not 1 <= iterations <= MAX_ITERATIONS:
            problem = f"the server asks for {iterations} SCRAM iterations; at most {MAX_ITERATIONS} are computed"
            raise UnsupportedProtocolError(problem, public="unsupported number of SCRAM iterations")
        self._nonce = nonce
        self._server_first = message
        return Challenge(salt, iterations)

    def respond(self, keys: ScramKeys) -> bytes:
        """Make client-final of what the password and the challenge gave."""
        if not self._server_first:
            raise LocalProtocolError("there is no challenge to respond to yet")
        unproven = b"c=%b,r=%b" % (encoded(self._header + self._channel_binding), self._nonce)
        auth_message = b",".join((self._bare, self._server_first, unproven))
        self._server_signature = hmac_sha256(keys.server_key, auth_message)
        proof = _xor(keys.client_key, hmac_sha256(keys.stored_key, auth_message))
        return unproven + b",p=" + encoded(proof)

    def verify(self, message: bytes) -> None:
        """Read server-final; raises unless the server has proved that it knows this user."""
        if not self._server_signature:
            raise LocalProtocolError("server-final comes after client-final")
        match = _SERVER_FINAL.fullmatch(message)
        signature = decoded(match[1]) if match else None
        if signature is None:
            raise _malformed("malformed server-final-message")
        if not hmac.compare_digest(signature, self._server_signature):
            raise RemoteProtocolError("the server's SCRAM signature is wrong", public="incorrect server signature")


def _checked(nonce: bytes) -> bytes:
    if _NONCE.fullmatch(nonce) is None:
        raise LocalProtocolError("a SCRAM nonce is printable ASCII without a comma")
    return nonce


def _xor(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left) ^ int.from_bytes(right)).to_bytes(len(left))


def _malformed(detail: str) -> RemoteProtocolError:
    return RemoteProtocolError(detail, public="malformed SCRAM message", detail=detail)
