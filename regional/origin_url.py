"""Read an origin's connection string, and say what is wrong with it without ever showing it.

Theory of operation: the syntax is libpq's, `postgres://user:password@host:port,host2:port2/database?sslmode=…`, with
its rules: the first '@' before a '/' ends the credentials, '#' is an ordinary character, `?host=` may name a Unix
socket's directory. What libpq takes from its surroundings (the user, files of the caller) must be given here, because
the pool node is another machine. A password with a character that should have been percent-encoded lands in the wrong
part of the URL, so messages name the part and never quote it.
"""

import string
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, get_args
from urllib.parse import unquote_to_bytes

import msgspec

from regional.configuration import (
    DEFAULT_PORT,
    Address,
    InvalidConfigurationError,
    Origin,
    OriginSecret,
    Problem,
    SslMode,
    TargetSessionAttrs,
    problems_of_origin,
)

SCHEMES: Final = ("postgres://", "postgresql://")
FILE_PARAMETERS: Final = ("sslrootcert", "sslcert", "sslkey")
CONNECTION_PARAMETERS: Final = (
    "host",
    "port",
    "dbname",
    "user",
    "password",
    "sslmode",
    "target_session_attrs",
    "connect_timeout",
)

# What well-known providers put into their strings and what is true here anyway.
HARMLESS: Final = {
    "gssencmode": ("disable", "prefer"),
    "channel_binding": ("disable", "prefer"),
    "sslnegotiation": ("postgres",),
}
SESSION_CURE: Final = "leave it out; clients of the edge give their own and the pool node passes them on"
CURES: Final = {
    "application_name": SESSION_CURE,
    "options": SESSION_CURE,
    "client_encoding": SESSION_CURE,
    "channel_binding": "leave it out; the pool node binds the channel whenever the origin offers it",
    "pgbouncer": "leave it out; give the database's own address, not a pooler's",
    "hostaddr": "leave it out and name the address as the host",
}
SSLMODE_CURES: Final = {
    "allow": "use require",
    "prefer": "use require",
    "no-verify": "use require, which encrypts and does not verify",
}


class OriginUrl(NamedTuple):
    """What a connection string says."""

    origin: Origin
    secret: OriginSecret
    #: For the configuration's `connect_timeout_s`; None when the string does not say.
    connect_timeout_s: float | None


class OriginUrlError(InvalidConfigurationError):
    """A connection string that cannot be used; the text names the part and the cure, never its content."""

    def __init__(self, what: str) -> None:
        super().__init__([Problem("origin", what)])


def parse_origin(
    url: str, *, read_file: Callable[[str], str] | None = None, allow_plain_origin: bool = True
) -> OriginUrl:
    """Read a connection string.

    `read_file` returns the text of the files that sslrootcert, sslcert and sslkey name; without it they are refused.
    `allow_plain_origin` is the pool node's option: a command leaves the question to the pool node.
    """
    credentials, hosts, database, query = _parts(url)
    parameters = _parameters(query)
    user, colon, password = credentials.partition(":")
    values = {
        "user": _decoded(user, "the user name"),
        "password": _decoded(password, "the password") if colon else "",
        "dbname": _decoded(database, "the database name"),
    }
    host_list, port_list = _hosts(hosts)
    if "host" in parameters:
        host_list = parameters.pop("host").split(",")
        port_list = port_list if len(port_list) == len(host_list) else []
    if "port" in parameters:
        port_list = parameters.pop("port").split(",")
    values |= parameters
    addresses = _addresses(host_list, port_list)
    origin = _origin(values, addresses, read_file)
    problems = problems_of_origin(origin, allow_plain_origin=allow_plain_origin)
    if problems:
        raise InvalidConfigurationError(problems)
    key_file = values.get("sslkey")
    secret = OriginSecret(values["password"], _file("sslkey", key_file, read_file) if key_file else None)
    return OriginUrl(origin, secret, _seconds(values.get("connect_timeout")))


def refuse_malformed(url: str) -> None:
    """Raise OriginUrlError unless credentials and hosts are where libpq looks for them.

    For URLs that go to libpq itself, whose own message would quote the part of a password that landed elsewhere.
    """
    credentials, hosts, database, _ = _parts(url)
    for text in (credentials, database):
        _decoded(text, "the credentials or the database")
    if hosts:
        _addresses(*_hosts(hosts))


def redacted(url: str) -> str:
    """A URL for logs: neither credentials nor parameters."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "(not a URL)"
    place, _, query = rest.partition("?")
    if "@" in query:  # a password that lacks encoding reaches beyond the '?', or the query has one
        place = "…"
    return f"{scheme}://{place.rpartition('@')[2]}"


def _parts(url: str) -> tuple[str, str, str, str]:
    """Credentials, hosts, database and query, still encoded."""
    scheme = next((scheme for scheme in SCHEMES if url.startswith(scheme)), None)
    if scheme is None:
        raise OriginUrlError("must begin with postgres:// or postgresql://")
    if any(character.isspace() or not character.isprintable() for character in url):
        raise OriginUrlError("must not contain blanks or control characters; percent-encode them (a blank is %20)")
    rest = url.removeprefix(scheme)
    before_path = rest.split("/", 1)[0]
    credentials, at, _ = before_path.partition("@")
    if at:
        rest = rest[len(credentials) + 1 :]
    else:
        credentials = ""
    place, _, query = rest.partition("?")
    hosts, _, database = place.partition("/")
    if "@" in place:
        cure = "percent-encode '@' as %40, '/' as %2F and ':' as %3A in the user name and the password"
        raise OriginUrlError(f"has an '@' where a host or a database should be; {cure}")
    return credentials, hosts, database, query


def _decoded(text: str, part: str) -> str:
    for piece in text.split("%")[1:]:
        if len(piece) < 2 or any(character not in string.hexdigits for character in piece[:2]):
            raise OriginUrlError(f"has a '%' in {part} that begins no %XX; write it as %25")
    try:
        decoded = unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise OriginUrlError(f"is not UTF-8 in {part}") from None
    if "\0" in decoded:
        raise OriginUrlError(f"has a zero byte in {part}, which PostgreSQL does not take")
    return decoded


def _parameters(query: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for pair in query.split("&") if query else ():
        name, equals, value = pair.partition("=")
        name = _decoded(name, "a parameter")
        if not equals or not name.isidentifier():
            raise OriginUrlError(
                "has a parameter that is not NAME=VALUE; percent-encode '?' and '&' inside other parts"
            )
        parameters[name] = _decoded(value, f"parameter {name}")
    if parameters.pop("ssl", None) == "true":  # pgjdbc's spelling, which libpq takes as well
        parameters.setdefault("sslmode", "require")
    for name, values in HARMLESS.items():
        if parameters.get(name) in values:
            del parameters[name]
    for name in parameters:
        if name not in CONNECTION_PARAMETERS and name not in FILE_PARAMETERS:
            raise OriginUrlError(
                f"has the parameter {name}, which is not known here; {CURES.get(name, 'leave it out')}"
            )
    return parameters


def _hosts(text: str) -> tuple[list[str], list[str]]:
    """Hosts and ports, as many of one as of the other; an empty port stands for the default."""
    hosts, ports = [], []
    for entry in text.split(",") if text else ():
        if entry.startswith("["):
            host, bracket, after = entry[1:].partition("]")
            if not bracket or (after and not after.startswith(":")):
                raise OriginUrlError("has a '[' that begins no IPv6 address; write [ADDRESS]:PORT")
            port = after[1:]
        else:
            host, _, port = entry.partition(":")
        hosts.append(_decoded(host, "the host"))
        ports.append(_decoded(port, "the port"))
    return hosts, ports


def _addresses(hosts: list[str], ports: list[str]) -> list[Address]:
    if not hosts or not all(hosts):
        raise OriginUrlError("names no host; write postgres://USER:PASSWORD@HOST:PORT/DATABASE")
    if len(ports) not in (0, 1, len(hosts)):
        raise OriginUrlError("gives as many ports as hosts in neither way; give one port, or one for each host")
    if len(ports) != len(hosts):
        ports = (ports or [""]) * len(hosts)
    addresses = []
    for host, port in zip(hosts, ports, strict=True):
        if not host.startswith("/") and ("/" in host or len(host) > 255):
            raise OriginUrlError("has a host that is no host name, address or absolute directory of a socket")
        if port and not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65535):
            cure = "a ':' or '/' in the user name or the password must be percent-encoded"
            raise OriginUrlError(f"has a port that is no number from 1 to 65535; {cure}")
        addresses.append(Address(host=host, port=int(port) if port else DEFAULT_PORT))
    return addresses


def _origin(values: Mapping[str, str], addresses: list[Address], read_file: Callable[[str], str] | None) -> Origin:
    user = values["user"]
    if not user:
        raise OriginUrlError("names no user; write postgres://USER:PASSWORD@HOST:PORT/DATABASE")
    certificates: dict[str, str | None] = {}
    sslmode = values.get("sslmode")
    for name in ("sslrootcert", "sslcert"):
        path = values.get(name)
        if path == "system" and name == "sslrootcert":
            sslmode = sslmode or "verify-full"  # as libpq 16 and later understand it
            path = None
        certificates[name] = _file(name, path, read_file) if path else None
    fields: dict[str, object] = {
        "host": addresses[0].host,
        "port": addresses[0].port,
        "alternates": tuple(addresses[1:]),
        "database": values["dbname"] or user,
        "user": user,
        "sslmode": _chosen("sslmode", sslmode, get_args(SslMode))
        or default_sslmode(addresses, certificates["sslrootcert"]),
        "target_session_attrs": _chosen(
            "target_session_attrs", values.get("target_session_attrs"), get_args(TargetSessionAttrs)
        )
        or "any",
        **certificates,
    }
    try:
        return msgspec.convert(fields, Origin)
    except msgspec.ValidationError as error:
        raise OriginUrlError(f"has a part that is too long or empty: {error}") from None


def default_sslmode(addresses: Sequence[Address], sslrootcert: str | None) -> SslMode:
    """The mode of an origin for which none was given: who names an authority wants the host verified."""
    if all(address.is_unix_socket for address in addresses):
        return "disable"
    return "require" if sslrootcert is None else "verify-full"


def _chosen(name: str, value: str | None, choices: tuple[str, ...]) -> str | None:
    if value is None or value in choices:
        return value
    cure = SSLMODE_CURES.get(value) if name == "sslmode" else None
    raise OriginUrlError(f"has a {name} that is not known here; {cure or 'use one of ' + ', '.join(choices)}")


def _file(name: str, path: str, read_file: Callable[[str], str] | None) -> str:
    if read_file is None:
        raise OriginUrlError(f"names a file in {name}, which the pool node cannot read; give its text as origin.{name}")
    try:
        return read_file(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text"
        raise OriginUrlError(f"names in {name} a file that cannot be read: {reason}") from None


def _seconds(value: str | None) -> float | None:
    """libpq's connect_timeout: whole seconds, 0 or less for no limit, which there is not here."""
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and 1 <= int(value[:6]) <= 600):
        raise OriginUrlError("has a connect_timeout that is no whole number of seconds from 1 to 600")
    return float(value)
