"""A trial of two sizes: does a pool get as much done with the smaller one?

Windows of time come in pairs, one at each size, high first in one pair and low first in the next, so that a load that
grows or ebbs meanwhile weighs on both sides alike. What counts is the part of the throughput that the smaller size
gets, as a logarithm, for that adds up. A trial goes on until the mean of its pairs is farther from what is asked than
they leave doubt, or for MAX_PAIRS of them. One that is clearly worse needs no second pair.
"""

import math
from typing import Final

import attrs

AS_GOOD: Final = math.log(0.95)  # of the throughput, in all
CLEARLY_WORSE: Final = math.log(0.65)
LEAST_SPREAD: Final = 0.05
MAX_PAIRS: Final = 8


@attrs.define
class Trial:
    """Two sizes that are compared, and what was measured: the part of the throughput that the smaller one gets."""

    low: int
    high: int
    is_up: bool
    measures_high: bool
    given_up: float = 0.0
    """What earlier trials down have cost, as a logarithm."""
    windows: int = 0
    first: float = 0.0
    """Of the two windows that are compared next, the throughput in the first."""
    logarithms: list[float] = attrs.field(factory=list)

    def add(self, leases: int, seconds: float) -> None:
        rate = max(leases, 0.5) / seconds
        self.windows += 1
        if self.windows % 2:
            self.first = rate
            self.measures_high = not self.measures_high
        else:  # the next two begin with the size that these ended with
            low, high = (self.first, rate) if self.measures_high else (rate, self.first)
            self.logarithms.append(math.log(low / high))

    @property
    def mean(self) -> float:
        return sum(self.logarithms) / len(self.logarithms)

    @property
    def is_low_enough(self) -> bool | None:
        """Whether the smaller size does as well; None while it is not known."""
        number = len(self.logarithms)
        if not number:
            return None
        mean = self.mean
        if number == 1:
            return False if mean < CLEARLY_WORSE else None
        spread = math.sqrt(sum((one - mean) ** 2 for one in self.logarithms) / (number - 1))
        doubt = max(spread, LEAST_SPREAD) / math.sqrt(number)
        distance = mean + self.given_up - AS_GOOD
        if abs(distance) < doubt and number < MAX_PAIRS:
            return None
        return distance >= 0
