"""That parsing undoes making is in test_messages; here is what only bytes of others can have."""

import pytest

from protos.errors import RemoteProtocolError
from protos.pg import parsers


def test_an_error_without_fields_is_one() -> None:
    assert parsers.error_fields(b"E\0\0\0\5\0") == {}


def test_an_error_without_its_terminator_is_none() -> None:
    with pytest.raises(RemoteProtocolError):
        parsers.error_fields(b"E\0\0\0\x07Mx\0"[:8])


@pytest.mark.parametrize("length", [2, 0x7FFFFFFF, 0xFFFFFFFE])
def test_a_value_longer_than_its_row_is_refused(length: int) -> None:
    body = b"\0\1" + length.to_bytes(4, "big") + b"x"
    with pytest.raises(RemoteProtocolError):
        parsers.data_row_of(b"D" + (len(body) + 4).to_bytes(4, "big") + body)


def test_bytes_behind_the_last_value_are_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        parsers.data_row_of(b"D\0\0\0\x07\0\0x")


def test_another_message_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        parsers.status_of(b"C\0\0\0\5I")


def test_a_length_that_lies_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        parsers.status_of(b"Z\0\0\0\6I")
