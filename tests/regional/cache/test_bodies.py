"""What the tokens of a function's body say that it writes."""

import pytest

from regional.cache.bodies import DELETE, INSERT, UPDATE, Body, body_of


def _writes(source: str) -> set[tuple[str | None, str, int]] | None:
    body = body_of(source)
    return None if body is None else set(body.writes)


@pytest.mark.parametrize(
    "source",
    [
        "begin new.updated_at := now(); return new; end",
        "begin /* insert into t */ return 'delete from t'; -- update t\n end",
        "begin perform 1 from t for update; perform 1 from t for no key update of t nowait; return null; end",
        "declare r record; begin for r in select * from t loop raise notice '%', $$update t$$; end loop; end",
        "begin new.update := old.\"delete\"; new.comment := ''; return new; end",
        "select id, copy, comment from t",
    ],
)
def test_what_writes_nothing(source: str) -> None:
    assert _writes(source) == set()


@pytest.mark.parametrize(
    ("source", "writes"),
    [
        ("insert into log values (1)", {(None, "log", INSERT)}),
        ('INSERT INTO Audit."The Log" (a) select 1', {("audit", "The Log", INSERT)}),
        ("begin update only t set a = 1; delete from only s.u; end", {(None, "t", UPDATE), ("s", "u", DELETE)}),
        ("with a as (delete from t returning *) insert into u table a", {(None, "t", DELETE), (None, "u", INSERT)}),
        ("insert into t values (1) on conflict (id) do update set a = 2", {(None, "t", INSERT), (None, "t", UPDATE)}),
        ("begin for r in update t set a = 1 returning * loop end loop; end", {(None, "t", UPDATE)}),
        ("begin open c for update t set a = 1 returning *; end", {(None, "t", UPDATE)}),
    ],
)
def test_what_is_written_is_named(source: str, writes: set[tuple[str | None, str, int]]) -> None:
    assert _writes(source) == writes


@pytest.mark.parametrize(
    "source",
    [
        "begin execute 'insert into t values (1)'; end", "begin call p(); end", "truncate t", "create table t (a int)",
        "begin commit; end", "merge into t using u on true when matched then delete", "do $$ begin end $$",
        "drop table t", "refresh materialized view m", "copy t from '/x'", "insert into U&\"t\" values (1)",
        "insert into", "update", "select 'open", "insert into a.b.c values (1)", "grant all on t to u", "delete t",
    ],
)  # fmt: skip
def test_what_is_not_to_be_seen(source: str) -> None:
    assert body_of(source) is None


def test_every_name_may_be_called() -> None:
    assert body_of('begin perform F(1), s."G"(2) @@@ x; end') == Body(
        (), frozenset({"begin", "perform", "f", "(", "1", ")", ",", "s", ".", "G", "2", "@@@", "x", ";", "end"})
    )
