"""What a session says of the cache, in parameters that only edges have; they never reach the origin.

    SET [SESSION | LOCAL] onetrip.cache { = | TO } { on | off | DEFAULT }           RESET | SHOW onetrip.cache
    SET [SESSION | LOCAL] onetrip.cache_status { = | TO } { on | off | DEFAULT }    RESET | SHOW onetrip.cache_status

`cache` is on by default: off has every query cross. `cache_status` is off: on gives each query a NOTICE of what has
come of it. Both may be given at startup as well (`options=-c onetrip.cache=off`), which is then what RESET, RESET ALL
and DISCARD ALL lead back to. What a transaction says is taken back with it, and SET LOCAL ends with it (outside of one
it is the origin's, which warns). What is written otherwise (`set_config`, or beside other statements) reaches the
origin as a custom parameter, and counts when the session's settings are known again. From there on whatever the session
says of them goes to the origin, so that the last word counts, until the origin has none any more.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

from edge.cache.uncommitted import Said, Uncommitted, resets_all
from protos.errors import InvalidParameterError
from protos.pg.framer import Piece
from protos.pg.messages import row_description
from protos.pg.tags import Frontend

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
_MAX_NAMING_BYTES: Final = 4 << 10  # that is looked at; of what is longer, the settings tell later
_TEXTS: Final = frozenset({Frontend.PARSE, Frontend.QUERY})
_ASKS: Final = frozenset({Frontend.FUNCTION_CALL, Frontend.QUERY, Frontend.SYNC})  # a ReadyForQuery answers them


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

    __slots__ = ("_at_start", "_said", "are_as_at_start", "are_at_origin", "is_off", "reports", "uncommitted")

    def __init__(self) -> None:
        self._at_start: Mapping[str, bool] = DEFAULTS
        self.uncommitted: Uncommitted | None = None
        """Its transaction has said something."""
        self.is_off = False
        """It wants no answer from here."""
        self.reports = False
        """It wants to know what has come of each query."""
        self.are_as_at_start = True
        """Nothing was said, and nothing of what crosses can change that."""
        self.are_at_origin = False
        """The origin has been told of them, or may have been."""
        self._say(Said(DEFAULTS, DEFAULTS))

    def begin(self, switches: "Iterable[Switch]") -> None:
        """What is said at startup."""
        self._at_start = {**DEFAULTS, **{one.name: one.value for one in switches if one.value is not None}}
        self._say(Said(self._at_start, self._at_start))

    def adopt(self, before: "Sequence[Switch]", now: "Sequence[Switch]") -> None:
        """What the session's settings say, before and now: what they say no longer is as at the start."""
        left = {one.name for one in now}
        for switch in (*(Switch(one.name) for one in before if one.name not in left), *now):
            self.turn(switch)
        self.are_at_origin = bool(left)

    def ran_here(self, sql: bytes, *, in_transaction: bool) -> None:
        """This was answered here; it may have reset all."""
        if not self.are_as_at_start and resets_all(sql):
            self._change(self._at_start, in_transaction=in_transaction)

    def turn(self, switch: Switch, *, in_transaction: bool = False) -> None:
        """The session says something of the cache."""
        if switch.tag != "SHOW":
            value = self._at_start[switch.name] if switch.value is None else switch.value
            self._change({switch.name: value}, is_local=switch.is_local, in_transaction=in_transaction)

    def _change(self, values: Mapping[str, bool], *, in_transaction: bool, is_local: bool = False) -> None:
        said = self._said
        if in_transaction and self.uncommitted is None:
            self.uncommitted = Uncommitted(said, self._at_start)
        said = Said({**said.now, **values}, said.then if is_local else {**said.then, **values})
        if self.uncommitted is not None:
            self.uncommitted.said = said
        self._say(said)

    def _say(self, said: Said) -> None:
        self._said = said
        self.is_off, self.reports = not said.now[CACHE], said.now[STATUS]
        self.are_as_at_start = self.uncommitted is None and said.now == said.then == self._at_start

    def may_be_told(self, message: bytes, *, is_on: bool) -> bool:
        """Whether a message may be answered here. is_on: others than such statements may."""
        if self.are_at_origin:
            return is_on and not may_be_switch(message)
        return is_on or may_be_switch(message)

    # --- what crosses ---

    def passes(self, piece: Piece) -> None:
        """A message goes to the origin. If it may say something of them, the origin is asked from here on."""
        if piece.tag in _TEXTS and len(piece.data) <= _MAX_NAMING_BYTES and b"onetrip" in piece.data.lower():
            self.are_at_origin = True

    def crosses(self, tag: int, sql: bytes, owed: int, *, is_heard: bool) -> None:
        """A message goes to the origin; owed: how many requests are not answered then, its own among them.

        sql: what it runs. is_heard: the answers that come next begin with a message. Where they may not, what comes of
        a statement that resets all cannot be heard, so it counts at once.
        """
        asks = tag in _ASKS
        if self.uncommitted is None and resets_all(sql):
            if not is_heard:
                self._say(Said(self._at_start, self._at_start))
                return
            self.uncommitted = Uncommitted(self._said, self._at_start, owed - asks)
        if self.uncommitted is not None:
            self.uncommitted.sent(sql)
            if asks:
                self.uncommitted.asked()

    def heard(self, data: bytes) -> None:
        """Bytes of answers of the origin."""
        if self.uncommitted is not None:
            self.uncommitted.heard(data)
            self._follow(self.uncommitted)

    def completed(self, tag: bytes) -> None:
        """Something was done, in a transaction that is held here."""
        if self.uncommitted is not None:
            self.uncommitted.completed(tag)
            self._follow(self.uncommitted)

    def refused(self, status: int) -> None:
        """What has crossed was not done; the transaction status is this."""
        if self.uncommitted is not None:
            self.uncommitted.refused(status)
            self._follow(self.uncommitted)

    def _follow(self, uncommitted: Uncommitted) -> None:
        if uncommitted.is_over:
            self.uncommitted = None
        self._say(uncommitted.said)

    def value_of(self, name: str) -> bytes:
        """What SHOW says of one."""
        is_on = not self.is_off if name == CACHE else self.reports
        return b"on" if is_on else b"off"


def may_be_switch(message: bytes) -> bool:
    """Whether a message may be such a statement."""
    return len(message) <= _MAX_BYTES and b"onetrip.cache" in message.lower()


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
