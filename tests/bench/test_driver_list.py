"""Which drivers there are, and what each says is missing."""

import shutil

import pytest

from bench import driver_list
from bench.driver_list import BY_NAME, DRIVERS
from bench.driver_scripts.__main__ import CLASSES
from bench.driver_scripts.by_programs import PROGRAMS
from bench.workspace import UnavailableError


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(DRIVERS)


def test_every_script_in_python_is_some_driver_s() -> None:
    assert {*CLASSES, *PROGRAMS} <= set(BY_NAME)


@pytest.mark.parametrize("name", ["psql", "pgbench-simple", "node-postgres", "postgres.js", "pgjdbc", "pgx"])
def test_a_missing_runtime_is_named_with_its_package(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(UnavailableError, match=r"is not installed \(package "):
        BY_NAME[name].argv()


@pytest.mark.parametrize("name", ["psycopg", "django", "sqlalchemy-asyncpg"])
def test_a_missing_python_package_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_list, "find_spec", lambda _: None)
    with pytest.raises(UnavailableError, match="make environment"):
        BY_NAME[name].argv()


def test_a_command_line_ends_with_the_driver() -> None:
    assert BY_NAME["psycopg2"].argv()[1:] == ["-m", "bench.driver_scripts", "psycopg2"]
