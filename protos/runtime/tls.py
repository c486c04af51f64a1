"""TLS without a socket: ciphertext in, plaintext out, on ssl.MemoryBIO, for connections that the pump drives.

Theory of operation: `received` is fed what the socket gave and returns the plaintext that came of it; what TLS itself
wants to send (handshake, alerts, tickets) gathers in the outgoing BIO and is taken with `take_outgoing` after each
call. The handshake runs inside `received` too; `is_established` turns true in the call that completes it.
"""

import contextlib
import ssl
from typing import Final

_READ_BYTES: Final = 1 << 16


class TlsLayer:
    """One TLS endpoint. Raises ssl.SSLError for whatever the peer did wrong."""

    __slots__ = ("_incoming", "_outgoing", "_tls", "has_ended", "is_established")

    def __init__(self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None = None) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname
        )
        self.is_established = False
        self.has_ended = False
        """The peer said close_notify: nothing more will come."""

    def start(self) -> None:
        """Say the first word, in the client role."""
        self._shake_hands()

    def received(self, ciphertext: bytes) -> bytes:
        self._incoming.write(ciphertext)
        if not self.is_established:
            self._shake_hands()
            if not self.is_established:
                return b""
        pieces = []
        try:
            while piece := self._tls.read(_READ_BYTES):
                pieces.append(piece)
            self.has_ended = True
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self.has_ended = True
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def encrypt(self, plaintext: bytes | bytearray | memoryview) -> bytes:
        """Plaintext to ciphertext; whatever else TLS wanted to say comes with it."""
        self._tls.write(plaintext)
        return self._outgoing.read()

    def take_outgoing(self) -> bytes:
        return self._outgoing.read()

    def say_goodbye(self) -> bytes:
        """close_notify, if the connection can still carry it."""
        with contextlib.suppress(ssl.SSLError, ValueError, OSError):
            self._tls.unwrap()
        return self._outgoing.read()

    @property
    def alpn(self) -> str | None:
        return self._tls.selected_alpn_protocol()

    @property
    def version(self) -> str | None:
        return self._tls.version()

    @property
    def peer_certificate(self) -> bytes:
        """The peer's certificate as DER, empty if it showed none."""
        return self._tls.getpeercert(binary_form=True) or b""

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        self.is_established = True
