"""What may be a string: over columns, names that are given, functions and syntax."""

import pytest

from regional.cache.operands import Operands, name_given
from regional.cache.reach import Reach
from regional.cache.reach_query import STRING, TIME
from regional.grammar import Node, parse
from tests.regional.cache.conftest import Labels

pytestmark = pytest.mark.postgres


def _value(expression: str) -> Node:
    statements = parse(f"select {expression}".encode())
    assert statements
    value: Node = statements[0]["SelectStmt"]["targetList"][0]["ResTarget"]["val"]
    return value


def _may_be(reach: Reach, wanted: int, expression: str) -> bool:
    operands = Operands(reach, {"given"}, set(reach.named("item")), has_open_names=False)
    return operands.may_be(wanted, [_value(expression)])


@pytest.mark.parametrize(
    "expression",
    [
        "1", "'2024-01-01'", "$1", "due", "i.created_at", "max(due)", "coalesce(due, seen, $1)", "due + 1", "-id",
        "created_at at time zone 'utc'", "date_trunc('day', seen)", "case when ok then due else seen end", "id = 1",
        "id in (1)", "due is null", "ok and ok", "greatest(due, seen)", "nullif(due, $1)", "array[due]", "days[1]",
        "(select max(due) from item)", "(select due from item union select seen::date from item)", "id::bigint",
        "note::date", "exists (select note from item)", "make_date(1, 2, 3)", "extract(year from due)", "note like 'a'",
        "lag(due) over ()", "percentile_disc(0.5) within group (order by due)", "array(select due from item)",
        "name is distinct from note", "note between 'a' and 'b'", "data", "data -> 'a'", "to_timestamp('a', 'b')",
    ],
)  # fmt: skip
def test_no_string(reach: Reach, expression: str) -> None:
    assert not _may_be(reach, STRING, expression)


@pytest.mark.parametrize(
    "expression",
    [
        "note", "name", "code", "i.brief", "words", "words[1]", "pair", "(pair).b", "given", "nowhere", "column1",
        "value", "max(note)", "coalesce(due, note)", "note || 'a'", "data ->> 'a'", "case when ok then note end",
        "case when ok then due else note end", "(select note from item)", "(values ('a'))", "(select given from item)",
        "array[note]", "lower(name)", "nullif(note, 'a')", "due::text", "row(due)", "note collate \"C\"", "i.*",
        "current_user", "nowhere(due)", "note::varchar(3)", "string_agg(name, ',')", "feeling::text", "i",
        "percentile_disc(0.5) within group (order by note)", "(select due from item union select note from item)",
    ],
)  # fmt: skip
def test_perhaps_a_string(reach: Reach, expression: str) -> None:
    assert _may_be(reach, STRING, expression)


@pytest.mark.parametrize(
    ("expression", "is_time"),
    [("starts", True), ("max(starts)", True), ("created_at", False), ("seen::time", True), ("seen + $1", True),
     ("starts + interval '1 hour'", True), ("coalesce($1, starts)", True), ("make_time(1, 2, 3)", True),
     ("seen", False)],
)  # fmt: skip
def test_perhaps_a_time_of_day(reach: Reach, expression: str, is_time: bool) -> None:  # noqa: FBT001
    assert _may_be(reach, TIME, expression) is is_time


def test_where_names_are_open_no_column_is_known(reach: Reach) -> None:
    assert Operands(reach, set(), set(reach.named("item")), has_open_names=True).may_be(STRING, [_value("due")])


@pytest.mark.parametrize(
    "expression",
    [
        "due", "item.due", "due::text", "due::text::date", "note collate \"C\"", "words[1]", "(pair).b", "pair",
        "case when ok then note else due::text end", "(select due from item limit 1)",
        "(select due as d from item limit 1)",
        "case when ok then 1 else case when ok then 2 else id end end", "(select (due) from item limit 1)::text",
    ],
)  # fmt: skip
def test_an_expression_gives_the_name_that_postgresql_gives(labels: Labels, expression: str) -> None:
    with labels.connect() as connection:
        description = connection.execute(f"select {expression} from item".encode()).description
    assert description
    assert name_given(_value(expression)) == description[0].name
