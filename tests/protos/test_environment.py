"""What gRPC is told by the environment, which it reads once, when it is imported."""

import os
import subprocess
import sys

import pytest

# Says what gRPC's C core finds when it begins.
READING = """
import os, sys

class Watch:
    def find_spec(self, name, path, target=None):
        if name == "grpc._cython.cygrpc":
            print(os.environ.get("GRPC_EXPERIMENTS"), file=sys.stderr)

sys.meta_path.insert(0, Watch())
import {module}
import grpc
grpc.insecure_channel("127.0.0.1:1").close()
"""


def said_by(module: str, **environment: str) -> str:
    # Not what importing Onetrip has set in this process.
    ours = {name: value for name, value in os.environ.items() if not name.startswith("GRPC_")}
    return subprocess.run(
        [sys.executable, "-c", READING.format(module=module)],
        env={**ours, **environment},
        stderr=subprocess.PIPE,
        text=True,
        check=True,
        timeout=30,
    ).stderr


@pytest.mark.parametrize("module", ["edge.dialling", "regional.node", "protos.runtime.link_stream"])
def test_grpc_hears_in_time_and_knows_the_experiments(module: str) -> None:
    said = said_by(module, GRPC_VERBOSITY="info")
    assert "-event_engine_client," in said
    assert "Unknown experiment" not in said


def test_what_an_operator_says_counts() -> None:
    assert said_by("edge.dialling", GRPC_EXPERIMENTS="event_engine_client").strip() == "event_engine_client"
