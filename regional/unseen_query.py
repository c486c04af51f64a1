"""The SQL that asks whether the catalogue has changed since it was read, and whether this connection has changed it.

The state of the catalogue is told by how many rows its tables have and by the sums of their xmin. A row that is written
anew has the xmin of its writer, as a rule the greatest that there is, so hardly a change leaves both as they were. Of
pg_class the values count, for TRUNCATE writes there too. What temporary objects stand in is left out.

To count is work, some milliseconds in a large database, and mostly for nothing. So since PostgreSQL 15 the connection's
own statistics are asked first: how often those tables were written to, as far as it can see. That number grows with
what everybody has written and told, and at once with what this connection itself has written; where it is what it was,
nothing was. Older servers send their statistics away and may lose them.
"""

from typing import Final

#: What is judged by, and what meanings hang on; how rows of temporary relations are recognized there.
_TABLES: Final = {
    "pg_attribute": "attrelid >= 16384 AND attrelid NOT IN (SELECT oid FROM temporary)",
    "pg_attrdef": "adrelid NOT IN (SELECT oid FROM temporary)",
    "pg_constraint": "conrelid NOT IN (SELECT oid FROM temporary)",
    "pg_index": "indrelid >= 16384 AND indrelid NOT IN (SELECT oid FROM temporary)",
    "pg_inherits": "inhrelid NOT IN (SELECT oid FROM temporary)",
    "pg_policy": "polrelid NOT IN (SELECT oid FROM temporary)",
    "pg_rewrite": "ev_class >= 16384 AND ev_class NOT IN (SELECT oid FROM temporary)",
    "pg_trigger": "tgrelid NOT IN (SELECT oid FROM temporary)",
    "pg_type": "oid >= 16384 AND typnamespace NOT IN (SELECT oid FROM schema)",
    "pg_namespace": "oid NOT IN (SELECT oid FROM schema)",
    **dict.fromkeys(
        ("pg_proc", "pg_operator", "pg_opclass", "pg_cast", "pg_collation", "pg_statistic_ext"), "oid >= 16384"
    ),
    **dict.fromkeys(
        ("pg_aggregate", "pg_amop", "pg_amproc", "pg_auth_members", "pg_db_role_setting", "pg_enum", "pg_extension",
         "pg_publication_rel"),
        "true",
    ),
}  # fmt: skip
_COUNTED: Final = ("tuples_inserted", "tuples_updated", "tuples_deleted")


_COUNTS: Final = " + ".join(f"pg_stat_get_{what}(t.oid) + pg_stat_get_xact_{what}(t.oid)" for what in _COUNTED)
_SETTINGS: Final = "SET LOCAL search_path = pg_catalog; SET LOCAL statement_timeout = 0; SET LOCAL jit = off;\n"

#: How often the catalogue was written to, as far as this connection can see, and since when that is counted; NULL where
#: it cannot be known.
NUMBER_QUERY: Final = f"""{_SETTINGS}
SELECT CASE WHEN current_setting('server_version_num')::int >= 150000 AND current_setting('track_counts')::bool THEN (
  SELECT concat_ws(' ', sum({_COUNTS}), max(pg_stat_get_db_stat_reset_time(d.oid)))
  FROM unnest('{{pg_class,{",".join(_TABLES)}}}'::regclass[]) t(oid), pg_database d WHERE d.datname = current_database()
) END
"""

_RELATIONS: Final = """(
  SELECT concat_ws(' ', count(*), sum(hashtextextended(concat_ws(' ', oid, relname, relnamespace, reltype, relowner,
    relkind, relnatts, relchecks, relhasrules, relhastriggers, relrowsecurity, relforcerowsecurity, relispartition,
    relacl, reloptions, relpartbound::text), 0)))
  FROM pg_class WHERE oid >= 16384 AND relpersistence <> 't' AND relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
)"""
_STATES: Final = ", ".join(
    (
        _RELATIONS,
        *(
            f"(SELECT concat_ws(' ', count(*), sum(xmin::text::int8)) FROM {table} WHERE {where})"
            for table, where in _TABLES.items()
        ),
    )
)

#: The state of the catalogue.
STATE_QUERY: Final = f"""{_SETTINGS}
WITH temporary(oid) AS (SELECT oid FROM pg_class WHERE relpersistence = 't'),
schema(oid) AS (SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg\\_%temp\\_%')
SELECT concat_ws(', ', {_STATES})
"""
