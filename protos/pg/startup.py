"""Read what a connection begins with: packets that have a length and no tag.

Theory of operation: before anything else a client asks for encryption (SSLRequest, GSSENCRequest), asks to cancel
somebody's query (CancelRequest), or says who it is (StartupMessage). Each is an int32 length that counts itself, an
int32 code and a body. After a StartupMessage or CancelRequest the reader reads no further: what follows is in `rest`.
What PostgreSQL does with each is ProcessStartupPacket in src/backend/tcop/backend_startup.c (postmaster.c before 17).
"""

from collections.abc import Mapping
from struct import Struct
from typing import Final

import attrs

from protos.errors import LocalProtocolError, NotAllowedError, RemoteProtocolError, UnsupportedProtocolError
from protos.pg.names import MAX_NAME_BYTES, cut
from protos.pg.options import startup_settings as startup_settings  # noqa: PLC0414 - handed on from here

# MAX_STARTUP_PACKET_LENGTH of src/include/libpq/pqcomm.h; it does not count the length word.
MAX_STARTUP_PACKET_BYTES: Final = 10_000

MAJOR: Final = 3
LATEST_MINOR: Final = 2

# src/include/libpq/pqcomm.h
CANCEL_REQUEST_CODE: Final = 1234 << 16 | 5678
SSL_REQUEST_CODE: Final = 1234 << 16 | 5679
GSS_ENC_REQUEST_CODE: Final = 1234 << 16 | 5680

# PostgreSQL 18 takes keys of 1 to 256 bytes, those before it of exactly 4.
MAX_CANCEL_KEY_BYTES: Final = 256

#: The first byte of a TLS record that holds a handshake.
_TLS_HANDSHAKE: Final = 0x16
_PROTOCOL_OPTION: Final = "_pq_."

_uint32_at = Struct(">I").unpack_from
_uint32 = Struct(">I").pack
_two_words = Struct(">II").pack


@attrs.frozen
class SslRequest:
    """The client wants TLS; the answer is one byte."""


@attrs.frozen
class GssEncRequest:
    """The client wants GSSAPI encryption; the answer is one byte."""


@attrs.frozen
class CancelRequest:
    """The client wants a query of another connection cancelled; there is no answer."""

    process_id: int
    secret: bytes


@attrs.frozen
class StartupMessage:
    """The client says which protocol it speaks, who it is and which settings it wants, in this order."""

    major: int
    minor: int
    parameters: dict[str, str]

    @property
    def user(self) -> str:
        """The user as PostgreSQL takes it: cut at 63 bytes. Having none is refused."""
        user = self.parameters.get("user")
        if not user:
            text = "no PostgreSQL user name specified in startup packet"
            raise NotAllowedError(text, public=text)
        return _cut(user)

    @property
    def database(self) -> str:
        """The database as PostgreSQL takes it: the user's name if there is none, cut at 63 bytes."""
        return _cut(self.parameters.get("database") or self.user)


StartupPacket = SslRequest | GssEncRequest | CancelRequest | StartupMessage


def _cut(name: str) -> str:
    encoded = name.encode("utf-8", "surrogateescape")
    return name if len(encoded) <= MAX_NAME_BYTES else cut(encoded).decode("utf-8", "surrogateescape")


def is_tls_hello(data: bytes) -> bool:
    """Whether a connection that begins so begins with TLS itself, without an SSLRequest (PostgreSQL 17)."""
    return data[:1] == bytes([_TLS_HANDSHAKE])


class StartupReader:
    """Bytes in, startup packets out; at most one packet's worth of bytes is kept, and what follows the last one."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._is_done = False

    @property
    def rest(self) -> bytes:
        """What came in and has not come out as a packet."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> list[StartupPacket]:
        """Take bytes as they came; return the packets they complete.

        Bytes behind an SSLRequest are read as a further packet, since without encryption that is what they are. Whoever
        answers with 'S' must refuse them instead (rules 26): more than one packet, or a `rest`.
        """
        self._buffer += data
        packets: list[StartupPacket] = []
        while not self._is_done and (packet := self._next_packet()) is not None:
            packets.append(packet)
            self._is_done = isinstance(packet, CancelRequest | StartupMessage)
        return packets

    def _next_packet(self) -> StartupPacket | None:
        if len(self._buffer) < 4:
            return None
        size = _uint32_at(self._buffer)[0]
        if not 8 <= size <= 4 + MAX_STARTUP_PACKET_BYTES:
            text = "invalid length of startup packet"
            raise RemoteProtocolError(text, public=text)
        if len(self._buffer) < size:
            return None
        packet = bytes(self._buffer[:size])
        del self._buffer[:size]
        return parse_packet(packet)


def parse_packet(packet: bytes) -> StartupPacket:
    """Say what one whole packet, its length word included, means."""
    code, body = _uint32_at(packet, 4)[0], packet[8:]
    match code:
        case _ if code == SSL_REQUEST_CODE:
            return SslRequest()
        case _ if code == GSS_ENC_REQUEST_CODE:
            return GssEncRequest()
        case _ if code == CANCEL_REQUEST_CODE:
            if not 4 < len(body) <= 4 + MAX_CANCEL_KEY_BYTES:
                text = "invalid length of query cancel packet"
                raise RemoteProtocolError(text, public=text)
            return CancelRequest(_uint32_at(body)[0], body[4:])
    major, minor = code >> 16, code & 0xFFFF
    if major != MAJOR:
        text = f"unsupported frontend protocol {major}.{minor}: server supports {MAJOR}.0 to {MAJOR}.{LATEST_MINOR}"
        raise UnsupportedProtocolError(text, public=text)
    return StartupMessage(major, minor, _parameters(body))


def _parameters(body: bytes) -> dict[str, str]:
    """Read pairs of strings up to the empty name that must be the last byte."""
    strings = body.split(b"\0")
    # A good body ends with the NUL of its last value and the terminator, which leaves two empty strings behind.
    names, values = strings[:-2:2], strings[1:-2:2]
    if strings[-2:] != [b"", b""] or len(names) != len(values) or not all(names):
        text = "invalid startup packet layout: expected terminator as last byte"
        raise RemoteProtocolError(text, public=text)
    return {_decode(name): _decode(value) for name, value in zip(names, values, strict=True)}


def _decode(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def negotiate(startup: StartupMessage) -> tuple[int, list[str]]:
    """Return the minor version to go on with, and the protocol options that we do not know.

    PostgreSQL 18 sends NegotiateProtocolVersion if the client asked for a newer minor version or if there are such
    options. It takes 3.1, which was never released, as it comes, with the short cancel keys of 3.0.
    """
    unknown = [name for name in startup.parameters if name.startswith(_PROTOCOL_OPTION)]
    return min(startup.minor, LATEST_MINOR), unknown


# Builders.


def ssl_request() -> bytes:
    return _two_words(8, SSL_REQUEST_CODE)


def gss_enc_request() -> bytes:
    return _two_words(8, GSS_ENC_REQUEST_CODE)


def cancel_request(process_id: int, secret: bytes) -> bytes:
    return _two_words(12 + len(secret), CANCEL_REQUEST_CODE) + _uint32(process_id) + secret


def startup_message(parameters: Mapping[str, str], *, minor: int = 0) -> bytes:
    """Make a StartupMessage; whatever is wrong with its parameters is our own bug or was checked before."""
    strings = [text.encode("utf-8", "surrogateescape") for pair in parameters.items() for text in pair]
    if any(b"\0" in string for string in strings) or not all(strings[::2]):
        raise LocalProtocolError("a startup parameter has no name or holds a NUL")
    body = b"".join([string + b"\0" for string in strings]) + b"\0"
    return _two_words(8 + len(body), MAJOR << 16 | minor) + body
