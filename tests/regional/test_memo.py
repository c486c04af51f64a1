"""Verdicts that are remembered: within their bytes, the last used for longest."""

from hypothesis import given
from hypothesis import strategies as st

from regional.memo import Memo


@given(st.lists(st.integers(0, 60), max_size=300))
def test_it_stays_within_its_bytes_and_tells_no_lies(texts: list[int]) -> None:
    memo: Memo[int] = Memo(20_000, entry_bytes=400)
    for number in texts:
        text = b"%d" % number * 10
        found = memo.get(text)
        assert found in {None, number}
        if found is None:
            memo.keep(text, number)
        assert memo.held_bytes <= 20_000
        assert memo.get(text) == number


def test_what_is_asked_for_stays_and_what_is_not_goes() -> None:
    memo: Memo[int] = Memo(20_000, entry_bytes=400)
    for text in (b"used", b"unused"):
        memo.keep(text, 1)
    for number in range(100):
        memo.keep(b"%d" % number, number)
        assert memo.get(b"used") == 1
    assert memo.get(b"unused") is None
