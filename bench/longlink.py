"""A long link on one machine: two network namespaces, a TUN device in each, and the forwarder between them.

`open_link` lays it and removes it. What runs in the namespaces uses ordinary TCP, so handshakes, slow start, windows
and queues behave as they do over an ocean. It needs root and /dev/net/tun, but no netem. TCP's congestion control
decides how full the queue at the bottleneck gets: it is printed with the figures and may be chosen where the kernel
lets us.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs

from bench.workspace import Place, UnavailableError, Workspace, answer_of, say, stop

# Of the namespaces alone: nothing outside sees them.
EDGE_ADDRESS: Final = "10.99.0.1"
ORIGIN_ADDRESS: Final = "10.99.0.2"
DEVICE: Final = "onetrip0"
# The forwarder reads at once, so this only has to hold what arrives while it is not scheduled.
DEVICE_QUEUE_PACKETS: Final = 10_000
BULK_S: Final = 6.0
CONGESTION_KEY: Final = "net.ipv4.tcp_congestion_control"


@attrs.frozen(kw_only=True)
class LinkShape:
    """What link to be."""

    round_trip_ms: float = 80.0
    bandwidth_mbit_s: float = 100.0
    queue_round_trips: float = 1.0
    """Depth of the FIFO at the bottleneck, in round trips of the full bandwidth."""

    mtu: int = 1500
    congestion: str | None = None
    """TCP's congestion control in both namespaces; None keeps what the machine uses."""

    @property
    def rate_bytes_per_s(self) -> float:
        return self.bandwidth_mbit_s * 1e6 / 8

    @property
    def depth_bytes(self) -> int:
        return max(round(self.queue_round_trips * self.rate_bytes_per_s * self.round_trip_ms / 1000), 4 * self.mtu)


class LongLink:
    """The two ends by name, and what the forwarder says."""

    def __init__(self, workspace: Workspace, shape: LinkShape, forwarder: "subprocess.Popen[str]") -> None:
        self.shape = shape
        self.edge_namespace = workspace.namespace("edge")
        self.origin_namespace = workspace.namespace("origin")
        self._workspace = workspace
        self._forwarder = forwarder
        self.priority = ""
        self.congestion = ""
        self.measured: dict[str, float] = {}

    @property
    def round_trip_ms(self) -> float:
        """The measured round trip: what one crossing costs."""
        return self.measured["round_trip_ms"]

    def counters(self) -> dict[str, float]:
        """The forwarder's own counters since its start."""
        assert self._forwarder.stdin is not None
        self._forwarder.stdin.write("\n")
        self._forwarder.stdin.flush()
        counters: dict[str, float] = json.loads(answer_of(self._workspace, "forwarder", self._forwarder))
        return counters

    @property
    def pid(self) -> int:
        """The forwarder's process."""
        return self._forwarder.pid

    def measure(self, bulk_s: float) -> None:
        """Measure round trip and bandwidth with programs of our own at both ends."""
        far = self._workspace.spawn(
            "probe",
            [sys.executable, "-m", "bench.probe", "serve", "--host", ORIGIN_ADDRESS],
            Place(namespace=self.origin_namespace),
        )
        ports = json.loads(answer_of(self._workspace, "probe", far))
        before = self.counters()
        argv = [sys.executable, "-m", "bench.probe", "measure", "--host", ORIGIN_ADDRESS, "--bulk-s", str(bulk_s)]
        argv += ["--udp-port", str(ports["udp"]), "--tcp-port", str(ports["tcp"])]
        self.measured = json.loads(self._workspace.run(argv, Place(namespace=self.edge_namespace)))
        stop(far)
        after = self.counters()
        self.measured["forwarder_cpu_share_at_bulk"] = (after["cpu_s"] - before["cpu_s"]) / bulk_s
        self.measured["dropped_at_bulk"] = after["dropped"] - before["dropped"]


def refuse_without_means() -> None:
    """Say what a long link lacks here, if anything."""
    if os.geteuid() != 0:
        reason = "a long link needs root (network namespaces)"
    elif not Path("/dev/net/tun").exists():
        reason = "a long link needs /dev/net/tun"
    elif missing := [program for program in ("ip", "nsenter", "setpriv", "sysctl") if shutil.which(program) is None]:
        reason = f"a long link needs {', '.join(missing)} (packages iproute2, util-linux, procps)"
    else:
        return
    raise UnavailableError(reason)


@contextmanager
def open_link(workspace: Workspace, shape: LinkShape, bulk_s: float = BULK_S) -> Iterator[LongLink]:
    """Lay the link, measure it (its bandwidth for some seconds), and take it away at the end."""
    refuse_without_means()
    say(f"laying a link of {shape.round_trip_ms:g} ms and {shape.bandwidth_mbit_s:g} Mbit/s")
    names = (workspace.namespace("edge"), workspace.namespace("origin"))
    for name in names:
        workspace.run(["ip", "netns", "add", name])
        workspace.run(["ip", "-n", name, "link", "set", "lo", "up"])
        if shape.congestion is not None:
            workspace.run(["sysctl", "-q", "-w", f"{CONGESTION_KEY}={shape.congestion}"], Place(namespace=name))
    argv = [sys.executable, "-m", "bench.forwarder", "--namespaces", *names, "--device", DEVICE]
    argv += ["--delay-s", repr(shape.round_trip_ms / 2000), "--rate-bytes-per-s", repr(shape.rate_bytes_per_s)]
    argv += ["--depth-bytes", str(shape.depth_bytes)]
    forwarder = workspace.spawn("forwarder", argv)
    link = LongLink(workspace, shape, forwarder)
    try:
        link.priority = json.loads(answer_of(workspace, "forwarder", forwarder))["priority"]
        for name, address in zip(names, (EDGE_ADDRESS, ORIGIN_ADDRESS), strict=True):
            _raise_device(workspace, name, address, shape.mtu)
        link.congestion = workspace.run(["sysctl", "-n", CONGESTION_KEY], Place(namespace=names[0])).strip()
        link.measure(bulk_s)
        yield link
    finally:
        stop(forwarder)


def _raise_device(workspace: Workspace, namespace: str, address: str, mtu: int) -> None:
    ip = ["ip", "-n", namespace]
    workspace.run([*ip, "address", "add", f"{address}/30", "dev", DEVICE])
    workspace.run([*ip, "link", "set", DEVICE, "mtu", str(mtu), "txqueuelen", str(DEVICE_QUEUE_PACKETS), "up"])
