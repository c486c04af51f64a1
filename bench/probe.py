"""Small programs that measure the link itself: `serve` at the far end, `measure` at the near one.

The round trip is the median of UDP echoes, the bandwidth is the goodput of one TCP flow once slow start is over. Every
crossing of the tables is milliseconds divided by this round trip.
"""

import argparse
import contextlib
import json
import socket
import statistics
import sys
import threading
import time
from typing import Final

ECHOES: Final = 40
ECHO_GAP_S: Final = 0.02
ECHO_BYTES: Final = 64
ECHO_TIMEOUT_S: Final = 5.0
CHUNK: Final = bytes(65536)


def serve(host: str) -> None:
    """Echo datagrams and swallow streams on free ports until standard input ends."""
    echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    echo.bind((host, 0))
    sink = socket.create_server((host, 0))
    threading.Thread(target=_echo, args=(echo,), daemon=True).start()
    threading.Thread(target=_swallow, args=(sink,), daemon=True).start()
    print(json.dumps({"udp": echo.getsockname()[1], "tcp": sink.getsockname()[1]}), flush=True)
    sys.stdin.read()


def _echo(server: socket.socket) -> None:
    while True:
        data, peer = server.recvfrom(65536)
        server.sendto(data, peer)


def _swallow(server: socket.socket) -> None:
    """Count what arrives; tell the sender at its end how fast the last third of the time was.

    Slow start's overshoot leaves a hole in the stream, and what waited behind it arrives as one burst: not before that.
    """
    while True:
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(json.dumps(_rate_of(connection)).encode())


def _rate_of(connection: socket.socket) -> dict[str, float]:
    marks: list[tuple[float, int]] = [(time.monotonic(), 0)]
    total = 0
    while data := connection.recv(1 << 18):
        total += len(data)
        marks.append((time.monotonic(), total))
    end = marks[-1][0]
    first = next(mark for mark in marks if mark[0] >= end - (end - marks[0][0]) / 3)
    return {"bytes_per_s": (total - first[1]) / max(end - first[0], 1e-9)}


def measure(host: str, udp_port: int, tcp_port: int, bulk_s: float) -> dict[str, float]:
    """Round trips in milliseconds and the goodput towards the host in Mbit/s."""
    trips = round_trips_ms(host, udp_port)
    begun = time.monotonic()
    socket.create_connection((host, tcp_port)).close()
    tcp_ms = (time.monotonic() - begun) * 1000
    figures = {
        "round_trip_ms": statistics.median(trips),
        "round_trip_min_ms": min(trips),
        "round_trip_max_ms": max(trips),
        "tcp_connect_ms": tcp_ms,
    }
    if bulk_s > 0:
        figures["bandwidth_mbit_s"] = bandwidth_mbit_s(host, tcp_port, bulk_s)
    return figures


def round_trips_ms(host: str, port: int) -> list[float]:
    """Echo some datagrams, one after the other."""
    trips = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(ECHO_TIMEOUT_S)
        client.connect((host, port))
        for _ in range(ECHOES):
            begun = time.monotonic()
            client.send(bytes(ECHO_BYTES))
            client.recv(65536)
            trips.append((time.monotonic() - begun) * 1000)
            time.sleep(ECHO_GAP_S)
    return trips


def bandwidth_mbit_s(host: str, port: int, bulk_s: float) -> float:
    """Send for a while as fast as TCP lets us; the far end says what came."""
    with socket.create_connection((host, port)) as client:
        end = time.monotonic() + bulk_s
        while time.monotonic() < end:
            client.sendall(CHUNK)
        client.shutdown(socket.SHUT_WR)
        answer: dict[str, float] = json.loads(client.recv(65536))
    return answer["bytes_per_s"] * 8 / 1e6


def main() -> None:
    """Be the far end or the near one."""
    parser = argparse.ArgumentParser(prog="python -m bench.probe", description=__doc__)
    parser.add_argument("role", choices=["serve", "measure"])
    parser.add_argument("--host", required=True)
    parser.add_argument("--udp-port", type=int, default=0)
    parser.add_argument("--tcp-port", type=int, default=0)
    parser.add_argument("--bulk-s", type=float, default=0.0)
    arguments = parser.parse_args()
    if arguments.role == "serve":
        serve(arguments.host)
        return
    print(json.dumps(measure(arguments.host, arguments.udp_port, arguments.tcp_port, arguments.bulk_s)))


if __name__ == "__main__":
    main()
