"""What is learnt from the answer to a Describe."""

from typing import Final

import pytest

from edge.hearing import MAX_BYTES, Hearing
from edge.meaning import statement_of
from protos.pg.messages import (
    bind_complete,
    close_complete,
    error_response,
    no_data,
    notice_response,
    parameter_description,
    parameter_status,
    parse,
    parse_complete,
    ready_for_query,
    row_description,
)

STATEMENT: Final = statement_of(parse(b"s", b"select 1"), b"scope")
PARAMETERS: Final = parameter_description([23])
ROWS: Final = row_description(["id"])
READY: Final = ready_for_query(ord("I"))
BEFORE: Final = (
    close_complete() + parse_complete() + notice_response({"S": "NOTICE", "C": "00000", "M": "x"})
    + parameter_status("TimeZone", "UTC")
)  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("rows", [ROWS, no_data()])
def test_the_description_is_heard_in_chunks_of_any_size(size: int, rows: bytes) -> None:
    answer = BEFORE + PARAMETERS + rows + READY
    hearing = Hearing(b"s", STATEMENT)
    for start in range(0, len(answer), size):
        if hearing.is_over(answer[start : start + size]):
            break
    assert hearing.description is not None
    assert (hearing.description.parameters, hearing.description.rows) == (PARAMETERS, rows)


@pytest.mark.parametrize(
    "answer",
    [
        error_response({"S": "ERROR", "C": "42601", "M": "no"}) + READY,
        parse_complete() + PARAMETERS + error_response({"S": "ERROR", "C": "0A000", "M": "no"}),
        parse_complete() + bind_complete(),
        parse_complete() + ROWS,  # of a portal
        READY,
    ],
)
def test_anything_else_ends_it_without_a_description(answer: bytes) -> None:
    hearing = Hearing(b"s", STATEMENT)
    assert hearing.is_over(answer)
    assert hearing.description is None


def test_too_much_is_not_kept() -> None:
    hearing = Hearing(b"s", STATEMENT)
    large = row_description(["x" * MAX_BYTES])
    assert not hearing.is_over(PARAMETERS + large[:1000])
    assert hearing.is_over(large[1000:-1])
    assert hearing.description is None
