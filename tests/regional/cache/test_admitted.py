"""The reviewed lists, held against a real catalogue."""

from collections.abc import Callable

import pytest

from regional.builtins import CLOSING, DENIED
from regional.cache.admitted import SETTINGS, STABLE, TRANSPARENT, WRITELESS
from regional.cache.reach import Reach
from tests.support.cluster import Origin

pytestmark = pytest.mark.postgres

# What some PostgreSQL does not have yet, or calls immutable.
_LATER = {
    "jsonb_object_agg/2", "date_trunc/3",
    "timezone/1", "date_add/2", "date_add/3", "date_subtract/2", "date_subtract/3", "generate_series/4",
    "json_agg_strict/1", "jsonb_agg_strict/1", "json_object_agg_strict/2", "jsonb_object_agg_strict/2",
    "json_object_agg_unique/2", "jsonb_object_agg_unique/2", "json_object_agg_unique_strict/2",
    "jsonb_object_agg_unique_strict/2",
}  # fmt: skip


def test_what_is_listed_as_stable_is_so(origin: Origin) -> None:
    with origin.connect() as connection:
        rows = connection.execute(
            "select proname || '/' || pronargs, string_agg(provolatile, '') from pg_proc where oid < 16384 group by 1"
        ).fetchall()
    volatilities = dict(rows)
    assert len(set(STABLE)) == len(STABLE)
    unknown = {name for name in STABLE if "s" not in volatilities.get(name, "")}
    assert unknown <= _LATER
    assert [name for name in STABLE if "v" in volatilities.get(name, "")] == []


def test_the_settings_that_are_listed_are_there(origin: Origin) -> None:
    with origin.connect() as connection:
        rows = connection.execute("select name from pg_settings where context in ('user', 'superuser')").fetchall()
    assert set(SETTINGS) <= {name for (name,) in rows}


@pytest.mark.parametrize(
    ("name", "count", "verdict"),
    [
        ("now", 0, 1), ("statement_timestamp", 0, 1), ("clock_timestamp", 0, 2), ("random", 0, 2), ("age", 1, 1),
        ("age", 2, 0), ("date_trunc", 2, 0), ("to_char", 2, 0), ("to_tsvector", 1, 0), ("query_to_xml", 4, 2),
        ("has_table_privilege", 2, 1), ("to_regclass", 1, 1), ("current_setting", 1, 1), ("pg_typeof", 1, 1),
        ("json_populate_record", 2, 1), ("jsonb_to_recordset", 1, 1), ("ts_stat", 1, 2), ("nextval", 1, 2),
        ("jsonb_path_query_tz", 2, 1), ("jsonb_path_query", 2, 0), ("current_schema", 0, 1), ("txid_current", 0, 1),
        ("timezone", 2, 0), ("generate_series", 3, 0), ("concat_ws", 3, 0), ("max", 1, 0), ("lower", 1, 0),
        ("current_database", 0, 0), ("inet_client_addr", 0, 1), ("pg_backend_pid", 0, 1), ("version", 0, 1),
        ("obj_description", 2, 1), ("row_security_active", 1, 1), ("timetz", 1, 1), ("unnest", 1, 0),
    ],
)  # fmt: skip
def test_a_built_in_function_has_its_verdict(reach: Reach, name: str, count: int, verdict: int) -> None:
    found = reach.function(name, count)
    assert found is not None
    assert found.verdict == verdict


def test_no_built_in_operator_is_refused(made: Callable[[str], Reach]) -> None:
    """So the list has all that stands behind operators."""
    assert [name for (name, _), operator in made("").operators.items() if operator.verdict] == []


def test_nothing_that_runs_what_it_is_given_is_writeless(reach: Reach) -> None:
    assert not set(WRITELESS) & set(DENIED)
    denied = {name for name in DENIED if name not in CLOSING and reach.functions.get(name)}
    assert denied <= reach.writers_named.keys()


def test_transparent_functions_return_what_they_are_given(origin: Origin) -> None:
    with origin.connect() as connection:
        rows = connection.execute(
            "select proname, bool_or(prorettype::regtype::text ~ '^any') from pg_proc"
            " where proname = any(%s) group by 1",
            [sorted(TRANSPARENT - {"max", "min"})],
        ).fetchall()
    assert [name for name, is_any in rows if not is_any] == []
