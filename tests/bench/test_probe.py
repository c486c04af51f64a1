"""The link's own measure, on loopback."""

import json
import subprocess
import sys

from bench.probe import measure


def test_round_trips_and_bandwidth_are_measured() -> None:
    argv = [sys.executable, "-m", "bench.probe", "serve", "--host", "127.0.0.1"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as far:
        assert far.stdout is not None
        ports = json.loads(far.stdout.readline())
        figures = measure("127.0.0.1", ports["udp"], ports["tcp"], bulk_s=0.2)
        far.communicate()
    assert 0 < figures["round_trip_min_ms"] <= figures["round_trip_ms"] <= figures["round_trip_max_ms"]
    assert figures["bandwidth_mbit_s"] > 1
    assert figures["tcp_connect_ms"] > 0
