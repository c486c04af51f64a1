"""A description belongs to the Parse that was sent before its Describe, and to no other."""

import pytest

from protos.pg.description import digest_of
from protos.pg.framer import Piece
from protos.pg.messages import no_data, parameter_description, row_description
from protos.pg.tags import Backend
from regional.copies import Copies
from regional.meaning import Meaning

PARAMETERS = parameter_description([23])
ROWS = row_description(["a"])


@pytest.fixture
def copies() -> Copies:
    return Copies(Meaning())


def hear(copies: Copies, *messages: bytes, whole: bool = True) -> tuple[bytes, bytes]:
    """What the last of them completes."""
    return [copies.heard(Piece(message[0], message, whole)) for message in messages][-1]


def test_a_description_is_learnt_of_its_two_messages(copies: Copies) -> None:
    copies.parsed(b"a")
    assert not copies.digest(b"a")
    for rows in (ROWS, no_data()):
        copies.described(b"a", 0)
        assert hear(copies, PARAMETERS, rows) == (b"a", PARAMETERS + rows)
        assert copies.digest(b"a") == digest_of(PARAMETERS, rows)


def test_a_parse_makes_the_older_description_unknown(copies: Copies) -> None:
    copies.parsed(b"a")
    copies.described(b"a", 0)
    copies.parsed(b"a")
    assert hear(copies, PARAMETERS, ROWS) == (b"", b"")
    assert not copies.digest(b"a"), "it was of the Parse before"


def test_descriptions_come_in_order(copies: Copies) -> None:
    for name in (b"a", b"b"):
        copies.parsed(name)
    copies.described(b"a", 0)
    copies.described(b"not shared", 0)
    copies.described(b"b", 0)
    hear(copies, PARAMETERS, ROWS, PARAMETERS, ROWS, ROWS, no_data(), PARAMETERS, no_data())
    assert copies.digest(b"a") == digest_of(PARAMETERS, ROWS)
    assert copies.digest(b"b") == digest_of(PARAMETERS, no_data())


def test_what_is_described_without_parameters_is_no_statement(copies: Copies) -> None:
    copies.parsed(b"a")
    copies.described(b"a", 0)
    assert hear(copies, ROWS, no_data()) == (b"", b"")
    hear(copies, PARAMETERS, ROWS)
    assert copies.digest(b"a")


def test_an_error_skips_the_rest_of_its_group_only(copies: Copies) -> None:
    for name in (b"a", b"b"):
        copies.parsed(name)
    copies.described(b"a", 0)
    copies.described(b"b", 1)
    hear(copies, PARAMETERS)
    copies.failed(0)
    hear(copies, ROWS)  # of a portal in the next group
    hear(copies, PARAMETERS, ROWS)
    assert not copies.digest(b"a")
    assert copies.digest(b"b")


def test_what_was_not_seen_is_over_with_its_sync_point(copies: Copies) -> None:
    for name in (b"a", b"b"):
        copies.parsed(name)
    copies.described(b"a", 0)
    copies.described(b"b", 1)
    copies.settled(1)
    hear(copies, PARAMETERS, ROWS)
    assert not copies.digest(b"a")
    assert copies.digest(b"b")


@pytest.mark.parametrize("tag", [Backend.PARAMETER_DESCRIPTION, Backend.ROW_DESCRIPTION])
def test_an_oversized_description_is_not_known(copies: Copies, tag: int) -> None:
    for name in (b"a", b"b"):
        copies.parsed(name)
        copies.described(name, 0)
    for message in (PARAMETERS, ROWS):
        hear(copies, message, whole=message[0] != tag)
    hear(copies, PARAMETERS, ROWS)
    assert not copies.digest(b"a")
    assert copies.digest(b"b")


def test_nothing_is_known_of_what_is_gone(copies: Copies) -> None:
    for name in (b"a", b"b"):
        copies.parsed(name)
        copies.described(name, 0)
        hear(copies, PARAMETERS, ROWS)
    copies.gone(b"a")
    copies.gone(b"never there")
    assert not copies.digest(b"a")
    assert not copies.is_current(b"a")
    copies.clear()
    assert not copies.digest(b"b")


def test_a_copy_is_current_until_something_concerns_it(copies: Copies) -> None:
    copies.parsed(b"a")
    assert copies.is_current(b"a")
    copies.meaning.doubt(b"a")
    assert not copies.is_current(b"a")
    copies.renewed(b"a")
    assert copies.is_current(b"a")


def test_what_was_in_doubt_may_be_put_back_with_its_description(copies: Copies) -> None:
    copies.parsed(b"a")
    copies.described(b"a", 0)
    hear(copies, PARAMETERS, ROWS)
    copy = copies.taken(b"a")
    assert copy is not None
    assert not copies.is_current(b"a")
    copies.put_back(b"a", copy)
    assert copies.is_current(b"a")
    assert copies.digest(b"a") == digest_of(PARAMETERS, ROWS)
    assert copies.taken(b"b") is None
