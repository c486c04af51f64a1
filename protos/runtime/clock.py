"""Seconds for what must be over in time also where the machine has slept meanwhile: leases, and the age of answers.

`time.monotonic` stands still while Linux is suspended. An edge that sleeps for an hour would wake with a lease that is
not over, and with answers that are an hour older than it thinks. Other limits are better off without the sleep.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Final

#: Since some moment in the past, the machine's sleep included where that can be told.
seconds: Final[Callable[[], float]] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic
)
