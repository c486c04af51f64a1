"""The commands: each explains itself, refuses nonsense, and skips where it lacks what it needs."""

import os

import pytest
from click.testing import CliRunner

from bench.__main__ import main


@pytest.mark.parametrize(
    "command", [[], ["wan"], ["cache"], ["local"], ["stream"], ["idle"], ["storm"], ["lease"], ["size"], ["drivers"]]
)
def test_every_command_explains_itself(command: list[str]) -> None:
    result = CliRunner().invoke(main, [*command, "--help"])
    assert result.exit_code == 0
    assert command == [] or "--json" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["local", "--clients", "many"],
        ["local", "--clients", "0"],
        ["local", "--rounds", "0"],
        ["wan", "--mtu", "3"],
        ["cache", "--clients", "many"],
        ["size", "--sizes", "4"],
        ["size", "--sizes", "few"],
        ["drivers", "--driver", "oracle"],
        ["drivers", "--script", "nonsense"],
    ],
)
def test_wrong_use_is_status_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(main, arguments).exit_code == 2


@pytest.mark.parametrize("command", ["wan", "stream", "storm"])
def test_without_root_a_long_link_is_skipped_by_name(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    result = CliRunner().invoke(main, [command])
    assert result.exit_code == 0
    assert result.output.startswith("skipped: a long link needs root")
