"""Where a write goes over the catalogue: keys, triggers, rules, partitions, views, functions."""

from collections.abc import Callable

import pytest

from regional.cache.bodies import CASCADE, DELETE, INSERT, TRUNCATE, UPDATE
from regional.cache.effects import Effects
from regional.cache.reach import Reach

pytestmark = pytest.mark.postgres

Names = Callable[[frozenset[int]], set[str]]


def _written(reach: Reach, name: str, how: int) -> Effects:
    effects = Effects(reach)
    effects.write_named(None, name, how)
    return effects


@pytest.mark.parametrize(
    ("name", "how", "tables"),
    [
        ("orders", UPDATE, {"orders"}),
        ("parent", INSERT, {"parent"}),
        ("parent", UPDATE, {"parent", "account", "account_audit"}),
        ("parent", DELETE, {"parent", "kid_cascade", "grandkid", "kid_null", "kid_default"}),
        ("parent", TRUNCATE, {"parent"}),
        (
            "parent",
            TRUNCATE | CASCADE,
            {"parent", "kid_cascade", "grandkid", "kid_null", "kid_default", "kid_none", "account", "account_line"},
        ),
        ("coded", UPDATE, {"coded", "coded_kid"}),
        ("coded", DELETE, {"coded"}),
        ("split_parent", DELETE, {"split_parent", "split_kid", "split_kid_low"}),
        ("loop_a", DELETE, {"loop_a", "loop_b"}),
        ("owner", DELETE, {"owner", "owned_account", "account_audit"}),
        ("article", UPDATE, {"article"}),
        ("account", INSERT, {"account", "account_audit"}),
        ("silent", UPDATE, {"silent"}),
        ("split", INSERT, {"split", "split_low", "account_audit"}),
        ("split", UPDATE, {"split", "split_low", "account_audit"}),
        ("split_low", DELETE, {"split_low"}),
        ("ruled", INSERT, {"ruled", "ruled_log"}),
        ("defaulted", INSERT, {"defaulted", "log"}),
        ("checked", INSERT, {"checked", "log"}),
        ("emptied", TRUNCATE, {"emptied", "log"}),
        ("emptied", DELETE, {"emptied"}),
        ("animal", DELETE, {"animal", "dog", "puppy"}),
        ("item_view", UPDATE, {"item"}),
        ("place", DELETE, {"place"}),
    ],
)
def test_a_write_goes_on(reach: Reach, names: Names, name: str, how: int, tables: set[str]) -> None:
    effects = _written(reach, name, how)
    assert not effects.everything
    assert names(effects.writing().tables) == tables


def test_a_name_in_two_schemas_is_two_tables(reach: Reach) -> None:
    assert len(_written(reach, "place", UPDATE).tables) == 2
    effects = Effects(reach)
    effects.write_named("shadow", "place", UPDATE)
    assert len(effects.tables) == 1


@pytest.mark.parametrize(("name", "how"), [("dynamic", UPDATE), ("nowhere", INSERT)])
def test_what_is_not_known_is_everything(reach: Reach, name: str, how: int) -> None:
    assert _written(reach, name, how).writing().everything


def test_a_temporary_table_is_nobody_elses(reach: Reach) -> None:
    assert _written(reach, "scratch", UPDATE).writing().tables == frozenset()
    effects = Effects(reach)
    effects.write_named("pg_temp", "made_since", UPDATE)
    assert not effects.writing().everything


@pytest.mark.parametrize(
    ("name", "tables"),
    [("log_it", {"log"}), ("log_quietly", {"log"}), ("loud_sum", {"log"}), ("noise", set()), ("count_tags", set()),
     ("add_one", set()), ("lower", set()), ("loud", {"log"}), ("pence", {"log"}), ("touch", set())],
)  # fmt: skip
def test_a_call_writes_what_its_body_writes(reach: Reach, names: Names, name: str, tables: set[str]) -> None:
    effects = Effects(reach)
    effects.call_named(name)
    assert not effects.everything
    assert names(effects.writing().tables) == tables


@pytest.mark.parametrize("name", ["query_to_xml", "ts_stat"])
def test_what_runs_text_may_outlive_a_rollback(reach: Reach, name: str) -> None:
    effects = Effects(reach)
    effects.call_named(name)
    assert effects.writing().outlives_rollback


def test_reading_a_view_calls_its_functions(reach: Reach, names: Names) -> None:
    for view, tables in (
        ("loud_view", {"log"}),
        ("loud_operator_view", {"log"}),
        ("item_view", set()),
        ("item", set()),
    ):
        effects = Effects(reach)
        effects.read_named(None, view)
        assert names(effects.writing().tables) == tables
