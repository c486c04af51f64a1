"""The settings that a session wants, whichever origin connection serves it, and the SQL from one set to another.

A profile is interned: equal settings are one object, so that "has this connection my settings already?" is an `is`. It
holds raw values as the client gave them, by the lower-case name of the parameter; whether they are any good is for the
origin to say. `BASE` is a connection as its login left it.

`difference` gives one simple query, which is one implicit transaction: if any part is refused, nothing has changed.
The text is ASCII whatever the values are, so that no client_encoding and no value of standard_conforming_strings reads
it in another way. Roles are left first and taken last: settings are set as the user that logged in, as at its startup.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import ClassVar, Final
from weakref import WeakValueDictionary

from regional.residue import BASE_SETTINGS_SQL

#: Who the session is, in the order in which they are taken; everything else comes before.
_IDENTITIES: Final = {"session_authorization": 1, "role": 2}

# What may stand in a plain constant: no quote, no backslash, no control character, nothing outside ASCII.
_PLAIN: Final = re.compile(r"[ !#-&(-\[\]-~\"]*")
_FIRST_RAW_BYTE: Final = 0xDC00  # how surrogateescape writes bytes that are no UTF-8
_LAST_RAW_BYTE: Final = 0xDCFF


class Profile:
    """Settings by lower-case name. Made by `of` only; compared by `is`."""

    __slots__ = ("__weakref__", "is_known", "settings")

    settings: Mapping[str, str]
    is_known: bool

    _interned: ClassVar[WeakValueDictionary[tuple[tuple[str, str], ...], "Profile"]] = WeakValueDictionary()

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> "Profile":
        """Return the profile with these settings; of a name that comes twice the last value counts."""
        settings = {name.lower(): value for name, value in pairs}
        for name, value in settings.items():
            if not name or "\0" in name or "\0" in value:
                raise ValueError("a parameter has a name, and no zero byte")
        key = tuple(sorted(settings.items()))
        profile = cls._interned.get(key)
        if profile is None:
            profile = cls._interned[key] = cls._make(settings, is_known=True)
        return profile

    @classmethod
    def between(cls) -> "Profile":
        """Return a profile that stands for "some settings, we do not know which"; it equals no other."""
        return cls._make({}, is_known=False)

    @classmethod
    def _make(cls, settings: dict[str, str], *, is_known: bool) -> "Profile":
        profile = cls.__new__(cls)
        profile.settings = MappingProxyType(settings)
        profile.is_known = is_known
        return profile

    def __repr__(self) -> str:
        return f"Profile({sorted(self.settings)})"  # values may be a client's secrets

    @property
    def client_encoding(self) -> str | None:
        """The encoding asked for, if any."""
        return self.settings.get("client_encoding")


#: A connection as its login left it. Kept, so that it is always the same object.
BASE: Final = Profile.of(())


def difference(current: Profile, wanted: Profile) -> bytes | None:
    """Return the one simple query that turns CURRENT into WANTED, or None if there is nothing to do."""
    if current is wanted:
        return None
    if not current.is_known:
        return ";".join([BASE_SETTINGS_SQL, *_settings(wanted.settings)]).encode("ascii")
    old, new = current.settings, wanted.settings
    changed: dict[str, str | None] = {name: value for name, value in new.items() if old.get(name) != value}
    changed |= dict.fromkeys(old.keys() - new.keys() - _IDENTITIES.keys())
    parts: list[str] = []
    if old.keys() & _IDENTITIES.keys():
        # Settings are not to be set as somebody else: whoever it is leaves first, and comes back if still wanted.
        parts.append("SET SESSION AUTHORIZATION DEFAULT;RESET ROLE")
        changed |= {name: new[name] for name in _IDENTITIES if name in new}
    return ";".join([*parts, *_settings(changed)]).encode("ascii")


def quote_literal(text: str) -> str:
    """Return a string constant, in ASCII, that means TEXT in every encoding and with every setting.

    Characters outside ASCII are written by number, and bytes that were no UTF-8 (surrogate escapes) as those bytes.
    """
    if _PLAIN.fullmatch(text):
        return f"'{text}'"
    # The space keeps the E away from a word before it.
    return " E'" + "".join(map(_escaped, text)) + "'"


def _settings(settings: Mapping[str, str | None]) -> Iterator[str]:
    """The statements that set these, identities last. None is what the login gave: set_config takes NULL for RESET.

    The value that set_config returns is not sent back: the client's encoding may not have its characters.
    """
    for name in sorted(settings, key=lambda name: (_IDENTITIES.get(name, 0), name)):
        value = settings[name]
        literal = "NULL" if value is None else quote_literal(value)
        yield f"SELECT pg_catalog.set_config({quote_literal(name)},{literal},false) IS NULL"


def _escaped(character: str) -> str:
    code = ord(character)
    if character == "'":
        return "''"
    if character == "\\":
        return "\\\\"
    if 0x20 <= code < 0x7F:
        return character
    if _FIRST_RAW_BYTE <= code <= _LAST_RAW_BYTE:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
