"""Each given field is judged on its own, and no value is quoted."""

from typing import Annotated, Literal

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from regional.admin.fields import Fields, describe
from regional.configuration import Settings

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


class Sample(Struct):
    port: Annotated[int, Meta(ge=1, description="a positive number")] = 1
    mode: Literal["a", "b"] = "a"
    flag: bool = False
    limit: Annotated[int, Meta(ge=1, description="a positive number")] | None = None


def test_right_fields_are_kept_and_wrong_ones_named() -> None:
    fields = Fields()
    assert fields.of({"port": 0, "mode": "b", "flag": 1, "limit": "x"}, Sample, "s.") == {"mode": "b"}
    assert [str(problem) for problem in fields.problems] == [
        "s.port must be a positive number",
        "s.flag must be true or false",
        "s.limit must be a positive number, or null",
    ]


def test_types_describe_themselves() -> None:
    assert describe(Literal["a", "b"]) == "one of a, b"
    assert describe(dict[str, str]) == ""


def test_an_unknown_field_is_named_with_the_one_that_was_meant() -> None:
    fields = Fields()
    fields.refuse_unknown(["mod", "zzz", "a\nb" * 99], ["mode", "port"])
    first, second, third = fields.problems
    assert (first.field, first.what) == ("mod", "is not known here; did you mean mode?")
    assert second.what == "is not known here"
    assert third.field == ("a?b" * 99)[:64]


@given(st.dictionaries(st.sampled_from(Settings.__struct_fields__), JSON))
def test_whatever_is_given_what_is_kept_makes_settings(given: dict[str, object]) -> None:
    fields = Fields()
    kept = fields.of(given, Settings)
    Settings(**kept)
    assert kept.keys() | {problem.field for problem in fields.problems} == given.keys()


def test_objects_and_flags_are_what_they_should_be() -> None:
    fields = Fields()
    assert fields.mapping({"a": {"b": 1}}, "a") == {"b": 1}
    assert fields.mapping({"a": 1}, "a") == {}
    assert fields.mapping({}, "a") == {}
    assert fields.flag({"f": True}, "f", default=False)
    assert not fields.flag({"f": "yes"}, "f", default=False)
    assert [problem.field for problem in fields.problems] == ["a", "f"]
