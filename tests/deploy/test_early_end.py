"""A signal before anybody listens."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.early_end import ends_in_order

ROOT = Path(__file__).parents[2]
EARLY = """
import os, signal
from deploy.early_end import ends_at_once
with ends_at_once():
    os.kill(os.getpid(), signal.SIGHUP)
    print("alive", flush=True)
    os.kill(os.getpid(), signal.{name})
    print("not reached", flush=True)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_node_that_is_not_yet_one_ends_with_status_0(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EARLY.format(name=name)], check=False, capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "alive\n", "")


def test_blocks_are_left_and_handlers_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught, ends_in_order():
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.code == 0
    assert signal.getsignal(signal.SIGTERM) is before
