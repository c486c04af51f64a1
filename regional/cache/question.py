"""May the answer to one request be kept? What an edge asks in front of a request (`Ask`), and what it is told.

The request is looked at message by message on its way to the origin. As soon as all of it is sent there, and at the
latest in front of the first byte of its answer, the edge hears a `Verdict`: one for each question, unless the channel
is closed before. If that says yes, `keeps` says whether the frame that settles the request says so too.

Why not is said in one of a few classes. Those of the statement are `reading`'s. Of the rest, these hold for the
statement too:

    disabled            the configuration does not cache
    table setting       a table that it reads is never to be kept
    leaves something    the statement is not proven to leave nothing on its connection

and these for this request only:

    catalogue unknown   the origin's catalogue is not known at present
    not followed        writes to a table that it reads are not followed now, and the configuration wants that
    date word           a value may be read as the present time
    incomplete          nothing was to be executed when the answer began
    outcome unknown     a lost connection may yet commit what changes the answer
    session settings    the session has set something that the edge does not know of yet
    several statements  it was not alone
    standby             the connection leads to a server that follows another, so it may be behind
    transaction         a transaction is open, and not one that the configuration serves from the cache
    pinned              the session keeps its connection
"""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final

import attrs

from protos.link.link_pb2 import Begin, Verdict
from regional.cache.classifier import Classifier
from regional.cache.reach import Reach
from regional.cache.reading import has_date_word
from regional.configuration import Caching
from regional.grammar import parse

UNKNOWN_CATALOGUE: Final = "catalogue unknown"
_READ_COMMITTED: Final = "read committed"


@attrs.frozen
class Circumstances:
    """What a request meets when it goes to the origin."""

    caching: Caching
    classifier: Classifier
    is_utf8: bool
    why_not: str
    """Why no answer that comes this way may be kept now; empty if there is no reason."""
    leaves_something: bool
    in_doubt: frozenset[int] | None = frozenset()
    """Tables that a lost connection may yet change; None for all."""
    follows: Callable[[frozenset[int]], bool] = lambda tables: False
    """Whether all that is written to these tables is told, where the configuration wants that."""

    def why_not_from(self, tables: frozenset[int]) -> str:
        """Why nothing that is read from these tables may be kept now."""
        if self.in_doubt is None or not tables.isdisjoint(self.in_doubt):
            return "outcome unknown"
        return "not followed" if self.caching.follow_writes and not self.follows(tables) else ""


class Question:
    """About one request."""

    __slots__ = (
        "_is_several", "_sql", "_tables", "_types", "_values", "_why_not", "generation", "group", "meets_settings",
        "opening",
    )  # fmt: skip

    def __init__(self, opening: Begin | None = None) -> None:
        self.opening = opening
        """The transaction that is opened in front of it."""
        self.meets_settings = False
        """Whether the lease may have set something before it."""
        self.group = -1
        """How many sync points were sent before it; -1 while nothing of it is sent."""
        self.generation = -1
        """Of the knowledge that it was answered from."""
        self._sql: bytes | None = None
        self._types = b""
        self._values = b""
        self._why_not = ""
        self._is_several = False
        self._tables: frozenset[int] | None = None  # if the answer was yes, and may still be kept

    # --- what it is about ---

    def begins(self, group: int, *, is_quiet: bool, is_in_transaction: bool) -> None:
        """The first message of the request is about to be sent."""
        self.group = group
        if not is_quiet:
            self._why_not = "several statements"
        elif is_in_transaction:
            self._why_not = "transaction"

    def executes(self, sql: bytes, types_raw: bytes = b"", values: bytes = b"") -> None:
        """It runs this statement."""
        if self._sql is not None:
            self._is_several = True
            self.spoil()
        self._sql, self._types, self._values = sql, types_raw, values

    def is_not_whole(self, why: str) -> None:
        """It has something in it that cannot be looked at."""
        self._why_not = self._why_not or why
        self.spoil()

    # --- the answer ---

    def verdict(self, met: Circumstances, generation: int) -> Verdict:
        """Say whether the answer to the request may be kept."""
        self.generation = generation
        caching, reach = met.caching, met.classifier.reach
        if caching.disabled:
            return Verdict(why="disabled")
        if reach is None:
            return _not_now(UNKNOWN_CATALOGUE)
        why = self._why_not or ("several statements" if self._is_several else met.why_not)
        if why:
            return _not_now(why)
        if self._sql is None:
            return _not_now("incomplete")
        if self.opening is not None and not may_serve(self.opening, caching, reach):
            return _not_now("transaction")
        return self._of_statement(self._sql, met, reach)

    def _of_statement(self, sql: bytes, met: Circumstances, reach: Reach) -> Verdict:
        reading = met.classifier.reading(sql, self._types, is_utf8=met.is_utf8)
        if not reading.is_cacheable:
            return Verdict(why=reading.why, only_now=reading.why.startswith(UNKNOWN_CATALOGUE))
        if met.leaves_something:
            return Verdict(why="leaves something")
        if self._values and has_date_word(self._values):
            return _not_now("date word")
        if why := met.why_not_from(reading.tables):
            return _not_now(why)
        max_age_s = max_age_of(reading.tables, met.caching, reach)
        if not max_age_s:
            return Verdict(why="table setting")
        self._tables = reading.tables
        return Verdict(
            tables=sorted(reading.tables),
            max_age_s=max_age_s,
            stale_while_revalidate_s=met.caching.stale_while_revalidate,
        )

    # --- the end ---

    def spoil(self) -> None:
        """Its answer is not to be kept after all."""
        self._tables = None

    def keeps(self, settled_now: int, settled: int, generation: int) -> bool:
        """Whether a frame that settles so many sync points, so many in all then, is its answer, and may be kept."""
        is_its = settled_now == 1 and settled == self.group + 1
        return is_its and self._tables is not None and generation == self.generation


def _not_now(why: str) -> Verdict:
    return Verdict(why=why, only_now=True)


def max_age_of(tables: frozenset[int], caching: Caching, reach: Reach) -> float:
    """How long an answer that was read from these tables may be kept."""
    ages = [age for name, age in caching.tables.items() if not tables.isdisjoint(reach.named(name))]
    return min([caching.max_age, *ages])


def may_serve(opening: Begin, caching: Caching, reach: Reach) -> bool:
    """Whether the first reads of this transaction may be served from the cache."""
    if not caching.in_transactions or opening.failed:
        return False
    levels = [isolation_of(sql) for sql in opening.statements]
    if None in levels or not levels:
        return False
    given = [level for level in levels if level]
    return set(given) <= {_READ_COMMITTED} and (bool(given) or reach.is_read_committed)


@lru_cache(maxsize=1000)
def isolation_of(sql: bytes) -> str | None:
    """The isolation level that a BEGIN or SET TRANSACTION names, empty if it names none; None if it is neither."""
    statements = parse(sql)
    if not statements or len(statements) != 1:
        return None
    ((kind, node),) = statements[0].items()
    if kind == "TransactionStmt" and node.get("kind") in ("TRANS_STMT_BEGIN", "TRANS_STMT_START"):
        return _isolation_in(node.get("options", ()))
    if kind == "VariableSetStmt" and node.get("kind") == "VAR_SET_MULTI" and node.get("name") == "TRANSACTION":
        return _isolation_in(node.get("args", ()))
    return None


def _isolation_in(options: Iterable[Mapping[str, Mapping[str, object]]]) -> str | None:
    level = ""
    for option in options:
        given = option["DefElem"]
        if given["defname"] == "transaction_isolation":
            level = _constant(given["arg"])
    return level


def _constant(arg: object) -> str:
    """The text of a constant of the tree; a word that is no level where it is none."""
    value = arg
    for name in ("A_Const", "sval", "sval"):
        value = value.get(name, {}) if isinstance(value, dict) else {}
    return value if isinstance(value, str) else "?"
