"""From a client's first byte to its startup packet: TLS, GSSAPI encryption, cancellation.

Theory of operation: a client may ask for TLS (SSLRequest, or a ClientHello at once) and for GSSAPI encryption (which
we have not), each once; it may ask for a cancellation, which is all that its connection is for; or it says who it is.
Bytes that came before TLS was up are never taken for bytes inside it (rules 26).

Source: src/backend/tcop/backend_startup.c, ProcessSSLStartup() and ProcessStartupPacket().
"""

from typing import Final

from edge.handshake_actions import Cancel, Close, Send, StartTls
from protos.errors import UnsupportedProtocolError
from protos.pg.startup import (
    GSS_ENC_REQUEST_CODE,
    LATEST_MINOR,
    MAJOR,
    SSL_REQUEST_CODE,
    CancelRequest,
    GssEncRequest,
    SslRequest,
    StartupMessage,
    StartupReader,
    is_tls_hello,
)

ALPN: Final = "postgresql"

Outcome = Send | StartTls | Cancel | Close | StartupMessage


class Greeting:
    """Bytes in; what to do, or at last the startup packet, out. Raises for what PostgreSQL answers with an error."""

    def __init__(self, *, tls_available: bool) -> None:
        self._tls_available = tls_available
        self._reader = StartupReader()
        self._is_first = True
        self._may_ask_tls = True
        self._may_ask_gss = True
        self._is_direct = False
        self.is_secured = False

    @property
    def rest(self) -> bytes:
        """What came behind the startup packet."""
        return self._reader.rest

    def receive(self, data: bytes) -> list[Outcome]:
        """Take what the client sent."""
        is_first, self._is_first = self._is_first, False
        if is_first and is_tls_hello(data):
            return [self._begin_direct_tls(data)]
        match self._reader.feed(data):
            case []:
                return []
            case [CancelRequest(process_id, secret)]:
                return [Cancel(process_id, secret)]
            case [StartupMessage() as startup]:
                return [startup]
            case [SslRequest() | GssEncRequest() as request] if not self.rest:
                return self._answer(request)
        return [Close("bytes came between a request for encryption and its answer")]

    def _begin_direct_tls(self, hello: bytes) -> StartTls | Close:
        if not self._tls_available:
            return Close("direct TLS where there is no certificate")
        self._is_direct = True
        return StartTls(hello)

    def secured(self, alpn: str | None) -> Close | None:
        """Note that TLS is up; direct TLS has to be meant for PostgreSQL, else another protocol could be led here."""
        if self._is_direct and alpn != ALPN:
            return Close("direct TLS without ALPN postgresql")
        self.is_secured = True
        return None

    def _answer(self, request: SslRequest | GssEncRequest) -> list[Outcome]:
        """After a no the client may ask for the other kind; after a yes for nothing more."""
        match request:
            case SslRequest() if self._may_ask_tls:
                self._may_ask_tls = False
                if self._tls_available and not self.is_secured:
                    self._may_ask_gss = False
                    return [Send(b"S"), StartTls()]
            case GssEncRequest() if self._may_ask_gss:
                self._may_ask_gss = False
            case _:
                # PostgreSQL does not look for it any more, and reads the code as a protocol version.
                code = SSL_REQUEST_CODE if isinstance(request, SslRequest) else GSS_ENC_REQUEST_CODE
                asked, spoken = f"{code >> 16}.{code & 0xFFFF}", f"{MAJOR}.0 to {MAJOR}.{LATEST_MINOR}"
                raise UnsupportedProtocolError(
                    "encryption was asked for again",
                    public=f"unsupported frontend protocol {asked}: server supports {spoken}",
                )
        return [Send(b"N")]
