"""Passwords are prepared as PostgreSQL prepares them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.pg.saslprep import prepared


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        ("plain", b"plain"),
        ("", b""),
        ("tab\tand\x7fdelete", b"tab\tand\x7fdelete"),  # ASCII is never looked at
        ("I\u00adX", b"IX"),  # RFC 4013's own examples, where PostgreSQL follows them
        ("USER", b"USER"),
        ("\u00aa", b"a"),
        ("\u2168", b"IX"),
        ("a\u00a0b", b"a b"),
        ("a\u200bb", b"a b"),  # in two tables: a space before it is nothing
        ("\u00e9e\u0301", "\u00e9\u00e9".encode()),
    ],
)
def test_what_looks_the_same_becomes_the_same(password: str, expected: bytes) -> None:
    assert prepared(password) == expected
    assert prepared(password.encode()) == expected


@pytest.mark.parametrize(
    "password",
    [
        "\u00ad",  # nothing would be left
        "\u00e9\x07",  # a control character
        "\u0627\u0031",  # right-to-left that does not end so
        "\u0627a\u0627",  # mixed directions
        "\u0221",  # not assigned in Unicode 3.2
        "\ue000",  # private use
        "\u2ff0",  # not for plain text
    ],
)
def test_what_the_profile_prohibits_is_taken_as_it_is(password: str) -> None:
    assert prepared(password) == password.encode()


def test_bytes_that_are_not_utf_8_are_taken_as_they_are() -> None:
    assert prepared(b"caf\xe9\xff") == b"caf\xe9\xff"
    assert prepared("caf\udce9\udcff") == b"caf\xe9\xff"


@given(st.binary(max_size=40))
def test_any_bytes_can_be_prepared(password: bytes) -> None:
    assert isinstance(prepared(password), bytes)


@given(st.text(max_size=20))
def test_any_text_can_be_prepared_and_twice_is_once(password: str) -> None:
    assert prepared(prepared(password)) == prepared(password)
