"""RESET in a session that has given parameters at its startup.

PostgreSQL's RESET leads back to the values that a session began with. On a shared connection it leads to those of the
pool's login, for no SQL changes where RESET leads. So a statement that resets a parameter of the startup has one of
ours behind it that gives the parameter its value of the startup, in the same message or the same group of messages:
they are done or undone together, and the client hears of the value that it then has.

- In a simple query ours is put behind its text, and what the origin says to it is left out of the answer.
- In the extended protocol ours are messages behind the Execute, injected (`protos/pg/pipeline.py`).

This is done for a RESET, or SET ... TO DEFAULT, that is a statement alone in its text. Of one among several, in a
function, in DISCARD ALL or in a Query that ends a group, what it has reset is put right when its transaction has ended
(`settling.py`).

SET LOCAL ... TO DEFAULT outside of a transaction does nothing, and PostgreSQL warns (25P01). Two statements in one
simple query are in a transaction, so with ours behind it there would be no warning. So such a query waits until what
was sent before it is answered, for only then it is known whether a transaction is open; outside of one nothing follows.
In the extended protocol the warning comes in any case, and that to ours is left out.
"""

import re
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Final

import attrs

from protos.pg.framer import Piece
from protos.pg.messages import bind, close_portal, close_statement, execute, parse, query
from protos.pg.pipeline import Pipeline
from protos.pg.tags import Backend, Frontend, TransactionStatus
from regional.grammar import parse as parse_sql
from regional.prepared import Prepared, name_in
from regional.profile import quote_literal
from regional.verifying import Verifying

NAME: Final = b"onetrip_reset"
MAX_BYTES: Final = 1000  # of a text that is a RESET, with its comments

_MAY_RESET: Final = re.compile(rb"\breset\b|\bdefault\b|\blocal\b", re.IGNORECASE)
_RESETS: Final = frozenset({"VAR_RESET", "VAR_SET_DEFAULT"})
# RESET ALL leaves these as they are (GUC_NO_RESET_ALL of src/backend/utils/misc/guc_tables.c).
_NOT_OF_ALL: Final = frozenset({
    "role", "session_authorization", "seed", "transaction_isolation", "transaction_read_only", "transaction_deferrable",
})  # fmt: skip
# SET would take the text of a list of names for one name (GUC_LIST_QUOTE of src/backend/utils/misc/guc_tables.c).
_QUOTED_LISTS: Final = frozenset({
    "local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries",
    "temp_tablespaces", "unix_socket_directories",
})  # fmt: skip
_PLAIN_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")
_IN_LIST: Final = re.compile(r'"[ !#-~]+"|[a-z_][a-z0-9_]*')
_PLAIN_LIST: Final = re.compile(rf"(?:{_IN_LIST.pattern})(?: *, *(?:{_IN_LIST.pattern}))*")
_OF_OURS: Final = frozenset({0, Backend.ROW_DESCRIPTION, Backend.COMMAND_COMPLETE})
_NOTHING: Final = Piece(0, b"", whole=True)


@attrs.frozen
class Followers:
    """What goes behind a statement."""

    statements: tuple[bytes, ...] = ()
    is_local: bool = False
    """They are for the transaction, as what they follow."""


_NO_FOLLOWERS: Final = Followers()


def followers_of(sql: bytes, startup: Mapping[str, str], *, is_outside: bool = False) -> Followers:
    """The statements that give what SQL resets its values of the startup; none if it resets none of them.

    is_outside: no transaction is open.
    """
    if len(sql) > MAX_BYTES or not _MAY_RESET.search(sql):
        return _NO_FOLLOWERS
    statements = parse_sql(sql)
    if statements is None or len(statements) != 1 or "VariableSetStmt" not in statements[0]:
        return _NO_FOLLOWERS
    node = statements[0]["VariableSetStmt"]
    name, is_local = node.get("name", "").lower(), bool(node.get("is_local"))
    if node["kind"] == "VAR_RESET_ALL":
        names = sorted(startup.keys() - _NOT_OF_ALL)
    else:
        names = [name] if node["kind"] in _RESETS and name in startup else []
    if not names:
        return _NO_FOLLOWERS
    how = "LOCAL" if is_local else "SESSION"
    given = (_given(name, startup[name], how, is_outside=is_outside) for name in names)
    return Followers(tuple(statement.encode("ascii") for statement in given), is_local)


def _given(name: str, value: str, how: str, *, is_outside: bool) -> str:
    """The statement that gives a parameter its value: a SET where there is one, for that takes no snapshot.

    A SET writes a list anew, with a space behind each comma. That does not matter to what it means, but it shows, so
    where no SET TRANSACTION can come behind it the value is given as it is.
    """
    if _PLAIN_NAME.fullmatch(name):
        if name not in _QUOTED_LISTS:
            return f"SET {how} {name} TO {quote_literal(value)}"
        if _PLAIN_LIST.fullmatch(value) and not is_outside:
            return f"SET {how} {name} TO {_IN_LIST.sub(_quoted, value)}"
    scope = "true" if how == "LOCAL" else "false"
    return f"SELECT pg_catalog.set_config({quote_literal(name)},{quote_literal(value)},{scope}) IS NULL"


def _quoted(name: re.Match[str]) -> str:
    return name[0] if name[0].startswith('"') else f'"{name[0]}"'


class Resets:
    """Of one lease."""

    def __init__(self, startup: Mapping[str, str], verifying: Verifying) -> None:
        """startup: what the session has given; verifying: holds what has to wait."""
        self._startup = startup
        self._verifying = verifying
        self._followed: deque[int] = deque()  # queries with one of ours behind them: the sync points before each
        self._is_ours = False  # what the origin says now, to the first of them
        self._unnamed: bytes | None = None  # the Parse message of the unnamed statement
        self._portals: dict[bytes, tuple[bytes, ...]] = {}  # our statements behind the Execute of each

    @property
    def wants_execute(self) -> bool:
        """Whether an Execute may have to be followed."""
        return bool(self._portals)

    def query(self, piece: Piece, sql: bytes, pipeline: Pipeline) -> Piece | None:
        """What to send for a simple query; None for nothing yet."""
        followers = self._followers(sql, pipeline)
        if followers.is_local and not pipeline.is_answered:
            self._verifying.wait(piece, partial(self._with_followers, followers, pipeline))
            return None
        return self._with_followers(followers, pipeline, piece)

    def _with_followers(self, followers: Followers, pipeline: Pipeline, piece: Piece) -> Piece:
        is_void = followers.is_local and pipeline.status == TransactionStatus.IDLE
        if is_void or not followers.statements or pipeline.has_unsynced:
            return piece  # in a group of messages nobody could tell the answer to ours from theirs
        self._followed.append(pipeline.settled + pipeline.owed)
        pipeline.watch()
        # Behind a line's end, for the text may end with a comment.
        text = piece.data[5:-1] + b"\n;" + b";".join(followers.statements)
        return Piece(piece.tag, query(text), whole=True)

    def heard(self, piece: Piece, settled: int) -> Piece:
        """What the client gets for a message of the origin's; settled sync points lie behind it."""
        while self._followed and self._followed[0] < settled:
            self._followed.popleft()
            self._is_ours = False
        if not self._followed or self._followed[0] != settled:
            return piece
        if self._is_ours and piece.tag in _OF_OURS:
            return _NOTHING
        self._is_ours = self._is_ours or piece.tag == Backend.COMMAND_COMPLETE
        return piece

    def parsed(self, message: bytes) -> None:
        """A Parse."""
        if not name_in(message, 5):
            self._unnamed = message

    def bound(self, message: bytes, statement: bytes, text: bytes | None, pipeline: Pipeline) -> None:
        """A Bind of a statement; text is its Parse message, if it has a name."""
        portal = name_in(message, 5)
        self._portals.pop(portal, None)
        parsed = text if statement else self._unnamed
        if parsed is not None:
            start = parsed.index(0, 5) + 1
            followers = self._followers(parsed[start : parsed.find(0, start)], pipeline).statements
            if followers:
                self._portals[portal] = followers

    def execute(self, piece: Piece, pipeline: Pipeline, prepared: Prepared, out: list[bytes]) -> Piece | None:
        """An Execute: put it into out, with ours behind it, or return it."""
        followers = self._portals.pop(name_in(piece.data, 5), ())
        if not followers or pipeline.in_copy_in:
            return piece
        pipeline.sent(piece.tag)
        out.append(piece.data)
        for follower in followers:
            pipeline.inject(Frontend.CLOSE)  # of an earlier one that failed
            parsed = parse(NAME, follower)
            prepared.parse(parsed, pipeline, out, is_private=False)
            for tag in (Frontend.PARSE, Frontend.BIND, Frontend.EXECUTE, Frontend.CLOSE, Frontend.CLOSE):
                pipeline.inject(tag)
            out += [
                close_statement(NAME), parsed, bind(NAME, NAME), execute(NAME), close_portal(NAME),
                close_statement(NAME),
            ]  # fmt: skip
        return None

    def _followers(self, sql: bytes, pipeline: Pipeline) -> Followers:
        if pipeline.in_copy_in:
            return _NO_FOLLOWERS
        is_outside = pipeline.status == TransactionStatus.IDLE and not pipeline.owed
        return followers_of(sql, self._startup, is_outside=is_outside)
