"""What a session says of the cache, in parameters that only edges have; they never reach the origin.

    SET [SESSION] onetrip.cache { = | TO } { on | off | DEFAULT }            RESET onetrip.cache
    SET [SESSION] onetrip.cache_status { = | TO } { on | off | DEFAULT }     RESET onetrip.cache_status

`cache` is on by default: off has every query cross. `cache_status` is off: on gives each query a NOTICE of what has
come of it. Both may be given at startup as well (`options=-c onetrip.cache=off`). What is written otherwise
(`set_config`, or beside other statements) reaches the origin as a custom parameter, and counts when the session's
settings are known again.
"""

import re
from collections.abc import Iterable
from typing import Final

import attrs

CACHE: Final = "onetrip.cache"
STATUS: Final = "onetrip.cache_status"
DEFAULTS: Final = {CACHE: True, STATUS: False}

_ON: Final = frozenset({"on", "true", "yes", "1"})
_OFF: Final = frozenset({"off", "false", "no", "0"})
_BLANK: Final = r"[ \t\n\r\f]"
_SET: Final = re.compile(
    rf"{_BLANK}*set{_BLANK}+(?:session{_BLANK}+)?(onetrip\.cache(?:_status)?)"
    rf"(?:{_BLANK}*={_BLANK}*|{_BLANK}+to{_BLANK}+)(?:'(\w*)'|(\w+)){_BLANK}*;?{_BLANK}*",
    re.IGNORECASE | re.ASCII,
)
_RESET: Final = re.compile(
    rf"{_BLANK}*reset{_BLANK}+(onetrip\.cache(?:_status)?){_BLANK}*;?{_BLANK}*", re.IGNORECASE | re.ASCII
)
_LOOKS_LIKE: Final = re.compile(rb"onetrip\.cache", re.IGNORECASE)


@attrs.frozen
class Switch:
    """One of the parameters, and its value from here on; None where the value is no such thing."""

    name: str
    value: bool | None
    tag: str = "SET"
    """Of its CommandComplete."""


def switch_of(sql: bytes) -> Switch | None:
    """What a statement says of the cache, if that is all that it does."""
    if _LOOKS_LIKE.search(sql) is None or not sql.isascii():
        return None
    text = sql.decode()
    found = _SET.fullmatch(text)
    if found is None:
        found = _RESET.fullmatch(text)
        return None if found is None else Switch(found[1].lower(), DEFAULTS[found[1].lower()], "RESET")
    return switch(found[1], found[2] or found[3] or "")


def switch(name: str, value: str) -> Switch | None:
    """A parameter as it was given, if it is one of ours."""
    name, value = name.lower(), value.lower()
    if name not in DEFAULTS:
        return None
    if value == "default":
        return Switch(name, DEFAULTS[name])
    return Switch(name, True if value in _ON else False if value in _OFF else None)


def switches_in(settings: Iterable[tuple[str, str]]) -> list[Switch]:
    """What a session's settings say of the cache."""
    found = (switch(name, value) for name, value in settings)
    return [one for one in found if one is not None and one.value is not None]


def without_switches(settings: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The settings that are the origin's."""
    return [(name, value) for name, value in settings if not switches_in([(name, value)])]
