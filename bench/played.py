"""Playing a driver's scripts over a counted link: the script's process, its marks, and the counter between them.

Each script is played twice. The first time warms what there is on the way, and the relay holds nothing back; the second
time is counted. A script stops at each mark until the counter has been read (`driver_scripts/stage.py`), so no crossing
is booked under the wrong step.
"""

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import attrs

from bench.endpoint import Endpoint
from bench.workspace import HERE, UnavailableError

# One way. A burst must have left within both ways together, whatever else the machine does.
DELAY_S: Final = 0.01
# After connecting: what a pool node says behind an answer has arrived, whoever was faster.
SETTLE_S: Final = 3 * DELAY_S
PLAY_TIMEOUT_S: Final = 120.0
MARK: Final = re.compile(r"(\w+) (begin|connected|done|released|fails: .*)\n")
MAX_COMPLAINT: Final = 160


@attrs.frozen
class Count:
    """The crossings of one script: to connect, to work, and to give the connection back to its pool."""

    connect: int
    work: int
    release: int

    def text(self) -> str:
        """As the tables show it; what is given back for nothing is not mentioned."""
        return f"{self.connect} + {self.work}" + (f" + {self.release}" if self.release else "")


@attrs.frozen
class Failure:
    """A script that does not work this way."""

    why: str

    def text(self) -> str:
        return "fails"


Outcome = Count | Failure
Take = Callable[[float], int]
"""Reads the counter, and sets how long the relay holds things back from now on."""


class Counter:
    """A relay (`bench.turns`) in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]", port: int) -> None:
        self._process = process
        self.port = port

    def take(self, delay_s: float) -> int:
        """The crossings since the last time; everything is held back for so long from now on."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"delay_s": delay_s}) + "\n")
        self._process.stdin.flush()
        crossings: int = json.loads(self._process.stdout.readline())["crossings"]
        return crossings


@contextmanager
def open_counter(kind: str, host: str, port: int, *, trace: bool = False) -> Iterator[Counter]:
    """A relay to an address of this machine: `tcp` to PostgreSQL, `grpc` to a pool node."""
    argv = [sys.executable, "-m", "bench.turns", kind, host, str(port), *(["--trace"] if trace else [])]
    process = subprocess.Popen(
        HERE.command(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=HERE.variables()
    )
    try:
        assert process.stdout is not None
        yield Counter(process, json.loads(process.stdout.readline())["port"])
    finally:
        process.kill()
        process.communicate()


def url_of(endpoint: Endpoint) -> str:
    """The connection string that the scripts are given. Nothing here needs its quoting."""
    place = f"{endpoint.host}:{endpoint.port}/{endpoint.database}"
    return f"postgres://{endpoint.user}:{endpoint.password}@{place}?sslmode={endpoint.sslmode}"


def play(argv: Sequence[str], url: str, scripts: Sequence[str], take: Take) -> dict[str, Outcome]:
    """Play some scripts of a driver by one way; those that the driver has not are not in the outcome."""
    # Settings for a driver in our own environment are none of its defaults.
    kept = {name: value for name, value in HERE.variables().items() if not name.startswith("PG")}
    process = subprocess.Popen(
        HERE.command([*argv, *scripts, *scripts]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=kept | {"DATABASE_URL": url},
    )
    complaints: list[str] = []
    reader = threading.Thread(target=_drain, args=(process, complaints))
    reader.start()
    watchdog = threading.Timer(PLAY_TIMEOUT_S, process.kill)
    watchdog.start()
    try:
        outcomes = _listen(process, take)
        status = process.wait()
    finally:
        watchdog.cancel()
        process.kill()
        reader.join()
        process.communicate()
    if status and not any(isinstance(outcome, Failure) for outcome in outcomes.values()):
        raise UnavailableError(f"{argv[-1]}: status {status}: {'; '.join(complaints[-3:])}")
    return outcomes


def _drain(process: "subprocess.Popen[str]", complaints: list[str]) -> None:
    assert process.stderr is not None
    complaints += [line.strip() for line in process.stderr]


def _listen(process: "subprocess.Popen[str]", take: Take) -> dict[str, Outcome]:
    assert process.stdin is not None
    assert process.stdout is not None
    outcomes: dict[str, Outcome] = {}
    seen: set[str] = set()
    counted: list[int] = []
    for line in process.stdout:
        if (mark := MARK.fullmatch(line)) is None:
            continue  # pgbench says more than its script does
        script, step = mark.groups()
        if step == "begin":
            take(DELAY_S if script in seen else 0.0)
            seen.add(script)
            counted = []
        elif step.startswith("fails: "):
            take(0.0)
            outcomes[script] = Failure(step.removeprefix("fails: ")[:MAX_COMPLAINT])
        else:
            if step == "connected":
                time.sleep(SETTLE_S)
            counted.append(take(DELAY_S if step != "released" else 0.0))
            if step == "released":
                outcomes[script] = Count(*counted)
        process.stdin.write("\n")
        process.stdin.flush()
    return outcomes
