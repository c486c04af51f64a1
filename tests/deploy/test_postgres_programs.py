"""Which PostgreSQL is taken, and that it can be run."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy import postgres_programs
from deploy.children import Account, unprivileged_account
from deploy.complaint import CommandError
from deploy.postgres_programs import Programs, find_programs, readable_by

Make = Callable[[str, int], Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes an installation that says which version it is."""

    def install(name: str, major: int) -> Path:
        root = tmp_path / name
        for part in ("bin", "lib", "share"):
            (root / part).mkdir(parents=True)
        for program in ("initdb", "postgres"):
            file = root / "bin" / program
            file.write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {major}.3 (Debian)'\n")
            file.chmod(0o755)
        return root / "bin"

    return install


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Stands for what the machine has."""
    found: list[Path] = []
    monkeypatch.setattr(postgres_programs, "_candidates", lambda: iter(found))
    return found


def test_what_the_operator_names_comes_first(make: Make, installed: list[Path]) -> None:
    installed.append(make("installed", 17))
    named = make("named", 15)
    assert find_programs(environ={"ONETRIP_PG_BIN": str(named)}) == Programs(named, 15)
    assert find_programs(environ={}).major == 17


def test_data_of_one_version_get_its_programs(make: Make, installed: list[Path]) -> None:
    installed += [make("new", 17), make("old", 15)]
    assert find_programs(major=15, environ={}).major == 15
    with pytest.raises(CommandError, match="PostgreSQL 14's and only 17, 15"):
        find_programs(major=14, environ={})


def test_what_does_not_run_is_passed_over(tmp_path: Path, make: Make, installed: list[Path]) -> None:
    broken = make("broken", 17)
    (broken / "postgres").write_text("no program")
    installed += [tmp_path / "missing", broken, make("good", 16)]
    assert find_programs(environ={}).major == 16


def test_none_at_all_is_said_with_its_cure(tmp_path: Path, installed: list[Path]) -> None:
    assert installed == []
    with pytest.raises(CommandError, match="no PostgreSQL was found; install"):
        find_programs(environ={})
    with pytest.raises(CommandError, match="ONETRIP_PG_BIN"):
        find_programs(environ={"ONETRIP_PG_BIN": str(tmp_path)})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another")
def test_programs_below_a_private_directory_are_copied_once(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = Path("/var/tmp") / f"onetrip-test-{os.getpid()}"
    monkeypatch.setattr(postgres_programs, "SHARED_CACHE", shared)
    tmp_path.chmod(0o700)
    private = Programs(make("private", 17), 17)
    account = unprivileged_account()
    try:
        copy = readable_by(private, account)
        assert copy.directory.is_relative_to(shared)
        assert (copy.directory / "postgres").read_bytes() == (private.directory / "postgres").read_bytes()
        assert {path.name for path in copy.directory.parent.iterdir()} == {"bin", "lib", "share"}
        before = copy.directory.stat().st_ctime_ns
        assert readable_by(private, account) == copy
        assert copy.directory.stat().st_ctime_ns == before
    finally:
        shutil.rmtree(shared)


def test_who_we_are_can_read_what_we_have(make: Make) -> None:
    programs = Programs(make("own", 17), 17)
    assert readable_by(programs, None) is programs


def test_programs_that_all_may_read_stay_where_they_are() -> None:
    programs = Programs(Path("/bin"), 17)
    assert readable_by(programs, Account("nobody", 65534, 65534)) is programs


def test_the_machines_own_are_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for version in ("9.6", "15", "17"):
        (tmp_path / version).mkdir()
    monkeypatch.setattr(postgres_programs, "INSTALLED", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    found = list(postgres_programs._candidates())
    assert found[:2] == [tmp_path / "17" / "bin", tmp_path / "15" / "bin"]
