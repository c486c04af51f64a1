"""The names that both tiers use."""

from protos.pg.description import NAME_BYTES, split_name
from protos.pg.names import GONE, MISSING, PREFIX, TOKEN, USED


def test_no_two_are_the_same_and_none_looks_like_a_shared_name() -> None:
    names = {GONE, MISSING, USED, TOKEN + b"12"}
    assert len(names) == 4
    for name in names:
        assert name.startswith(PREFIX)
        assert len(name) < NAME_BYTES
        assert split_name(name) == (name, b"")
