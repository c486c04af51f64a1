"""What a session says of the cache, in parameters that only edges have; they never reach the origin.

    SET [SESSION | LOCAL] onetrip.cache { = | TO } { on | off | DEFAULT }           RESET | SHOW onetrip.cache
    SET [SESSION | LOCAL] onetrip.cache_status { = | TO } { on | off | DEFAULT }    RESET | SHOW onetrip.cache_status

`cache` is on by default: off has every query cross. `cache_status` is off: on gives each query a NOTICE of what has
come of it. Both may be given at startup as well (`options=-c onetrip.cache=off`), which is then what RESET, RESET ALL
and DISCARD ALL lead back to. What a transaction says is taken back with it, and SET LOCAL ends with it (outside of one
it is the origin's, which warns). What is written otherwise (`set_config`, or beside other statements) reaches the
origin as a custom parameter, and counts when the session's settings are known again.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from edge.cache.uncommitted import Said, Uncommitted
from protos.errors import InvalidParameterError
from protos.pg.messages import row_description
from protos.pg.tags import TransactionStatus

CACHE: Final = "onetrip.cache"
STATUS: Final = "onetrip.cache_status"
DEFAULTS: Final = {CACHE: True, STATUS: False}

_ON: Final = frozenset({"on", "true", "yes", "1"})
_OFF: Final = frozenset({"off", "false", "no", "0"})
_BLANK: Final = r"[ \t\n\r\f]"
_SET: Final = re.compile(
    rf"{_BLANK}*set{_BLANK}+(?:(local|session){_BLANK}+)?(onetrip\.cache(?:_status)?)"
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
    is_local: bool = False
    """It ends with the transaction."""

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

    __slots__ = ("_at_start", "_said", "is_off", "reports", "uncommitted")

    def __init__(self) -> None:
        self._at_start: Mapping[str, bool] = DEFAULTS
        self._said = Said(DEFAULTS, DEFAULTS)
        self.is_off = False
        """It wants no answer from here."""
        self.reports = False
        """It wants to know what has come of each query."""
        self.uncommitted: Uncommitted | None = None
        """Its transaction has said something."""

    def begin(self, switches: "Iterable[Switch]") -> None:
        """What is said at startup."""
        self._at_start = {**DEFAULTS, **{one.name: one.value for one in switches if one.value is not None}}
        self.reset()

    def reset(self, *, in_transaction: bool = False, is_heard: bool = True) -> None:
        """All is as it was at startup.

        is_heard: the answers that come next begin with a message. Where they may not, the end of the transaction cannot
        be heard from here on, so it counts at once.
        """
        may_follow = is_heard or self.uncommitted is not None
        self._change(self._at_start, in_transaction=in_transaction and may_follow)

    def turn(self, switch: Switch, *, in_transaction: bool = False) -> None:
        """The session says something of the cache."""
        if switch.tag != "SHOW":
            value = self._at_start[switch.name] if switch.value is None else switch.value
            self._change({switch.name: value}, is_local=switch.is_local, in_transaction=in_transaction)

    def _change(self, values: Mapping[str, bool], *, in_transaction: bool, is_local: bool = False) -> None:
        said = self._said
        if in_transaction and self.uncommitted is None:
            self.uncommitted = Uncommitted(said)
        self._say(Said({**said.now, **values}, said.then if is_local else {**said.then, **values}))

    def _say(self, said: Said) -> None:
        self._said = said
        self.is_off, self.reports = not said.now[CACHE], said.now[STATUS]

    # --- the transaction that has said something ---

    def heard(self, data: bytes) -> None:
        """Bytes of answers of the origin."""
        if self.uncommitted is not None:
            for tag in self.uncommitted.heard(data):
                self.completed(tag)

    def answered(self, status: int) -> None:
        """The transaction status is this."""
        if self.uncommitted is None:
            return
        if status == TransactionStatus.IDLE:
            self._end(self.uncommitted.before)
        elif status == TransactionStatus.INERROR:
            self.uncommitted.failed()

    def completed(self, tag: bytes) -> None:
        """Something was done."""
        if self.uncommitted is None:
            return
        said = self.uncommitted.completed(tag, self._said)
        if said is not None:
            self._say(said)
        elif tag == b"ROLLBACK":
            self._end(self.uncommitted.before)
        else:
            self._end(Said(self._said.then, self._said.then))

    def _end(self, said: Said) -> None:
        self.uncommitted = None
        self._say(said)

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
        found_switch = switch(found[2], found[3] or found[4] or "")
        is_local = (found[1] or "").lower() == "local"
        return None if found_switch is None else attrs.evolve(found_switch, is_local=is_local)
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
