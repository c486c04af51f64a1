"""Profiles: one object for one meaning; and from any to any other in one simple query, on a real server."""

from collections.abc import Mapping

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regional.profile import BASE, Profile, difference, quote_literal
from tests.regional.conftest import Connection, Traps

ODD_TEXTS = [
    "",
    "plain",
    "it's",
    "a\\b",
    "\\'",
    "'; select 1 --",
    "é",
    "日本",
    "😀",
    "tab\tnewline\n\r\x01\x7f",
    '"$user", "a"',
]


def test_equal_settings_are_one_object() -> None:
    one = Profile.of([("TimeZone", "UTC"), ("application_name", "a")])
    assert one is Profile.of([("application_name", "a"), ("timezone", "UTC")])
    assert one is not Profile.of([("application_name", "a"), ("timezone", "utc")])
    assert Profile.of([]) is BASE
    assert {one: 1}[Profile.of([("TIMEZONE", "UTC"), ("application_name", "a")])] == 1


def test_the_last_value_of_a_name_counts() -> None:
    assert Profile.of([("a", "1"), ("A", "2")]) is Profile.of([("a", "2")])


@pytest.mark.parametrize("pair", [("", "x"), ("a\0", "x"), ("a", "x\0")])
def test_what_no_startup_packet_can_hold_is_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(ValueError):
        Profile.of([pair])


def test_profiles_do_not_tell_their_values() -> None:
    assert "secret" not in repr(Profile.of([("a.token", "secret")]))


def test_there_is_nothing_to_do_between_equals() -> None:
    assert difference(BASE, BASE) is None
    one = Profile.of([("a.b", "1")])
    assert difference(one, one) is None
    assert difference(Profile.between(), BASE) is not None


def test_only_what_differs_is_said() -> None:
    sql = difference(Profile.of([("a.a", "1"), ("a.b", "2"), ("a.c", "3")]), Profile.of([("a.a", "1"), ("a.b", "4")]))
    assert sql == (
        b"SELECT pg_catalog.set_config('a.b','4',false) IS NULL;SELECT pg_catalog.set_config('a.c',NULL,false) IS NULL"
    )


def test_roles_are_left_first_and_taken_last() -> None:
    role = Profile.of([("role", "r"), ("session_authorization", "s"), ("zzz.a", "1"), ("a.a", "1")])
    taken = (difference(BASE, role) or b"").decode()
    names = [part.split("'")[1] for part in taken.split(";")]
    assert names == ["a.a", "zzz.a", "session_authorization", "role"]
    other = (difference(role, Profile.of([("role", "r"), ("a.a", "2")])) or b"").decode().split(";")
    assert other[:2] == ["SET SESSION AUTHORIZATION DEFAULT", "RESET ROLE"]
    assert "'role'" in other[-1]


@given(st.text())
def test_a_literal_is_ascii_and_closed(text: str) -> None:
    literal = quote_literal(text)
    assert literal.isascii()
    assert literal.isprintable()
    body = literal.removeprefix(" E")
    assert body[0] == body[-1] == "'"
    inner = body[1:-1].replace("\\\\", "").replace("''", "")
    assert "'" not in inner


def _values(connection: Connection, names: list[str]) -> Mapping[str, str | None]:
    rows = {}
    for name in names:
        row = connection.execute("select current_setting(%s, true)", [name]).fetchone()
        rows[name] = row[0] or "" if row else ""
    return rows


def _go(connection: Connection, current: Profile, wanted: Profile) -> None:
    sql = difference(current, wanted)
    if sql is not None:
        connection.execute(sql)


@pytest.mark.postgres
@pytest.mark.parametrize("strings", ["on", "off"])
@pytest.mark.parametrize("encoding", ["UTF8", "SJIS", "LATIN1", "GB18030"])
def test_any_value_arrives_in_any_encoding(traps: Traps, strings: str, encoding: str) -> None:
    with traps.connect() as connection:
        connection.execute(f"set client_encoding = '{encoding}'")
        connection.execute(f"set standard_conforming_strings = {strings}")
        connection.execute("set backslash_quote = off")
        _go(connection, BASE, Profile.of([(f"odd.name{index}", text) for index, text in enumerate(ODD_TEXTS)]))
        connection.execute("set client_encoding = 'UTF8'")
        for index, text in enumerate(ODD_TEXTS):
            assert connection.execute(f"select current_setting('odd.name{index}')").fetchone() == (text,)


@pytest.mark.postgres
def test_bytes_that_are_no_text_arrive_as_they_were(traps: Traps) -> None:
    raw = "é€".encode().decode("ascii", "surrogateescape")
    with traps.connect() as connection:
        _go(connection, BASE, Profile.of([("odd.raw", raw)]))
        assert connection.execute("select current_setting('odd.raw')").fetchone() == ("é€",)


_SETTINGS = {
    "timezone": ["UTC", "Asia/Tokyo", "<+03>-03"],
    "datestyle": ["ISO, DMY", "German"],
    "search_path": ['"$user", public', "shadow, pg_catalog", "", '"odd ""name"""'],
    "application_name": ["a", "it's"],
    "extra_float_digits": ["0", "3"],
    "standard_conforming_strings": ["off", "on"],
    "client_encoding": ["LATIN1", "SJIS", "UTF8"],
    "my.own": ["x", "", "\\"],
    "role": ["traps_role"],
    "statement_timeout": ["5s", "1min"],
}
_profiles = st.dictionaries(st.sampled_from(sorted(_SETTINGS)), st.integers(0, 3)).map(
    lambda chosen: Profile.of((name, _SETTINGS[name][index % len(_SETTINGS[name])]) for name, index in chosen.items())
)


@pytest.mark.postgres
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(path=st.lists(_profiles, min_size=2, max_size=5))
def test_the_way_does_not_matter(traps: Traps, path: list[Profile]) -> None:
    names = sorted(_SETTINGS)
    with traps.connect() as walked, traps.connect() as fresh:
        current = BASE
        for wanted in path:
            _go(walked, current, wanted)
            current = wanted
        _go(fresh, BASE, current)
        assert _values(walked, names) == _values(fresh, names)
        _go(walked, Profile.between(), BASE)
        _go(fresh, current, BASE)
        with traps.connect() as untouched:
            expected = _values(untouched, names)
            assert _values(walked, names) == expected
            assert _values(fresh, names) == expected


@pytest.mark.postgres
def test_a_refused_value_changes_nothing(traps: Traps) -> None:
    with traps.connect() as connection:
        before = _values(connection, sorted(_SETTINGS))
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            _go(connection, BASE, Profile.of([("application_name", "a"), ("timezone", "Nowhere/Land")]))
        assert _values(connection, sorted(_SETTINGS)) == before


@pytest.mark.postgres
def test_settings_are_set_as_the_user_that_logged_in(traps: Traps) -> None:
    """The role of the session may not set log_statement; its login may."""
    with traps.origin.connect(traps.name) as connection:
        current = Profile.of([("role", "by_scram")])
        wanted = Profile.of([("role", "by_scram"), ("log_statement", "none")])
        _go(connection, BASE, current)
        _go(connection, current, wanted)
        assert connection.execute("select current_user").fetchone() == ("by_scram",)
        _go(connection, wanted, BASE)
        assert connection.execute("select current_user").fetchone() == ("postgres",)
