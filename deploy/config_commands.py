"""`onetrip config …`: make, show, change and remove configurations through the admin endpoint.

`create` and `rotate` print the connection string, which holds the only copy of the new password, alone on stdout, so
that a script can take it as it comes. Whatever else is worth saying goes to stderr.
"""

from collections.abc import Iterable
from typing import Any, Final

import click

from deploy.addresses import Address, NamedAddress, format_address
from deploy.admin_client import TIMEOUT_S, configuration_path
from deploy.client_options import client, client_options, print_json, table, wants_json
from deploy.complaint import WrongUseError, warn
from deploy.config_fields import field_options, request_body
from deploy.settings import setting

HELP: Final = """Make, show, change and remove configurations.

A configuration is one origin, how its pool behaves, and a user and password for clients. Its name is the database name
in the clients' connection string.

The pool node is asked at --admin, with the token of --token-file, of ONETRIP_ADMIN_TOKEN, or of the file that a pool
node of the same user on the same machine made: then nothing need be given.
"""

CREATE_HELP: Final = """Test the origin, make configuration NAME, and print the connection string for clients.

The connection string alone goes to stdout, and this is the only time its password is shown (`rotate` makes a new one).
Returns when every linked edge has the configuration, after 5 seconds at most; if some had not by then, a warning says
so. An existing NAME is status 1.

\b
Examples:
  onetrip config create shop --origin postgres://shop:secret@db.internal:5432/shop?sslmode=verify-full
  # the password in no argument and no shell history
  onetrip config create shop --origin - < url-file
  onetrip config create shop --origin postgres://shop@db.internal/shop --origin-password-file pw
  ONETRIP_CONFIG_CREATE_ORIGIN=postgres://... onetrip config create shop --origin-connection-limit 50 --no-caching
  # what clients will connect to
  onetrip config create shop --origin - --edge edge.example.net:6432 < url-file
"""

UPDATE_HELP: Final = """Change configuration NAME; what is not given stays as it is.

It holds from the next transaction, without a restart. Another host needs the origin's password again.

\b
Examples:
  onetrip config update shop --origin-connection-limit 80
  onetrip config update shop --no-caching --query-timeout 0
  # answers from one table for two seconds, from another not at all, and a third again as the others
  onetrip config update shop --table-max-age prices=2 --table-max-age audit.log=0 --table-max-age items=default
"""

PURGE_HELP: Final = """Have every linked edge drop the answers that it keeps of configuration NAME.

Reads that follow come from the database, and are kept again. With --table only what was read from that table goes,
also by way of views and partitions. Writes through Onetrip need no purge; those that go another way may, unless the
configuration has --follow-writes. An unknown NAME or table is status 1.

\b
Examples:
  onetrip config purge shop
  onetrip config purge shop --table public.prices
"""

_EDGE_HELP: Final = "What the connection string names. [default: what an edge advertises or is linked from]"


@click.group(help=HELP, short_help="Make, show, change and remove configurations.")
def config() -> None:
    pass


@config.command(help=CREATE_HELP, short_help="Test an origin and make a configuration.")
@click.argument("name")
@field_options
@setting("--edge", type=NamedAddress(), help=_EDGE_HELP)
@client_options
def create(name: str, edge: Address | None, **given: Any) -> None:  # noqa: ANN401 - each field's own kind
    body = request_body(given)
    if "origin" not in body:
        raise WrongUseError("no origin was given", "give --origin URL, or --origin - to read it from stdin")
    timeout_s = TIMEOUT_S + float(body.get("connect_timeout_s", 0))
    _credentials(
        client().request("POST", "/configurations", {"name": name, **body, **_edge(edge)}, timeout_s=timeout_s)
    )


@config.command(name="list", short_help="Show all configurations.")
@client_options
def list_() -> None:
    """Show all configurations. --json: an array of them; a damaged one has only `name` and `broken`."""
    answer = client().request("GET", "/configurations")
    broken = [{"name": each["name"], "broken": each["what"]} for each in answer["broken"]]
    if wants_json():
        print_json([*answer["configurations"], *broken])
        return
    heading = ("NAME", "ORIGIN", "LIMIT", "SESSION STATE", "CACHING", "MODIFIED")
    click.echo(table([heading, *(_row(each) for each in answer["configurations"])]))
    for each in broken:
        warn(f"configuration {each['name']} is damaged: {each['broken']}")


@config.command(short_help="Show one configuration.")
@click.argument("name")
@client_options
def get(name: str) -> None:
    """Show configuration NAME: its settings and what is known of it, without any secret."""
    configuration = client().request("GET", configuration_path(name))
    _print(configuration)


@config.command(help=UPDATE_HELP, short_help="Change what is given.")
@click.argument("name")
@field_options
@client_options
def update(name: str, **given: Any) -> None:  # noqa: ANN401 - each field's own kind
    body = request_body(given)
    if not body.keys() - {"check"}:
        raise WrongUseError("nothing to change was given", "see `onetrip config update --help` for what there is")
    timeout_s = TIMEOUT_S + float(body.get("connect_timeout_s", 0))
    answer = client().request("PATCH", configuration_path(name), body, timeout_s=timeout_s)
    _warn_unless_everywhere(answer)
    _print(answer["configuration"])


@config.command(short_help="Remove a configuration.")
@click.argument("name")
@client_options
def delete(name: str) -> None:
    """Remove configuration NAME: new logins are refused at once, sessions end after their present transaction."""
    answer = client().request("DELETE", configuration_path(name))
    _warn_unless_everywhere(answer)
    print_json(answer) if wants_json() else click.echo(f"deleted {name}")


@config.command(short_help="Give the clients a new password.")
@click.argument("name")
@setting("--edge", type=NamedAddress(), help=_EDGE_HELP)
@client_options
def rotate(name: str, edge: Address | None) -> None:
    """Make a new password for the clients of NAME and print the connection string, alone on stdout.

    The old password is refused at once; sessions that logged in with it end after their present transaction.
    """
    _credentials(client().request("POST", configuration_path(name, "rotate"), _edge(edge)))


@config.command(short_help="Open the origin connections anew.")
@click.argument("name")
@client_options
def restart(name: str) -> None:
    """Replace the origin connections of NAME, each after its present transaction; no session ends."""
    answer = client().request("POST", configuration_path(name, "restart"), {})
    print_json(answer) if wants_json() else click.echo(f"restarted {name}")


@config.command(help=PURGE_HELP, short_help="Drop cached answers.")
@click.argument("name")
@setting("--table", metavar="TABLE", help="Only what was read from it; TABLE or SCHEMA.TABLE.")
@client_options
def purge(name: str, table: str | None) -> None:
    body = {} if table is None else {"table": table}
    answer = client().request("POST", configuration_path(name, "purge"), body)
    if wants_json():
        print_json(answer)
        return
    what = f"all answers of {name}" if table is None else f"answers of {name} that were read from {table}"
    count = answer["edges"]
    click.echo(f"purged {what} at {count} {'edge' if count == 1 else 'edges'}")


def _edge(edge: Address | None) -> dict[str, str]:
    return {} if edge is None else {"edge": format_address(edge)}


def _credentials(answer: dict[str, Any]) -> None:
    """Print what only this answer holds, then say how far the change has come."""
    if wants_json():
        print_json(answer)
    else:
        click.echo(answer["connection_string"])
    if answer["linked"] == 0:
        warn("no edge is linked to this pool node; start one with `onetrip edge --pool HOST:PORT`")
    _warn_unless_everywhere(answer)


def _warn_unless_everywhere(answer: dict[str, Any]) -> None:
    linked, acknowledged = answer["linked"], answer["acknowledged"]
    if acknowledged < linked:
        warn(f"{acknowledged} of {linked} linked edges have it so far; see `onetrip status`")


def _row(configuration: dict[str, Any]) -> tuple[str, ...]:
    return (
        configuration["name"],
        _place(configuration["origin"]),
        str(configuration["origin_connection_limit"]),
        configuration["session_state"],
        _caching(configuration["caching"]),
        configuration["modified_on"][:19].replace("T", " "),
    )


def _caching(caching: dict[str, Any]) -> str:
    """The ages, and in a word each what is not as usual."""
    if caching["disabled"]:
        return "off"
    parts = [f"{caching['max_age']:g} s + {caching['stale_while_revalidate']:g} s"]
    if unreachable := caching.get("stale_if_unreachable"):
        parts.append(f"{unreachable:g} s unreachable")
    if tables := caching.get("tables"):
        parts.append(f"{len(tables)} {'table' if len(tables) == 1 else 'tables'}")
    if caching.get("in_transactions"):
        parts.append("in transactions")
    if caching.get("follow_writes"):
        parts.append("follows writes")
    return ", ".join(parts)


def _place(origin: dict[str, Any]) -> str:
    addresses = [(origin["host"], origin["port"])]
    addresses += [(each["host"], each["port"]) for each in origin["alternates"]]
    hosts = ",".join(format_address(address) for address in addresses)
    return f"{origin['user']}@{hosts}/{origin['database']}"


def _print(configuration: dict[str, Any]) -> None:
    if wants_json():
        print_json(configuration)
        return
    lines = list(_flat(configuration))
    width = max(len(name) for name, _ in lines)
    click.echo("\n".join(f"{name.ljust(width)}  {value}" for name, value in lines))


def _flat(fields: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    """Nested fields by dotted names, as the API and the documentation call them."""
    for name, value in fields.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, str) and "\n" in value:
            yield prefix + name, f"({len(value)} characters of PEM)"
        else:
            yield prefix + name, _shown(value)


def _shown(value: object) -> str:
    match value:
        case None | dict():  # of a dict only the empty one comes here
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case list():
            return ", ".join(format_address((each["host"], each["port"])) for each in value) or "-"
    return str(value)
