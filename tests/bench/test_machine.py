"""The head of each report."""

import pytest

from bench.machine import describe, libpq_version, tell_alone, text
from bench.workspace import open_workspace


def test_the_head_names_machine_programs_and_date() -> None:
    with open_workspace() as workspace:
        about = describe(workspace, None)
    shown = text(about)
    assert about["cores"] >= 1
    for word in ("cores", "libpq", "PgBouncer", "UTC", str(about["python"])):
        assert word in shown


def test_libpq_is_told_as_major_and_minor() -> None:
    major, _, rest = libpq_version().partition(".")
    assert int(major) >= 12
    assert rest


def test_a_report_on_one_process_names_no_server(capsys: pytest.CaptureFixture[str]) -> None:
    about = tell_alone()
    shown = capsys.readouterr().out
    assert f"Python {about['python']}" in shown
    assert "PostgreSQL" not in shown
