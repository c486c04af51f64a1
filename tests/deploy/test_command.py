"""A failure is one line and a status."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from deploy import command

ROOT = Path(__file__).parents[2]


def lines(capsys: pytest.CaptureFixture[str]) -> tuple[str, list[str]]:
    captured = capsys.readouterr()
    return captured.out, captured.err.splitlines()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--nonsense"],
        ["nonsense"],
        ["config"],
        ["config", "nonsense"],
        ["config", "create"],
        ["config", "create", "demo"],
        ["config", "create", "demo", "--session-state", "odd"],
        ["config", "update", "demo"],
        ["edge", "--insecure"],
        ["edge", "--pool", "h:1"],
        ["edge", "--pool", "h:1", "--insecure", "--link-ca", "x"],
        ["edge", "--pool", "nowhere", "--insecure"],
        ["edge", "--pool", "h:1", "--insecure", "--tls-cert", "x"],
        ["edge", "--pool", "h:1", "--link-ca", "x", "--link-cert", "y"],
        ["pool", "--insecure"],
        ["pool", "--listen", "127.0.0.1:0", "--insecure", "--admin-listen", "0.0.0.0:0"],
        ["pool", "--listen", "127.0.0.1:0", "--insecure", "--drain-timeout", "-1"],
        ["status", "--admin", "ftp://x"],
        ["status", "--admin", "http://example.net:6433"],
        ["cert", "--role", "king"],
    ],
)
def test_wrong_use_is_one_line_and_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(arguments) == 2
    out, errors = lines(capsys)
    assert out == ""
    assert len(errors) == 1, errors
    assert errors[0].startswith("onetrip: ")


def test_a_password_in_the_wrong_place_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(["config", "create", "demo", "postgres://user:hush@host/db"]) == 2
    assert "hush" not in capsys.readouterr().err


def test_help_and_version_succeed(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["-h"], ["--version"], ["config", "create", "--help"], ["dev", "-h"]):
        assert command.run(arguments) == 0
        out, errors = lines(capsys)
        assert out
        assert errors == []


def test_a_bug_is_one_line_without_its_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("hush")

    monkeypatch.setattr(command.onetrip, "main", broken)
    assert command.run(["status"]) == 1
    _, errors = lines(capsys)
    assert len(errors) == 1
    assert "KeyError" in errors[0]
    assert "hush" not in errors[0]


def test_an_interrupt_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise click.Abort

    monkeypatch.setattr(command.onetrip, "main", interrupted)
    assert command.run(["status"]) == 1
    assert lines(capsys)[1] == ["onetrip: interrupted"]


def test_it_runs_as_a_module_and_ends_quietly_when_nobody_reads() -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m deploy --help | true"], cwd=ROOT, capture_output=True, check=False
    )
    assert done.stderr == b""


def test_help_does_not_wait_for_grpc() -> None:
    code = "import sys, deploy.command; print([m for m in ('grpc', 'trio', 'psycopg', 'msgspec') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
