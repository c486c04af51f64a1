"""Every error that a caller can cause has a status, a code and a cure."""

import pytest

from protos.errors import DrainingError
from regional.admin.failure import TABLE, Failure, failure_of
from regional.configuration import InvalidConfigurationError, Problem
from regional.secrets import WrongKeyError
from regional.store import StaleVersionError, StoreUnavailableError


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidConfigurationError([Problem("f", "is wrong")]), 422, "invalid"),
        (StaleVersionError("x"), 409, "stale"),
        (StoreUnavailableError("x"), 503, "store_unavailable"),
        (WrongKeyError("x"), 500, "store_key"),
        (DrainingError("x"), 503, "unavailable"),
    ],
)
def test_an_error_is_told_by_its_kind(error: Exception, status: int, code: str) -> None:
    failure = failure_of(error)
    assert failure is not None
    assert (failure.status, failure.code) == (status, code)
    assert failure.what == str(error)
    assert failure.cure


def test_the_unforeseen_has_no_failure_and_a_failure_is_itself() -> None:
    failure = Failure(400, "code", "what", "cure")
    assert failure_of(RuntimeError("x")) is None
    assert failure_of(failure) is failure


def test_no_row_of_the_table_hides_a_later_one() -> None:
    kinds = [kind for kind, *_ in TABLE]
    for place, kind in enumerate(kinds):
        assert not any(issubclass(kind, earlier) for earlier in kinds[:place])
