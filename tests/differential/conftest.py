"""Prints how many messages each row of the table of differences has excused, in each mode."""

from typing import Final

import pytest

from tests.differential.differences import Excused

EXCUSED: Final = pytest.StashKey[dict[str, Excused]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for mode, excused in config.stash.get(EXCUSED, {}).items():
        terminalreporter.section(f"what differs from PostgreSQL: {mode}")
        for line in excused.lines:
            terminalreporter.line(line)
