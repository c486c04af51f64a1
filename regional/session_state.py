"""What a session keeps between its transactions, and what it is told of the rest (rules 4 and 5).

A shared connection serves one session after the other. What one of them sets for itself is therefore read from the
connection when its transaction has ended, and given to whichever connection serves it next (`track`); or it ends there
(`reset`); or the connection stays with its session while something is held that cannot be carried over (`pin`).

What a transaction has set cannot be read off its text: arguments are computed, functions and triggers set parameters
too, and a rollback undoes it. So it is *harvested*: `harvest_sql` asks the connection itself, and `read` makes the
answer into a `Harvest`. `pg_settings` does not show an application's own parameters (`app.user`); their names are
gathered from the statements and their arguments (`NamesSeen`) and from the origin's catalogue (`names_query.py`), more
of them than needed, which costs nothing.

What can neither be kept nor be forgotten silently is refused with 0A000 and a hint (`refusal`), or a notice says that
it ends here (`notice`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

import attrs

from protos.errors import UnsupportedError
from protos.pg.messages import notice_response
from protos.pg.names import PREFIX
from protos.pg.parsers import error_fields
from regional.configuration import SessionState
from regional.exchange import Exchange
from regional.names_query import MAX_FOUND
from regional.profile import Profile, quote_literal
from regional.residue import Residue

MAX_NAMES: Final = 200
MAX_PREPARED: Final = 2_000  # statements of a connection that are looked through one by one
_IDENTITIES: Final = ("role", "session_authorization")

# Of the transaction, although they say that they are the session's.
_OF_TRANSACTION: Final = "'transaction_isolation','transaction_read_only','transaction_deferrable'"

# Values travel as hexadecimal UTF-8, so that they are the same whatever the session's encoding is. Every name and
# operator has its schema: the query runs under the client's search_path.
_HARVEST: Final = """
SELECT 'set',name,pg_catalog.encode(pg_catalog.convert_to(setting,'UTF8'),'hex') FROM pg_catalog.pg_settings
WHERE source OPERATOR(pg_catalog.=) 'session' AND name OPERATOR(pg_catalog.<>) ALL (ARRAY[{transient}])
UNION ALL SELECT 'set',n,pg_catalog.encode(pg_catalog.convert_to(pg_catalog.current_setting(n,true),'UTF8'),'hex')
FROM pg_catalog.unnest(ARRAY[{names}]) AS seen(n)
"""
_HELD: Final = """
UNION ALL SELECT 'held','session advisory locks',pg_catalog.count(*)::pg_catalog.text FROM pg_catalog.pg_locks
WHERE locktype OPERATOR(pg_catalog.=) 'advisory' AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
UNION ALL SELECT 'held','LISTEN',pg_catalog.count(*)::pg_catalog.text FROM pg_catalog.pg_listening_channels()
UNION ALL SELECT 'held','cursors WITH HOLD',pg_catalog.count(*)::pg_catalog.text FROM pg_catalog.pg_cursors
WHERE is_holdable
UNION ALL SELECT 'held','temporary objects',pg_catalog.count(*)::pg_catalog.text FROM pg_catalog.pg_class
WHERE relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()
UNION ALL SELECT 'held','prepared statements',pg_catalog.count(*)::pg_catalog.text
FROM pg_catalog.pg_prepared_statements WHERE from_sql
"""
#: What of a residue only its own connection has.
UNTRACKABLE: Final = Residue.LOCKS | Residue.CHANNELS | Residue.CURSORS | Residue.TEMPORARY | Residue.STATEMENTS
MAY_PIN: Final = UNTRACKABLE | Residue.RELEASES
"""What makes it time to look what a session holds."""

_DOTTED: Final = re.compile(rb"[A-Za-z_\x80-\xff][\w$\x80-\xff]*(?:\.[A-Za-z_\x80-\xff][\w$\x80-\xff]*)+")
_QUOTED: Final = re.compile(rb"'(" + _DOTTED.pattern + rb")'")
_MAY_NAME: Final = re.compile(rb"\bset\b|set_config|current_setting|\bshow\b", re.IGNORECASE)


class NamesSeen:
    """Names that may be those of an application's own parameters; of one configuration."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}
        self._found: tuple[str, ...] | None = None

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._names, *(self._found or ())]))

    def __len__(self) -> int:
        return len({*self._names, *(self._found or ())})

    @property
    def knows_catalog(self) -> bool:
        """Whether the origin's catalogue has ever been looked through."""
        return self._found is not None

    def found(self, texts: Iterable[bytes]) -> None:
        """Take what the catalogue names, in place of what it named before."""
        names = dict.fromkeys(name for text in texts for name in _names_in(_DOTTED, text))
        self._found = tuple(islice(names, MAX_FOUND))

    def take_over(self, other: "NamesSeen") -> None:
        """What the catalogue names, as another has found it."""
        self._found = other._found

    def forget_catalog(self) -> None:
        """It was another origin's."""
        self._found = None

    def see(self, text: bytes, *, always: bool = False) -> None:
        """Take the names in a statement, if it may be about settings, or (always) in its arguments.

        In any other it may still be a string constant, for a function that sets what it is told.
        """
        if b"." in text:
            for name in _names_in(_DOTTED if always or _MAY_NAME.search(text) else _QUOTED, text):
                self._names.pop(name, None)
                self._names[name] = None
            while len(self._names) > MAX_NAMES:
                del self._names[next(iter(self._names))]


def _names_in(pattern: re.Pattern[bytes], text: bytes) -> Iterator[str]:
    for match in pattern.findall(text):
        if match.isascii() and not match.lower().startswith(b"pg_catalog."):
            yield match.decode("ascii").lower()


def harvest_sql(names: Iterable[str], *, pins: bool) -> bytes:
    """The statement that asks what a session has set on this connection, and (pins) what it holds."""
    wanted = ",".join(map(quote_literal, [*_IDENTITIES, *names]))
    sql = _HARVEST.format(transient=_OF_TRANSACTION, names=wanted)
    return (sql + _HELD if pins else sql).strip().encode("ascii")


LEFT_SQL: Final = (
    "SELECT pg_catalog.count(*),(SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_statements WHERE from_sql),"
    "(SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_statements WHERE NOT from_sql),"
    "pg_catalog.pg_my_temp_schema() "
    "FROM pg_catalog.pg_locks WHERE locktype OPERATOR(pg_catalog.=) 'advisory' AND pid "
    "OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()"
)
"""Of this connection, outside a transaction: session advisory locks, statements of SQL's PREPARE, other statements, and
its temporary schema, 0 for none."""

_IS_SHARED: Final = f"(NOT from_sql AND pg_catalog.left(name,{len(PREFIX)}) OPERATOR(pg_catalog.=) '{PREFIX.decode()}')"
_DEALLOCATE: Final = (
    "'DEALLOCATE \"' OPERATOR(pg_catalog.||) pg_catalog.replace(name,'\"','\"\"') OPERATOR(pg_catalog.||) '\"'"
)
PREPARED_SQL: Final = (
    f"SELECT pg_catalog.string_agg(name,' ') FILTER (WHERE {_IS_SHARED}),"
    f"pg_catalog.count(*) FILTER (WHERE NOT {_IS_SHARED}),"
    f"CASE WHEN pg_catalog.count(*) OPERATOR(pg_catalog.<=) {MAX_PREPARED} "
    f"THEN pg_catalog.string_agg({_DEALLOCATE},';') FILTER (WHERE NOT {_IS_SHARED}) END "
    "FROM pg_catalog.pg_prepared_statements"
)
"""Of this connection: the names of its shared statements, how many others it has, and what takes those away.

The last is NULL where there are none, or too many.
"""


@attrs.frozen
class Harvest:
    """What a connection said."""

    settings: Mapping[str, str]
    """By lower-case name; the application's own are there if they are defined, empty ones too."""
    held: Mapping[str, int]
    """How many there are of what cannot be carried over."""

    @property
    def holds(self) -> list[str]:
        """What is there that only this connection has."""
        return [name for name, count in self.held.items() if count]

    def applied_to(self, startup: Mapping[str, str], before: Mapping[str, str], login: str) -> Profile:
        """The settings of a session that began with startup and had before, on a connection logged in as login.

        What it set is as harvested; what it reset is as it was at its start, as in PostgreSQL.
        """
        nobody = {"role": "none", "session_authorization": login}
        wanted = dict(startup)
        for name, value in self.settings.items():
            is_told = value != nobody[name] if name in nobody else value != "" or "." not in name
            if is_told or name in startup or name in before:
                wanted[name] = value
        return Profile.of(wanted.items())


def read(exchange: Exchange) -> Harvest:
    """Make a Harvest of the answer to harvest_sql. Raises ValueError if it is no such thing."""
    if exchange.error:
        raise ValueError(error_fields(exchange.error).get("M", ""))
    settings: dict[str, str] = {}
    held: dict[str, int] = {}
    for kind, name, value in exchange.rows:
        if kind is None or name is None:
            raise ValueError("a row without a name")
        if value is not None:
            if kind == b"set":
                settings[name.decode("ascii").lower()] = bytes.fromhex(value.decode("ascii")).decode("utf-8")
            else:
                held[name.decode("ascii")] = int(value)
    return Harvest(settings, held)


_PIN_HINT: Final = "Set session_state=pin for this configuration, or connect to the database itself."
_REFUSED: Final = (
    (
        Residue.TAKES_LOCK,
        "session advisory locks are not available here: the session has no connection of its own",
        f"Use pg_advisory_xact_lock in a transaction. {_PIN_HINT}",
    ),
    (Residue.LISTENS, "LISTEN is not available here: the session has no connection of its own", _PIN_HINT),
    (
        Residue.HOLDS,
        "cursors WITH HOLD are not available here: the session has no connection of its own",
        f"Declare the cursor without HOLD in a transaction. {_PIN_HINT}",
    ),
)
_ENDS: Final = (
    (Residue.MAKES_TEMPORARY, "temporary tables"),
    (Residue.PREPARES, "statements of SQL's PREPARE"),
)
_KEPT_HINT: Final = (
    "Use SET LOCAL in a transaction, put it into the query that needs it, give it as a startup parameter, or set "
    "session_state=track for this configuration."
)


def refusal(asked: Residue, mode: SessionState, *, is_alone: bool) -> UnsupportedError | None:
    """Why a statement is not run, if it openly asks for what its session cannot keep.

    is_alone: no transaction is open in which it would hold.
    """
    if mode == "pin":
        return None
    for flag, public, hint in _REFUSED:
        if asked & flag:
            return UnsupportedError(public, public=public, detail=f"session_state is {mode}.", hint=hint)
    if mode == "reset" and is_alone and asked & Residue.CHANGES_MEANING:
        public = "this setting would be forgotten after the statement"
        return UnsupportedError(public, public=public, detail="session_state is reset.", hint=_KEPT_HINT)
    return None


def notices(asked: Residue, mode: SessionState, told: set[Residue]) -> bytes:
    """Notices of what ends with this transaction; each kind once a session. told: the kinds so far, added to."""
    words = b""
    for flag, what in _ENDS if mode != "pin" else ():
        if asked & flag and flag not in told:
            told.add(flag)
            words += notice_response({
                "S": "NOTICE",
                "V": "NOTICE",
                "C": "01000",
                "M": f"{what} last until the end of the transaction here",
                "D": f"session_state is {mode}: the session has no connection of its own.",
                "H": _PIN_HINT,
            })  # fmt: skip
    return words
