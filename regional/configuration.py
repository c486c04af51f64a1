"""A configuration: one origin, how its pool behaves, and the credentials that its clients use.

Theory of operation: everything here is a frozen value that goes through JSON unchanged (msgspec), so that the store,
the admin API and the node share one description. Field names, defaults and bounds are those of the design (§8). No
secret is a part of it: the origin's password and client key are an `OriginSecret`, kept sealed beside it. What an
operator may set is `Settings` and `Origin`; the rest of `Configuration` is generated or learnt. Rules that concern
several fields at once are in `problems_of`, which reports all of them.
"""

import ipaddress
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final, Literal, Protocol

import attrs
from msgspec import Meta, Struct

DEFAULT_PORT: Final = 5432
# A name is also a database name in the clients' connection strings; PostgreSQL keeps 63 bytes of those.
NAME_PATTERN: Final = r"^[a-z][a-z0-9_-]{0,62}\Z"
MAX_IDENTIFIER_BYTES: Final = 63
# What delimits a host in a connection string; a host that holds one is two things run together.
HOST_DELIMITERS: Final = frozenset(",/@?#[]")
MAX_PASSWORD_CHARACTERS: Final = 4096
# A chain of certificates is a few KiB; the bound keeps a configuration small enough to push to every edge.
MAX_PEM_CHARACTERS: Final = 64 << 10
# Each is looked up in the catalogue when statements are judged, and all of them are shown together.
MAX_TABLES: Final = 1000
# Of a name in a message: long enough for every name of ours, and a request may hold anything.
SHOWN_CHARACTERS: Final = 64

SslMode = Literal["disable", "require", "verify-ca", "verify-full"]
SessionState = Literal["reset", "track", "pin"]
ClientAuth = Literal["scram-sha-256", "password"]
TargetSessionAttrs = Literal["any", "read-write", "read-only", "primary", "standby", "prefer-standby"]

# `description` is what an operator reads when a value is refused: "FIELD must be DESCRIPTION".
Name = Annotated[
    str,
    Meta(pattern=NAME_PATTERN, description="1 to 63 characters of a-z, 0-9, '_' and '-', beginning with a letter"),
]
Text = Annotated[str, Meta(min_length=1, max_length=255, description="a text of 1 to 255 characters")]
Pem = Annotated[str, Meta(max_length=MAX_PEM_CHARACTERS, description="the text of a PEM file, at most 64 KiB")]
Port = Annotated[int, Meta(ge=1, le=65535, description="a whole number from 1 to 65535")]
ConnectionLimit = Annotated[int, Meta(ge=5, le=1500, description="a whole number from 5 to 1500")]
ConnectionMinimum = Annotated[int, Meta(ge=0, le=1500, description="a whole number from 0 to 1500")]
TotalLimit = Annotated[int, Meta(ge=5, le=100_000, description="a whole number from 5 to 100000")]
ClientLimit = Annotated[int, Meta(ge=1, le=1_000_000, description="a whole number from 1 to 1000000")]
WaiterLimit = Annotated[int, Meta(ge=0, le=1_000_000, description="a whole number from 0 to 1000000")]
# pgjdbc and some other drivers refuse fewer than 4,096; generated passwords do not need them.
Iterations = Annotated[int, Meta(ge=1, le=1_000_000, description="a whole number from 1 to 1000000")]
CacheAge = Annotated[float, Meta(gt=0, le=3600, description="seconds, more than 0 and at most 3600 (1 hour)")]
StaleAge = Annotated[float, Meta(ge=0, le=3600, description="seconds, from 0 to 3600")]
# A day: longer than that, an application is better told that its database is away.
UnreachableAge = Annotated[float, Meta(ge=0, le=86_400, description="seconds, from 0 (never) to 86400 (1 day)")]
TableAge = Annotated[float, Meta(ge=0, le=3600, description="seconds, from 0 (never kept) to 3600 (1 hour)")]
Wait = Annotated[float, Meta(gt=0, le=600, description="seconds, more than 0 and at most 600")]
Age = Annotated[float, Meta(ge=1, le=604_800, description="seconds, from 1 to 604800 (7 days)")]
Bound = Annotated[float, Meta(ge=0, le=86_400, description="seconds, from 0 (no limit) to 86400 (1 day)")]


class Address(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One host of an origin; a host that begins with '/' is the directory of a Unix socket."""

    host: Text
    port: Port = DEFAULT_PORT

    @property
    def is_unix_socket(self) -> bool:
        return self.host.startswith("/")

    @property
    def is_local(self) -> bool:
        """Whether bytes to this address stay on this machine."""
        if self.is_unix_socket or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Origin(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the database is and how it is reached, without what is secret."""

    scheme: Literal["postgres", "postgresql"] = "postgres"
    host: Text
    port: Port = DEFAULT_PORT
    #: Further hosts, tried in order when the ones before are unreachable or not what `target_session_attrs` asks for.
    alternates: tuple[Address, ...] = ()
    database: Text
    user: Text
    sslmode: SslMode = "require"
    #: PEM text of the authorities to trust; None means the system's own.
    sslrootcert: Pem | None = None
    #: PEM text of the client certificate; its key is in the OriginSecret.
    sslcert: Pem | None = None
    target_session_attrs: TargetSessionAttrs = "any"
    #: Lets the pool node answer a request for an md5 or clear-text password where TLS is not verified (rules 28).
    allow_plain_password: bool = False

    @property
    def addresses(self) -> tuple[Address, ...]:
        """All hosts, in the order in which to try them."""
        return (Address(host=self.host, port=self.port), *self.alternates)

    def sslmode_for(self, address: Address) -> SslMode:
        """The mode for one host: as in libpq, TLS plays no part on a Unix socket."""
        return "disable" if address.is_unix_socket else self.sslmode

    def may_send_plain_password(self, address: Address) -> bool:
        """Whether a password may go to this host in clear or as md5 (rules 28)."""
        verified = self.sslmode_for(address) in ("verify-ca", "verify-full")
        return verified or address.is_local or self.allow_plain_password


@attrs.frozen
class OriginSecret:
    """What only the pool node knows of an origin. Never in a repr, a log or an answer."""

    password: str = attrs.field(default="", repr=False)
    #: PEM text of the client certificate's key.
    client_key: str | None = attrs.field(default=None, repr=False)


class Caching(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The query cache's settings; ages in seconds."""

    disabled: bool = False
    max_age: CacheAge = 60
    stale_while_revalidate: StaleAge = 15
    #: So long past its age is an answer served while no pool node or no origin can be reached; 0 is never.
    stale_if_unreachable: UnreachableAge = 0
    #: Also reads in a READ COMMITTED transaction that has done nothing but such reads.
    in_transactions: bool = False
    #: The max_age of what is read from a table where it is less than the configuration's; by `table` or
    #: `schema.table`, as pg_class has them. 0 keeps nothing.
    tables: dict[str, TableAge] = {}
    #: Whether the pool node follows the origin's logical decoding, for writes that do not go through Onetrip.
    follow_writes: bool = False


class Early(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an edge answers itself, so that it costs no crossing."""

    #: BEGIN waits at the edge for the first statement of its transaction (rules 13).
    begin: bool = True
    #: Parse and Describe of a statement whose description is known (rules 10).
    prepare: bool = True
    #: SET of what has been set before, in the same words by a session with the same settings.
    settings: bool = True
    #: Drivers' questions about types, tables and the server (regional/facts.py).
    catalog: bool = True


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may set, the origin apart."""

    #: The pool's `max_size`; soft (rules 14).
    origin_connection_limit: ConnectionLimit = 20
    origin_connection_min: ConnectionMinimum = 0
    #: Shared by the configurations with one origin; None means no such limit.
    origin_total_limit: TotalLimit | None = None
    session_state: SessionState = "track"
    client_auth: ClientAuth = "scram-sha-256"
    scram_iterations: Iterations = 4096
    max_client_connections: ClientLimit = 10_000
    max_waiters: WaiterLimit = 5_000
    caching: Caching = Caching()
    early: Early = Early()
    connect_timeout_s: Wait = 15
    #: 0 means no limit.
    query_timeout_s: Bound = 60
    wait_timeout_s: Wait = 15
    idle_timeout_s: Age = 600
    lifetime_s: Age = 3600
    #: 0 means no limit.
    idle_in_transaction_timeout_s: Bound = 300


class Configuration(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One configuration, whole."""

    #: Of this one, and of no later one of the same name.
    id: str
    name: Name
    origin: Origin

    #: Generated: the client's user name, and its password as a SCRAM verifier.
    user: str
    verifier: str
    #: Grows with each rotation; a session that logged in under an older one ends at its next transaction boundary.
    credentials_version: int = 1

    #: Grows with each change; a change made from an older one is refused. Both begin above those of a deleted
    #: configuration of the same name, so the larger is always the later.
    version: int = 1
    created_on: datetime
    modified_on: datetime

    #: Learnt from the origin: what it reports to a client that has just logged in.
    server_parameters: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Configuration({self.name!r}, version={self.version})"  # the verifier is nobody's business


class Configured(Protocol):
    """What runs a configuration, as others ask it: a tenant."""

    @property
    def configuration(self) -> Configuration: ...
    @property
    def is_withdrawn(self) -> bool: ...


class Problem(Struct, frozen=True):
    """What is wrong with one field of an input."""

    field: str
    what: str

    def __str__(self) -> str:
        return f"{self.field} {self.what}" if self.field else self.what


class InvalidConfigurationError(Exception):
    """An input that cannot become a configuration, with everything that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


def problems_of(configuration: Configuration, *, allow_plain_origin: bool = False) -> list[Problem]:
    """The rules that no field's type can state."""
    problems = problems_of_settings(configuration)
    return problems + problems_of_origin(configuration.origin, allow_plain_origin=allow_plain_origin)


def problems_of_settings(settings: Settings) -> list[Problem]:
    """The rules for the settings as a whole."""
    for name in ("origin_connection_limit", "origin_total_limit"):
        limit = getattr(settings, name)
        if limit is not None and settings.origin_connection_min > limit:
            return [Problem("origin_connection_min", f"must not exceed {name}, which is {limit}")]
    return problems_of_tables(settings.caching.tables)


def problems_of_tables(tables: Iterable[str]) -> list[Problem]:
    """What is wrong with the names in `caching.tables`."""
    names = list(tables)
    if len(names) > MAX_TABLES:
        return [Problem("caching.tables", f"must have at most {MAX_TABLES} tables; set caching.max_age for the others")]
    what = "is no name of a table; write TABLE or SCHEMA.TABLE as pg_class has them, without quotes"
    return [Problem(f"caching.tables.{printable(name)}", what) for name in names if not is_table_name(name)]


def is_table_name(text: str) -> bool:
    """Whether this may name a table, as `table` or `schema.table`; one with a dot or a quote in it cannot be named."""
    parts = text.split(".")
    return len(parts) in (1, 2) and all(_is_identifier(part) for part in parts)


def _is_identifier(text: str) -> bool:
    if not text.isprintable() or text != text.strip() or '"' in text:
        return False
    return 0 < len(text.encode()) <= MAX_IDENTIFIER_BYTES


def printable(name: str) -> str:
    """A name out of a request, fit for a message."""
    return "".join(c if c.isprintable() else "?" for c in name[:SHOWN_CHARACTERS])


def problems_of_origin(origin: Origin, *, allow_plain_origin: bool = False) -> list[Problem]:
    """The rules for an origin as a whole."""
    problems = []
    for field, value in (("origin.user", origin.user), ("origin.database", origin.database)):
        if len(value.encode()) > MAX_IDENTIFIER_BYTES:
            problems.append(Problem(field, f"must be at most {MAX_IDENTIFIER_BYTES} bytes, as in PostgreSQL"))
        if "\0" in value:
            problems.append(Problem(field, "must not contain a zero byte"))
    if not all(_is_host(address.host) for address in origin.addresses):
        what = "must be one host name, address or absolute directory of a socket; further hosts are origin.alternates"
        problems.append(Problem("origin.host", what))
    if origin.sslmode == "disable" and not allow_plain_origin and not all(a.is_local for a in origin.addresses):
        what = "must not be disable for a host elsewhere; use require, or start the pool node with --allow-plain-origin"
        problems.append(Problem("origin.sslmode", what))
    if origin.sslmode == "verify-ca" and origin.sslrootcert is None:
        what = "must not be verify-ca without origin.sslrootcert; use verify-full for the system's authorities"
        problems.append(Problem("origin.sslmode", what))
    return problems


def _is_host(text: str) -> bool:
    if not text.isprintable() or any(character.isspace() for character in text):
        return False
    return text.startswith("/") or not any(character in HOST_DELIMITERS for character in text)
