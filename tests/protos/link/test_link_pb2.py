"""The committed stub is what link.proto says, made by the version of the generator that the floors are set by."""

import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[3]
SOURCE: Final = "protos/link/link.proto"
STUBS: Final = ("protos/link/link_pb2.py", "protos/link/link_pb2.pyi")


@pytest.fixture(scope="module")
def regenerated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with stubs made now."""
    folder = tmp_path_factory.mktemp("stubs")
    generate = [sys.executable, "-m", "grpc_tools.protoc", "-I", ".", f"--python_out={folder}", f"--pyi_out={folder}"]
    subprocess.run([*generate, SOURCE], check=True, cwd=ROOT)
    return folder


@pytest.mark.parametrize("stub", STUBS)
def test_the_committed_stub_is_what_the_source_gives(regenerated: Path, stub: str) -> None:
    assert (ROOT / stub).read_bytes() == (regenerated / stub).read_bytes(), "run `make proto`"


def test_the_floors_of_the_project_are_those_of_the_stub() -> None:
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    major, minor, patch = _runtime_version((ROOT / STUBS[0]).read_text())
    assert f"protobuf>={major}.{minor}.{patch},<8" in dependencies
    assert f"grpcio>={version('grpcio-tools').removesuffix('.0')}" in dependencies


def _runtime_version(stub: str) -> tuple[str, str, str]:
    """What the stub asks of the protobuf that runs it: `# Protobuf Python Version: 6.31.1`."""
    line = next(line for line in stub.splitlines() if line.startswith("# Protobuf Python Version: "))
    major, minor, patch = line.rpartition(" ")[2].split(".")
    return major, minor, patch
