"""Words that dates are read off the clock by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regional.cache.words import has_date_word

_WORDS = ("now", "TODAY", "Tomorrow", "yesterday")


@pytest.mark.parametrize(
    "value",
    [
        b"now", b" NOW ", b"Today", b"tomorrow 10:00", b"10:00 yesterday", b"{2024-01-01,now}", b'{"now"}', b"[now,)",
        b'[n"o"w,)', b"{n\\ow}", b"(1,today)", b"now1", b"1now", b"\x00\x00\x00\x03now",
        b"\xc3\xa4now\xc3\xa4", b"now+",
    ],
)  # fmt: skip
def test_a_word_is_seen(value: bytes) -> None:
    assert has_date_word(value)


@pytest.mark.parametrize("value", [b"", b"nowhere", b"known", b"2024-01-01", b"todays", b"infinity", b"n o w", b"snow"])
def test_other_words_are_none(value: bytes) -> None:
    assert not has_date_word(value)


_AROUND = st.text(alphabet=' 0-9:{}[](),"\\', max_size=9)


@given(st.sampled_from(_WORDS), _AROUND, _AROUND)
def test_a_word_among_what_is_no_letter_is_seen(word: str, before: str, after: str) -> None:
    assert has_date_word((before + word + after).encode())
