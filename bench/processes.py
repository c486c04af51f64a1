"""CPU time and memory of processes that we started, with their descendants, read from /proc."""

import os
import time
from pathlib import Path
from typing import Final

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def family(pid: int) -> list[int]:
    """A process and its descendants that live now."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))) is not None:
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for member in found:  # grows while we walk it
        found.extend(children.get(member, []))
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its descendants, the ended ones included once they were waited for."""
    total = 0
    for member in family(pid):
        fields = _stat(member)
        if fields is not None:
            total += sum(int(field) for field in fields[11:15])
    return total / TICKS_PER_S


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and its descendants; pages that they share count for each."""
    total = 0
    for member in family(pid):
        try:
            total += int(Path(f"/proc/{member}/statm").read_text().split()[1]) * PAGE_BYTES
        except OSError:
            continue  # it ended meanwhile
    return total


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on: parent is 1, the four times are 11 to 14."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()


class CpuMeter:
    """CPU time of some processes since the meter was made."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids
        self._begun = time.monotonic()
        self._before = self._total()

    def seconds(self) -> float:
        """CPU seconds used so far."""
        return self._total() - self._before

    def share(self) -> float:
        """The part of one core used so far."""
        return self.seconds() / (time.monotonic() - self._begun)

    def _total(self) -> float:
        return sum(cpu_seconds(pid) for pid in self._pids)
