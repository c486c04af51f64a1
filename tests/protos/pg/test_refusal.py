"""Each reason why a login fails is told apart, and tells a client no more than it should know."""

from collections.abc import Callable

import pytest

from protos.errors import OriginRefusedError
from protos.pg import refusal


@pytest.mark.parametrize(
    "make",
    [
        refusal.bytes_before_tls,
        refusal.no_tls,
        refusal.error_before_tls,
        refusal.not_postgresql,
        refusal.no_password,
        lambda: refusal.protocol_broken("something"),
        lambda: refusal.plain_password("an md5 password"),
        lambda: refusal.unknown_method("GSSAPI"),
        lambda: refusal.refused_by_origin({}),
    ],
)
def test_a_refusal_says_what_happened(make: Callable[[], OriginRefusedError]) -> None:
    error = make()
    assert error.sqlstate == "08006"
    assert str(error).startswith(("the origin", "bytes"))
    assert error.detail


def test_the_protocol_problem_stays_with_us() -> None:
    assert "host 10.0.0.7" not in (refusal.protocol_broken("host 10.0.0.7").detail or "")


@pytest.mark.parametrize(
    ("sqlstate", "is_told"), [("53300", True), ("57P03", True), ("28P01", False), ("3D000", False), ("XX000", False)]
)
def test_only_harmless_words_of_the_origin_are_passed_on(sqlstate: str, *, is_told: bool) -> None:
    error = refusal.refused_by_origin({"C": sqlstate, "M": "words of the origin"})
    assert sqlstate in (error.detail or "")
    assert ("words of the origin" in (error.detail or "")) == is_told
    assert "words of the origin" in str(error)


def test_a_long_name_is_cut() -> None:
    assert len(refusal.unknown_method("x" * 9999).detail or "") < 200
