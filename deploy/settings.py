"""Where a setting's value comes from: flag over variable over file over default.

Theory of operation: every option is a `Setting`. click asks it for a flag, then for a variable, then looks into its
`default_map`, then takes the default. A `Setting` answers for the variables: `onetrip config create --max-age` is
ONETRIP_CONFIG_CREATE_MAX_AGE, or for all of `config` at once ONETRIP_CONFIG_MAX_AGE. The TOML file (one table a
command, `[pool]`, `[config.create]`; keys in `[config]` itself hold for all of its commands) becomes the `default_map`,
after every key has been matched with an option: an unknown key is refused, since a misspelt limit is a limit that is
not there. A list is given by repeating the flag, with commas in a variable, as an array or with commas in the file.
"""

import os
import tomllib
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import click

from deploy.complaint import CommandError, WrongUseError
from deploy.sizes import Size

PREFIX: Final = "ONETRIP"
# Options of the command line itself: they cannot be set from the file.
_NOT_IN_FILES: Final = frozenset({"config", "help", "version"})

_Function = TypeVar("_Function", bound=Callable[..., object])


class Setting(click.Option):
    """An option that is also a variable and a key of the configuration file."""

    @property
    def flag(self) -> str:
        """The option's name as it is typed, without the dashes in front."""
        return next(opt.removeprefix("--") for opt in self.opts if opt.startswith("--"))

    def variables(self, ctx: click.Context) -> list[str]:
        """The variables that set this option, the most particular first."""
        path = command_path(ctx)
        scopes = [path[:length] for length in range(len(path), 0, -1)] or [[]]
        return ["_".join([PREFIX, *scope, self.flag]).upper().replace("-", "_") for scope in scopes]

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        return next((value for name in self.variables(ctx) if (value := os.environ.get(name))), None)

    def value_from_envvar(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        if not self.multiple:
            return super().value_from_envvar(ctx)
        value = self.resolve_envvar_value(ctx)
        return None if value is None else split_list(value)


def setting(*declarations: str, **attributes: Any) -> Callable[[_Function], _Function]:  # noqa: ANN401 - click's own keywords
    """Declare one option of a command."""
    return click.option(*declarations, cls=Setting, **attributes)


def config_option() -> Callable[[_Function], _Function]:
    """Declare `--config FILE`, read before any other option of the command is looked up."""
    return setting(
        "--config",
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=_load_into,
        help="TOML file with one table a command; flags and variables win over it.",
    )


def command_path(ctx: click.Context) -> list[str]:
    """The names of the commands from below `onetrip` to this context."""
    names: list[str] = []
    at: click.Context | None = ctx
    while at is not None and at.parent is not None:
        names.append(at.info_name or "")
        at = at.parent
    return names[::-1]


def split_list(text: str) -> list[str]:
    """A list written with commas; blanks around its parts and empty parts are dropped."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _load_into(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    root = ctx.find_root().command
    assert isinstance(root, click.Group)
    tables: Any = read_file(value, root)
    for name in command_path(ctx):
        tables = tables.get(name, {})
    ctx.default_map = tables


def read_file(path: str, root: click.Group) -> dict[str, Any]:
    """The values of a TOML file by command and option name, every key known and of the right kind."""
    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}", "give --config a file that exists") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} is not TOML: {error}") from None
    tables = {}
    for name, table in document.items():
        command = root.commands.get(name)
        if command is None or not isinstance(table, dict):
            raise WrongUseError(f"{path}: unknown table [{name}]", f"the tables are {_listed(root.commands)}")
        tables[name] = _values_of(command, table, f"{path}: [{name}]")
    return tables


def _values_of(command: click.Command, table: Mapping[str, object], where: str) -> dict[str, Any]:
    """One command's table; for a group, what is shared is handed down to its commands."""
    if not isinstance(command, click.Group):
        options = _options_of(command)
        return {
            options[key].name or "": _checked(options, key, value, where) for key, value in _keys(table, options, where)
        }
    own = {name: value for name, value in table.items() if name in command.commands}
    shared = {name: value for name, value in table.items() if name not in command.commands}
    every = {key: option for each in command.commands.values() for key, option in _options_of(each).items()}
    for key, value in _keys(shared, every, where):
        _checked(every, key, value, where)
    values = {}
    for name, each in command.commands.items():
        inner = own.get(name, {})
        if not isinstance(inner, dict):
            raise WrongUseError(f"{where} {name} must be a table")
        inherited = {key: value for key, value in shared.items() if key.replace("_", "-") in _options_of(each)}
        particular = _values_of(each, inner, f"{where[:-1]}.{name}]")
        values[name] = _values_of(each, inherited, where) | particular
    return values


def _options_of(command: click.Command) -> dict[str, click.Option]:
    """A command's options by their names as flags, without dashes in front."""
    options: dict[str, click.Option] = {}
    for param in command.params:
        if isinstance(param, Setting) and param.flag not in _NOT_IN_FILES:
            options[param.flag] = param
    return options


def _keys(table: Mapping[str, object], options: Mapping[str, click.Option], where: str) -> list[tuple[str, object]]:
    """The table, its keys as flags have them (`max_age` is taken for `max-age`), none unknown, none there twice."""
    found: dict[str, object] = {}
    for written, value in table.items():
        key = written.replace("_", "-")
        if key not in options:
            raise WrongUseError(f"{where} unknown key {written!r}", f"the keys are {_listed(options)}")
        if key in found:
            raise WrongUseError(f"{where} {written} is there twice")
        found[key] = value
    return list(found.items())


def _checked(options: Mapping[str, click.Option], key: str, value: object, where: str) -> Any:  # noqa: ANN401 - what click converts
    """The value as click should convert it; refused when it is of another kind than the option."""
    option = options[key]
    if option.multiple:
        values = split_list(value) if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
            raise WrongUseError(f"{where} {key} must be an array of texts")
        return values
    if option.is_flag:
        wanted: tuple[type, ...] = (bool,)
    elif isinstance(option.type, click.types.IntParamType):
        wanted = (int,)
    elif isinstance(option.type, click.types.FloatParamType):
        wanted = (int, float)
    elif isinstance(option.type, Size):
        wanted = (str, int)
    else:
        wanted = (str,)
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        kind = {bool: "true or false", int: "a number", str: "a text"}[wanted[0]]
        raise WrongUseError(f"{where} {key} must be {kind}")
    return value


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(sorted(names))
