"""Failed logins, limited for each address: guessing gets slow, and a client with the right password still gets in.

A bucket of BURST failures for each address fills again at one a REFILL_S. While it is empty, each new connection from
there is let in only after DELAY_S, and no more than MAX_DELAYED at a time: so many guesses a second, however many
connections are opened. Refusing the address outright would let one misconfigured application lock out its neighbours.
"""

from typing import Final

BURST: Final = 20
REFILL_S: Final = 1.0
DELAY_S: Final = 1.0
MAX_DELAYED: Final = 20
MAX_ADDRESSES: Final = 10_000  # remembered; those that failed longest ago are forgotten first


class Throttle:
    """Of one edge."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, float]] = {}  # failures left, and when that was so; oldest first
        self._delayed: dict[str, int] = {}

    def failed(self, address: str, now: float) -> None:
        """A login from this address has failed."""
        left = self._left(address, now)
        self._buckets.pop(address, None)
        self._buckets[address] = (max(0.0, left - 1.0), now)
        if len(self._buckets) > MAX_ADDRESSES:
            del self._buckets[next(iter(self._buckets))]

    def delay(self, address: str, now: float) -> float | None:
        """How long a new connection from this address has to wait; None if it is not to be let in at all.

        After a delay other than 0, `let_in` has to be called.
        """
        if address not in self._buckets or self._left(address, now) >= 1.0:
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

    def _left(self, address: str, now: float) -> float:
        left, at = self._buckets.get(address, (float(BURST), now))
        return min(float(BURST), left + (now - at) / REFILL_S)
