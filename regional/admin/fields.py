"""Take the given fields of a JSON object by the types of a Struct, and gather what is wrong with all of them.

Theory of operation: msgspec stops at the first wrong value, and an operator wants to hear of all. So each field is
converted on its own; a wrong one becomes a `Problem` in the words that its type carries (`Meta.description`) and is
left out, an unknown one becomes a `Problem` with the name that was probably meant. Values are never quoted, since one
of them may be a password.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from regional.configuration import SHOWN_CHARACTERS, Problem, printable


class Fields:
    """Readers that share one list of problems."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def refuse(self, field: str, what: str) -> None:
        self.problems.append(Problem(field, what))

    def refuse_unknown(self, given: Iterable[str], known: Iterable[str], prefix: str = "") -> None:
        """Note every given name that is not among the known ones."""
        known = list(known)
        for name in given:
            if name in known:
                continue
            likely = difflib.get_close_matches(name[:SHOWN_CHARACTERS], known, n=1)
            what = "is not known here" + (f"; did you mean {prefix}{likely[0]}?" if likely else "")
            self.refuse(prefix + printable(name), what)

    def of(self, given: Mapping[str, object], kind: type[msgspec.Struct], prefix: str = "") -> dict[str, Any]:
        """The given fields that this kind has, converted to its types."""
        hints = get_type_hints(kind, include_extras=True)
        values = {}
        for name in kind.__struct_fields__:
            if name not in given:
                continue
            value = self.one(prefix + name, given[name], hints[name])
            if value is not msgspec.UNSET:
                values[name] = value
        return values

    def one(self, field: str, value: object, kind: object) -> Any:  # noqa: ANN401 (of the kind that is asked for)
        """A value converted to its type, or UNSET where it is wrong."""
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            words = describe(kind)
            self.refuse(field, f"must be {words}" if words else f"is wrong: {error}")
            return msgspec.UNSET

    def mapping(self, given: Mapping[str, object], name: str, prefix: str = "") -> Mapping[str, object]:
        """A field that is itself an object; empty where it is missing or something else."""
        value = given.get(name, {})
        if isinstance(value, dict):
            return value
        self.refuse(prefix + name, "must be an object")
        return {}

    def flag(self, given: Mapping[str, object], name: str, *, default: bool) -> bool:
        value = given.get(name, default)
        if isinstance(value, bool):
            return value
        self.refuse(name, "must be true or false")
        return default


def describe(kind: object) -> str:
    """What a value of this type must be, in words; empty where msgspec's own message says it better."""
    arguments = get_args(kind)
    for part in arguments:
        if isinstance(part, msgspec.Meta):
            return part.description or ""
    if kind is bool:
        return "true or false"
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(arguments)
    if type(None) in arguments:
        words = describe(next(part for part in arguments if part is not type(None)))
        return words and f"{words}, or null"
    return ""
