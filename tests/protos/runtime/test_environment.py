"""What gRPC is told by the environment, which it reads once."""

import os
import subprocess
import sys

READING = """
import protos.runtime
import grpc
grpc.insecure_channel("127.0.0.1:1").close()
"""


def test_grpc_knows_the_experiments_that_are_switched_off() -> None:
    # It would say "Unknown experiment" of another name, and go on with the way that costs more.
    said = subprocess.run(
        [sys.executable, "-c", READING],
        env={**os.environ, "GRPC_VERBOSITY": "info"},
        stderr=subprocess.PIPE,
        text=True,
        check=True,
        timeout=30,
    ).stderr
    assert "xperiment" not in said


def test_what_an_operator_says_counts() -> None:
    said = subprocess.run(
        [sys.executable, "-c", "import os, protos.runtime; print(os.environ['GRPC_EXPERIMENTS'])"],
        env={**os.environ, "GRPC_EXPERIMENTS": "event_engine_client"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=30,
    ).stdout
    assert said.strip() == "event_engine_client"
