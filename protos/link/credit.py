"""Credit of one channel: how many bytes its sender may still send, and when the receiver grants more.

Theory of operation: the receiver opens with a window of credit, and every byte spends some of it. Bytes that the
receiver has handed on are owed back and granted again in batches of half a window, so that credit costs one frame per
half window and a reader that takes nothing stops its sender after one window. At any time

    credit outstanding + bytes received but not handed on + bytes handed on but not granted again = window,

and since the last part stays under half a window, a reader that has taken everything leaves its sender credit: no
deadlock.

The window starts small and doubles while it is what holds the transfer up: a whole window was handed on within about
two round trips (credit comes back in halves, so a window under twice rate x round trip cannot keep the rate), and the
reader was never much behind. A slow reader fails the first of these, one that pauses and then takes all at once the
second, and both keep a small window, however much is sent to them. Growth is taken from a Budget that all channels of
the process share; a window that is no longer used gives its growth back by not granting what it owes, for credit once
granted cannot be recalled.
"""

from typing import Final

from protos.errors import LocalProtocolError, RemoteProtocolError

INITIAL_WINDOW_BYTES: Final = 256 << 10  # an ordinary answer fits, and ten thousand channels promise 2.5 GiB at worst
MAX_WINDOW_BYTES: Final = 8 << 20  # a single channel fills 100 Mbit/s at 600 ms, or 800 Mbit/s at 80 ms
MAX_CREDIT_BYTES: Final = (1 << 31) - 1  # more than any window: a peer that grants it is broken (as in HTTP/2)
BUSY_S: Final = 0.005  # a busy process answers no faster than this, however short the link
GROW_ROUND_TRIPS: Final = 2.5  # two, and something for batches and turns
STALE_S: Final = 10.0  # a grown window that takes longer than this to be used once is not needed


class SendCredit:
    """The sender's end."""

    __slots__ = ("available",)

    def __init__(self, initial: int = INITIAL_WINDOW_BYTES) -> None:
        self.available = initial

    def spend(self, n: int) -> None:
        if not 0 <= n <= self.available:
            raise LocalProtocolError(f"{n} bytes to send on a credit of {self.available}")
        self.available -= n

    def grant(self, n: int) -> None:
        if n <= 0 or self.available + n > MAX_CREDIT_BYTES:
            raise RemoteProtocolError(f"a grant of {n} bytes on top of {self.available}")
        self.available += n


class Budget:
    """What the windows of one process may grow by, all together."""

    __slots__ = ("available",)

    def __init__(self, size: int) -> None:
        self.available = size

    def take(self, n: int) -> bool:
        """All of n or nothing."""
        if n > self.available:
            return False
        self.available -= n
        return True

    def give_back(self, n: int) -> None:
        self.available += n


class ReceiveWindow:
    """The receiver's end."""

    __slots__ = (
        "_budget",
        "_buffered",
        "_cycle_bytes",
        "_cycle_started",
        "_initial",
        "_is_closed",
        "_maximum",
        "_most_buffered",
        "_outstanding",
        "_owed",
        "_withheld",
        "window_bytes",
    )

    def __init__(
        self, initial: int = INITIAL_WINDOW_BYTES, maximum: int = MAX_WINDOW_BYTES, *, budget: Budget | None = None
    ) -> None:
        """Without a budget the window never grows."""
        self.window_bytes = initial
        self._initial = initial
        self._maximum = maximum
        self._budget = budget or Budget(0)
        self._is_closed = False
        self._outstanding = initial  # granted and not yet received
        self._buffered = 0  # received and not yet handed on
        self._owed = 0  # handed on and not yet granted again
        self._withheld = 0  # to be handed on without being granted again: the window is shrinking by this
        # One cycle is one window's worth of bytes handed on.
        self._cycle_started: float | None = None
        self._cycle_bytes = 0
        self._most_buffered = 0

    def received(self, n: int) -> None:
        if n > self._outstanding:
            raise RemoteProtocolError(f"{n} bytes received on a credit of {self._outstanding}")
        self._outstanding -= n
        self._buffered += n
        if self._buffered > self._most_buffered:  # noqa: PLR1730 (max() costs twice as much, once for each frame)
            self._most_buffered = self._buffered

    def consumed(self, n: int, now: float, round_trip_s: float) -> int:
        """Note that n received bytes were handed on; the credit to grant now, or 0.

        round_trip_s is the link's, 0.0 while it is unknown. After `close` nothing is granted any more.
        """
        if self._is_closed:
            return 0
        if n > self._buffered:
            raise LocalProtocolError(f"{n} bytes handed on of {self._buffered} received")
        self._buffered -= n
        self._owed += n
        if self._withheld:
            self._withhold()
        self._adapt(n, now, round_trip_s)
        if self._owed < self.window_bytes // 2:
            return 0
        granted, self._owed = self._owed, 0
        self._outstanding += granted
        return granted

    def close(self) -> None:
        """Give the growth back to the budget; may be called again."""
        if not self._is_closed:
            self._is_closed = True
            self._budget.give_back(self.window_bytes + self._withheld - self._initial)

    def thrown_away(self) -> int:
        """After `close`: nobody hands anything on any more. The credit to grant now, or 0.

        What the sender has still to say must not wait for ever: its own Close stands behind it.
        """
        granted = self._initial - self._outstanding
        if granted < self._initial // 2:
            return 0
        self._outstanding += granted
        return granted

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def _adapt(self, n: int, now: float, round_trip_s: float) -> None:
        """Once a cycle, or when the cycle has become stale, see whether the window has the right size."""
        if self._cycle_started is None:
            self._start_cycle(now)
            return
        self._cycle_bytes += n
        elapsed_s = now - self._cycle_started
        if elapsed_s > STALE_S:
            self._shrink()
        elif self._cycle_bytes < self.window_bytes:
            return
        elif (
            elapsed_s <= GROW_ROUND_TRIPS * max(round_trip_s, BUSY_S) and self._most_buffered <= self.window_bytes // 2
        ):
            self._grow()
        self._start_cycle(now)

    def _start_cycle(self, now: float) -> None:
        self._cycle_started = now
        self._cycle_bytes = 0
        self._most_buffered = self._buffered

    def _grow(self) -> None:
        growth = min(self.window_bytes, self._maximum - self.window_bytes)
        if growth > 0 and not self._withheld and self._budget.take(growth):
            self.window_bytes += growth
            self._owed += growth  # and so goes out with the next grant

    def _shrink(self) -> None:
        self._withheld += self.window_bytes - self._initial
        self.window_bytes = self._initial
        self._withhold()

    def _withhold(self) -> None:
        paid = min(self._owed, self._withheld)
        self._owed -= paid
        self._withheld -= paid
        self._budget.give_back(paid)
