"""Flag over variable over file over default."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from deploy.complaint import CommandError
from deploy.settings import Setting, config_option, read_file, setting, split_list


@click.group()
@config_option()
def root() -> None:
    pass


@root.command()
@setting("--max-age", type=click.INT, default=60)
@setting("--pool", "pools", multiple=True)
@setting("--caching/--no-caching", default=None)
@setting("--name")
@config_option()
def one(*, max_age: int, pools: tuple[str, ...], caching: bool | None, name: str | None) -> None:
    click.echo(f"{max_age} {','.join(pools)} {caching} {name}")


@root.group()
def group() -> None:
    pass


@group.command()
@setting("--admin", default="here")
@setting("--limit", type=click.INT)
@config_option()
def inner(admin: str, limit: int | None) -> None:
    click.echo(f"{admin} {limit}")


@group.command()
@setting("--admin", default="here")
def other(admin: str) -> None:
    click.echo(admin)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "onetrip.toml"


def call(*arguments: str, **variables: str) -> Result:
    return CliRunner(env=dict(variables)).invoke(root, arguments, prog_name="onetrip")


def said(*arguments: str, **variables: str) -> str:
    result = call(*arguments, **variables)
    assert result.exit_code == 0, result.output
    return result.output.strip()


def test_flag_wins_over_variable_over_file_over_default(file: Path) -> None:
    file.write_text("[one]\nmax-age = 2\n")
    assert said("one") == "60  None None"
    assert said("one", "--config", str(file)) == "2  None None"
    assert said("one", "--config", str(file), ONETRIP_ONE_MAX_AGE="3") == "3  None None"
    assert said("one", "--config", str(file), "--max-age", "4", ONETRIP_ONE_MAX_AGE="3") == "4  None None"


def test_the_file_may_be_named_before_the_command_or_by_variable(file: Path) -> None:
    file.write_text("[one]\nname = 'x'\n")
    assert said("--config", str(file), "one") == "60  None x"
    assert said("one", ONETRIP_CONFIG=str(file)) == "60  None x"
    assert said("one", ONETRIP_ONE_CONFIG=str(file)) == "60  None x"


def test_a_list_is_repeated_flags_commas_or_an_array(file: Path) -> None:
    assert said("one", "--pool", "a:1", "--pool", "b:2") == "60 a:1,b:2 None None"
    assert said("one", ONETRIP_ONE_POOL="a:1, b:2,") == "60 a:1,b:2 None None"
    for value in ('["a:1", "b:2"]', '"a:1,b:2"'):
        file.write_text(f"[one]\npool = {value}\n")
        assert said("one", "--config", str(file)) == "60 a:1,b:2 None None"


def test_a_switch_is_true_or_false_everywhere(file: Path) -> None:
    file.write_text("[one]\ncaching = false\n")
    assert said("one", "--config", str(file)) == "60  False None"
    assert said("one", "--config", str(file), ONETRIP_ONE_CACHING="yes") == "60  True None"
    assert said("one", "--no-caching", ONETRIP_ONE_CACHING="1") == "60  False None"


def test_a_group_shares_settings_and_its_commands_override_them(file: Path) -> None:
    file.write_text("[group]\nadmin = 'shared'\nlimit = 5\n[group.inner]\nlimit = 6\n")
    assert said("group", "inner", "--config", str(file)) == "shared 6"
    assert said("--config", str(file), "group", "other") == "shared"
    assert said("group", "inner", ONETRIP_GROUP_ADMIN="all") == "all None"
    assert said("group", "inner", ONETRIP_GROUP_ADMIN="all", ONETRIP_GROUP_INNER_ADMIN="one") == "one None"


def test_an_empty_variable_is_no_value() -> None:
    assert said("one", ONETRIP_ONE_MAX_AGE="") == "60  None None"


@pytest.mark.parametrize(
    "text",
    [
        "[one]\nmax-agee = 1",
        "[two]\nx = 1",
        "one = 1",
        "[one]\nconfig = 'other.toml'",
        "[one]\nmax-age = '1'",
        "[one]\nmax-age = true",
        "[one]\nmax-age = 1\nmax_age = 2",
        "[one]\ncaching = 1",
        "[one]\npool = [1]",
        "[one]\nname = 5",
        "[group]\nunknown = 5",
        "[group.inner]\nunknown = 5",
        "[group]\ninner = 5",
        "not toml",
    ],
)
def test_what_the_file_should_not_hold_is_refused(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(CommandError, match=str(file)):
        read_file(str(file), root)


def test_a_value_of_the_file_is_never_quoted(file: Path) -> None:
    file.write_text("[one]\nmax-age = 'secret'\n")
    with pytest.raises(CommandError) as caught:
        read_file(str(file), root)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_not_there_is_an_error() -> None:
    assert call("one", "--config", "/nonexistent/file").exit_code == 1


def test_parts_of_a_list_lose_their_blanks() -> None:
    assert split_list(" a ,,b ") == ["a", "b"]


def test_every_option_of_the_real_command_is_a_setting() -> None:
    from deploy.command import onetrip

    commands = [*onetrip.commands.values()]
    while commands:
        command = commands.pop()
        if isinstance(command, click.Group):
            commands += command.commands.values()
        for param in command.params:
            assert isinstance(param, Setting | click.Argument), f"{command.name} {param.name}"
