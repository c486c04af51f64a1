"""What an edge knows of configurations: whose word is newer, what is answered without asking, what is never kept."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.directory import MAX_KNOWN_PAIRS, Directory, Entry, Pair, RefusedSettingError
from edge.early import NOTHING
from protos.link.link_pb2 import Early, Resolution, Setting
from protos.link.settings import raw, text
from protos.pg.messages import error_response
from tests.support.stage import NAME, PARAMETERS, USER, configuration, settings

REFUSAL: Final = error_response({"S": "ERROR", "C": "22023", "M": "no such zone", "D": "none", "H": "look"})


def entry(directory: Directory | None = None, **changes: object) -> Entry:
    directory = Directory() if directory is None else directory
    made = directory.put(configuration(**changes))  # type: ignore[arg-type]
    assert made is not None
    return made


def resolution(name: str, value: str, reported: dict[str, str], refusal: bytes = b"") -> Resolution:
    setting = Setting(name=raw(name), value=raw(value))
    return Resolution(setting=setting, reported=settings(reported), refusal=refusal)


# --- configurations ---


def test_what_was_pushed_is_found_by_its_user_and_name() -> None:
    directory = Directory()
    put = entry(directory)
    assert directory.get(NAME) is put
    assert directory.find(USER, NAME) == put.credential
    assert directory.find("another", NAME) is None
    assert directory.find(USER, "another") is None
    assert directory.user_exists_elsewhere(USER) == put.credential
    assert directory.user_exists_elsewhere("another") is None
    assert directory.exists(NAME)
    assert not directory.exists("another")
    assert directory.names() == {NAME}
    assert len(directory) == 1


@pytest.mark.parametrize(
    ("settings_", "default", "expected"),
    [
        ({}, "UTF8", True),
        ({}, "LATIN1", False),
        ({"Client_Encoding": "utf-8"}, "LATIN1", True),
        ({"client_encoding": "latin1"}, "UTF8", False),
        ({"application_name": "x"}, "UTF8", True),
    ],
)
def test_it_is_known_whether_a_client_speaks_utf8(settings_: dict[str, str], default: str, *, expected: bool) -> None:
    made = entry()
    made.set_parameters(settings({"client_encoding": default}))
    given = settings(settings_)
    assert made.settings_of(given, given).is_utf8 == expected


def test_the_newer_version_holds_whichever_comes_last() -> None:
    directory = Directory()
    new = entry(directory, version=5, credentials_version=5, user="ot_new")
    assert directory.put(configuration(version=4)) is None
    assert directory.get(NAME) is new
    assert directory.user_exists_elsewhere(USER) is None
    same = entry(directory, version=5, credentials_version=5, user="ot_new")
    assert directory.get(NAME) is same, "the same version may say more of what was learnt"


def test_what_is_switched_off_is_off_for_the_sessions_that_there_are() -> None:
    directory = Directory()
    early = entry(directory, early=Early(begin=True, prepare=True, remember=True)).early
    early.learn(b"s", NOTHING)
    early.memos.keep(b"request", b"answer", None, ages=False)
    assert early.description_of(b"s") is NOTHING
    assert entry(directory, version=2, early=Early()).early is early
    assert not early.is_on
    assert (len(early), len(early.memos)) == (0, 0)


def test_a_user_of_an_older_version_is_gone_with_it() -> None:
    directory = Directory()
    entry(directory)
    entry(directory, version=2, user="ot_new")
    assert directory.user_exists_elsewhere(USER) is None
    assert directory.find(USER, NAME) is None
    assert directory.find("ot_new", NAME) is not None


def test_a_deleted_configuration_is_gone_with_its_user() -> None:
    directory = Directory()
    put = entry(directory)
    assert directory.forget(NAME) is put
    assert directory.forget(NAME) is None
    assert not directory.exists(NAME)
    assert directory.user_exists_elsewhere(USER) is None
    again = entry(directory, version=1)
    assert directory.get(NAME) is again, "and may be made again"


def test_it_is_ready_when_a_pool_node_has_told_everything() -> None:
    directory = Directory()
    entry(directory)
    assert not directory.is_ready
    directory.ready(b"mock")
    assert directory.is_ready
    assert directory.mock_secret == b"mock"


# --- settings ---


def test_a_session_without_settings_is_told_what_the_origin_reports() -> None:
    assert entry().unknown([]) == []
    assert entry().reported([]) == PARAMETERS


def test_an_unknown_pair_is_asked_once_and_then_reported_to_all() -> None:
    one = entry()
    pair = ("DateStyle", "german")
    assert one.unknown([pair]) == [pair]
    one.learn([resolution(*pair, {"DateStyle": "German, DMY"})])
    assert one.unknown([pair]) == []
    assert one.reported([pair]) == PARAMETERS | {"DateStyle": "German, DMY"}
    assert one.unknown([("DateStyle", "German")]) == [("DateStyle", "German")]


def test_a_pair_that_reports_nothing_is_known_all_the_same() -> None:
    one = entry()
    one.learn([resolution("search_path", "x", {})])
    assert one.unknown([("search_path", "x")]) == []
    assert one.reported([("search_path", "x")]) == PARAMETERS


def test_what_the_origin_refuses_is_not_kept() -> None:
    # `role=later` is refused until that role is created.
    one = entry()
    one.learn([resolution("role", "later", {}, REFUSAL)])
    assert one.unknown([("role", "later")]) == [("role", "later")]


def test_what_is_pushed_as_known_needs_no_question() -> None:
    pushed = configuration()
    pushed.known.append(resolution("TimeZone", "utc", {"TimeZone": "UTC"}))
    one = Directory().put(pushed)
    assert one is not None
    assert one.unknown([("TimeZone", "utc")]) == []


@pytest.mark.parametrize(
    ("pair", "reported"),
    [
        (("application_name", "psql"), {"application_name": "psql"}),
        (("Application_Name", ""), {"application_name": ""}),
        (("client_encoding", "utf-8"), {"client_encoding": "UTF8"}),
        (("CLIENT_ENCODING", "Unicode"), {"client_encoding": "UTF8"}),
    ],
)
def test_facts_of_postgresql_need_no_question(pair: Pair, reported: dict[str, str]) -> None:
    assert entry().unknown([pair]) == []
    assert entry().reported([pair]) == PARAMETERS | reported


@pytest.mark.parametrize(
    "pair",
    [
        ("application_name", "x" * 64),
        ("application_name", "né"),
        ("application_name", "a\nb"),
        ("client_encoding", "latin1"),
        ("client_encoding", "utf16"),
        ("extra_float_digits", "3"),
    ],
)
def test_what_may_be_changed_or_refused_is_asked(pair: Pair) -> None:
    assert entry().unknown([pair]) == [pair]


def test_later_settings_win() -> None:
    one = entry()
    one.learn([resolution("TimeZone", zone, {"TimeZone": zone}) for zone in ("UTC", "CET")])
    assert one.reported([("TimeZone", "CET"), ("TimeZone", "UTC")])["TimeZone"] == "UTC"


def test_what_is_known_is_bounded_and_the_oldest_makes_room() -> None:
    one = entry()
    one.learn(resolution("application_name", f"é{number}", {}) for number in range(MAX_KNOWN_PAIRS))
    one.learn([resolution("application_name", "é0", {})])
    one.learn([resolution("TimeZone", "CET", {})])
    assert len(one.known) == MAX_KNOWN_PAIRS
    assert one.unknown([("application_name", "é0"), ("TimeZone", "CET")]) == []
    assert one.unknown([("application_name", "é1")]) == [("application_name", "é1")]


def test_what_is_known_outlives_a_change_that_leaves_the_origin_as_it_is() -> None:
    directory = Directory()
    entry(directory).learn([resolution("TimeZone", "CET", {"TimeZone": "CET"})])
    assert entry(directory, version=2).unknown([("TimeZone", "CET")]) == []
    other = entry(directory, version=3, parameters=settings({"DateStyle": "SQL, DMY"}))
    assert other.unknown([("TimeZone", "CET")]) == [("TimeZone", "CET")]


def test_a_session_s_scope_is_its_settings_but_for_its_name() -> None:
    one = entry()
    base = one.scope_of([])
    assert one.scope_of([("application_name", "psql")]) == base
    assert one.scope_of([("datestyle", "dmy")]) == one.scope_of([("DateStyle", "dmy"), ("Application_name", "x")])
    scopes = {base, one.scope_of([("datestyle", "dmy")]), one.scope_of([("datestyle", "mdy")])}
    assert len(scopes | {one.scope_of([("timezone", "dmy")]), one.scope_of([("search_path", "\udcff")])}) == 5


@given(st.binary(max_size=30).filter(lambda data: b"\0" not in data))
def test_bytes_that_are_no_text_come_back_as_they_were(data: bytes) -> None:
    assert raw(text(data)) == data


def test_a_refusal_is_told_in_the_origin_s_own_words() -> None:
    error = RefusedSettingError(REFUSAL)
    assert (error.sqlstate, error.public_message, error.detail, error.hint) == ("22023", "no such zone", "none", "look")
    assert error.severity == "FATAL"
    assert RefusedSettingError(error_response({"S": "ERROR", "C": "42704", "M": "x"})).sqlstate == "42704"
