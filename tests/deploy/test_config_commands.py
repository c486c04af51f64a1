"""`onetrip config …` against an endpoint that answers as it is told."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from deploy.command import run
from deploy.config_commands import _caching, _flat
from tests.deploy.fake_admin import CONFIGURATION, CONNECTION_STRING, FakeAdmin

ORIGIN = "postgres://me:hush@db/app"


def config(*arguments: str) -> int:
    return run(["config", *arguments])


def made(linked: int = 1, acknowledged: int = 1) -> dict[str, Any]:
    return {
        "configuration": CONFIGURATION,
        "linked": linked,
        "acknowledged": acknowledged,
        "user": "ot_user",
        "password": "pass-word",
        "connection_string": CONNECTION_STRING,
    }


def test_create_prints_the_connection_string_alone(admin: FakeAdmin, capsys: pytest.CaptureFixture[str]) -> None:
    admin.answer("POST", "/v1/configurations", made(), 201)
    options = ("--edge", "e:1", "--max-age", "5", "--no-check")
    assert config("create", "demo", "--origin", ORIGIN, *options) == 0
    captured = capsys.readouterr()
    assert captured.out == CONNECTION_STRING + "\n"
    assert captured.err == ""
    body = admin.asked[0].body
    assert (body["name"], body["edge"], body["check"]) == ("demo", "e:1", False)
    assert body["caching"] == {"max_age": 5.0}
    assert body["origin"]["password"] == "hush"


def test_the_origin_may_come_by_variable(admin: FakeAdmin, monkeypatch: pytest.MonkeyPatch) -> None:
    admin.answer("POST", "/v1/configurations", made(), 201)
    monkeypatch.setenv("ONETRIP_CONFIG_CREATE_ORIGIN", ORIGIN)
    assert config("create", "demo") == 0
    assert admin.asked[0].body["origin"]["host"] == "db"


@pytest.mark.parametrize(("linked", "acknowledged", "words"), [(2, 1, "1 of 2"), (0, 0, "no edge is linked")])
def test_edges_that_lack_it_are_a_warning(
    admin: FakeAdmin, capsys: pytest.CaptureFixture[str], linked: int, acknowledged: int, words: str
) -> None:
    admin.answer("POST", "/v1/configurations", made(linked, acknowledged), 201)
    assert config("create", "demo", "--origin", ORIGIN) == 0
    captured = capsys.readouterr()
    assert captured.out == CONNECTION_STRING + "\n"
    assert words in captured.err
    assert "pass-word" not in captured.err


def test_an_existing_name_is_status_1(admin: FakeAdmin, capsys: pytest.CaptureFixture[str]) -> None:
    admin.refuse("POST", "/v1/configurations", 409, "exists")
    assert config("create", "demo", "--origin", ORIGIN) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("onetrip: it is exists; ")


def test_rotate_prints_the_connection_string_alone(admin: FakeAdmin, capsys: pytest.CaptureFixture[str]) -> None:
    admin.answer("POST", "/v1/configurations/demo/rotate", made())
    assert config("rotate", "demo", "--edge", "[::1]:5") == 0
    assert capsys.readouterr().out == CONNECTION_STRING + "\n"
    assert admin.asked[0].body == {"edge": "[::1]:5"}


def test_update_sends_only_what_is_given(admin: FakeAdmin, capsys: pytest.CaptureFixture[str]) -> None:
    admin.answer("PATCH", "/v1/configurations/demo", {"configuration": CONFIGURATION, "linked": 1, "acknowledged": 1})
    assert config("update", "demo", "--origin-connection-limit", "30") == 0
    assert admin.asked[0].body == {"origin_connection_limit": 30}
    assert "origin_connection_limit" in capsys.readouterr().out


def test_list_is_a_table_that_names_damaged_ones_apart(admin: FakeAdmin, capsys: pytest.CaptureFixture[str]) -> None:
    broken = [{"name": "old", "what": "its seal is broken"}]
    admin.answer("GET", "/v1/configurations", {"configurations": [CONFIGURATION], "broken": broken})
    assert config("list") == 0
    captured = capsys.readouterr()
    heading, row = captured.out.splitlines()
    assert heading.split()[:2] == ["NAME", "ORIGIN"]
    assert row.split()[:2] == ["demo", "me@db:5432,[::1]:5433/app"]
    assert "60 s + 15 s, 3600 s unreachable, 2 tables, in transactions  " in row
    assert "old is damaged" in captured.err


def test_get_shows_fields_by_their_names(admin: FakeAdmin, capsys: pytest.CaptureFixture[str]) -> None:
    admin.answer("GET", "/v1/configurations/demo", CONFIGURATION)
    assert config("get", "demo") == 0
    lines = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert lines["caching.max_age"] == "60"
    assert lines["caching.disabled"] == "no"
    assert lines["caching.stale_if_unreachable"] == "3600"
    assert lines["caching.tables.public.prices"] == "2"
    assert lines["origin.sslcert"] == "-"
    assert lines["origin.sslrootcert"] == "(20 characters of PEM)"


def test_delete_and_restart_say_what_they_did(admin: FakeAdmin, capsys: pytest.CaptureFixture[str]) -> None:
    admin.answer("DELETE", "/v1/configurations/demo", {"name": "demo", "linked": 1, "acknowledged": 1})
    admin.answer("POST", "/v1/configurations/demo/restart", {"name": "demo"})
    assert config("delete", "demo") == 0
    assert config("restart", "demo") == 0
    assert capsys.readouterr().out == "deleted demo\nrestarted demo\n"


def test_no_table_of_its_own_is_said() -> None:
    caching = {"disabled": False, "max_age": 5.0, "stale_while_revalidate": 0.0, "tables": {}}
    assert dict(_flat({"caching": caching}))["caching.tables"] == "-"
    assert _caching(caching) == "5 s + 0 s"
    assert _caching(caching | {"tables": {"t": 1.0}, "follow_writes": True}) == "5 s + 0 s, 1 table, follows writes"
    assert _caching(caching | {"disabled": True, "tables": {"t": 1.0}}) == "off"


@pytest.mark.parametrize(
    ("arguments", "edges", "line"),
    [
        ((), 2, "purged all answers of demo at 2 edges"),
        (("--table", "s.t"), 1, "purged answers of demo that were read from s.t at 1 edge"),
    ],
)
def test_a_purge_says_what_it_did_and_where(
    admin: FakeAdmin, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], edges: int, line: str
) -> None:
    body = {"table": arguments[1]} if arguments else {}
    answer = {"name": "demo", "table": body.get("table"), "edges": edges}
    admin.answer("POST", "/v1/configurations/demo/purge", answer)
    assert config("purge", "demo", *arguments) == 0
    assert capsys.readouterr().out == line + "\n"
    assert admin.asked[0].body == body
    assert config("purge", "demo", *arguments, "--json") == 0
    assert json.loads(capsys.readouterr().out) == answer


@pytest.mark.parametrize(("code", "cure"), [("not_found", "config list"), ("no_table", "leave --table out")])
def test_what_cannot_be_purged_is_status_1(
    admin: FakeAdmin, capsys: pytest.CaptureFixture[str], code: str, cure: str
) -> None:
    admin.refuse("POST", "/v1/configurations/demo/purge", 404, code)
    assert config("purge", "demo", "--table", "t") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert cure in captured.err


def test_what_the_pool_node_finds_out_of_bounds_is_wrong_use(
    admin: FakeAdmin, capsys: pytest.CaptureFixture[str]
) -> None:
    admin.refuse("PATCH", "/v1/configurations/demo", 422, "invalid")
    assert config("update", "demo", "--table-max-age", "t=9999") == 2
    assert admin.asked[0].body == {"caching": {"tables": {"t": 9999.0}}}


def test_the_ages_of_tables_come_by_variable_and_file_as_well(
    admin: FakeAdmin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin.answer("PATCH", "/v1/configurations/demo", made())
    file = tmp_path / "onetrip.toml"
    file.write_text('[config.update]\ntable-max-age = ["a=1", "b=default"]\nfollow-writes = true\n')
    assert config("update", "demo", "--config", str(file)) == 0
    monkeypatch.setenv("ONETRIP_CONFIG_UPDATE_TABLE_MAX_AGE", "c=2,d=0")
    monkeypatch.setenv("ONETRIP_CONFIG_CACHE_IN_TRANSACTIONS", "yes")
    monkeypatch.setenv("ONETRIP_CONFIG_STALE_IF_UNREACHABLE", "9")
    assert config("update", "demo") == 0
    assert [asked.body["caching"] for asked in admin.asked] == [
        {"tables": {"a": 1.0, "b": None}, "follow_writes": True},
        {"tables": {"c": 2.0, "d": 0.0}, "in_transactions": True, "stale_if_unreachable": 9.0},
    ]


BROKEN: Final = {"name": "old", "what": "why"}
# What is called, what the endpoint is asked, what it answers, what is printed.
JSON_CASES: Final[dict[str, tuple[tuple[str, ...], str, Any, Any]]] = {
    "create": (("demo", "--origin", ORIGIN), "POST ", made(), made()),
    "rotate": (("demo",), "POST /demo/rotate", made(), made()),
    "get": (("demo",), "GET /demo", CONFIGURATION, CONFIGURATION),
    "update": (("demo", "--max-age", "1"), "PATCH /demo", made(), CONFIGURATION),
    "restart": (("demo",), "POST /demo/restart", {"name": "demo"}, {"name": "demo"}),
    "purge": (("demo",), "POST /demo/purge", {"name": "demo"}, {"name": "demo"}),
    "delete": (("demo",), "DELETE /demo", made(), made()),
    "list": (
        (),
        "GET ",
        {"configurations": [CONFIGURATION], "broken": [BROKEN]},
        [CONFIGURATION, {"name": "old", "broken": "why"}],
    ),
}


@pytest.mark.parametrize("verb", JSON_CASES)
def test_json_is_one_object_or_array(admin: FakeAdmin, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    arguments, request, answer, printed = JSON_CASES[verb]
    method, _, path = request.partition(" ")
    admin.answer(method, f"/v1/configurations{path}", answer)
    assert config(verb, *arguments, "--json") == 0
    assert json.loads(capsys.readouterr().out) == printed


def test_an_unknown_name_is_status_1(admin: FakeAdmin, capsys: pytest.CaptureFixture[str]) -> None:
    assert config("get", "other") == 1
    assert "config list" in capsys.readouterr().err
    assert admin.asked[0].path == "/v1/configurations/other"
