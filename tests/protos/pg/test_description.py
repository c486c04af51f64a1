"""A name with a digest splits into what it was made of; a description into its two messages."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.errors import RemoteProtocolError
from protos.pg import description, messages
from protos.pg.names import PREFIX

NAME = PREFIX + b"0123456789abcdef" * 2
PARAMETERS = messages.parameter_description([23, 25])
ROWS = messages.row_description(["a", "b"])


@pytest.mark.parametrize("rows", [ROWS, messages.no_data()])
def test_a_name_with_a_digest_splits_into_the_two(rows: bytes) -> None:
    digest = description.digest_of(PARAMETERS, rows)
    name = description.qualified(NAME, digest)
    assert len(digest) == description.DIGEST_BYTES
    assert len(name) <= 63  # PostgreSQL would cut it
    assert description.split_name(name) == (NAME, digest)


@pytest.mark.parametrize("name", [NAME, b"", b"s1", b"onetrip:none", b"x" * 57, NAME + b"x" + b"0" * 16, NAME + b":12"])
def test_any_other_name_is_whole(name: bytes) -> None:
    assert description.split_name(name) == (name, b"")


def placed(table: int, number: int, kind: int = 25) -> bytes:
    """The description of two columns, of which the second is such a one."""
    column = struct.pack(">IHIHiH", table, number, kind, 65535, -1, 0)
    body = struct.pack(">H", 2) + b"a\0" + struct.pack(">IHIHiH", 16500, 1, 23, 4, -1, 0) + b"b\0" + column
    return b"T" + struct.pack(">I", len(body) + 4) + body


def test_which_table_a_column_is_of_does_not_count() -> None:
    digest = description.digest_of(PARAMETERS, placed(16500, 2))
    assert digest == description.digest_of(PARAMETERS, placed(16600, 3))
    assert digest != description.digest_of(PARAMETERS, placed(16500, 2, 1043))


def test_all_else_of_a_description_counts() -> None:
    other = messages.row_description(["a", "c"])
    digests = {
        description.digest_of(PARAMETERS, ROWS),
        description.digest_of(PARAMETERS, other),
        description.digest_of(PARAMETERS, messages.no_data()),
        description.digest_of(messages.parameter_description([23]), ROWS),
    }
    assert len(digests) == 4


@pytest.mark.parametrize("rows", [ROWS, messages.no_data()])
def test_a_description_splits_into_its_two_messages(rows: bytes) -> None:
    assert description.split_description(PARAMETERS + rows) == (PARAMETERS, rows)


@given(st.binary(max_size=40))
def test_garbage_is_no_description(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        description.split_description(data)


@pytest.mark.parametrize(
    "data", [PARAMETERS, ROWS, PARAMETERS + ROWS + b"\0", PARAMETERS + PARAMETERS, PARAMETERS + ROWS[:-1]]
)
def test_half_a_description_is_none(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        description.split_description(data)
