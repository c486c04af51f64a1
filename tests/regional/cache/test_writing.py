"""What statements write, and the values that say so; `labelled.py` has many more."""

from collections.abc import Callable

import pytest

from regional.cache.reach import Reach
from regional.cache.verdicts import EVERYTHING, NOTHING, Writing
from regional.cache.writing import written

pytestmark = pytest.mark.postgres

Names = Callable[[frozenset[int]], set[str]]

_OPAQUE = Writing(everything=True)


def test_writings_add_up() -> None:
    both = Writing(frozenset({1})) | Writing(frozenset({2}), outlives_rollback=True)
    assert both == Writing(frozenset({1, 2}), outlives_rollback=True)
    assert NOTHING | EVERYTHING == EVERYTHING


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        (b"insert into orders values (1)", {"orders"}),
        (b"with a as (delete from orders returning id) select * from a", {"orders"}),
        (b"with orders as (select 1) update tag set label = 'a'", {"tag"}),
        (b"with orders as (select 1) select * from orders", set()),
        (b"merge into tag using orders on true when matched then delete", {"tag"}),
        (b"select * from item for update", set()),
        (b"select log_it('x'), id from item", {"log"}),
        (b"select log_wrongly(id) from item", {"log"}),
        (b"select * from log_within(1)", {"log"}),
        (b"select id::wrong from item", {"log"}),
        (b"select add_one(id), add_two(id), initcap('a'::varchar, 1) from item", set()),
        (b"select (item).noisy_label, log_it() from item", {"log"}),
        (b"select id::loud from item", {"log"}),
        (b"select id from item where id @@@ 1", {"log"}),
        (b"select nextval('numbers'), setval('numbers', 1), now(), random() from tag", set()),
        (b"truncate parent", {"parent"}),
        (b"copy tag from stdin", {"tag"}),
        (b"copy tag to stdout", set()),
        (b"copy loud_view to stdout", {"log"}),
        (b"copy (delete from orders returning *) to stdout", {"orders"}),
        (b"copy tag from stdin where log_it() = 1", {"tag", "log"}),
        (b"refresh materialized view item_stats", {"item_stats"}),
        (b"prepare a as insert into orders values (1)", {"orders"}),
        (b"declare c cursor for select log_it()", {"log"}),
        (b"explain insert into orders values (1)", set()),
        (b"explain (analyze, costs off) insert into orders values (1)", {"orders"}),
        (b"create temporary table a (b int)", set()),
        (b"create temporary table a as select log_it()", {"log"}),
        (b"select log_it() into temporary a", {"log"}),
        (b"insert into orders values (1); update tag set label = 'a'", {"orders", "tag"}),
        (b"insert into tag values (1, '\\'), (2, '); delete from orders --')", {"orders", "tag"}),
        (b"vacuum item", set()),
        (b"set search_path = a", set()),
        (b"lock item", set()),
        (b"notify a", set()),
        (b"begin", set()),
        (b"prepare transaction 'a'", set()),
        (b"", set()),
    ],
)
def test_tables_are_named(reach: Reach, names: Names, sql: bytes, tables: set[str]) -> None:
    found = written(sql, reach)
    assert not found.everything
    assert names(found.tables) == tables
    assert not found.outlives_rollback


@pytest.mark.parametrize(
    "sql",
    [
        b"create table a (b int)", b"create table a as select 1", b"select 1 into a", b"alter table item add a int",
        b"drop table item", b"grant all on item to by_md5", b"alter role by_md5 set search_path = a",
        b"create index on item (id)", b"comment on table item is 'a'", b"insert into nowhere values (1)",
        b"create function a() returns int language sql as 'select 1'", b"truncate nowhere",
    ],
)  # fmt: skip
def test_more_than_rows_is_everything(reach: Reach, sql: bytes) -> None:
    assert written(sql, reach) == _OPAQUE


@pytest.mark.parametrize(
    "sql",
    [
        b"call log_procedure()", b"do $$ begin end $$", b"commit prepared 'a'", b"execute a", b"select no_such()",
        b"select 1 !!@ 2", b"select query_to_xml('delete from item', true, true, '')",
    ],
)  # fmt: skip
def test_what_is_not_seen_may_outlive_a_rollback(reach: Reach, sql: bytes) -> None:
    assert written(sql, reach) == EVERYTHING


def test_what_is_not_understood_may_be_anything(reach: Reach) -> None:
    assert written(b"selec 1", reach) == EVERYTHING


@pytest.mark.parametrize(
    "sql", [b"begin; select 1", b"select 1; end", b"rollback and chain", b"prepare transaction 'a'"]
)
def test_where_a_transaction_ends_nothing_is_written(reach: Reach, sql: bytes) -> None:
    assert written(sql, reach) == NOTHING


@pytest.mark.parametrize(
    "sql", [b"begin", b"set a.b = 1", b"show all", b"fetch c", b"create temporary table a (b int)"]
)
def test_without_a_catalogue_some_things_are_harmless_by_grammar(sql: bytes) -> None:
    assert written(sql, None) == NOTHING


@pytest.mark.parametrize("sql", [b"select f()", b"select * from t", b"insert into t values (1)", b"copy t from stdin"])
def test_and_all_that_has_names_is_everything(sql: bytes) -> None:
    assert written(sql, None).everything
