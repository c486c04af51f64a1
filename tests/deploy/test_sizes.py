"""Sizes are read as they are written, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.sizes import MAX_BYTES, format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1000", 1000),
        ("7B", 7),
        ("64KiB", 65_536),
        ("256 MiB", 256 << 20),
        ("1.5gib", 3 << 29),
        (" 1024GiB ", 1 << 40),
    ],
)
def test_what_people_write(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "x", "12XB", "12KB", "12M", "-1", "1e3", "nan", "0x10", "1 2", "٣", "MiB", "1..5"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="KiB, MiB or GiB"):
        parse_size(text)


@pytest.mark.parametrize("text", ["1025GiB", "999999999999999", str(MAX_BYTES + 1)])
def test_there_is_a_largest(text: str) -> None:
    with pytest.raises(ValueError, match="at most 1024GiB"):
        parse_size(text)


@given(st.integers(0, 2000) | st.integers(0, 2000).map(lambda n: n << 20) | st.integers(0, MAX_BYTES))
def test_a_size_survives_its_text(size: int) -> None:
    assert parse_size(format_size(size)) == size


def test_a_size_is_shown_as_it_is_documented() -> None:
    assert format_size(256 << 20) == "256MiB"
    assert format_size(0) == "0"
