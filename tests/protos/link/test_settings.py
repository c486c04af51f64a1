"""Settings are the same at both ends, whatever bytes a client gave."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.link.settings import SETTLING, UNCERTAIN, from_wire, raw, text, to_wire
from protos.pg.tags import STATUSES


@given(st.lists(st.tuples(st.binary(), st.binary())))
def test_any_bytes_come_through(pairs: list[tuple[bytes, bytes]]) -> None:
    texts = [(text(name), text(value)) for name, value in pairs]
    wire = to_wire(texts)
    assert [(one.name, one.value) for one in wire] == pairs
    assert from_wire(wire) == texts
    assert [(raw(name), raw(value)) for name, value in texts] == pairs


@pytest.mark.parametrize("flag", [SETTLING, UNCERTAIN])
def test_a_status_and_its_flags_are_told_apart(flag: int) -> None:
    assert not any(status & flag for status in STATUSES)
    assert flag in (SETTLING, UNCERTAIN & ~SETTLING)
