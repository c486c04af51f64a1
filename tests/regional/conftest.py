"""A database full of traps for whoever judges statements, and a look at what a session holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs
import psycopg
import pytest
from psycopg import sql

from regional.catalog import CATALOG_QUERY, Catalog
from tests.support.cluster import Origin

SCHEMA: Final = Path(__file__).with_name("schema.sql")
USER: Final = "by_scram"
_GRANTS: Final = """
create role traps_role;
grant traps_role to by_scram;
grant all on all tables in schema public to traps_role;
grant create on schema public to by_scram;
grant usage on schema shadow to by_scram;
grant all on all tables in schema public, shadow to by_scram;
grant all on all sequences in schema public to by_scram, traps_role;
"""

# What DISCARD ALL is about, and what it forgets; each line is one text. The modes of a transaction keep the source
# `session` once one has set them, but each transaction begins with its defaults.
_FOOTPRINT: Final = """
select 'setting ' || name || ' = ' || setting from pg_settings where source = 'session' and name not like 'transaction%'
union all select 'my.leak = ' || current_setting('my.leak', true) where current_setting('my.leak', true) <> ''
union all select 'user ' || session_user || ' as ' || current_user
union all select 'advisory lock ' || objid from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
union all select 'statement ' || name from pg_prepared_statements
union all select 'cursor ' || name from pg_cursors where is_holdable
union all select 'temporary ' || relname from pg_class where relnamespace = pg_my_temp_schema()
union all select 'channel ' || pg_listening_channels()
union all select 'slot ' || slot_name from pg_replication_slots where temporary and active_pid = pg_backend_pid()
"""

Connection = psycopg.Connection[tuple[Any, ...]]


def read_catalog(connection: Connection) -> Catalog:
    """Ask as the pool node does: one simple query, rows in text format."""
    cursor = connection.execute(CATALOG_QUERY)
    while cursor.description is None:
        assert cursor.nextset()
    return Catalog.from_rows([[str(value).encode() for value in row] for row in cursor])


def footprint(connection: Connection) -> list[str]:
    """What the session holds now that a new one would not."""
    held = sorted(str(row[0]) for row in connection.execute(_FOOTPRINT))
    try:
        connection.execute("select lastval()")
    except psycopg.errors.ObjectNotInPrerequisiteState:
        return held
    return [*held, "lastval"]


@attrs.frozen
class Traps:
    """The database of `schema.sql`."""

    origin: Origin
    name: str
    catalog: Catalog

    def connect(self) -> Connection:
        """A session of an ordinary user."""
        origin = self.origin
        return psycopg.connect(
            host=origin.host, port=origin.port, user=USER, password=origin.password, dbname=self.name, autocommit=True,
            prepare_threshold=None,
        )  # fmt: skip


@pytest.fixture(scope="session")
def traps(origin: Origin) -> Iterator[Traps]:
    name = "traps"
    with origin.connect("postgres") as connection:
        connection.execute(
            sql.SQL("create database {} encoding 'UTF8' template template0").format(sql.Identifier(name))
        )
    with origin.connect(name) as connection:
        connection.execute(SCHEMA.read_bytes())
        connection.execute(_GRANTS)
    with Traps(origin, name, _NO_CATALOG).connect() as connection:
        yield Traps(origin, name, read_catalog(connection))


_NO_CATALOG: Final = Catalog({}, frozenset(), {}, {}, {}, {}, {}, {})
