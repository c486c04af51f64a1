"""What children are started with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.children import Command, node_arguments, spawn, unprivileged_account


def output(command: Command) -> str:
    process = spawn(command, stdout=subprocess.PIPE)
    out, _ = process.communicate(timeout=20)
    return out.decode()


def test_a_child_leads_a_session_of_its_own_and_has_only_the_environment_given() -> None:
    out = output(Command(arguments=["sh", "-c", "echo $ONLY$HOME; ps -o sid= -p $$; echo $$"], env={"ONLY": "this"}))
    only, session, pid = out.split()
    assert only == "this"
    assert session == pid


def test_a_node_is_our_own_code_wherever_we_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    monkeypatch.chdir(tmp_path)
    out = output(Command(arguments=node_arguments("edge", "--help"), env=dict(os.environ)))
    assert "Run an edge node" in out


def test_arguments_hold_no_secret_by_construction() -> None:
    assert node_arguments("pool", "--listen", "h:1")[-3:] == ["pool", "--listen", "h:1"]
    assert node_arguments()[0] == sys.executable


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account")
def test_root_has_somebody_else_to_run_postgresql_as() -> None:
    account = unprivileged_account()
    assert account is not None
    assert account.uid != 0
    out = output(Command(arguments=["sh", "-c", "id -u; pwd"], env={"PATH": os.environ["PATH"]}, account=account))
    assert out.split() == [str(account.uid), "/"]


def test_others_stay_who_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert unprivileged_account() is None
