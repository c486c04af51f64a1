"""What statements read: the classes of reasons, and that no nesting hides one; `labelled.py` has many more."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regional.cache.reach import Reach
from regional.cache.reading import read
from regional.cache.verdicts import Reading

pytestmark = pytest.mark.postgres


def _why(reach: Reach, sql: str) -> str:
    return read(sql.encode(), reach)[0].why


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("select 1 from item", ""),
        ("insert into item (id) values (1)", "not a read"),
        ("explain select 1 from item", "not a read"),
        ("", "not a read"),
        ("select 1 from item; select 1 from item", "several statements"),
        ("selec", "not understood"),
        ("select xmlelement(name a) from item", "not understood: XmlExpr"),
        ("select * from json_table('{}', '$' columns (a date path '$'))", "not understood: JsonTable"),
        ("select json_value(data, '$' returning date) from item", "not understood: JsonFuncExpr"),
        ("select * from item, jsonb_to_record(data) as r(d date)", "not understood: a column definition list"),
        ("with a as (delete from item returning *) select * from a", "writes: DeleteStmt"),
        ("select 1 from item for share", "locks rows"),
        ("select 1 into a from item", "stores"),
        ("select 1 from item tablesample system (1)", "sampled"),
        ("select random() from item", "volatile function: random"),
        ("select now() from item", "stable function: now"),
        ("select localtime from item", "stable function: localtime"),
        ("select 'now' from item", "date word"),
        ("select note::date from item", "date word: in a text that is cast"),
        ("select 1", "no table"),
        ("select * from scratch", "temporary table: scratch"),
        ("select * from pg_temp.made_since", "temporary table: made_since"),
        ("select * from pg_class", "system table: pg_class"),
        ("select * from numbers", "system table: numbers"),
        ("select * from fleeting", "unlogged table: fleeting"),
        ("select * from guarded", "row security: guarded"),
        ("select i.xmax from item i", "system column: xmax"),
        ("select * from nowhere", "unknown name: nowhere"),
        ("select nowhere(id) from item", "unknown name: nowhere"),
        ("select id !!@ id from item", "unknown name: !!@"),
        ("select id::regclass from item", "type: regclass"),
        ("select id::nowhere from item", "type: nowhere"),
        ("select * from zoned", "type: zoned"),
        ("select starts at time zone 'utc' from item", "stable function: timezone"),
        ("select seen at time zone 'utc' from item", ""),
        ("select s.due::date from (select case when ok then note else due::text end from item) s",
         "date word: in a text that is cast"),
        ("select s.due::date from (select due from item) s", ""),
        ("select s.due::date from (select due::date from item) s", ""),
        ("select s.due::date from (select due::text from item) s", "date word: in a text that is cast"),
        ("select s.day::date from (select date_trunc('day', created_at) as day from item) s", ""),
        ("select s.day::date from (select r.d as day from (select note as d from item) r) s",
         "date word: in a text that is cast"),
        ("select s.day::date from (select r.d as day from (select due as d from item) r) s", ""),
        ("select s.d::date from (select 1 as d from item) s", ""),
        ("select s.d::date from (select $1 as d from item union select note from item) s",
         "date word: in a text that is cast"),
        ("select s.d::date from (select null as d from item union select note from item) s",
         "date word: in a text that is cast"),
        ("select a.d::date, b.d::date from (select due as d from item) a, (select note as d from item) b",
         "date word: in a text that is cast"),
        ("with recursive r(n, d) as (select 1, due from item union select n, note from r, item) select d::date from r",
         "date word: in a text that is cast"),
        ("select item.noisy_label from item", "volatile function: noisy_label"),
        ("select e'\\'' || note, '''' from item", ""),
        ("select '\\' from item where note <> ' or random() > 0 --'", "volatile function: random"),
    ],
)  # fmt: skip
def test_a_reason_has_its_class(reach: Reach, sql: str, why: str) -> None:
    assert _why(reach, sql) == why


def test_depth_is_refused_not_followed_for_ever(reach: Reach) -> None:
    assert _why(reach, "select " + "-" * 40 + " id from item") != ""
    assert _why(reach, "select " + "- " * 3000 + " id from item") == "not understood"
    assert _why(reach, "select id from item where " + " or ".join(["id = 1"] * 3000)) == ""


_GOOD = (
    "id", "i.due", "created_at::date", "lower(name)", "1", "'x'", "$1", "date_trunc('day', created_at)", "max(id)",
    "coalesce(note, '')", "id + 1", "created_at at time zone 'utc'", "array[id]", "data ->> 'a'", "due is null",
)  # fmt: skip
_BAD = (
    "now()", "random()", "'now'", "note::date", "age(created_at)", "clock_timestamp()", "current_date", "log_it()",
    "stamp()", "id @@@ 1", "id::loud", "'item'::regclass", "starts at time zone 'utc'", "(select n from stable_view)",
    "(select 1 from pg_class)", "(select 1 from guarded)", "(select 1 from clock_over)", "i.ctid", "(i).noisy_label",
    "(select 1 from item for update)", "nextval('numbers')", "date(note)", "(note || 'w')::timestamptz",
)  # fmt: skip
_SHAPES = (
    "coalesce({0}, {1})::text",
    "case when ({0}) is null then ({1})::text end",
    "row({0}, {1})",
    "array[({0})::text, ({1})::text]",
    "({0})::text || ({1})::text",
    "(select max(({0})::text) from tag where ({1}) is not null)",
    "exists (select {0}, {1})",
    "(with w as (select {0} as a) select count(a) from w, (select {1} as b) s)",
    "concat({0}, {1})",
    "(({0}), {1}) is null",
    "({0})::text in (({1})::text)",
    "(values (({0})::text), (({1})::text) limit 1)",
    "count(*) filter (where ({0}) is null)",
    "sum(1) over (partition by {0} order by {1})",
    "({0}) is distinct from ({1})",
    "not (({0}) is null and ({1}) is null)",
    "array(select {0} union all select {1})",
    "(array[{0}])[1]",
    "string_agg(({0})::text, '' order by {1})",
    "greatest({0}, {1})",
    "jsonb_build_object('a', {0}, 'b', {1})",
    "(select 1 from item j join tag k on (({0}) is null) where ({1}) is null)",
)
_FRAMES = (
    "select {0} from item i",
    "select 1 from item i where ({0}) is null",
    "select 1 from item i order by {0}",
    "select 1 from item i group by {0} having ({0}) is null",
    "select s.a from item i, lateral (select {0} as a) s",
    "with w as (select {0} as a from item i) select a from w",
    "select 1 from item i limit (select count({0}) from item i)",
    "select 1 from item i union all select 1 from tag, item i where ({0}) is null",
    "select distinct on ({0}) 1 from item i",
    "select f.x from item i, unnest(array[{0}]) as f(x)",
    "select count(*) over w from item i window w as (order by {0})",
    "values ((select 1 from item i where ({0}) is null))",
)


def _nested(leaves: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.recursive(
        leaves,
        lambda inner: st.builds(
            lambda shape, one, other: shape.format(one, other), st.sampled_from(_SHAPES), inner, inner
        ),
        max_leaves=6,
    )


_COMMON = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def judge(reach: Reach) -> Callable[[str], Reading]:
    """Without the snapshot as an argument, which would be printed."""
    return lambda sql: read(sql.encode(), reach)[0]


def _around(part: str, layers: list[tuple[str, str, bool]]) -> str:
    """PART in one expression after the other, each a shape, its other part, and which of both comes first."""
    for shape, other, is_first in layers:
        part = shape.format(part, other) if is_first or "{1}" not in shape else shape.format(other, part)
    return part


_LAYERS = st.lists(st.tuples(st.sampled_from(_SHAPES), st.sampled_from(_GOOD), st.booleans()), max_size=4)


@_COMMON
@given(frame=st.sampled_from(_FRAMES), bad=st.sampled_from(_BAD), layers=_LAYERS)
def test_a_refused_part_is_found_wherever_it_stands(
    judge: Callable[[str], Reading], frame: str, bad: str, layers: list[tuple[str, str, bool]]
) -> None:
    expression = _around(f"({bad})", layers)
    assert not judge(frame.format(expression)).is_cacheable


@_COMMON
@given(frame=st.sampled_from(_FRAMES), expression=_nested(st.sampled_from(_GOOD)))
def test_what_has_admitted_parts_only_passes(judge: Callable[[str], Reading], frame: str, expression: str) -> None:
    reading = judge(frame.format(expression))
    assert reading.why == ""
    assert reading.tables >= judge("table item").tables
