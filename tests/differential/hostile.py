"""Random conversations of clients that break the protocol, or nearly: malformed messages among good ones.

Most faults leave the framing whole (a string without its end, wrong counts, a body where none belongs), and PostgreSQL
goes on behind them. The others (wrong lengths, unknown types) end the session, so they come last. A fault is put into
a good message of the same kind, for how much of it PostgreSQL has read before it minds is what matters.

A chunk is many groups of messages at once, with Queries in the middle of groups and Syncs left out, because what is
skipped behind an error is where the tiers have to agree with PostgreSQL most. How many ReadyForQuery come of that only
PostgreSQL knows, so such a chunk ends with a query of its own (`Until.MARKED`).
"""

from collections.abc import Callable, Sequence
from random import Random
from struct import Struct
from typing import Final, TypeVar

from tests.differential.script import (
    Chunk,
    Conversation,
    Ending,
    Neighbour,
    Say,
    Until,
    bind,
    call,
    chunk,
    close_portal,
    close_statement,
    copy_data,
    copy_done,
    copy_fail,
    describe_portal,
    describe_statement,
    execute,
    flush,
    parse,
    query,
    raw,
    sync,
)

T = TypeVar("T")

MAX_CHUNKS: Final = 6
MAX_GROUPS: Final = 4
MAX_SAYS: Final = 6
PADDING: Final = b"\xff" * 64
"""What follows a wrong length: no type of message, whatever has been taken for the one before."""

_length = Struct(">I").pack

PARAMETERS: Final = ((), (), (("datestyle", "German"),))
TEXTS: Final = (
    "select 1", "selec", "select 1/0", "begin", "begin", "commit", "rollback", "select id from items order by id",
    "insert into items values (7, 'seven', 7)", "insert into items values (1, 'one', 1)", "savepoint s",
    "rollback to s", "release s", "set local datestyle to default", "set local datestyle to iso", "reset datestyle",
    "discard plans", "select date '2024-02-01'", "prepare p as select 7", "prepare p as select 8", "prepare q as begin",
    "execute p", "execute q", "deallocate p", "deallocate q", "deallocate all", "prepare s as insert into parts values "
    "(1, 1)", "execute s", "select generate_series(1, 3)", "select 1; select 2", "select 1/0; select 2",
    "insert into items values (8, 'eight', 8); selec", "create temp table made (a int) on commit drop",
    "insert into made values (1)", "lock table items", "select $1::int", "select $1::text || 'x', $2::int",
)  # fmt: skip
# In the middle of a group what the session began with comes back at the transaction's end only (RESET_STARTUP).
WITHOUT_RESET: Final = tuple(
    text for text in TEXTS if text not in {"reset datestyle", "set local datestyle to default"}
)
COPIES: Final = (
    "copy items from stdin",
    "copy parts from stdin (format csv)",
    "copy (select * from items order by id) to stdout",
    "copy nowhere from stdin",
)
NAMES: Final = ("", "p", "q", "s")
PORTALS: Final = ("", "", "c", "d")
NEIGHBOURS: Final = (
    "begin; create temp table items (a int) on commit drop; commit", "set datestyle to 'SQL, DMY'", "select 1",
    "deallocate all",
)  # fmt: skip


class Foe:
    """Draws what is said."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._texts: Sequence[str] = TEXTS  # of Queries

    def conversation(self) -> Conversation:
        """A session from its connect to its end."""
        parameters = self._one(PARAMETERS)
        self._texts = WITHOUT_RESET if parameters else TEXTS
        steps: list[Chunk | Neighbour] = []
        for _ in range(self._random.randint(1, MAX_CHUNKS)):
            if self._once_in(4):
                steps.append(Neighbour(self._one(NEIGHBOURS)))
            steps.append(self._chunk())
        if self._once_in(3):
            steps.append(chunk(*self._group(), sync(), *self._last(), until=Until.MARKED))
        return Conversation(parameters, tuple(steps), self._one(tuple(Ending)))

    # --- chance ---

    def _one(self, several: Sequence[T]) -> T:
        return self._random.choice(several)

    def _once_in(self, number: int) -> bool:
        return self._random.randrange(number) == 0

    # --- messages ---

    def _chunk(self) -> Chunk:
        """Some groups at once."""
        says = [say for _ in range(self._random.randint(1, MAX_GROUPS)) for say in self._group()]
        if any("copy" in say.sql for say in says):
            says += (copy_fail("the end"), sync())
        return chunk(*says, until=Until.MARKED)

    def _group(self) -> tuple[Say, ...]:
        """Some messages; mostly with their Sync."""
        says = [say for _ in range(self._random.randint(1, MAX_SAYS)) for say in self._says()]
        if self._once_in(12):
            says += self._copy()
        if not self._once_in(5):
            says.append(sync())
        return tuple(says)

    def _says(self) -> tuple[Say, ...]:
        chance = self._random.random()
        if chance < 0.3:
            return parse("", self._one(TEXTS)), self._bind(), execute()
        if chance < 0.4:
            return (query(self._one(self._texts)),)
        if chance < 0.5:
            name = self._one(NAMES)
            return parse(name, self._one(self._texts)), bind("", name), execute()
        says = self._good()
        return (self._spoilt(says),) if self._once_in(3) else (says,)

    def _bind(self) -> Say:
        return bind(self._one(PORTALS), self._one(NAMES)) if self._once_in(3) else bind("", "")

    def _good(self) -> Say:
        """One message of any kind."""
        name, portal = self._one(NAMES), self._one(PORTALS)
        kinds: tuple[Callable[[], Say], ...] = (
            lambda: parse(name, self._one(self._texts)),
            lambda: parse(name, self._one(self._texts)),
            lambda: parse(name, "select $1::text || 'x', $2::int", 25, 23),
            lambda: bind(portal, name),
            lambda: bind(portal, name),
            lambda: bind(portal, name, "a", "1"),
            lambda: bind(portal, name, "1", binary=True),
            lambda: execute(portal),
            lambda: execute(portal, 1),
            lambda: describe_statement(name),
            lambda: describe_portal(portal),
            lambda: close_statement(name),
            lambda: close_portal(portal),
            lambda: query(self._one(self._texts)),
            lambda: call(481, "7"),
            flush, sync, copy_done, lambda: copy_fail("no"), lambda: copy_data("1\tx\n"),
        )  # fmt: skip
        return self._one(kinds)()

    def _copy(self) -> tuple[Say, ...]:
        """A COPY, perhaps with something else in the middle of its data.

        No message of the extended protocol: it ends the session, with its type in the words.
        """
        sql = self._one(COPIES)
        asked = (query(sql),) if self._once_in(2) else (parse("", sql), bind("", ""), execute())
        other = self._good()
        between = () if other.tag not in "cdfQS" or self._once_in(2) else (self._spoilt(other),)
        return (*asked, copy_data("40\tforty\t4\n"), *between, self._one((copy_done(), copy_fail("gives up"))), sync())

    # --- faults ---

    def _spoilt(self, say: Say) -> Say:
        """The message with a fault in its body; its length is that of its body."""
        body = say.data[5:]
        kinds: tuple[Callable[[], bytes], ...] = (
            lambda: body[: self._random.randint(0, len(body))],
            lambda: body[:-1],
            lambda: body + b"\0",
            lambda: body + self._one((b"\0\0", b"\0\0\0\1", b"x", b"\xff")),
            lambda: body.replace(b"\0", b"", 1),
            lambda: self._changed(body),
            lambda: self._changed(body),
            lambda: b"",
        )
        spoilt = self._one(kinds)()
        return raw(say.data[:1] + _length(len(spoilt) + 4) + spoilt)

    def _changed(self, body: bytes) -> bytes:
        """Another byte somewhere, which may be half a character or a count."""
        if not body:
            return b"\0"
        at = self._random.randrange(len(body))
        return body[:at] + self._one((b"\0", b"\1", b"\x7f", b"\x80", b"\xe4", b"\xff", b"Z")) + body[at + 1 :]

    def _last(self) -> tuple[Say, ...]:
        """What ends the session."""
        data = self._good().data
        length = int.from_bytes(data[1:5], "big")
        wrong = self._one((0, 1, 3, max(0, length - 1), length + 1, length + 7, 0x40000000, 0x7FFFFFFF, 0xFFFFFFFF))
        unknown = bytes([self._one((0, 1, 0x41, 0x70, 0x76, 0x7A, 0x80, 0xFF))])
        ends = (
            raw(data[:1] + _length(wrong) + data[5:]),
            raw(unknown + data[1:]),
            raw(b"X\0\0\0\4"),
            raw(b"X\0\0\0\7end"),
        )
        return self._one(ends), raw(PADDING)
