"""The comment that asks not to be served from the cache."""

import pytest

from regional.cache.bypass import is_bypassed


@pytest.mark.parametrize(
    "sql",
    [
        b"/* onetrip: cache=off */ select 1",
        b"/*onetrip:cache=off*/select 1",
        b" \n\t/* OneTrip : Cache = OFF\n*/ select 1",
        b"-- onetrip: cache=off\nselect 1",
        b"--onetrip:cache=off",
    ],
)
def test_the_first_comment_counts(sql: bytes) -> None:
    assert is_bypassed(sql)


@pytest.mark.parametrize(
    "sql",
    [
        b"select 1 /* onetrip: cache=off */",
        b"/* a */ /* onetrip: cache=off */ select 1",
        b"/* onetrip: cache=on */ select 1",
        b"/* onetrip: cache=off, please */ select 1",
        b"/* /* onetrip: cache=off */ */ select 1",
        b"/* onetrip: cache=off /* */ select 1",
        b"select '/* onetrip: cache=off */'",
        b"'-- onetrip: cache=off'",
        b"",
        b"-- onetrip: cache=off still\nselect 1",
    ],
)
def test_nothing_else_does(sql: bytes) -> None:
    assert not is_bypassed(sql)
