"""The configuration `demo` keeps its connection string."""

from pathlib import Path
from typing import Any

import pytest

from deploy.admin_client import open_client
from deploy.demo import Demo, configure, create_database, query
from deploy.dev_directory import DevDirectory
from tests.deploy.fake_admin import FakeAdmin
from tests.support.cluster import Origin

ORIGIN = {"host": "h", "user": "u"}


def answer(version: int = 1, password: str = "pw") -> dict[str, Any]:
    string = f"postgres://ot_user:{password}@EDGE/demo"
    return {"configuration": {"credentials_version": version}, "connection_string": string}


@pytest.fixture
def directory(tmp_path: Path) -> DevDirectory:
    return DevDirectory(tmp_path, is_kept=True)


def present(admin: FakeAdmin, version: int = 1) -> None:
    there = [{"name": "demo", "user": "ot_user", "credentials_version": version}]
    admin.answer("GET", "/v1/configurations", {"configurations": there, "broken": []})
    admin.answer("PATCH", "/v1/configurations/demo", {})


def absent(admin: FakeAdmin) -> None:
    admin.answer("GET", "/v1/configurations", {"configurations": [], "broken": []})
    admin.answer("POST", "/v1/configurations", answer(), 201)


def test_the_connection_string_is_the_same_at_the_next_start(admin: FakeAdmin, directory: DevDirectory) -> None:
    absent(admin)
    made = configure(open_client(admin.url), directory, ORIGIN)
    assert made == Demo("ot_user", "pw")
    assert made.at(("::1", 6432)) == "postgres://ot_user:pw@[::1]:6432/demo"
    present(admin)
    assert configure(open_client(admin.url), directory, ORIGIN | {"port": 2}) == made
    assert admin.asked[-1].body == {"origin": {"host": "h", "user": "u", "port": 2}}


@pytest.mark.parametrize("kept", [True, False])
def test_credentials_that_are_lost_or_rotated_are_made_anew(
    admin: FakeAdmin, directory: DevDirectory, *, kept: bool
) -> None:
    if kept:
        absent(admin)
        configure(open_client(admin.url), directory, ORIGIN)
    present(admin, version=2)
    admin.answer("POST", "/v1/configurations/demo/rotate", answer(3, "new"))
    assert configure(open_client(admin.url), directory, ORIGIN) == Demo("ot_user", "new")
    present(admin, version=3)
    assert configure(open_client(admin.url), directory, ORIGIN) == Demo("ot_user", "new")


def test_a_password_is_not_shown() -> None:
    assert "hush" not in repr(Demo("u", "hush"))


def test_a_query_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    failure = query("postgres://u:hush@127.0.0.1:1/demo")
    assert failure is not None
    assert "hush" not in failure


@pytest.mark.postgres
def test_the_database_is_made_once(origin: Origin) -> None:
    url = origin.url("postgres", database="postgres")
    create_database(url)
    create_database(url)
    with origin.connect("demo") as connection:
        assert connection.execute("select current_database()").fetchone() == ("demo",)
