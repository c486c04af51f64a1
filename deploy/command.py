"""The `onetrip` command: its subcommands, and how a failure becomes one line and a status.

What a subcommand needs is imported when it runs: `onetrip --help` must not wait for gRPC.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Final, NoReturn

import click

from deploy.cert import cert
from deploy.complaint import FAILED, one_line
from deploy.config_commands import config
from deploy.dev_command import dev
from deploy.node_commands import edge, pool
from deploy.settings import PREFIX, config_option
from deploy.status import status

DEBUG_VARIABLE: Final = "ONETRIP_DEBUG"

HELP: Final = """Onetrip: a PostgreSQL pooler in two tiers, so that a query from far away costs one round trip.

Applications connect with their usual driver to an edge node nearby; the edge speaks over one link to a pool node beside
the database, which owns the connections to it.

\b
Try it on this machine:
  onetrip dev
Run it:
  onetrip cert --dir house --role pool --name pool.example.net
  onetrip cert --dir house --role edge --name edge.example.net
  onetrip pool --listen 0.0.0.0:6434 --link-ca ca.crt --link-cert pool.crt --link-key pool.key
  onetrip edge --listen 0.0.0.0:6432 --pool pool.example.net:6434 \\
      --link-ca ca.crt --link-cert edge.crt --link-key edge.key
  onetrip config create shop --origin -   < file-with-the-url

Every option is also a variable ONETRIP_<COMMAND>_<OPTION> (ONETRIP_EDGE_LISTEN; lists with commas) and a key of the
TOML file that --config names (a table a command: [edge] listen = "..."). A flag wins over a variable, a variable over
the file, the file over the default.

Exit status: 0 on success, 2 on wrong use, 1 otherwise.
"""


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's signature
    if not value or ctx.resilient_parsing:
        return
    try:
        click.echo(f"onetrip {version('onetrip')}")
    except PackageNotFoundError:  # run from a checkout that is not installed
        click.echo("onetrip (not installed)")
    ctx.exit()


@click.group(
    name="onetrip", help=HELP, context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version and exit."
)
@config_option()
@click.pass_context
def onetrip(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        raise click.UsageError("No command given.", ctx)


for _command in (dev, pool, edge, config, status, cert):
    onetrip.add_command(_command)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    try:
        result = onetrip.main(
            args=None if arguments is None else list(arguments), prog_name="onetrip", standalone_mode=False
        )
        sys.stdout.flush()
    except click.ClickException as error:
        click.echo(one_line(error), err=True)
        return error.exit_code
    except click.Abort:
        click.echo("onetrip: interrupted", err=True)
        return FAILED
    except BrokenPipeError:
        # Whoever read our output has gone; flushing what is left of it at exit would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # noqa: BLE001 - a bug of ours must not end in anything but one line and a status
        click.echo(_bug(error), err=True)
        return FAILED
    return result if isinstance(result, int) else 0


def _bug(error: Exception) -> str:
    """One line about what nobody foresaw. Its text stays out: it may hold anything, a password too."""
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exc()
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{type(error).__name__} at {os.path.basename(place.filename)}:{place.lineno}"
    return f"onetrip: internal error, {where}; set {DEBUG_VARIABLE}=1 for the traceback and report it"


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The entry point."""
    sys.exit(run(arguments))


assert PREFIX == "ONETRIP"
