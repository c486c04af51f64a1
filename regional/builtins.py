"""What was read in PostgreSQL's own functions: which volatile ones leave nothing, which others are not what they seem.

A built-in function that is not volatile does not change the session, with the exceptions of `DENIED`: they run SQL, or
code of the user's, that comes as an argument. A volatile one may do anything unless it stands in `REVIEWED_VOLATILE`,
so one that a later PostgreSQL brings counts as harmful until somebody has read it.
"""

from collections.abc import Mapping
from typing import Final

from regional.residue import Residue

_LOCKING: Final = (
    "pg_advisory_lock", "pg_advisory_lock_shared", "pg_try_advisory_lock", "pg_try_advisory_lock_shared",
)  # fmt: skip
_UNLOCKING: Final = ("pg_advisory_unlock", "pg_advisory_unlock_all", "pg_advisory_unlock_shared")

#: What no reset takes back: the seed of random(), connections of dblink, origins and temporary slots of replication,
#: a backup that the session has begun, libraries that a slot's plugin or a validator loads, switches of pg_upgrade.
CLOSING: Final = (
    "setseed", "dblink_connect", "dblink_connect_u", "pg_replication_origin_session_setup",
    "pg_replication_origin_session_reset", "pg_replication_origin_xact_setup", "pg_replication_origin_xact_reset",
    "pg_create_physical_replication_slot", "pg_create_logical_replication_slot",
    "pg_copy_physical_replication_slot", "pg_copy_logical_replication_slot",
    "pg_logical_slot_get_changes", "pg_logical_slot_peek_changes",
    "pg_logical_slot_get_binary_changes", "pg_logical_slot_peek_binary_changes",
    "pg_backup_start", "pg_start_backup", "pg_stop_making_pinned_objects", "fmgr_c_validator",
)  # fmt: skip

#: Not volatile, yet they run what their arguments say: SQL, a view's or domain's code, an operator class's functions.
RUNNING: Final = (
    "table_to_xml", "table_to_xmlschema", "table_to_xml_and_xmlschema", "schema_to_xml", "schema_to_xmlschema",
    "schema_to_xml_and_xmlschema", "database_to_xml", "database_to_xmlschema", "database_to_xml_and_xmlschema",
    "query_to_xml", "query_to_xmlschema", "query_to_xml_and_xmlschema", "cursor_to_xml", "cursor_to_xmlschema",
    "ts_stat", "ts_rewrite", "pg_input_is_valid", "pg_input_error_info", "satisfies_hash_partition",
    "fmgr_sql_validator", "fmgr_internal_validator",
    # Called by hand these reach the checks of any domain.
    "domain_in", "array_in", "record_in", "range_in", "multirange_in",
)  # fmt: skip

#: What is harmful although it is not volatile.
DENIED: Final = (*CLOSING, *RUNNING)

#: What a call leaves, where that is known more closely than "anything that DISCARD removes".
EFFECTS: Final[Mapping[str, Residue]] = {
    "set_config": Residue.SETTINGS,
    "nextval": Residue.SEQUENCES,
    "setval": Residue.SEQUENCES,
    # These leave nothing, but read what others have left.
    "currval": Residue.SEQUENCES,
    "lastval": Residue.SEQUENCES,
    **dict.fromkeys(_LOCKING, Residue.LOCKS | Residue.TAKES_LOCK),
    **dict.fromkeys(_UNLOCKING, Residue.LOCKS),
    **dict.fromkeys(CLOSING, Residue.DISCARD | Residue.CLOSES),
}

#: Volatile, and read: they change nothing that outlives the transaction, or nothing of the session. The random
#: functions move a generator that nobody can have seeded (setseed closes the connection).
REVIEWED_VOLATILE: Final = (
    "random", "random_normal", "array_sample", "array_shuffle", "gen_random_uuid", "uuidv4", "uuidv7",
    "timezone",  # that of a timetz is volatile before 14
    "clock_timestamp", "timeofday", "current_query", "pg_sleep", "pg_sleep_for", "pg_sleep_until",
    "pg_notify", "pg_notification_queue_usage",
    "pg_advisory_xact_lock", "pg_advisory_xact_lock_shared", "pg_try_advisory_xact_lock",
    "pg_try_advisory_xact_lock_shared", "pg_lock_status", "pg_blocking_pids", "pg_safe_snapshot_blocking_pids",
    "txid_status", "pg_xact_status", "pg_xact_commit_timestamp", "pg_xact_commit_timestamp_origin",
    "pg_last_committed_xact", "pg_prepared_xact", "pg_get_multixact_members",
    "pg_is_in_recovery", "pg_is_wal_replay_paused", "pg_get_wal_replay_pause_state", "pg_last_wal_receive_lsn",
    "pg_last_wal_replay_lsn", "pg_last_xact_replay_timestamp", "pg_current_wal_lsn", "pg_current_wal_insert_lsn",
    "pg_current_wal_flush_lsn",
    "pg_relation_size", "pg_table_size", "pg_indexes_size", "pg_total_relation_size", "pg_database_size",
    "pg_tablespace_size", "pg_partition_tree", "pg_partition_ancestors", "pg_sequence_last_value",
    "pg_collation_actual_version", "pg_database_collation_actual_version",
    "pg_control_checkpoint", "pg_control_init", "pg_control_recovery", "pg_control_system",
    "pg_get_backend_memory_contexts", "pg_get_shmem_allocations", "pg_get_wait_events", "pg_hba_file_rules",
    "pg_ident_file_mappings", "pg_show_all_file_settings", "pg_show_replication_origin_status",
    "pg_get_aios", "pg_get_loaded_modules", "pg_get_sequence_data", "pg_get_shmem_allocations_numa",
    "pg_available_wal_summaries", "pg_get_wal_summarizer_state", "pg_wal_summary_contents", "pg_log_standby_snapshot",
    "pg_stat_get_io", "pg_stat_get_backend_io", "pg_stat_get_backend_wal", "pg_stat_have_stats",
    "pg_stat_get_recovery_prefetch",
    "pg_stat_get_xact_blocks_fetched", "pg_stat_get_xact_blocks_hit", "pg_stat_get_xact_function_calls",
    "pg_stat_get_xact_function_self_time", "pg_stat_get_xact_function_total_time", "pg_stat_get_xact_numscans",
    "pg_stat_get_xact_tuples_deleted", "pg_stat_get_xact_tuples_fetched", "pg_stat_get_xact_tuples_hot_updated",
    "pg_stat_get_xact_tuples_inserted", "pg_stat_get_xact_tuples_newpage_updated",
    "pg_stat_get_xact_tuples_returned", "pg_stat_get_xact_tuples_updated",
    # as triggers
    "RI_FKey_check_ins", "RI_FKey_check_upd", "RI_FKey_cascade_del", "RI_FKey_cascade_upd", "RI_FKey_restrict_del",
    "RI_FKey_restrict_upd", "RI_FKey_setnull_del", "RI_FKey_setnull_upd", "RI_FKey_setdefault_del",
    "RI_FKey_setdefault_upd", "RI_FKey_noaction_del", "RI_FKey_noaction_upd", "unique_key_recheck",
    "suppress_redundant_updates_trigger", "tsvector_update_trigger", "tsvector_update_trigger_column",
)  # fmt: skip

#: Extensions whose C functions were read: all of them leave nothing ...
TRUSTED_EXTENSIONS: Final = ("citext", "moddatetime", "pgcrypto", "uuid-ossp")
#: ... or those that are not volatile. Not isn, whose isn_weak() sets a switch and calls itself immutable.
REVIEWED_EXTENSIONS: Final = (
    "btree_gin", "btree_gist", "cube", "dict_int", "dict_xsyn", "earthdistance", "fuzzystrmatch", "hstore", "intarray",
    "ltree", "pg_trgm", "postgis", "seg", "unaccent", "vector",
)  # fmt: skip

# Searched for, case ignored, in the text of functions, DO blocks and statements that were not understood. Keywords
# cannot be written in another way, so where the word is not, the statement is not. PostgreSQL and Python read these
# patterns alike.
CLOSING_WORDS: Final = (
    r"setseed|set\s+((local|session)\s+)?\"?seed|'seed'|dblink_connect|replication_origin|replication_slot|logical_slot"
    r"|backup_start|start_backup|(^|[^a-z0-9_])load\s*(e?'|u&'|[$%]|--|/[*])"
)
STATEMENT_WORDS: Final = r"(^|[^a-z0-9_])(deallocate|discard|prepare)([^a-z0-9_]|$)"
#: DDL that adds or changes something. What is only dropped cannot make a statement harmful.
DDL_WORDS: Final = r"(^|[^a-z0-9_])(create(?![a-z0-9_])(?!\s+(local\s+)?temp)|alter(?![a-z0-9_]))"
#: What may run DDL that is not written there, from a text or in another language; what is DDL and none of DDL_WORDS;
#: names that are not written as they are; tables of the catalogue that a superuser writes to.
HIDING_WORDS: Final = (
    r"(^|[^a-z0-9_])(execute|drop|grant|revoke|import|reassign|" + "|".join(RUNNING) + r")([^a-z0-9_]|$)"
    r"|(^|[^a-z0-9_])do\s*(language\s+[^\s]+\s*)?(e|u&)?['$]"
    r"|u&\"|(update|into|copy|delete\W+from)\W+(only\W+)?(pg_catalog\W+)?pg_"
)
#: Parts of a body, in words or not, without which it reads and writes no relation, runs no text, touches no cursor, and
#: names everything as it is.
IMPURE: Final = (
    "from", "table", "insert", "update", "delete", "merge", "execute", "cursor", "open", "fetch", "move", "close", "u&",
    "raise", "exception",
)  # fmt: skip
#: The time and the session, where no function is named.
INSTABLE_WORDS: Final = (
    "current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "now", "today", "tomorrow",
    "yesterday", "current_role", "current_user", "session_user", "system_user", "user", "current_catalog",
    "current_schema",
)  # fmt: skip
#: What CREATE TYPE ... AS RANGE makes.
CONSTRUCTORS: Final = (
    "range_constructor2", "range_constructor3", "multirange_constructor0", "multirange_constructor1",
    "multirange_constructor2",
)  # fmt: skip
#: What makes a temporary object, or names one.
TEMPORARY_WORDS: Final = r"(^|[^a-z0-9_])temp(orary)?([^a-z0-9_]|$)|pg_temp"
