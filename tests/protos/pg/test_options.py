"""Settings asked for at startup, read as PostgreSQL's command line is read."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.errors import InvalidOptionsError
from protos.pg.options import startup_settings


def settings_of(options: str) -> list[tuple[str, str]]:
    return startup_settings({"user": "me", "options": options})


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ("", []),
        ("  \t\n", []),
        ("-c a=b", [("a", "b")]),
        ("-ca=b", [("a", "b")]),
        ("--a=b", [("a", "b")]),
        ("--search-path=x,y", [("search_path", "x,y")]),
        ("-c a=b=c --d=", [("a", "b=c"), ("d", "")]),
        (r"-c a=one\ two", [("a", "one two")]),
        (r"-c a=back\\slash", [("a", "back\\slash")]),
        ("-c geqo=off -c GEQO=on", [("geqo", "on")]),
        ("-e -S 64", [("datestyle", "euro"), ("work_mem", "64")]),
        ("-S64 -fs", [("work_mem", "64"), ("enable_seqscan", "false")]),
        ("-sc a=b", [("log_statement_stats", "true"), ("a", "b")]),
        ("-c a=b --", [("a", "b")]),
        ("-c a=b\\", [("a", "b")]),
    ],
)
def test_what_a_command_line_sets(options: str, settings: list[tuple[str, str]]) -> None:
    assert settings_of(options) == settings


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("-c a", "-c a requires a value"),
        ("--a", "--a requires a value"),
        ("-c", "invalid command-line argument for server process: -c"),
        ("word", "invalid command-line argument for server process: word"),
        ("-c a=b -- more", "invalid command-line argument for server process: more"),
        ("-!", "invalid command-line argument for server process: -!"),
        ("-f x", "invalid command-line argument for server process: -f"),
    ],
)
def test_what_is_no_command_line_is_refused_in_the_words_of_postgresql(options: str, text: str) -> None:
    with pytest.raises(InvalidOptionsError) as caught:
        settings_of(options)
    assert caught.value.public_message == text
    assert caught.value.sqlstate == "42601"


def test_a_parameter_of_its_own_wins_over_the_command_line() -> None:
    asked = {"user": "me", "DateStyle": "ISO", "options": "-c datestyle=German -c a=b"}
    assert startup_settings(asked) == [("datestyle", "ISO"), ("a", "b")]


def test_who_connects_and_how_is_no_setting() -> None:
    asked = {"user": "u", "database": "d", "replication": "false", "_pq_.x": "1", "application_name": "app"}
    assert startup_settings(asked) == [("application_name", "app")]


@given(st.lists(st.tuples(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.text(max_size=12)), max_size=4))
def test_any_value_can_be_written_with_backslashes(pairs: list[tuple[str, str]]) -> None:
    def escaped(value: str) -> str:
        return "".join("\\" + c if c in " \t\n\v\f\r\\" else c for c in value)

    options = " ".join([f"-c {name}={escaped(value)}" for name, value in pairs])
    assert dict(settings_of(options)) == dict(pairs)


@given(st.text(max_size=40))
def test_any_text_gives_settings_or_the_error_that_says_why_not(options: str) -> None:
    with contextlib.suppress(InvalidOptionsError):
        settings_of(options)
