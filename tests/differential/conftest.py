"""Prints how many messages each row of the table of differences has excused."""

from typing import Final

import pytest

from tests.differential.differences import Excused

EXCUSED: Final = pytest.StashKey[Excused]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    excused = config.stash.get(EXCUSED, None)
    if excused is None:
        return
    terminalreporter.section("what differs from PostgreSQL")
    for line in excused.lines:
        terminalreporter.line(line)
