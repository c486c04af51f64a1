"""What can be read and written: groups of rows that every transaction leaves with one version, in many ways.

A *read* is a statement whose values are all versions of its subject. A *write* is a list of steps; all in one
transaction, or one statement that is one. The last value that its steps return, or copy, is the version that it made.
What has more than one step takes the subject's row in `turn` first: each statement of READ COMMITTED has a snapshot of
its own, so two such transactions could otherwise each write a part.
"""

from collections.abc import Callable
from typing import Final

import attrs

MAX_COLUMNS: Final = 400
"""PostgreSQL allows 1600, those that were dropped included."""


@attrs.frozen(repr=False)
class Read:
    """A statement; with a parameter where it has one."""

    sql: str
    value: str | None = None
    counts_columns: bool = False
    only_alone: bool = False
    """It names no table. Inside a transaction PostgreSQL looks for what others have changed when it locks a table."""

    def __repr__(self) -> str:
        return self.sql if self.value is None else f"{self.sql} [{self.value}]"


@attrs.frozen
class Copy:
    """A COPY FROM STDIN; `{new}` in its rows is the version that it makes."""

    into: str
    rows: tuple[str, ...]
    is_numbered: bool = False
    """Its version is a number that nobody has had before, not the one after what the step before has returned."""
    extended: bool = False
    """By the extended protocol."""

    @property
    def sql(self) -> str:
        return f"COPY {self.into} FROM STDIN"

    def halves(self, version: int) -> tuple[bytes, bytes]:
        """The rows, in two parts."""
        lines = [row.replace("{new}", str(version)).encode() + b"\n" for row in self.rows]
        half = len(lines) // 2
        return b"".join(lines[:half]), b"".join(lines[half:])


Step = str | Copy


@attrs.frozen
class Write:
    """`{v}` in a step is the version that the step before has returned."""

    name: str
    steps: tuple[Step, ...]
    as_one_message: bool = False
    """All steps in one Query, in the transaction that it is."""
    prepared: bool = False
    """Ended by PREPARE TRANSACTION and COMMIT PREPARED."""
    since: int = 0
    """The first PostgreSQL that has it; on an older one the subject's first way takes its place."""


@attrs.frozen(repr=False, cache_hash=True)
class Subject:
    """Rows with one version."""

    number: int
    reads: tuple[Read, ...]
    writes: tuple[Write, ...]
    may_be_empty: bool = False
    """A reader that waited for TRUNCATE may find no rows, as PostgreSQL documents it."""
    by_ddl: bool = False
    """Its writes want the table for themselves, and a snapshot may see what is newer than it is."""
    only_grows: bool = False
    """The highest version counts, and several may be written at once."""

    def __repr__(self) -> str:
        return f"subject {self.number}"

    def write(self, way: int, major: int) -> Write:
        """One of its writes, as a server of this version can do it."""
        chosen = self.writes[way % len(self.writes)]
        return chosen if chosen.since <= major else self.writes[0]


def _writes(number: int, table: str, where: str) -> tuple[Write, ...]:
    """Ways to write the rows of a table directly."""
    update = f"UPDATE {table} SET version = version + 1 WHERE {where}"
    now = f"SELECT version FROM {table} WHERE {where} LIMIT 1"
    return (
        Write("update", (f"{update} RETURNING version",)),
        Write("update row by row", (f"{update} AND place = 0", f"{update} AND place > 0 RETURNING version")),
        Write(
            "updates in one message", (f"{update} AND place < 2", f"{update} AND place > 1", now), as_one_message=True
        ),
        Write("update in a CTE", (f"WITH w AS ({update} RETURNING version) SELECT version FROM w",)),
        Write("DO", (f"DO $$ BEGIN {update}; END $$", now)),
        Write("savepoint", ("SAVEPOINT a", update, "RELEASE a", now)),
        Write("update after a savepoint", ("SAVEPOINT a", update, "ROLLBACK TO a", f"{update} RETURNING version")),
        Write("two phases", (update, now), prepared=True),
        Write(
            "delete and insert",
            (
                f"DELETE FROM {table} WHERE {where} RETURNING version",
                f"INSERT INTO {table} (subject, place, version) SELECT {number}, place, {{v}} + 1 "
                "FROM generate_series(0, 3) AS place RETURNING version",
            ),
        ),
        Write(
            "delete and copy",
            (
                f"DELETE FROM {table} WHERE {where} RETURNING version",
                Copy(f"{table} (subject, place, version)", tuple(f"{number}\t{place}\t{{new}}" for place in range(4))),
            ),
        ),
    )


def _reads(table: str, where: str, number: int) -> tuple[Read, ...]:
    return (
        Read(f"SELECT version FROM {table} WHERE {where}"),
        Read(f"SELECT version FROM {table} WHERE subject = $1::int", str(number)),
        Read(f"SELECT min(version), max(version) FROM {table} WHERE {where}"),
        Read(f"SELECT a.version, b.version FROM {table} a JOIN {table} b USING (subject) WHERE subject = {number}"),
        Read(f"WITH c AS (SELECT version FROM {table} WHERE {where}) SELECT version FROM c UNION ALL TABLE c"),
    )


def _cell(number: int) -> Subject:
    where = f"subject = {number}"
    now = f"SELECT version FROM cell WHERE {where} LIMIT 1"
    insert = f"INSERT INTO cell SELECT {number}, place, 1 FROM generate_series(0, 3) AS place"
    upsert = "ON CONFLICT (subject, place) DO UPDATE SET version = cell.version + 1 RETURNING cell.version"
    writes = (
        *_writes(number, "cell", where),
        Write("function", (f"SELECT bump({number})",)),
        Write("procedure", (f"CALL bump_it({number})", now)),
        Write("trigger", (f"UPDATE lever SET pulled = pulled + 1 WHERE {where}", now)),
        Write("rule", (f"UPDATE handle SET version = 0 WHERE {where}", now)),
        Write("through a view", (f"UPDATE seen_twice SET version = version + 1 WHERE {where} RETURNING version",)),
        Write("upsert", (f"{insert} {upsert}",)),
        Write(
            "merge",
            (
                f"MERGE INTO cell USING (SELECT {number} AS which) AS w ON subject = which "
                "WHEN MATCHED THEN UPDATE SET version = version + 1",
                now,
            ),
            since=15,
        ),
    )
    return Subject(number, (*_reads("cell", where, number), *_reads("seen_twice", where, number)[:3]), writes)


def _child(number: int) -> Subject:
    where = f"subject = {number}"
    reads = (
        *_reads("child", where, number),
        Read(f"SELECT p.version, c.version FROM parent p JOIN child c USING (subject) WHERE subject = {number}"),
    )
    update = f"UPDATE parent SET version = version + 1 WHERE {where} RETURNING version"
    return Subject(
        number, reads, (Write("cascade", (update,)), Write("cascade, in a transaction", ("SELECT 1", update)))
    )


def _part(number: int) -> Subject:
    where = f"subject = {number}"
    partition = "part_low" if number < 22 else "part_high"
    writes = (*_writes(number, partition, where), *_writes(number, "part", where))
    return Subject(number, (*_reads("part", where, number), *_reads(partition, where, number)[:2]), writes)


def _heir(number: int) -> Subject:
    where = f"subject = {number}"
    writes = (*_writes(number, "heir", where), *_writes(number, "forebear", where)[:8])
    return Subject(number, _reads("forebear", where, number), writes)


def _pile(number: int) -> Subject:
    """Rows are only added, by COPY and no other way, so one statement alone makes a version."""
    rows = (f"{number}\t{{new}}",) * 2
    copy, extended = (Copy("pile (subject, version)", rows, is_numbered=True, extended=way) for way in (False, True))
    slip = Copy("slip (subject, version)", rows, is_numbered=True)
    highest = f"SELECT max(version) FROM pile WHERE subject = {number}"
    reads = (
        Read(highest),
        Read("SELECT max(version) FROM pile WHERE subject = $1::int", str(number)),
        Read(f"SELECT version FROM pile WHERE subject = {number} ORDER BY version DESC LIMIT 1"),
        Read(f"SELECT max(version), ({highest}) FROM pile_seen WHERE subject = {number}"),
    )
    writes = (
        Write("copy", (copy,)),
        Write("copy, extended", (extended,)),
        Write("copies", (copy, extended)),
        Write("copy, by a trigger", (slip,)),
        Write("copy, two phases", (copy,), prepared=True),
    )
    return Subject(number, reads, writes, only_grows=True)


# Locking a table is when PostgreSQL hears, inside of a transaction, that a function is another by now.
HEED: Final = "LOCK TABLE source IN ACCESS SHARE MODE"


def _ddl() -> tuple[Subject, ...]:
    """Those that are written whole, or by DDL."""
    whole = Write(
        "truncate",
        (
            "SELECT version FROM whole LIMIT 1",
            "TRUNCATE whole",
            "INSERT INTO whole SELECT {v} + 1 FROM generate_series(0, 3) RETURNING version",
        ),
    )
    kept = Write(
        "refresh",
        (
            "UPDATE source SET version = version + 1",
            "REFRESH MATERIALIZED VIEW kept",
            "SELECT version FROM kept LIMIT 1",
        ),
    )
    rewrite = "ALTER TABLE shaped ALTER COLUMN version TYPE bigint USING version + 1"
    count = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'wide'::regclass AND attnum > 0 AND NOT attisdropped"
    swap = Write(
        "rename",
        (
            "SELECT version FROM swapped LIMIT 1",
            "CREATE TABLE swapping AS SELECT {v} + 1 AS version FROM generate_series(0, 1)",
            "DROP TABLE swapped",
            "ALTER TABLE swapping RENAME TO swapped",
            "SELECT version FROM swapped LIMIT 1",
        ),
    )
    add_column = Write("add column", ("ALTER TABLE wide ADD COLUMN c_{unique} int", count))
    see, hear = "SELECT version FROM told", "SELECT said()"
    view = "CREATE OR REPLACE VIEW told AS SELECT ({v} + 1)::bigint AS version"
    function = "CREATE OR REPLACE FUNCTION said() RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT {v}::bigint + 1'"
    everything = (Read("SELECT version FROM whole"), Read("SELECT max(version) FROM whole"))
    return (
        Subject(40, everything, (whole,), may_be_empty=True),
        Subject(41, (Read("SELECT version FROM kept"),), (kept,)),
        Subject(
            42, (Read("SELECT version FROM shaped"),), (Write("rewrite", (rewrite, "SELECT version FROM shaped")),)
        ),
        Subject(43, (Read("SELECT * FROM wide", counts_columns=True),), (add_column,)),
        Subject(44, (Read(see),), (Write("replace view", (see, view, see)),)),
        Subject(45, (Read(hear, only_alone=True),), (Write("replace function", (HEED, hear, function, hear)),)),
        Subject(46, (Read("SELECT version FROM swapped"),), (swap,)),
    )


def _all(makers: dict[Callable[[int], Subject], range]) -> tuple[Subject, ...]:
    return tuple(make(number) for make, numbers in makers.items() for number in numbers)


#: Rows, then those that are written by DDL, which makes every edge forget everything.
ROWS: Final = _all({_cell: range(10), _child: range(10, 14), _part: range(20, 24), _heir: range(30, 32)})
PILES: Final = _all({_pile: range(60, 62)})
DDL: Final = tuple(attrs.evolve(subject, by_ddl=True) for subject in _ddl())
