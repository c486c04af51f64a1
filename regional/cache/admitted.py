"""What was read in PostgreSQL's own functions: which stable ones depend on nothing but settings and their arguments.

A name stands with its number of arguments, because the overloads differ: `age(a, b)` is arithmetic, `age(a)` asks for
today. The settings (TimeZone, DateStyle, IntervalStyle, lc_monetary, default_text_search_config, xmloption, …) are in
the key of an answer, so these are as good as immutable. Some ask the catalogue about what DDL alone can change: labels
of an enum, a text search configuration, a conversion.

Left out on purpose: what reads the clock, the catalogue, settings or other tables (`query_to_xml`, `ts_stat`,
`has_*_privilege`, `to_reg*`, `current_setting`, `pg_*`); what reads dates out of data, where 'now' may stand
(`json_populate_record`, `json_to_record` and the like); `jsonb_path_*_tz`, which asks what time zone there is today.
What a later PostgreSQL brings is not in the list until somebody has read it.
"""

from typing import Final

_COMPARED: Final = ("cmp", "eq", "ne", "lt", "le", "gt", "ge")

STABLE: Final = (
    # Time zones and date styles.
    "date/1", "time/1", "timestamp/1", "timestamptz/1", "timestamptz/2", "make_timestamptz/6", "make_timestamptz/7",
    "date_part/2", "extract/2", "date_trunc/2", "date_trunc/3", "date_add/2", "date_subtract/2", "timezone/1",
    "date_add/3", "date_subtract/3", "generate_series/3", "generate_series/4", "in_range/5", "overlaps/4",
    "interval_pl_timestamptz/2", "timestamptz_pl_interval/2", "timestamptz_mi_interval/2",
    *(f"date_{how}_timestamptz/2" for how in _COMPARED), *(f"timestamptz_{how}_date/2" for how in _COMPARED),
    *(f"timestamp_{how}_timestamptz/2" for how in _COMPARED), *(f"timestamptz_{how}_timestamp/2" for how in _COMPARED),
    "to_char/2", "to_date/2", "to_timestamp/2", "to_number/2",
    # Values as text.
    "anytextcat/2", "textanycat/2", "concat/1", "concat_ws/2", "format/1", "format/2", "quote_literal/1",
    "quote_nullable/1", "array_to_string/2", "array_to_string/3", "money/1", "numeric/1",
    "enum_first/1", "enum_last/1", "enum_range/1", "enum_range/2",
    "convert/3", "convert_from/2", "convert_to/2", "length/2", "xml_is_well_formed/1",
    # Values as JSON.
    "array_to_json/1", "array_to_json/2", "row_to_json/1", "row_to_json/2", "to_json/1", "to_jsonb/1",
    "json_build_array/0", "json_build_array/1", "json_build_object/0", "json_build_object/1",
    "jsonb_build_array/0", "jsonb_build_array/1", "jsonb_build_object/0", "jsonb_build_object/1",
    "json_agg/1", "jsonb_agg/1", "json_object_agg/2", "jsonb_object_agg/2",
    "json_agg_strict/1", "jsonb_agg_strict/1", "json_object_agg_strict/2", "jsonb_object_agg_strict/2",
    "json_object_agg_unique/2", "jsonb_object_agg_unique/2", "json_object_agg_unique_strict/2",
    "jsonb_object_agg_unique_strict/2",
    # Behind the aggregates, as a user's aggregate may have them.
    "json_agg_transfn/2", "jsonb_agg_transfn/2", "jsonb_agg_finalfn/1", "json_object_agg_transfn/3",
    "jsonb_object_agg_transfn/3", "jsonb_object_agg_finalfn/1",
    # Text search.
    "to_tsvector/1", "to_tsquery/1", "plainto_tsquery/1", "phraseto_tsquery/1", "websearch_to_tsquery/1",
    "json_to_tsvector/2", "jsonb_to_tsvector/2", "ts_headline/2", "ts_headline/3", "ts_match_tq/2", "ts_match_tt/2",
    # The session's own names: the role is in the key, the database is the configuration's.
    "current_user/0", "session_user/0", "current_database/0",
)  # fmt: skip

#: Settings that an answer, or what a statement writes, may hang on, and whose change PostgreSQL does not report to its
#: clients. Which of several right orders rows come in (enable_seqscan, synchronize_seqscans, …) is no matter.
SETTINGS: Final = (
    "array_nulls", "backslash_quote", "bytea_output", "default_text_search_config", "extra_float_digits",
    "gin_fuzzy_search_limit", "lc_messages", "lc_monetary", "lc_numeric", "lc_time", "quote_all_identifiers",
    "row_security", "search_path", "session_replication_role", "timezone_abbreviations", "transform_null_equals",
    "xmlbinary", "xmloption",
)  # fmt: skip

#: Extensions whose stable functions depend on settings only.
STABLE_EXTENSIONS: Final = ("pg_trgm",)

#: Those settings, and what they are where nobody has set them.
EXTENSION_SETTINGS: Final = {
    "pg_trgm.similarity_threshold": "0.3",
    "pg_trgm.strict_word_similarity_threshold": "0.5",
    "pg_trgm.word_similarity_threshold": "0.6",
}

#: Volatile functions of extensions that change no table.
WRITELESS_EXTENSIONS: Final = (
    "amcheck", "pageinspect", "pg_buffercache", "pg_freespacemap", "pg_prewarm", "pg_stat_statements", "pg_visibility",
    "pgrowlocks", "pgstattuple", "tablefunc",
)  # fmt: skip

#: Volatile functions of PostgreSQL's own that change no table, beside those of `regional/builtins.py`.
WRITELESS: Final = (
    "nextval", "setval", "currval", "lastval", "set_config", "pg_cancel_backend", "pg_terminate_backend",
    "pg_reload_conf", "pg_rotate_logfile", "pg_switch_wal", "pg_create_restore_point", "pg_export_snapshot",
    "pg_stat_reset", "pg_stat_reset_shared", "pg_stat_reset_single_table_counters", "pg_stat_clear_snapshot",
    "pg_stat_force_next_flush", "pg_current_xact_id", "pg_listening_channels", "txid_current",
    "pg_log_backend_memory_contexts",
    "lo_creat", "lo_create", "lo_open", "lo_close", "lo_lseek", "lo_lseek64", "lo_tell", "lo_tell64", "lo_truncate",
    "lo_truncate64", "lo_unlink", "lo_from_bytea", "lo_get", "lo_put", "loread", "lowrite",
    "pg_ls_dir", "pg_read_file", "pg_read_binary_file", "pg_stat_file",
    "pg_ls_logdir", "pg_ls_waldir", "pg_ls_tmpdir", "pg_current_logfile",
)  # fmt: skip

#: Their result is of the type of their arguments.
TRANSPARENT: Final = frozenset({
    "any_value", "first_value", "lag", "last_value", "lead", "max", "min", "nth_value", "unnest", "array_agg",
    "percentile_disc", "mode",
})  # fmt: skip
