"""The process that is the long link: it owns a TUN device in each of two namespaces and carries packets between them.

It runs as `python -m bench.forwarder`, told by arguments what link to be. Standard input is its leash: a line asks for
the counters (one line of JSON on standard output), end-of-file ends it; the devices exist only as long as it does, so
nothing is left behind however it ends. `select` is the wait on purpose: `epoll` of the standard library rounds its time
limit up to a whole millisecond, which an 0.2 ms link would feel.

Nearly all the cost of a packet is being woken for it (about 40 µs on a virtual machine, against 7 µs for the packet).
So after work the process rests for a moment, a small part of the round trip, and then carries all that has gathered: a
lone packet on an idle link is still carried at once, a busy link pays up to that moment more.
"""

import argparse
import ctypes
import fcntl
import json
import os
import select
import struct
import sys
import time
from typing import Final

from bench.delayline import NS_PER_S, DelayLine

# From <linux/if_tun.h> and <sched.h>.
TUNSETIFF: Final = 0x400454CA
IFF_TUN: Final = 0x0001
IFF_NO_PI: Final = 0x1000
CLONE_NEWNET: Final = 0x40000000
PR_SET_TIMERSLACK: Final = 29

# Packets read from one device before the other gets its turn.
BATCH_PACKETS: Final = 64
MAX_PACKET_BYTES: Final = 65536
# The rest after work: this part of the one-way delay, and never more than the bound.
REST_PART: Final = 1 / 80
MAX_REST_S: Final = 0.0005
# An idle wait, bounded so that a lost wake-up could not stop the link for good.
IDLE_WAIT_S: Final = 1.0


def enter_namespace(name: str) -> None:
    """Move this thread into a network namespace made by `ip netns add`."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), name)
    finally:
        os.close(descriptor)


def open_tun(namespace: str, device: str) -> int:
    """A TUN device made in a namespace; the descriptor stays with it wherever this process moves."""
    enter_namespace(namespace)
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
    return descriptor


def be_punctual() -> str:
    """Ask the scheduler to run us when a packet is due even while others are busy; say what it granted."""
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        try:
            os.nice(-10)
        except OSError:
            return "ordinary"
        return "nice -10"
    return "round robin (real time)"


class Forwarder:
    """Both directions, and the counters."""

    def __init__(self, devices: tuple[int, int], lines: tuple[DelayLine, DelayLine], rest_s: float) -> None:
        self._rest_s = rest_s
        self._ways = ((devices[0], devices[1], lines[0]), (devices[1], devices[0], lines[1]))
        self._devices = devices
        self._lines = lines
        self.lost_at_device = 0
        self.latest_ns = 0

    def run(self, leash: int) -> None:
        """Carry packets until the leash, a descriptor, ends."""
        watched = [*self._devices, leash]
        while True:
            ready, _, _ = select.select(watched, (), (), self._wait_s())
            for source, _, line in self._ways:
                if source in ready:
                    self._take(source, line)
            for _, target, line in self._ways:
                self._give(target, line)
            if leash in ready:
                if not os.read(leash, 4096):
                    return
                print(json.dumps(self.counters()), flush=True)
            time.sleep(self._rest_s)

    def counters(self) -> dict[str, float]:
        """What has passed since the start."""
        return {
            "packets": sum(line.packets_in for line in self._lines),
            "bytes": sum(line.bytes_in for line in self._lines),
            "dropped": sum(line.dropped for line in self._lines),
            "lost_at_device": self.lost_at_device,
            "latest_ms": self.latest_ns / 1e6,
            "cpu_s": time.process_time(),
        }

    def _wait_s(self) -> float:
        times = [at for line in self._lines if (at := line.next_due) is not None]
        if not times:
            return IDLE_WAIT_S
        return max(0.0, (min(times) - time.monotonic_ns()) / NS_PER_S)

    def _take(self, source: int, line: DelayLine) -> None:
        read, offer = os.read, line.offer
        now = time.monotonic_ns()
        try:
            for _ in range(BATCH_PACKETS):
                offer(read(source, MAX_PACKET_BYTES), now)
        except BlockingIOError:
            return

    def _give(self, target: int, line: DelayLine) -> None:
        now = time.monotonic_ns()
        due_at = line.next_due
        if due_at is None or due_at > now:
            return
        self.latest_ns = max(self.latest_ns, now - due_at)
        write = os.write
        for packet in line.due(now):
            try:
                write(target, packet)
            except OSError:  # the device is down or full: a link may lose packets
                self.lost_at_device += 1


def main() -> None:
    """Make the devices, say so, and carry packets."""
    parser = argparse.ArgumentParser(prog="python -m bench.forwarder", description=__doc__)
    parser.add_argument("--namespaces", nargs=2, required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--delay-s", type=float, required=True, help="one way")
    parser.add_argument("--rate-bytes-per-s", type=float, required=True)
    parser.add_argument("--depth-bytes", type=int, required=True)
    arguments = parser.parse_args()
    devices = (
        open_tun(arguments.namespaces[0], arguments.device),
        open_tun(arguments.namespaces[1], arguments.device),
    )
    shape = (arguments.delay_s, arguments.rate_bytes_per_s, arguments.depth_bytes)
    print(json.dumps({"priority": be_punctual()}), flush=True)
    rest_s = min(arguments.delay_s * REST_PART, MAX_REST_S)
    Forwarder(devices, (DelayLine(*shape), DelayLine(*shape)), rest_s).run(sys.stdin.fileno())


if __name__ == "__main__":
    main()
