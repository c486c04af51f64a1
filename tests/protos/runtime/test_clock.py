"""The clock of leases: it only goes forward, and counts the machine's sleep where that can be told."""

import sys
import time

import pytest

from protos.runtime.clock import seconds


def test_it_goes_forward_and_is_never_behind() -> None:
    before = seconds()
    time.sleep(0.01)
    assert 0.009 < seconds() - before < 5.0
    assert seconds() >= time.monotonic() - 0.001


@pytest.mark.skipif(sys.platform != "linux", reason="what other systems count is their own matter")
def test_on_linux_it_counts_the_time_asleep() -> None:
    assert abs(seconds() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 1.0
