"""Failed logins, limited for each address: guessing gets slow, and a client with the right password still gets in.

A bucket of BURST failures for each address fills again at one a REFILL_S. While it is empty, each new connection from
there is let in only after DELAY_S, and no more than MAX_DELAYED at a time: so many guesses a second, however many
connections are opened. Refusing the address outright would let one misconfigured application lock out its neighbours.

Cancel requests need no login. One that names a session of this edge always passes; any other may be for another edge of
the PoP, or a guess, so an address has a bucket for these too, and what is over it is dropped (rules 16).
"""

from typing import Final

BURST: Final = 20
REFILL_S: Final = 1.0
DELAY_S: Final = 1.0
MAX_DELAYED: Final = 20
CANCEL_BURST: Final = 50
CANCEL_REFILL_S: Final = 0.1
MAX_ADDRESSES: Final = 10_000  # remembered; those that failed longest ago are forgotten first


class Buckets:
    """One bucket of burst tokens for each address, which gets another one every refill_s."""

    def __init__(self, burst: int, refill_s: float) -> None:
        self._burst = float(burst)
        self._refill_s = refill_s
        self._buckets: dict[str, tuple[float, float]] = {}  # tokens left, and when that was so; oldest first

    def __contains__(self, address: str) -> bool:
        return address in self._buckets

    def left(self, address: str, now: float) -> float:
        tokens, at = self._buckets.get(address, (self._burst, now))
        return min(self._burst, tokens + (now - at) / self._refill_s)

    def take(self, address: str, now: float) -> bool:
        """Take a token; False if there was none."""
        left = self.left(address, now)
        self._buckets.pop(address, None)
        self._buckets[address] = (max(0.0, left - 1.0), now)
        if len(self._buckets) > MAX_ADDRESSES:
            del self._buckets[next(iter(self._buckets))]
        return left >= 1.0


class Throttle:
    """Of one edge."""

    def __init__(self) -> None:
        self._failures = Buckets(BURST, REFILL_S)
        self._cancels = Buckets(CANCEL_BURST, CANCEL_REFILL_S)
        self._delayed: dict[str, int] = {}

    def failed(self, address: str, now: float) -> None:
        """A login from this address has failed."""
        self._failures.take(address, now)

    def may_cancel(self, address: str, now: float) -> bool:
        """Whether a cancel request that names no session of this edge goes on to the pool nodes."""
        return self._cancels.take(address, now)

    def delay(self, address: str, now: float) -> float | None:
        """How long a new connection from this address has to wait; None if it is not to be let in at all.

        After a delay other than 0, `let_in` has to be called.
        """
        if address not in self._failures or self._failures.left(address, now) >= 1.0:
            return 0.0
        delayed = self._delayed.get(address, 0)
        if delayed >= MAX_DELAYED:
            return None
        self._delayed[address] = delayed + 1
        return DELAY_S

    def let_in(self, address: str) -> None:
        """The delay of a connection is over."""
        delayed = self._delayed.pop(address, 0) - 1
        if delayed > 0:
            self._delayed[address] = delayed
