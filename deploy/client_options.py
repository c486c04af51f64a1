"""The options that every client of the admin endpoint takes, and how its answers are printed."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import click

from deploy.admin_client import DEFAULT_ADMIN, TOKEN_VARIABLE, AdminClient, open_client
from deploy.settings import config_option, setting

_Function = TypeVar("_Function", bound=Callable[..., object])

_FIGURE: Final = re.compile(r"[0-9.]+( ?(%|[A-Za-z]+[0-9]*[a-z]*))?")


def client_options(function: _Function) -> _Function:
    """--admin, --token-file, --admin-ca, --json, --config. They stay in the context: see `client` and `wants_json`."""
    for option in (
        config_option(),
        setting("--json", is_flag=True, expose_value=False, callback=_keep, help="Print one JSON object or array."),
        setting(
            "--admin-ca", metavar="FILE", expose_value=False, callback=_keep, help="The CA of an https:// endpoint."
        ),
        setting(
            "--token-file",
            metavar="FILE",
            expose_value=False,
            callback=_keep,
            help=f"Holds the bearer token; else {TOKEN_VARIABLE}, else the file that a pool node of yours made here.",
        ),
        setting(
            "--admin",
            default=DEFAULT_ADMIN,
            show_default=True,
            metavar="URL",
            expose_value=False,
            callback=_keep,
            help="The pool node's admin endpoint.",
        ),
    ):
        function = option(function)
    return function


def _keep(ctx: click.Context, param: click.Parameter, value: object) -> None:
    ctx.meta[f"onetrip.{param.name}"] = value


def client() -> AdminClient:
    """The client that the options of the running command describe."""
    meta = click.get_current_context().meta
    return open_client(meta["onetrip.admin"], token_file=meta["onetrip.token_file"], ca_file=meta["onetrip.admin_ca"])


def wants_json() -> bool:
    return bool(click.get_current_context().meta["onetrip.json"])


def print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2))


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned columns; the first row is the heading. Numbers stand at the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    at_right = [_has_figures(column[1:]) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, at_right, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _has_figures(column: Sequence[str]) -> bool:
    """Whether a column holds numbers, perhaps with a unit, and nothing else but gaps."""
    cells = [cell for cell in column if cell != "-"]
    return bool(cells) and all(_FIGURE.fullmatch(cell) for cell in cells)
