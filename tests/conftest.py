"""How the tests run: trio tests under trio, Hypothesis repeatably in CI, and no skip that goes unnoticed.

A test that is a coroutine function runs under trio; with the `autojump_clock` fixture its sleeps take no time. Tests
that need a real PostgreSQL or real nodes take the fixtures of `tests/support`, named in `pytest_plugins` below.

A test that lacks a runtime (node, say) skips with `missing(...)`, which the summary lists by name. Under CI nothing may
be missing: there a skip fails the run.
"""

import inspect
import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings
from trio.testing import MockClock, trio_test

pytest_plugins = ["tests.support.cluster", "tests.support.onetrip"]

IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}

# A shared machine is slow at random: time is no verdict. CI must say the same about the same commit.
settings.register_profile("dev", deadline=None)
settings.register_profile(
    "ci", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci" if IN_CI else "dev")


@pytest.fixture
def autojump_clock() -> MockClock:
    """A clock that jumps to the next deadline as soon as every task waits."""
    return MockClock(autojump_threshold=0)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Run a coroutine function under trio."""
    if inspect.iscoroutinefunction(pyfuncitem.obj):
        pyfuncitem.obj = trio_test(pyfuncitem.obj)


def _skipped(reporter: pytest.TerminalReporter) -> Counter[str]:
    """How many tests each reason skipped."""
    reports: list[pytest.TestReport | pytest.CollectReport] = reporter.stats.get("skipped", [])
    return Counter(_reason(report) for report in reports)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    match report.longrepr:
        case (_, _, str(text)):
            return text.removeprefix("Skipped: ")
        case other:
            return str(other)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Under CI a skip is a failure: its machine has every runtime."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if IN_CI and exitstatus == pytest.ExitCode.OK and reporter is not None and _skipped(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was missing, above the closing line."""
    skipped = _skipped(terminalreporter)
    if not skipped:
        return
    terminalreporter.section("skipped: failing the run, since CI lacks nothing" if IN_CI else "skipped")
    for reason, count in sorted(skipped.items()):
        terminalreporter.line(f"{count} tests: {reason}")
