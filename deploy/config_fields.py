"""The settings of a configuration as options, and the JSON object that they make.

Theory of operation: each option stands for one field of the admin API. `create` and `update` take the same ones, and
only what is given goes into the request, so `update` touches nothing else. Bounds are the pool node's to judge; it says
everything that is wrong at once.
"""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import click

from deploy.complaint import CommandError, WrongUseError
from deploy.settings import setting

_Function = TypeVar("_Function", bound=Callable[..., object])


@attrs.frozen
class Field:
    """One option and the field it sets; `path` goes through nested objects."""

    option: str
    path: tuple[str, ...]
    kind: click.ParamType[Any]
    help: str
    metavar: str | None = None

    @property
    def parameter(self) -> str:
        return self.option.removeprefix("--").replace("-", "_")


def _seconds(option: str, field: str, text: str) -> Field:
    return Field(option, tuple(field.split(".")), click.FLOAT, text, "SECONDS")


def _number(option: str, field: str, text: str) -> Field:
    return Field(option, (field,), click.INT, text, "N")


SESSION_STATES: Final = ("reset", "track", "pin")
CLIENT_AUTHS: Final = ("scram-sha-256", "password")
SSL_MODES: Final = ("disable", "require", "verify-ca", "verify-full")

SETTINGS: Final = (
    _number("--origin-connection-limit", "origin_connection_limit", "Size of the pool, soft. [20; 5 to 1500]"),
    _number("--origin-connection-min", "origin_connection_min", "Connections kept warm. [0]"),
    _number(
        "--origin-total-limit",
        "origin_total_limit",
        "Shared by the configurations of one origin, at least 5; 0 for none.",
    ),
    Field(
        "--session-state",
        ("session_state",),
        click.Choice(SESSION_STATES),
        "What becomes of SET outside a transaction. [track]",
    ),
    Field("--client-auth", ("client_auth",), click.Choice(CLIENT_AUTHS), "How clients log in. [scram-sha-256]"),
    _number("--scram-iterations", "scram_iterations", "Of the clients' verifier; some drivers want 4096. [4096]"),
    _number("--max-client-connections", "max_client_connections", "Clients at one edge. [10000]"),
    _number("--max-waiters", "max_waiters", "Queries waiting for a connection. [5000]"),
    _seconds("--max-age", "caching.max_age", "How old a cached answer may be. [60; at most 3600]"),
    _seconds("--swr", "caching.stale_while_revalidate", "How long an older one is served while it is renewed. [15]"),
    _seconds(
        "--stale-if-unreachable",
        "caching.stale_if_unreachable",
        "How long past its age an answer is served while the origin is away. [0: not at all; at most 86400]",
    ),
    _seconds("--connect-timeout", "connect_timeout_s", "For opening an origin connection. [15]"),
    _seconds("--query-timeout", "query_timeout_s", "For one query; 0 for no limit. [60]"),
    _seconds("--wait-timeout", "wait_timeout_s", "For a query's wait for a connection. [15]"),
    _seconds("--idle-timeout", "idle_timeout_s", "After which an idle origin connection is closed. [600]"),
    _seconds("--lifetime", "lifetime_s", "After which any origin connection is replaced. [3600]"),
    _seconds(
        "--idle-in-transaction-timeout",
        "idle_in_transaction_timeout_s",
        "For an idle open transaction; 0 for none. [300]",
    ),
)

# Each is a field of `caching` of the same kind.
CACHING_SWITCHES: Final = {
    "cache_in_transactions": ("in_transactions", "Serve reads in a transaction that only reads. [no]"),
    "follow_writes": ("follow_writes", "Follow the origin's logical decoding, for writes that go another way. [no]"),
}

# What an edge may answer without a crossing.
EARLY: Final = {
    "begin": "BEGIN waits at the edge for the first statement of its transaction.",
    "prepare": "Parse and Describe of a known statement are answered at the edge.",
    "settings": "SET in words that are known is answered at the edge.",
    "catalog": "Drivers' questions about types and tables are answered at the edge.",
}

ORIGIN: Final = (
    Field("--origin-host", ("host",), click.STRING, "Instead of a URL: the host.", "HOST"),
    Field("--origin-port", ("port",), click.INT, "Its port.", "PORT"),
    Field("--origin-database", ("database",), click.STRING, "The database.", "NAME"),
    Field("--origin-user", ("user",), click.STRING, "The user.", "NAME"),
    Field("--origin-sslmode", ("sslmode",), click.Choice(SSL_MODES), "How the origin is reached. [require]"),
)
# These name files whose text is sent.
ORIGIN_FILES: Final = (
    Field("--origin-ca", ("sslrootcert",), click.STRING, "CA of the origin's certificate, PEM.", "FILE"),
    Field("--origin-cert", ("sslcert",), click.STRING, "Client certificate for the origin, PEM.", "FILE"),
    Field("--origin-key", ("sslkey",), click.STRING, "Its key, PEM.", "FILE"),
)


class TableAge(click.ParamType[tuple[str, float | None]]):
    """TABLE=SECONDS; `default` in the place of the seconds is None."""

    name = "table=seconds"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float | None]:
        if isinstance(value, tuple):
            return value
        table, _, age = str(value).rpartition("=")
        if not table.strip():
            self.fail(f"{value!r}: write TABLE=SECONDS, or TABLE=default", param, ctx)
        try:
            seconds = None if age.strip() == "default" else float(age)
        except ValueError:
            seconds = math.nan
        if seconds is not None and not math.isfinite(seconds):
            self.fail(f"{value!r}: behind the = is a number of seconds, or default", param, ctx)
        return table.strip(), seconds


def field_options(function: _Function) -> _Function:
    """Declare all of them on a command."""
    options = [
        setting(
            "--origin", metavar="URL", help="postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=...; - reads stdin."
        ),
        setting("--origin-password-file", metavar="FILE", help="Holds the origin's password; - reads stdin."),
        *(_declared(field) for field in (*ORIGIN, *ORIGIN_FILES)),
        setting(
            "--allow-plain-password/--no-allow-plain-password",
            default=None,
            help="Let the origin ask for an md5 or clear-text password without verified TLS.",
        ),
        *(_declared(field) for field in SETTINGS),
        setting("--caching/--no-caching", default=None, help="Answer repeated reads at the edge. [caching]"),
        setting(
            "--table-max-age",
            type=TableAge(),
            multiple=True,
            metavar="TABLE=SECONDS",
            help="A lesser age for what is read from TABLE or SCHEMA.TABLE; 0 for never kept, `default` for none of its"
            " own. Repeatable.",
        ),
        *(
            setting(f"--{name}/--no-{name}".replace("_", "-"), default=None, help=what)
            for name, (_, what) in CACHING_SWITCHES.items()
        ),
        *(
            setting(f"--early-{name}/--no-early-{name}", default=None, help=f"{what} [early]")
            for name, what in EARLY.items()
        ),
        setting("--no-check", is_flag=True, help="Do not test the origin first."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def _declared(field: Field) -> Callable[[_Function], _Function]:
    return setting(field.option, type=field.kind, metavar=field.metavar, help=field.help)


def request_body(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that the options set. `given` is what the command was called with, None where nothing was."""
    body: dict[str, Any] = {}
    for field in SETTINGS:
        value = given[field.parameter]
        if isinstance(value, float) and not math.isfinite(value):  # JSON has no such number
            raise WrongUseError(f"{field.option} is no number of seconds", "give a number such as 2.5")
        if value is not None:
            _put(body, field.path, value)
    if body.get("origin_total_limit") == 0:
        body["origin_total_limit"] = None
    for name, value in _caching(given).items():
        _put(body, ("caching", name), value)
    if early := {name: given[f"early_{name}"] for name in EARLY if given[f"early_{name}"] is not None}:
        body["early"] = early
    origin, connect_timeout_s = _origin(given)
    if origin:
        body["origin"] = origin
    if connect_timeout_s is not None:
        body.setdefault("connect_timeout_s", connect_timeout_s)
    if given["no_check"]:
        body["check"] = False
    return body


def _caching(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `caching` that are no numbers."""
    caching = {field: given[name] for name, (field, _) in CACHING_SWITCHES.items() if given[name] is not None}
    if given["caching"] is not None:
        caching["disabled"] = not given["caching"]
    if given["table_max_age"]:
        caching["tables"] = _table_ages(given["table_max_age"])
    return caching


def _table_ages(pairs: Sequence[tuple[str, float | None]]) -> dict[str, float | None]:
    ages = dict(pairs)
    if len(ages) < len(pairs):
        twice = next(table for table in ages if sum(table == each for each, _ in pairs) > 1)
        raise WrongUseError(f"--table-max-age names {twice} twice", "give each table one age")
    return ages


def _origin(given: Mapping[str, Any]) -> tuple[dict[str, Any], float | None]:
    """The origin's fields: those of the URL, then what the other options say; and the URL's connect_timeout."""
    origin, connect_timeout_s = read_origin(given["origin"], given["origin_password_file"])
    origin |= {field.path[0]: given[field.parameter] for field in ORIGIN if given[field.parameter] is not None}
    for field in ORIGIN_FILES:
        if given[field.parameter] is not None:
            origin[field.path[0]] = _text(given[field.parameter], field.option)
    if given["allow_plain_password"] is not None:
        origin["allow_plain_password"] = given["allow_plain_password"]
    return origin, connect_timeout_s


def read_origin(url: str | None, password_file: str | None) -> tuple[dict[str, Any], float | None]:
    """What --origin and --origin-password-file say, as the API's object; and the URL's connect_timeout.

    The URL is read here: the files that it names are on this machine, not on the pool node's.
    """
    if url == "-" and password_file == "-":
        raise WrongUseError("--origin - and --origin-password-file - both read stdin", "give one of them as a file")
    origin: dict[str, Any] = {}
    connect_timeout_s = None
    if url is not None:
        origin, connect_timeout_s = _parsed(_first_line(sys.stdin.read(), "stdin") if url == "-" else url.strip())
    if password_file is not None:
        text = sys.stdin.read() if password_file == "-" else _text(password_file, "--origin-password-file")
        origin["password"] = _first_line(text, "stdin" if password_file == "-" else password_file)
    return origin, connect_timeout_s


def _parsed(url: str) -> tuple[dict[str, Any], float | None]:
    import msgspec

    from regional.configuration import InvalidConfigurationError
    from regional.origin_url import parse_origin

    try:
        parsed = parse_origin(url, read_file=lambda path: Path(path).read_text())
    except InvalidConfigurationError as error:
        raise WrongUseError(str(error)) from None
    origin: dict[str, Any] = msgspec.to_builtins(parsed.origin)
    # Not a part of the URL, so the URL does not take it back.
    del origin["allow_plain_password"]
    origin["sslkey"] = parsed.secret.client_key
    if parsed.secret.password:
        origin["password"] = parsed.secret.password
    return origin, parsed.connect_timeout_s


def _put(body: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    for name in path[:-1]:
        body = body.setdefault(name, {})
    body[path[-1]] = value


def _text(path: str, option: str) -> str:
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise CommandError(f"cannot read {path}: {reason}", f"name a file as {option}") from None


def _first_line(text: str, source: str) -> str:
    """What an editor or `echo` adds after a secret is not a part of it."""
    line = text.split("\n", 1)[0].rstrip("\r")
    if not line:
        raise WrongUseError(f"{source} is empty", "put the value on its first line")
    return line
