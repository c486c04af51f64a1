"""The forwarder between two sockets that stand for the TUN devices."""

import os
import socket
import threading
import time
from typing import Final

from bench.delayline import DelayLine
from bench.forwarder import Forwarder

DELAY_S: Final = 0.05


def test_a_packet_is_carried_both_ways_after_the_delay_until_the_leash_ends() -> None:
    near, device_near = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    far, device_far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    leash_end, leash = os.pipe()
    with near, device_near, far, device_far:
        for device in (device_near, device_far):
            device.settimeout(0)
        lines = (DelayLine(DELAY_S, 1e9, 10**6), DelayLine(DELAY_S, 1e9, 10**6))
        forwarder = Forwarder((device_near.fileno(), device_far.fileno()), lines, rest_s=0.0001)
        carrying = threading.Thread(target=forwarder.run, args=(leash_end,))
        carrying.start()
        try:
            begun = time.monotonic()
            near.send(b"out")
            assert far.recv(100) == b"out"
            far.send(b"back")
            assert near.recv(100) == b"back"
            assert time.monotonic() - begun >= 2 * DELAY_S
        finally:
            os.close(leash)
            carrying.join()
            os.close(leash_end)
    counters = forwarder.counters()
    assert (counters["packets"], counters["bytes"], counters["dropped"]) == (2, 7, 0)
