"""Requests become configurations, whole or with all their problems; a kept password does not go astray."""

from contextlib import suppress
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regional.admin.draft import Change, Creation, read_change, read_creation, read_table
from regional.admin.fields import Fields
from regional.configuration import (
    MAX_TABLES,
    Address,
    Caching,
    InvalidConfigurationError,
    Origin,
    OriginSecret,
    problems_of,
)
from tests.regional.admin.test_fields import JSON
from tests.regional.samples import ORIGIN, configuration
from tests.regional.test_origin_certificates import CERTIFICATE, KEY

SECRET = OriginSecret("hunter2")


def create(allow_plain_origin: bool = False, **given: object) -> Creation:  # noqa: FBT001, FBT002 (a test's shorthand)
    return read_creation({"name": "demo", **given}, allow_plain_origin=allow_plain_origin)


def change(present: Origin, secret: OriginSecret, origin: object) -> Change:
    return read_change({"origin": origin}, configuration(origin=present), secret, allow_plain_origin=False)


def refused(call: Any, **given: object) -> list[str]:
    with pytest.raises(InvalidConfigurationError) as caught:
        call(**given)
    assert "hunter" not in str(caught.value)
    return [problem.field for problem in caught.value.problems]


def test_an_origin_may_be_a_string_or_an_object() -> None:
    by_string = create(origin="postgres://u:hunter2@h:7/d?sslmode=verify-full&connect_timeout=3")
    by_object = create(
        origin={"host": "h", "port": 7, "database": "d", "user": "u", "password": "hunter2", "sslmode": "verify-full"},
        connect_timeout_s=3,
    )
    assert by_string == by_object
    assert by_string.secret.password == "hunter2"
    assert by_string.settings.connect_timeout_s == 3


def test_a_given_timeout_goes_before_the_strings() -> None:
    made = create(origin="postgres://u@h/d?connect_timeout=3", connect_timeout_s=9)
    assert made.settings.connect_timeout_s == 9


def test_defaults_of_an_origin_depend_on_where_it_is() -> None:
    assert create(origin={"host": "h", "user": "u"}).origin.sslmode == "require"
    assert create(origin={"host": "h", "user": "u"}).origin.database == "u"
    assert create(origin={"host": "/run/pg", "user": "u"}).origin.sslmode == "disable"
    assert create(origin={"host": "h", "user": "u", "sslrootcert": CERTIFICATE}).origin.sslmode == "verify-full"


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({}, ["origin"]),
        ({"origin": {}}, ["origin.host", "origin.user"]),
        ({"origin": 5}, ["origin", "origin.host", "origin.user"]),
        ({"origin": None}, ["origin", "origin.host", "origin.user"]),
        ({"origin": "postgres://u:hunter2@"}, ["origin"]),
        ({"origin": {"host": "h", "user": "u", "database": 1}}, ["origin.database"]),
        ({"origin": {"host": "h", "user": "u", "password": 5}}, ["origin.password"]),
        ({"origin": {"host": "h", "user": "u", "password": "hunter2\0"}}, ["origin.password"]),
        ({"origin": {"host": "h", "user": "u", "sslmode": "disable"}}, ["origin.sslmode"]),
        ({"origin": {"host": "h", "user": "u", "sslkey": "hunter"}}, ["origin.sslcert"]),
        ({"origin": {"host": "h", "user": "u"}, "edge": "x"}, ["edge"]),
        ({"origin": {"host": "h", "user": "u"}, "check": 1}, ["check"]),
        ({"origin": {"host": "h", "user": "u"}, "caching": []}, ["caching"]),
        (
            {"origin": {"host": "h", "user": "u"}, "caching": {"ttl": 1, "max_age": 0}},
            ["caching.ttl", "caching.max_age"],
        ),
        (
            {"origin": {"host": "h", "user": "u"}, "caching": {"tables": {"a": 9999, "b": "x", '"c"': 1, "d": 1}}},
            ["caching.tables.a", "caching.tables.b", 'caching.tables."c"'],
        ),
        ({"origin": {"host": "h", "user": "u"}, "caching": {"tables": []}}, ["caching.tables"]),
        (
            {"origin": {"host": "h", "user": "u"}, "caching": {"stale_if_unreachable": 86401}},
            ["caching.stale_if_unreachable"],
        ),
        ({"origin": {"host": "h", "user": "u"}, "user": "mine", "verifier": "x"}, ["user", "verifier"]),
        ({"origin": {"host": "h", "user": "u"}, "origin_connection_min": 21}, ["origin_connection_min"]),
        (
            {"origin": {"host": "h", "user": "u"}, "origin_connection_min": 7, "origin_total_limit": 6},
            ["origin_connection_min"],
        ),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, object], fields: list[str]) -> None:
    assert refused(create, **given) == fields


def test_a_plain_origin_is_allowed_by_the_node() -> None:
    assert create(allow_plain_origin=True, origin="postgres://u@h/d?sslmode=disable").origin.sslmode == "disable"


def test_an_object_changes_the_fields_it_has_and_null_takes_one_away() -> None:
    origin = msgspec.structs.replace(ORIGIN, sslcert=CERTIFICATE)
    changed = change(origin, OriginSecret("hunter2", KEY), {"database": "other"})
    assert changed.configuration.origin == msgspec.structs.replace(origin, database="other")
    assert changed.secret == OriginSecret("hunter2", KEY)
    assert changed.check
    without = change(origin, OriginSecret("hunter2", KEY), {"sslcert": None, "sslkey": None})
    assert (without.configuration.origin.sslcert, without.secret.client_key) == (None, None)


def test_a_string_replaces_the_origin_and_keeps_the_password_it_does_not_name() -> None:
    replaced = change(ORIGIN, SECRET, "postgres://other@db.internal/x")
    assert replaced.configuration.origin == Origin(host="db.internal", database="x", user="other")
    assert replaced.secret == SECRET
    assert change(ORIGIN, SECRET, "postgres://other:new@elsewhere/x").secret == OriginSecret("new")


@pytest.mark.parametrize(
    "origin",
    [
        {"host": "elsewhere"},
        {"port": 5433},
        {"alternates": [{"host": "elsewhere"}]},
        {"sslmode": "require"},
        {"allow_plain_password": True},
        "postgres://app_user@elsewhere/app?sslmode=verify-full",
    ],
)
def test_a_kept_password_goes_to_no_other_place_and_no_weaker_way(origin: object) -> None:
    present = configuration(origin=msgspec.structs.replace(ORIGIN, sslmode="verify-full"))
    with pytest.raises(InvalidConfigurationError) as caught:
        read_change({"origin": origin}, present, SECRET, allow_plain_origin=False)
    assert [problem.field for problem in caught.value.problems] == ["origin.password"]
    read_change({"origin": origin}, present, OriginSecret(), allow_plain_origin=False)  # nothing to protect
    if isinstance(origin, dict):
        origin = {**origin, "password": "hunter2"}
        assert read_change({"origin": origin}, present, SECRET, allow_plain_origin=False).secret == SECRET


def test_a_change_of_settings_alone_is_not_tested() -> None:
    changed = read_change({"session_state": "pin", "version": 1}, configuration(), SECRET, allow_plain_origin=False)
    assert changed == Change(configuration=configuration(session_state="pin"), secret=SECRET, check=False)
    only_password = read_change({"origin": {"password": "x"}}, configuration(), SECRET, allow_plain_origin=False)
    assert only_password.check
    assert only_password.secret == attrs.evolve(SECRET, password="x")


def caching_after(present: Caching, given: dict[str, object]) -> Caching:
    """What a change of `caching` makes of it."""
    changed = read_change({"caching": given}, configuration(caching=present), SECRET, allow_plain_origin=False)
    return changed.configuration.caching


def test_a_change_of_caching_touches_what_it_names() -> None:
    present = Caching(max_age=7, stale_if_unreachable=60, in_transactions=True, tables={"a": 1, "s.b": 2})
    off = caching_after(present, {"disabled": True})
    assert off == msgspec.structs.replace(present, disabled=True)
    assert caching_after(off, {"disabled": False, "follow_writes": True}) == msgspec.structs.replace(
        present, follow_writes=True
    )


def test_one_table_is_set_or_taken_away_alone() -> None:
    present = Caching(max_age=7, tables={"a": 1, "s.b": 2})
    assert caching_after(present, {"tables": {"c": 0}}).tables == {"a": 1, "s.b": 2, "c": 0}
    assert caching_after(present, {"tables": {"a": 5, "s.b": None, "never there": None}}).tables == {"a": 5}
    assert caching_after(present, {"tables": {}}) == present
    assert caching_after(present, {"tables": None}).tables == {}
    assert present.tables == {"a": 1, "s.b": 2}


def test_tables_are_counted_after_the_change() -> None:
    present = Caching(tables={f"t{number}": 1.0 for number in range(MAX_TABLES)})
    assert refused(caching_after, present=present, given={"tables": {"more": 1}}) == ["caching.tables"]
    assert len(caching_after(present, {"tables": {"more": 1, "t0": None}}).tables) == MAX_TABLES


@pytest.mark.parametrize("table", [5, "", "a.b.c", '"Orders"', []])
def test_a_purge_names_a_table_or_none(table: object) -> None:
    fields = Fields()
    assert read_table(fields, {"table": table, "tabel": 1}) is None
    assert [problem.field for problem in fields.problems] == ["tabel", "table"]
    fields = Fields()
    assert [read_table(fields, given) for given in ({}, {"table": None}, {"table": "s.t"})] == [None, None, "s.t"]
    assert not fields.problems


def test_a_name_cannot_be_changed() -> None:
    assert read_change({"name": "demo"}, configuration(), SECRET, allow_plain_origin=False)
    with pytest.raises(InvalidConfigurationError, match="name cannot be changed"):
        read_change({"name": "other"}, configuration(), SECRET, allow_plain_origin=False)


def test_alternates_are_addresses() -> None:
    made = create(origin={"host": "a", "user": "u", "alternates": [{"host": "b", "port": 7}]})
    assert made.origin.addresses == (Address(host="a"), Address(host="b", port=7))
    assert refused(create, origin={"host": "a", "user": "u", "alternates": [{"host": ""}]}) == ["origin.alternates"]


KEYS = st.sampled_from(
    [
        "name",
        "origin",
        "check",
        "edge",
        "caching",
        "version",
        "max_waiters",
        "origin_connection_min",
        "scram_iterations",
    ]
)
ORIGINS = st.dictionaries(st.sampled_from([*Origin.__struct_fields__, "password", "sslkey", "x"]), JSON, max_size=6)


@given(st.dictionaries(KEYS, JSON | ORIGINS, max_size=5))
def test_garbage_raises_only_our_error_and_what_passes_is_valid(given: dict[str, object]) -> None:
    with suppress(InvalidConfigurationError):
        read_creation(given, allow_plain_origin=False)
    with suppress(InvalidConfigurationError):
        changed = read_change(given, configuration(), SECRET, allow_plain_origin=False)
        assert problems_of(changed.configuration) == []
