"""The release is said once in the code, and the distribution says the same."""

import tomllib
from pathlib import Path

from protos.release import RELEASE


def test_the_distribution_has_the_same_version() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["version"] == RELEASE
