"""One transport, a TCP or Unix connection to a client or an origin, plain or inside TLS, driven by the pump.

Theory of operation: the pump calls `ready`; what was read goes, decrypted, to `receiver.received`. `write` sends at
once as much as the kernel takes and keeps the rest; `pending_bytes` is what is kept, and the receiver learns from
`drained` that it went out. What is long comes in slices (`write_slices`), of which one at a time is copied, encrypted
and sent. Nothing here waits. Backpressure is the receiver's business: it pauses reading, and it does not write what
nobody has given it credit for.

States: open, then finishing (no more reading; what is pending goes out, then the connection closes), then closed.
`receiver.ended` is called once, unless the receiver itself closed or finished the connection.
"""

import socket
import ssl
import time
from collections import deque
from collections.abc import Iterable
from typing import Final, Protocol

from protos.runtime.pump import READ, WRITE, Pump
from protos.runtime.tls import TlsLayer

FINISH_S: Final = 60.0  # for a peer to take something of what was pending when its connection was finished
LINGER_S: Final = 1.0
_READ_BYTES: Final = 1 << 16  # one read a turn and socket: a fast sender takes turns with the others


class Receiver(Protocol):
    """The owner of a connection."""

    def received(self, data: bytes) -> None:
        """Bytes of the peer, in order."""

    def secured(self) -> None:
        """The TLS handshake is done."""

    def drained(self) -> None:
        """pending_bytes went down."""

    def ended(self, why: str) -> None:
        """The peer is gone, or broke TLS. The connection is closed already."""


class Connection:
    """A connection in the pump. The socket must be non-blocking; it belongs to this object."""

    __slots__ = (
        "_behind", "_events", "_fd", "_finishing", "_is_parked", "_lingers", "_outgoing", "_pump", "_socket",
        "behind_bytes", "blocked_at", "is_closed", "pending_bytes", "receiver", "tls",
    )  # fmt: skip

    def __init__(self, pump: Pump, sock: socket.socket, receiver: Receiver) -> None:
        self._pump = pump
        self._socket = sock
        self._fd = sock.fileno()
        self._events = READ
        self._outgoing: bytearray | None = None
        self._behind: deque[bytes] = deque()  # as it was given, not encrypted; it goes out when that has
        self._finishing = False
        self._lingers = False
        self._is_parked = False
        self.receiver = receiver
        self.tls: TlsLayer | None = None
        self.pending_bytes = 0
        """Bytes that the kernel has not taken yet; of ciphertext, inside TLS, but for those behind."""
        self.behind_bytes = 0
        """Of these, those that are kept as they were given: slices, and what was written after them."""
        self.blocked_at = 0.0
        """Since when (monotonic) the peer has taken nothing of what is pending; 0.0 while nothing is."""
        self.is_closed = False
        pump.watch(self._fd, self, READ)

    def write(self, data: bytes) -> None:
        """Send data, or keep what the kernel does not take. After the end it is dropped."""
        if self.is_closed or self._finishing:
            return
        if self._behind:
            self._put_behind((data,))
            return
        if self.tls is not None:
            data = self.tls.encrypt(data)
        self._write_raw(data)

    def write_slices(self, slices: Iterable[bytes]) -> None:
        """Send these one after another, as fast as the peer takes them. They are not copied before their turn."""
        if self.is_closed or self._finishing:
            return
        self._put_behind(slices)
        if self._outgoing is None:
            self._send_behind()

    def _put_behind(self, slices: Iterable[bytes]) -> None:
        for data in slices:
            self._behind.append(data)
            self.behind_bytes += len(data)
            self.pending_bytes += len(data)

    def start_tls(
        self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None = None, hello: bytes = b""
    ) -> None:
        """Go on inside TLS. hello is what of the peer's handshake has been read already."""
        self.tls = TlsLayer(context, server_side=server_side, server_hostname=server_hostname)
        if not server_side:
            self.tls.start()
            self._write_raw(self.tls.take_outgoing())
        if hello:
            self._received(hello)

    def pause(self) -> None:
        """Stop reading: the peer's bytes stay in the kernel and the peer will be slowed down."""
        self._watch(self._events & ~READ)

    def resume(self) -> None:
        if not self._finishing:
            self._watch(self._events | READ)

    @property
    def is_paused(self) -> bool:
        return not self._events & READ

    def finish(self, *, linger: bool = False) -> None:
        """Close as soon as what is pending has gone out. The receiver hears nothing more.

        With linger, which is for a last word that the peer should read, the peer's bytes are thrown away until it
        closes too, for at most LINGER_S: closing with unread bytes would reset the connection and lose that word.
        """
        if self.is_closed or self._finishing:
            return
        self._finishing = True
        self._lingers = linger
        if not self._behind:
            self._say_goodbye()
        if self.pending_bytes:
            self._watch(WRITE)
            self._pump.later(FINISH_S, self._close_if_stuck)
        else:
            self._finish()

    def _say_goodbye(self) -> None:
        if self.tls is not None and self.tls.is_established:
            self._write_raw(self.tls.say_goodbye())

    def _close_if_stuck(self) -> None:
        """Close, unless the peer still takes what is pending."""
        left_s = self.blocked_at + FINISH_S - time.monotonic()
        if self.pending_bytes and left_s > 0:
            self._pump.later(left_s, self._close_if_stuck)
        else:
            self.close()

    def _finish(self) -> None:
        """All has gone out."""
        if not self._lingers:
            self.close()
            return
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()
            return
        self._watch(READ)
        self._pump.later(LINGER_S, self.close)

    def close(self) -> None:
        """Close now. The receiver hears nothing more."""
        if self.is_closed:
            return
        self.is_closed = True
        self._pump.forget(self._fd)
        self._socket.close()
        self._drop_output()

    # --- the pump's side ---

    def ready(self, events: int) -> None:
        if events & WRITE and self.pending_bytes:
            self._flush()
        if events & ~WRITE and not self.is_closed:
            if self._finishing:
                self._throw_away()
            elif not self._events & READ:
                # A hang-up is reported whatever we ask for, and there may be unread bytes before it: look away until
                # somebody reads again.
                self._pump.forget(self._fd)
                self._is_parked = True
            else:
                self._read()

    def _throw_away(self) -> None:
        try:
            is_over = not self._socket.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            is_over = True
        if is_over:
            self.close()

    def failed(self, error: Exception) -> None:
        self._end(f"internal error: {error!r}")

    def _read(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(error.strerror or str(error))
            return
        if not data:
            self._end("closed by the peer")
        elif self.tls is None:
            self.receiver.received(data)
        else:
            self._received(data)

    def _received(self, ciphertext: bytes) -> None:
        tls = self.tls
        assert tls is not None
        was_established = tls.is_established
        try:
            plaintext = tls.received(ciphertext)
        except ssl.SSLError as error:
            self._write_raw(tls.take_outgoing())  # the alert
            self._end(f"TLS: {error.reason or error}")
            return
        if outgoing := tls.take_outgoing():
            self._write_raw(outgoing)
        if tls.is_established and not was_established and not self.is_closed:
            self.receiver.secured()
        if plaintext and not self.is_closed and not self._finishing:
            self.receiver.received(plaintext)
        if tls.has_ended and not self.is_closed and not self._finishing:
            self._end("closed by the peer")

    def _write_raw(self, data: bytes) -> None:
        if self._outgoing is not None:
            self._outgoing += data
            self.pending_bytes += len(data)
            return
        try:
            sent = self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            # What the peer sent before it went may still be unread, so the end is noticed by reading.
            self._drop_output()
            return
        if sent < len(data):
            self._outgoing = bytearray(memoryview(data)[sent:])
            self.pending_bytes += len(self._outgoing)
            self.blocked_at = time.monotonic()
            self._watch(self._events | WRITE)

    def _send_behind(self) -> None:
        """Send the next slice; those behind it have the next turns, so that other connections have theirs."""
        if not self._behind:
            return
        data = self._behind.popleft()
        self.behind_bytes -= len(data)
        self.pending_bytes -= len(data)
        self._write_raw(data if self.tls is None else self.tls.encrypt(data))
        if self._behind:
            self.blocked_at = time.monotonic()
            self._watch(self._events | WRITE)
        elif self._finishing:
            self._say_goodbye()

    def _flush(self) -> None:
        if self._outgoing is not None:
            try:
                sent = self._socket.send(self._outgoing)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self._give_up_output()
                return
            del self._outgoing[:sent]
            self.pending_bytes -= sent
            if not self._outgoing:
                self._outgoing = None
        if self._outgoing is None:
            self._send_behind()
        self.blocked_at = time.monotonic()
        if not self.pending_bytes:
            self.blocked_at = 0.0
            if self._finishing:
                self._finish()
                return
            self._watch(self._events & ~WRITE)
        if not self._finishing:
            self.receiver.drained()

    def _give_up_output(self) -> None:
        """The peer takes no more; what it has said last may still be unread, so the end is noticed by reading."""
        self._drop_output()
        if self._finishing:
            self.close()
        else:
            self._watch(self._events & ~WRITE)
            self.receiver.drained()

    def _drop_output(self) -> None:
        self._outgoing = None
        self._behind.clear()
        self.pending_bytes = self.behind_bytes = 0
        self.blocked_at = 0.0

    def _watch(self, events: int) -> None:
        if events == self._events or self.is_closed:
            return
        self._events = events
        if not self._is_parked:
            self._pump.change(self._fd, events)
        elif events & READ:
            self._is_parked = False
            self._pump.watch(self._fd, self, events)

    def _end(self, why: str) -> None:
        if self.is_closed:
            return
        told = self._finishing
        self.close()
        if not told:
            self.receiver.ended(why)
