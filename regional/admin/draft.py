"""What an operator asks for: a new configuration, or a change laid over what there is.

Theory of operation: a request is a JSON object of which only some fields are given. An origin given as a connection
string replaces the origin, one given as an object changes the fields it names; so do `caching`, `early` and the
settings, and `caching.tables` the tables that it names. The result as a whole is then judged, and everything that is
wrong is said at once.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import attrs
import msgspec

from regional.admin.fields import Fields
from regional.configuration import (
    MAX_PASSWORD_CHARACTERS,
    MAX_PEM_CHARACTERS,
    Caching,
    Configuration,
    Early,
    InvalidConfigurationError,
    Name,
    Origin,
    OriginSecret,
    Problem,
    Settings,
    TableAge,
    is_table_name,
    printable,
    problems_of_origin,
    problems_of_settings,
)
from regional.origin_certificates import problems_of_certificates
from regional.origin_url import default_sslmode, parse_origin

SETTINGS: Final = Settings.__struct_fields__
_GROUPS: Final[Mapping[str, type[msgspec.Struct]]] = {"caching": Caching, "early": Early}
# From the weakest to the strongest; a kept password does not go a weaker way than it was given for.
SSLMODES: Final = ("disable", "require", "verify-ca", "verify-full")
EDGE_PATTERN: Final = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253}):[0-9]{1,5}")


class Naming(msgspec.Struct, frozen=True):
    """What is read of a creation besides settings and origin."""

    name: Name


@attrs.frozen(kw_only=True)
class Creation:
    """A request for a new configuration."""

    name: str
    settings: Settings
    origin: Origin
    secret: OriginSecret
    check: bool
    edge: str | None


@attrs.frozen(kw_only=True)
class Change:
    """A changed configuration, with version and time still those of what it was made from."""

    configuration: Configuration
    secret: OriginSecret
    #: Whether the origin is another one than before, and is to be tested.
    check: bool


@attrs.frozen(kw_only=True)
class _Target:
    """An origin as a request gives it; None where it is missing or wrong."""

    origin: Origin | None
    secret: OriginSecret
    gives_password: bool = False
    connect_timeout_s: float | None = None


def read_creation(given: Mapping[str, object], *, allow_plain_origin: bool) -> Creation:
    """A request to make a configuration; InvalidConfigurationError names everything that is wrong."""
    fields = Fields()
    fields.refuse_unknown(given, ("name", "origin", "check", "edge", *SETTINGS))
    for name in ("name", "origin"):
        if name not in given:
            fields.refuse(name, "is missing")
    names = fields.of(given, Naming)
    target = _target(fields, given, _Target(origin=None, secret=OriginSecret()))
    settings = Settings(**_settings(fields, given, Settings(), target))
    check = fields.flag(given, "check", default=True)
    edge = read_edge(fields, given)
    fields.problems += problems_of_settings(settings)
    _judge(fields, target, allow_plain_origin=allow_plain_origin)
    if fields.problems or target.origin is None:
        raise InvalidConfigurationError(fields.problems)
    return Creation(
        name=names["name"], settings=settings, origin=target.origin, secret=target.secret, check=check, edge=edge
    )


def read_change(
    given: Mapping[str, object], present: Configuration, secret: OriginSecret, *, allow_plain_origin: bool
) -> Change:
    """A request to change a configuration; InvalidConfigurationError names everything that is wrong."""
    fields = Fields()
    fields.refuse_unknown(given, ("name", "origin", "check", "version", *SETTINGS))
    if given.get("name", present.name) != present.name:
        fields.refuse("name", "cannot be changed; make another configuration")
    before = _Target(origin=present.origin, secret=secret)
    target = _target(fields, given, before) if "origin" in given else before
    changes = _settings(fields, given, present, target)
    check = fields.flag(given, "check", default=True)
    _judge(fields, target, allow_plain_origin=allow_plain_origin)
    if target.origin is None:
        raise InvalidConfigurationError(fields.problems)
    if target.secret.password and not target.gives_password:
        fields.problems += _problems_of_reuse(present.origin, target.origin)
    changed = msgspec.structs.replace(present, origin=target.origin, **changes)
    fields.problems += problems_of_settings(changed)
    if fields.problems:
        raise InvalidConfigurationError(fields.problems)
    is_another = target.origin != present.origin or target.secret != secret
    return Change(configuration=changed, secret=target.secret, check=check and is_another)


def read_edge(fields: Fields, given: Mapping[str, object]) -> str | None:
    """The HOST:PORT that a connection string is to name."""
    edge = given.get("edge")
    if edge is None or (isinstance(edge, str) and EDGE_PATTERN.fullmatch(edge)):
        return edge
    fields.refuse("edge", "must be HOST:PORT")
    return None


def read_table(fields: Fields, given: Mapping[str, object]) -> str | None:
    """The table that a purge is about; None for all answers."""
    fields.refuse_unknown(given, ("table",))
    table = given.get("table")
    if table is None or (isinstance(table, str) and is_table_name(table)):
        return table
    fields.refuse("table", "must be TABLE or SCHEMA.TABLE as pg_class has them, without quotes")
    return None


def _settings(fields: Fields, given: Mapping[str, object], base: Settings, target: _Target) -> dict[str, Any]:
    """The given settings; groups of them are laid over what there is."""
    changes = fields.of({name: value for name, value in given.items() if name not in _GROUPS}, Settings)
    if target.connect_timeout_s is not None:
        changes.setdefault("connect_timeout_s", target.connect_timeout_s)
    for name, kind in _GROUPS.items():
        if name in given:
            group = fields.mapping(given, name)
            fields.refuse_unknown(group, kind.__struct_fields__, f"{name}.")
            present = getattr(base, name)
            laid_over = _tables(fields, group, present.tables) if isinstance(present, Caching) else {}
            alone = {key: value for key, value in group.items() if key not in laid_over}
            changes[name] = msgspec.structs.replace(present, **fields.of(alone, kind, f"{name}."), **laid_over)
    return changes


def _tables(fields: Fields, caching: Mapping[str, object], present: Mapping[str, float]) -> dict[str, Any]:
    """`caching.tables`, where it is given, laid over what there is: null takes one table away, or all of them."""
    if "tables" not in caching:
        return {}
    if caching["tables"] is None:
        return {"tables": {}}
    tables = dict(present)
    for name, given in fields.mapping(caching, "tables", "caching.").items():
        age = None if given is None else fields.one(f"caching.tables.{printable(name)}", given, TableAge)
        if age is None:
            tables.pop(name, None)
        elif age is not msgspec.UNSET:
            tables[name] = age
    return {"tables": tables}


def _target(fields: Fields, given: Mapping[str, object], base: _Target) -> _Target:
    origin = given.get("origin", {})
    return _target_of_url(fields, origin, base) if isinstance(origin, str) else _target_of_object(fields, given, base)


def _target_of_url(fields: Fields, url: str, base: _Target) -> _Target:
    try:
        parsed = parse_origin(url)
    except InvalidConfigurationError as error:
        fields.problems += error.problems
        return _Target(origin=None, secret=base.secret)
    # A string cannot hold a client key, and one without a password does not speak about it.
    password = parsed.secret.password or base.secret.password
    return _Target(
        origin=parsed.origin,
        secret=attrs.evolve(base.secret if parsed.origin.sslcert else OriginSecret(), password=password),
        gives_password=bool(parsed.secret.password),
        connect_timeout_s=parsed.connect_timeout_s,
    )


def _target_of_object(fields: Fields, given: Mapping[str, object], base: _Target) -> _Target:
    origin = fields.mapping(given, "origin")
    fields.refuse_unknown(origin, (*Origin.__struct_fields__, "password", "sslkey"), "origin.")
    changes = fields.of(origin, Origin, "origin.")
    secret = _secret(fields, origin, base.secret)
    if base.origin is not None:
        changed = msgspec.structs.replace(base.origin, **changes)
        return _Target(origin=changed, secret=secret, gives_password="password" in origin)
    if "origin" in given:
        for name in ("host", "user"):
            if name not in origin:
                fields.refuse(f"origin.{name}", "is missing")
    if not {"host", "user"} <= changes.keys() or ("database" in origin and "database" not in changes):
        return _Target(origin=None, secret=secret)
    made = Origin(**{"database": changes["user"], **changes})  # PostgreSQL's own default
    if "sslmode" not in origin:
        made = msgspec.structs.replace(made, sslmode=default_sslmode(made.addresses, made.sslrootcert))
    return _Target(origin=made, secret=secret, gives_password=True)


def _secret(fields: Fields, origin: Mapping[str, object], base: OriginSecret) -> OriginSecret:
    password, key = origin.get("password", base.password), origin.get("sslkey", base.client_key)
    if not (isinstance(password, str) and len(password) <= MAX_PASSWORD_CHARACTERS and "\0" not in password):
        fields.refuse("origin.password", f"must be a text of at most {MAX_PASSWORD_CHARACTERS} characters")
        password = ""
    if not (key is None or (isinstance(key, str) and len(key) <= MAX_PEM_CHARACTERS)):
        fields.refuse("origin.sslkey", "must be the text of a PEM file, at most 64 KiB, or null")
        key = None
    return OriginSecret(password, key)


def _judge(fields: Fields, target: _Target, *, allow_plain_origin: bool) -> None:
    if target.origin is not None:
        fields.problems += problems_of_origin(target.origin, allow_plain_origin=allow_plain_origin)
        fields.problems += problems_of_certificates(target.origin, target.secret)


def _problems_of_reuse(before: Origin, after: Origin) -> list[Problem]:
    """A write-only password must not be lured to another host, or over a weaker way, by who does not know it."""
    weaker = SSLMODES.index(after.sslmode) < SSLMODES.index(before.sslmode)
    bolder = after.allow_plain_password and not before.allow_plain_password
    if after.addresses == before.addresses and not weaker and not bolder:
        return []
    return [Problem("origin.password", "must be given again when the origin's host changes or its protection weakens")]
