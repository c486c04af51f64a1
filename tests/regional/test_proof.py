"""The walk through a tree with a catalogue made by hand."""

import pytest

from regional.catalog import Catalog, Relation
from regional.cleanness import CLEAN, DISCARD, Residue, judge
from regional.grammar import Node
from regional.proof import Proof, residue_of_new

CATALOG = Catalog(
    functions={
        "good": CLEAN,
        "date_part": CLEAN,
        "similar_escape": CLEAN,
        "system": CLEAN,
        "bad": DISCARD,
        "set_config": Residue.SETTINGS,
    },
    shadowed=frozenset({"bad", "json_value", "merge_action"}),
    attributes={"bad": DISCARD, "similar_to_escape": DISCARD},
    operators={"+": CLEAN, "=": CLEAN, "~~": CLEAN, "%%": DISCARD},
    types={"int4": CLEAN, "bad_type": DISCARD},
    type_oids={},
    qualified={("s", "t"): Relation(CLEAN, DISCARD)},
    unqualified={"t": Relation(CLEAN, DISCARD), "w": Relation(CLEAN, CLEAN), "q": Relation(CLEAN, Residue.SEQUENCES)},
    is_utf8=True,
)


def _judge(sql: str) -> Residue:
    return judge(sql.encode(), CATALOG)


@pytest.mark.parametrize(
    "sql",
    [
        "select good(1) + 2 from t, s.t as x where x.a = 5 and x.name ~~ 'a'",
        "with a as (select 1), b as (select * from a) select * from a, b",
        "with recursive b as (select * from a), a as (select 1) select * from b",
        "with a as (select 1) select (select count from (with c as (select * from a) select * from c) x) from w",
        "insert into w with a as (select 1) select * from a",
        "with a as (select 1) insert into w select * from a",
        "with a as (insert into w select 1 returning *) update w set x = (select y from a) from a returning w.x",
        "select * from t tablesample system (1)",
        "select a between 1 and 2, a not between symmetric b and c from w",
        "update q set a = 1; delete from q",
        "select x[1], (x).y, (x).z[2].u from w",
        "select extract(year from a) from w",
    ],
)
def test_harmless_names_are_clean(sql: str) -> None:
    assert _judge(sql) is CLEAN


@pytest.mark.parametrize(
    "sql",
    [
        "select bad(1)",
        "select pg_catalog.bad(1)",
        "select similar_to_escape(a) from w",
        "select normalize(a) from w",
        "select w.bad from w",
        "select s.w.bad from s.w",
        "select (w).x[1].bad from w",
        "select 1 %% 2",
        "select 1 operator(s.%%) 2",
        "select 1 %% any (array[1])",
        "select 1 %% any (select 1)",
        "select a from w order by a using %%",
        "select 1::bad_type",
        "select 1::bad_type[]",
        "select bad_type '1'",
        "select * from good(1) as x(a bad_type)",
        "select * from rows from (good(1) as (a bad_type))",
        "select xmlserialize(content good(1) as bad_type)",
        "select json_array(1 returning bad_type)",
        "select json_value('1', '$')",
        "select * from w tablesample other (1)",
        "insert into w values (1) on conflict (a bad_ops) do nothing",
        "insert into w values (1) on conflict ((bad(a))) do nothing",
        "insert into w values (1) on conflict do nothing returning bad(1)",
        "insert into t values (1)",
        "update s.t set a = 1",
        "delete from w using unknown",
        "with a as (select * from b), b as (select 1) select 1 from a",
        "with a as (select 1) select 1; select * from a",
        "select * from (with a as (select 1) select 1) x, a",
        "with a as (select 1) select * from s.a",
        "with w as (select 1) delete from t",
        "merge into t using w on t.a = w.a when matched then delete",
        "merge into w using w x on true when matched and bad(1) then delete",
        "select count(*) filter (where bad(1)) over (partition by bad(2)) from w",
        "select good(1) within group (order by bad(1))",
        "select case when true then case bad(1) when 1 then 2 end end",
        "select * from json_table('[]', '$' columns (a int4))",
        "select * from w for update; select * from w where exists (select from unknown for share)",
    ],
)
def test_one_harmful_name_is_enough(sql: str) -> None:
    assert _judge(sql) & ~Residue.HIDES == DISCARD


@pytest.mark.parametrize(
    "sql",
    [
        "insert into q values (1)",
        "insert into q default values",
        "update q set a = default",
        "update q set (a, b) = (1, default)",
        "merge into q using w on true when not matched then insert values (1)",
        "with a as (insert into q values (1)) select 1",
    ],
)
def test_defaults_that_count_are_seen(sql: str) -> None:
    assert _judge(sql) == Residue.SEQUENCES


def test_a_replaced_operator_counts_for_every_query_and_for_nothing_else() -> None:
    catalog = Catalog({}, frozenset(), {}, {}, {}, {}, {}, {}, every=DISCARD, is_utf8=True)
    assert judge(b"select 1", catalog) == DISCARD
    assert judge(b"begin", catalog) is CLEAN
    assert judge(b"commit; set local a.b = 1; show all", catalog) is CLEAN


def test_a_shadowed_set_config_is_not_the_one_we_know() -> None:
    catalog = Catalog({"set_config": DISCARD}, frozenset({"set_config"}), {}, {}, {}, {}, {}, {}, is_utf8=True)
    assert _judge("select set_config('a.b', 'c', true)") is CLEAN
    assert judge(b"select set_config('a.b', 'c', true)", catalog) == DISCARD


@pytest.mark.parametrize(
    "node", [{"FuncCall": {"args": []}}, {"Unheard": {}}, {"A_Expr": {"kind": "AEXPR_NEW", "name": []}}]
)
def test_a_tree_of_another_shape_is_no_proof(node: Node) -> None:
    proof = Proof(CATALOG)
    try:
        proof.follow("SelectStmt", {"targetList": [node]})
    except (KeyError, IndexError):
        return  # which the judge takes for "not understood"
    assert proof.residue == DISCARD | Residue.HIDES


def test_a_temporary_table_is_not_in_the_catalogue() -> None:
    assert residue_of_new({"relpersistence": "t"}, None) == DISCARD | Residue.MAKES_TEMPORARY
    assert residue_of_new({"relpersistence": "t"}, "ONCOMMIT_DROP") == DISCARD
    assert residue_of_new({"relpersistence": "p"}, None).makes_catalog_stale
    assert residue_of_new({}, None).makes_catalog_stale
