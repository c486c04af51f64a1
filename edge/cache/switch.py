"""What a session says of the cache, in parameters that only edges have; they never reach the origin.

    SET [SESSION] onetrip.cache { = | TO } { on | off | DEFAULT }           RESET | SHOW onetrip.cache
    SET [SESSION] onetrip.cache_status { = | TO } { on | off | DEFAULT }    RESET | SHOW onetrip.cache_status

`cache` is on by default: off has every query cross. `cache_status` is off: on gives each query a NOTICE of what has
come of it. Both may be given at startup as well (`options=-c onetrip.cache=off`), which is then what RESET, RESET ALL
and DISCARD ALL lead back to. What is written otherwise (`set_config`, or beside other statements) reaches the origin as
a custom parameter, and counts when the session's settings are known again.
"""

import re
from collections.abc import Iterable
from typing import Final

import attrs

from protos.errors import InvalidParameterError
from protos.pg.messages import row_description

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
_SHOW: Final = re.compile(
    rf"{_BLANK}*show{_BLANK}+(onetrip\.cache(?:_status)?){_BLANK}*;?{_BLANK}*", re.IGNORECASE | re.ASCII
)
_MAX_BYTES: Final = 250  # of a message with such a statement
# A Query or Parse of one of the two.
_RESETS_ALL: Final = re.compile(
    rb"(?:Q.{4}|P.{4}[^\0]*\0)[ \t\n\r\f;]*(?:reset|discard)[ \t\n\r\f]+all[ \t\n\r\f;]*\0",
    re.IGNORECASE | re.DOTALL,
)


@attrs.frozen
class Switch:
    """One of the parameters, and its value from here on."""

    name: str
    value: bool | None = None
    """None: it is as it was at startup, or is only shown, or the value is no such thing."""
    tag: str = "SET"
    """Of its CommandComplete."""
    is_bad: bool = False

    @property
    def rows(self) -> bytes:
        """How what it shows is described; empty if it shows nothing."""
        return row_description([self.name]) if self.tag == "SHOW" else b""

    @property
    def error(self) -> InvalidParameterError:
        """Why its value is refused."""
        public = f'parameter "{self.name}" requires a Boolean value'
        return InvalidParameterError(public=public, hint="Use on, off or DEFAULT.")


class Switches:
    """How one session has them."""

    __slots__ = ("_at_start", "is_off", "reports")

    def __init__(self) -> None:
        self._at_start = DEFAULTS
        self.is_off = False
        """It wants no answer from here."""
        self.reports = False
        """It wants to know what has come of each query."""

    def begin(self, switches: "Iterable[Switch]") -> None:
        """What is said at startup."""
        self._at_start = {**DEFAULTS, **{one.name: one.value for one in switches if one.value is not None}}
        self.reset()

    def reset(self) -> None:
        """All is as it was at startup."""
        self.is_off, self.reports = not self._at_start[CACHE], self._at_start[STATUS]

    def turn(self, switch: Switch) -> None:
        """The session says something of the cache."""
        value = self._at_start[switch.name] if switch.value is None else switch.value
        if switch.tag == "SHOW":
            return
        if switch.name == CACHE:
            self.is_off = not value
        else:
            self.reports = value

    def value_of(self, name: str) -> bytes:
        """What SHOW says of one."""
        is_on = not self.is_off if name == CACHE else self.reports
        return b"on" if is_on else b"off"


def may_be_switch(message: bytes) -> bool:
    """Whether a message may have such a statement in it."""
    return len(message) <= _MAX_BYTES and b"onetrip.cache" in message.lower()


def resets_all(message: bytes) -> bool:
    """Whether a message has all settings lead back to those at startup."""
    return _RESETS_ALL.match(message) is not None


def switch_of(sql: bytes) -> Switch | None:
    """What a statement says of the cache, if that is all that it does."""
    if not (may_be_switch(sql) and sql.isascii()):
        return None
    text = sql.decode()
    if found := _SET.fullmatch(text):
        return switch(found[1], found[2] or found[3] or "")
    if found := _RESET.fullmatch(text):
        return Switch(found[1].lower(), tag="RESET")
    found = _SHOW.fullmatch(text)
    return None if found is None else Switch(found[1].lower(), tag="SHOW")


def switch(name: str, value: str) -> Switch | None:
    """A parameter as it was given, if it is one of ours."""
    name, value = name.lower(), value.lower()
    if name not in DEFAULTS:
        return None
    if value == "default":
        return Switch(name)
    return Switch(name, value in _ON, is_bad=value not in _ON | _OFF)


def switches_in(settings: Iterable[tuple[str, str]]) -> list[Switch]:
    """What a session's settings say of the cache."""
    found = (switch(name, value) for name, value in settings)
    return [one for one in found if one is not None and not one.is_bad]


def bad_switch_in(settings: Iterable[tuple[str, str]]) -> Switch | None:
    """One whose value is no such thing, if there is one."""
    found = (switch(name, value) for name, value in settings)
    return next((one for one in found if one is not None and one.is_bad), None)


def without_switches(settings: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The settings that are the origin's."""
    return [(name, value) for name, value in settings if not switches_in([(name, value)])]
