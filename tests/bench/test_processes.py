"""CPU and memory of process families."""

import os
import subprocess
import time

from bench.processes import CpuMeter, cpu_seconds, family, resident_bytes


def test_a_family_has_its_descendants() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 100 & wait"], process_group=0) as shell:
        try:
            deadline = time.monotonic() + 5
            while len(family(shell.pid)) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert shell.pid in family(os.getpid())
            assert len(family(shell.pid)) == 2
        finally:
            os.killpg(shell.pid, 9)


def test_memory_and_cpu_are_ours() -> None:
    assert resident_bytes(os.getpid()) > 1 << 20
    meter = CpuMeter([os.getpid()])
    while meter.seconds() < 0.02:
        sum(range(10_000))
    assert 0 < meter.share() < 64
    assert cpu_seconds(os.getpid()) >= meter.seconds()


def test_a_process_that_has_gone_costs_nothing() -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    assert cpu_seconds(gone.pid) == 0
    assert resident_bytes(gone.pid) == 0
