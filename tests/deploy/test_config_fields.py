"""From options to the object that the admin API takes."""

import io
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from deploy import config_commands
from deploy.complaint import CommandError, WrongUseError
from deploy.config_fields import CACHING_SWITCHES, EARLY, SETTINGS, field_options, read_origin, request_body
from regional.configuration import Caching, Early, Settings


def body(*arguments: str) -> dict[str, Any]:
    """What `config update` would send for these options."""
    made: dict[str, Any] = {}

    @click.command()
    @field_options
    def probe(**given: Any) -> None:
        made.update(request_body(given))

    result = CliRunner().invoke(probe, arguments, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return made


def test_nothing_given_sends_nothing() -> None:
    assert body() == {}


def test_each_option_sets_its_field() -> None:
    assert body("--origin-connection-limit", "30", "--swr", "1.5", "--max-age", "9", "--no-caching") == {
        "origin_connection_limit": 30,
        "caching": {"max_age": 9.0, "stale_while_revalidate": 1.5, "disabled": True},
    }
    assert body("--no-early-begin", "--early-prepare") == {"early": {"begin": False, "prepare": True}}
    assert body("--caching", "--session-state", "pin") == {"caching": {"disabled": False}, "session_state": "pin"}
    assert body("--origin-total-limit", "0", "--no-check") == {"origin_total_limit": None, "check": False}


def test_each_option_of_the_cache_sets_its_field() -> None:
    assert body("--stale-if-unreachable", "600", "--cache-in-transactions", "--no-follow-writes") == {
        "caching": {"stale_if_unreachable": 600.0, "in_transactions": True, "follow_writes": False}
    }
    assert body("--no-cache-in-transactions", "--follow-writes", "--no-caching") == {
        "caching": {"in_transactions": False, "follow_writes": True, "disabled": True}
    }
    tables = ("public.prices=2.5", "a=b=0", "items=default")
    given = [word for table in tables for word in ("--table-max-age", table)]
    assert body(*given) == {"caching": {"tables": {"public.prices": 2.5, "a=b": 0.0, "items": None}}}


@pytest.mark.parametrize("value", ["x", "=5", "t=abc", "t=", "t=nan", "t=inf", "", " =1"])
def test_what_gives_no_table_an_age_is_wrong_use(value: str) -> None:
    with pytest.raises(click.BadParameter, match=r"TABLE=SECONDS|a number of seconds") as caught:
        body("--table-max-age", value)
    assert caught.value.exit_code == 2


def test_a_table_has_one_age() -> None:
    with pytest.raises(WrongUseError, match="names t twice"):
        body("--table-max-age", "t=1", "--table-max-age", "t=default")


@pytest.mark.parametrize("option", ["--stale-if-unreachable", "--max-age"])
@pytest.mark.parametrize("value", ["x", "", "1s"])
def test_what_is_no_number_is_wrong_use(option: str, value: str) -> None:
    with pytest.raises(click.BadParameter):
        body(option, value)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_what_is_no_number_of_seconds_is_wrong_use(value: str) -> None:
    with pytest.raises(WrongUseError, match="--query-timeout"):
        body("--query-timeout", value)


def test_every_setting_of_a_configuration_has_its_option() -> None:
    options = {field.path for field in SETTINGS} | {("early", name) for name in EARLY} | {("caching", "tables")}
    options |= {("caching", name) for name, _ in CACHING_SWITCHES.values()}
    names = set(Settings.__struct_fields__) - {"caching", "early"}
    fields: set[tuple[str, ...]] = {(name,) for name in names}
    fields |= {("caching", name) for name in Caching.__struct_fields__ if name != "disabled"}
    fields |= {("early", name) for name in Early.__struct_fields__}
    assert options == fields


def test_a_url_becomes_fields_and_other_options_lie_over_it() -> None:
    origin = body("--origin", "postgres://u:p%40ss@h:6000/d?connect_timeout=7", "--origin-host", "other")
    assert origin["connect_timeout_s"] == 7
    fields = origin["origin"]
    assert (fields["host"], fields["port"], fields["password"]) == ("other", 6000, "p@ss")
    assert "allow_plain_password" not in fields


def test_a_url_without_a_password_says_nothing_of_it() -> None:
    assert "password" not in body("--origin", "postgres://u@h/d")["origin"]


def test_an_origin_may_be_given_by_fields_alone() -> None:
    assert body("--origin-host", "h", "--origin-user", "u", "--origin-sslmode", "verify-full") == {
        "origin": {"host": "h", "user": "u", "sslmode": "verify-full"}
    }


def test_secrets_come_from_stdin_or_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_text("from file\nsecond line\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("postgres://u:hush@h/d\n"))
    origin, _ = read_origin("-", None)
    assert origin["password"] == "hush"
    origin, _ = read_origin("postgres://u@h/d", str(tmp_path / "password"))
    assert origin["password"] == "from file"
    monkeypatch.setattr(sys, "stdin", io.StringIO("from stdin\r\n"))
    assert read_origin(None, "-")[0] == {"password": "from stdin"}


def test_stdin_serves_one() -> None:
    with pytest.raises(WrongUseError):
        read_origin("-", "-")


def test_an_empty_secret_is_wrong_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    with pytest.raises(WrongUseError):
        read_origin("-", None)


def test_files_of_the_url_and_of_options_are_read_here(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("authority")
    (tmp_path / "key").write_text("key")
    made = body("--origin", f"postgres://u@h/d?sslrootcert={tmp_path / 'ca'}", "--origin-key", str(tmp_path / "key"))
    assert (made["origin"]["sslrootcert"], made["origin"]["sslkey"]) == ("authority", "key")
    with pytest.raises(CommandError):
        body("--origin-ca", str(tmp_path / "none"))


def test_a_wrong_url_is_wrong_use_and_not_quoted() -> None:
    with pytest.raises(WrongUseError) as caught:
        read_origin("postgres://u:hu@sh@h/d", None)
    assert "hu@sh" not in str(caught.value)


def test_create_and_update_take_the_same_fields() -> None:
    create = {param.name for param in config_commands.create.params}
    update = {param.name for param in config_commands.update.params}
    assert create - update == {"edge"}
    assert update <= create
