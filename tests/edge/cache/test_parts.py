"""An answer is cut into what another grouping of the same request can be given."""

import pytest

from edge.cache.parts import Parts, fits, is_settled, parts_of, result_formats, with_formats
from protos.pg.description import digest_of
from protos.pg.messages import (
    bind,
    bind_complete,
    command_complete,
    data_row,
    error_response,
    no_data,
    parameter_description,
    parse_complete,
    ready_for_query,
    row_description,
)

READY = ready_for_query(ord("I"))
TYPES = parameter_description([23])
SHAPE = row_description(["a", "b"])
ROWS = data_row([b"1", None]) + command_complete("SELECT 1")


@pytest.mark.parametrize(
    ("answer", "parts"),
    [
        (parse_complete() + bind_complete() + ROWS, Parts(b"", b"", ROWS)),
        (bind_complete() + SHAPE + ROWS, Parts(b"", SHAPE, ROWS)),
        (parse_complete() + TYPES + SHAPE + bind_complete() + ROWS, Parts(TYPES + SHAPE, b"", ROWS)),
        (TYPES + SHAPE + bind_complete() + SHAPE + ROWS, Parts(TYPES + SHAPE, SHAPE, ROWS)),
        (bind_complete() + command_complete("SELECT 0"), Parts(b"", b"", command_complete("SELECT 0"))),
        (parse_complete(), None),
        (TYPES + no_data() + bind_complete() + command_complete("INSERT 0 1"), None),
        (bind_complete() + error_response({"M": "no"}), None),
        (b"", None),
    ],
)
def test_an_answer_falls_into_parts(answer: bytes, parts: Parts | None) -> None:
    assert parts_of([answer + READY], is_query=False) == parts


def test_what_is_not_settled_is_no_answer() -> None:
    assert is_settled(ROWS + READY)
    assert is_settled(ROWS + ready_for_query(ord("T")))
    assert not is_settled(ROWS + ready_for_query(ord("E")))
    assert not is_settled(ROWS)
    assert not is_settled(b"")


@pytest.mark.parametrize(("formats", "expected"), [([], [0, 0]), ([0], [0, 0]), ([1], [1, 1]), ([1, 0], [1, 0])])
def test_a_description_takes_the_formats_of_a_bind(formats: list[int], expected: list[int]) -> None:
    described = with_formats(SHAPE, formats)
    ends = [described.index(b"b\0") - 1, len(described) - 1]
    assert [described[end] for end in ends] == expected
    assert with_formats(SHAPE, [1, 1, 1]) == b""


def test_result_formats_are_found_behind_the_values() -> None:
    for values in ([], [b"xyz", None, b""]):
        message = bind(b"", b"", values, formats=[1], result_formats=[0, 1])
        assert result_formats(message, 7) == [0, 1]
        with pytest.raises(IndexError):
            result_formats(message[:-1], 7)


def test_rows_fit_what_was_told() -> None:
    key = (b"view", (b"name", digest_of(TYPES, SHAPE), b"", b"0"))
    assert fits(Parts(TYPES + SHAPE, b"", ROWS), key)
    assert not fits(Parts(TYPES + row_description(["a"]), b"", ROWS), key)
    assert fits(Parts(b"", b"", ROWS), key), "the pool node has compared"
    assert fits(Parts(TYPES + SHAPE, b"", ROWS), (b"view", b"select 1"))
