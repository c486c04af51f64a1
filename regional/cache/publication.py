"""The SQL of following an origin's writes: what is asked of it, the publication of ours, and what may be wrong.

Theory of operation: a publication names each table that has a replica identity: never all tables, because PostgreSQL
refuses UPDATE and DELETE of a published table that has none. It is shared by whoever follows this database as this
user, and what it ought to hold is decided by the catalogue alone, so all of them want the same.

What is published is decided by the publication as it was when a change was logged, and a stream may remember it longer
than that (a fault of PostgreSQL's that was mended in 2025). So a table counts as followed only by a stream whose slot
was made when its entry in the publication was there already, and as long as the entry is the same. `Holding` is what
is compared: the entries by table, each with its oid and the transaction that made it.

PostgreSQL 12 to 18. Nothing here waits long for a lock: ALTER PUBLICATION stands back for a VACUUM, and nobody who
reads or writes waits for it.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

PREFIX: Final = "onetrip_cache_"
COMMENT: Final = (
    "Made by Onetrip to learn of writes for its query cache. May be dropped when no Onetrip follows writes here."
)
MAX_NAME_BYTES: Final = 63
# For all tables at once, then for each alone.
LOCK_TIMEOUT_MS: Final = 500
ONE_LOCK_TIMEOUT_MS: Final = 50
NO_LOCK: Final = "55P03"

Row = Sequence[bytes | None]


def publication_name(user: str) -> str:
    """Each user has a publication of its own: only its owner may change it."""
    return (PREFIX + user).encode()[:MAX_NAME_BYTES].decode(errors="ignore")


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string constant, whatever standard_conforming_strings is."""
    escaped = text.replace("'", "''").replace("\\", "\\\\")
    return f" E'{escaped}'"


SITUATION_QUERY: Final = """
select current_setting('wal_level'), pg_is_in_recovery(), has_database_privilege(current_database(), 'CREATE'),
  exists (select from pg_publication where pubname = {name}),
  current_setting('max_replication_slots')::int > 0, current_setting('max_wal_senders')::int > 0,
  {server}
"""
#: The same over two connections says that both lead to one server and database; as `Reach.database`.
SERVER: Final = (
    "(select pg_catalog.concat_ws(' ', pg_catalog.pg_postmaster_start_time()::timestamptz(6) at time zone 'UTC', oid)"
    " from pg_catalog.pg_database where datname = pg_catalog.current_database())"
)

# An index is a replica identity only if it is valid, unique, not deferrable and not partial: RelationGetIndexList() of
# src/backend/utils/cache/relcache.c. Partitioned tables and views hold no rows themselves.
TABLES_QUERY: Final = """
select c.oid, c.relkind in ('p', 'v'), pg_has_role(c.relowner, 'USAGE'), format('%I.%I', n.nspname, c.relname)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.oid >= 16384 and (c.relkind in ('p', 'v') or c.relkind = 'r' and c.relpersistence = 'p' and (
  c.relreplident = 'f' or exists (
    select from pg_index i
    where i.indrelid = c.oid and i.indisvalid and i.indisunique and i.indimmediate and i.indpred is null
      and (c.relreplident = 'd' and i.indisprimary or c.relreplident = 'i' and i.indisreplident))))
"""

HOLDING_QUERY: Final = """
select r.prrelid, p.oid::text || ':' || p.xmin::text || '/' || r.oid::text || ':' || r.xmin::text,
  format('%I.%I', n.nspname, c.relname)
from pg_publication p join pg_publication_rel r on r.prpubid = p.oid
  join pg_class c on c.oid = r.prrelid join pg_namespace n on n.oid = c.relnamespace
where p.pubname = {name}
"""

# The marks of a stream, in one question: what is held (as a digest), where the log ends, which transactions are over,
# and how much of the log our slots hold back.
LOOK_QUERY: Final = """
select (select md5(string_agg(h.entry, ',' order by h.table_oid)) from ({holding}) h(table_oid, entry, name)),
  pg_current_wal_flush_lsn(), txid_current_snapshot(),
  (select max(pg_current_wal_lsn() - restart_lsn)::bigint from pg_replication_slots where slot_name = any ({slots}))
"""
SNAPSHOT_QUERY: Final = b"select pg_catalog.txid_current_snapshot()"
# A number that is higher than all that transactions have had so far; a snapshot does not say it.
NUMBER_QUERY: Final = b"select pg_catalog.txid_current()"
# Something small to decode, where the log ends in the middle of a record that nobody is in a hurry to write out.
NUDGE_QUERY: Final = b"select pg_catalog.pg_logical_emit_message(false, 'onetrip', '')"


def situation_query(name: str) -> bytes:
    return SITUATION_QUERY.format(name=literal(name), server=SERVER).encode()


def holding_query(name: str) -> bytes:
    return HOLDING_QUERY.format(name=literal(name)).encode()


def look_query(name: str, slots: Iterable[str]) -> bytes:
    names = ", ".join(literal(slot) for slot in slots)
    holding = HOLDING_QUERY.format(name=literal(name))
    return LOOK_QUERY.format(holding=holding, slots=f"array[{names}]::name[]").encode()


@attrs.frozen
class Tables:
    """What could be followed, from the rows of TABLES_QUERY."""

    names: dict[int, str]
    """Those that may be in the publication, with their names as SQL has them."""
    empty: frozenset[int]
    """Partitioned tables and views: nothing is written to them themselves."""
    not_ours: int
    """How many could be followed if this user owned them."""

    @classmethod
    def from_rows(cls, rows: Iterable[Row]) -> "Tables":
        names: dict[int, str] = {}
        empty: set[int] = set()
        not_ours = 0
        for oid, is_empty, is_ours, name in rows:
            assert oid is not None
            assert name is not None
            if is_empty == b"t":
                empty.add(int(oid))
            elif is_ours == b"t":
                names[int(oid)] = name.decode()
            else:
                not_ours += 1
        return cls(names, frozenset(empty), not_ours)


@attrs.frozen
class Entry:
    """A table in the publication."""

    made: bytes
    """Which entry of which publication this is; another one of the same table is another value."""
    name: str = attrs.field(eq=False)
    """The table's, as SQL has it."""


Holding = Mapping[int, Entry]


def holding_of(rows: Iterable[Row]) -> Holding:
    """What is in the publication by table, from the rows of `holding_query`."""
    return {int(oid or b""): Entry(made or b"", (name or b"").decode()) for oid, made, name in rows}


def digest_of(holding: Holding) -> bytes | None:
    """As LOOK_QUERY has it."""
    if not holding:
        return None
    joined = b",".join(holding[oid].made for oid in sorted(holding))
    return hashlib.md5(joined, usedforsecurity=False).hexdigest().encode()


def create_statement(name: str) -> bytes:
    """Alone in its transaction, so that a second one who does it at the same time fails alone."""
    quoted = identifier(name)
    return f"CREATE PUBLICATION {quoted}; COMMENT ON PUBLICATION {quoted} IS{literal(COMMENT)}".encode()


def drop_statement(name: str) -> bytes:
    return f"DROP PUBLICATION IF EXISTS {identifier(name)}".encode()


def add_statement(name: str, tables: Sequence[str]) -> bytes:
    """Names as SQL has them. ONLY: tables that inherit are named themselves."""
    timeout_ms = LOCK_TIMEOUT_MS if len(tables) > 1 else ONE_LOCK_TIMEOUT_MS
    listed = ", ".join(f"ONLY {table}" for table in tables)
    return f"SET LOCAL lock_timeout = {timeout_ms}; ALTER PUBLICATION {identifier(name)} ADD TABLE {listed}".encode()


def remove_statement(name: str, tables: Sequence[str]) -> bytes:
    listed = ", ".join(f"ONLY {table}" for table in tables)
    return (
        f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}; ALTER PUBLICATION {identifier(name)} DROP TABLE {listed}".encode()
    )


def slot_statement(slot: str) -> bytes:
    return f"CREATE_REPLICATION_SLOT {identifier(slot)} TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT".encode()


def start_statement(slot: str, name: str, version: int) -> bytes:
    names = identifier(name).replace("'", "''")
    options = f"proto_version '{version}', publication_names '{names}'"
    return f"START_REPLICATION SLOT {identifier(slot)} LOGICAL 0/0 ({options})".encode()


# --- what may be wrong ---

_LOGICAL: Final = "set wal_level = logical at the origin and restart it"
# PostgreSQL 16 and later say "start WAL sender" where those before say "replication".
_REPLICATING: Final = ("replication", "wal sender")
_CURES: Final = {
    "53300": "raise max_wal_senders at the origin",
    "53400": "raise max_replication_slots at the origin",
}


def why_not(row: Row, user: str) -> str:
    """What the origin lacks, with the cure, from the row of `situation_query`; empty if nothing."""
    wal_level, in_recovery, may_create, is_there, has_slots, has_senders, _ = row
    if in_recovery == b"t":
        return "the origin is a standby; follow the primary"
    if wal_level != b"logical":
        return f"wal_level is {(wal_level or b'').decode()}; {_LOGICAL}"
    if has_slots != b"t":
        return "max_replication_slots is 0; raise it at the origin"
    if has_senders != b"t":
        return "max_wal_senders is 0; raise it at the origin"
    if may_create != b"t" and is_there != b"t":
        return f"{user} may not make a publication; GRANT CREATE ON DATABASE to it"
    return ""


def why_refused(message: str, user: str) -> str:
    """What the origin says against it (SQLSTATE, colon, text), with the cure where one is known."""
    if f"{NO_LOCK}:" in message:
        return "a transaction that was open before has not ended yet"
    cure = next((cure for code, cure in _CURES.items() if f"{code}:" in message), None)
    if "42501:" in message and any(word in message.lower() for word in _REPLICATING):
        cure = f"ALTER ROLE {identifier(user)} REPLICATION (rds_replication on Amazon RDS)"
    return f"{message}; {cure}" if cure else message
