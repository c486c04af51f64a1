"""The names that real catalogues give away, and those that they do not."""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from psycopg import sql

from regional.names_query import MAX_FOUND, NAMES_QUERY, names_in
from regional.session_state import NamesSeen
from tests.regional.conftest import Connection
from tests.support.cluster import Origin

pytestmark = pytest.mark.postgres

Named = Callable[[str], list[str]]


def read_names(connection: Connection) -> list[str]:
    """Ask as the pool node does."""
    cursor = connection.execute(NAMES_QUERY.encode())
    while cursor.description is None:
        assert cursor.nextset()
    names = NamesSeen()
    names.found(names_in([[str(value).encode() for value in row] for row in cursor]))
    return list(names)


@pytest.fixture
def named(origin: Origin) -> Iterator[Named]:
    """Makes a database of some statements and reads the names in its catalogue."""
    name = sql.Identifier("named")

    def make(script: str) -> list[str]:
        with closing(origin.connect("named")) as connection:
            connection.execute(script.encode())
            return read_names(connection)

    with origin.connect("postgres") as connection:
        connection.execute(sql.SQL("create database {} encoding 'UTF8' template template0").format(name))
        try:
            yield make
        finally:
            connection.execute(sql.SQL("drop database {}").format(name))


def function(body: str, name: str = "f", language: str = "plpgsql", more: str = "") -> str:
    return f"create function {name}() returns void language {language} {more} as $body$ {body} $body$;"


_PLAIN = "create table public.plain (id int, name text);"
_KEEPS = "create function keeps(name text) returns text language sql as 'select set_config(name, ''x'', false)';"
_FIRES = (
    "create function fires() returns trigger language plpgsql"
    " as $$ begin perform set_config(tg_argv[1], 'x', false); return new; end $$;"
)


def test_a_new_database_names_nothing(named: Named) -> None:
    assert named(_PLAIN) == []


@pytest.mark.parametrize(
    "script",
    [
        function("begin perform set_config('app.x', 'y', false); end"),
        function("begin perform pg_catalog.set_config ( 'App.X', 'y', false); end"),
        function("begin set app.x = 'y'; end"),
        function("begin set session app.x to 'y'; end"),
        function("begin execute 'set app.x to ' || 1; end"),
        function("begin execute 'select set_config(''app.x'', ''y'', false)'; end"),
        function("begin perform keeps($$app.x$$); end"),
        function("select keeps('app.x')", language="sql").replace("returns void", "returns text"),
        function("begin end", more="set app.x = 'y'"),
        "create function f() returns text language sql begin atomic select set_config('app.x', 'y', false); end;",
        _FIRES + "create trigger t before insert on plain for each row execute function fires('a', 'app.x', 'b');",
        "create view v as select set_config('app.x', 'y', false) from plain;",
        "create table d (a text default keeps('app.x'));",
        "create rule r as on delete to plain do also select keeps('app.x');",
        "create table c (a text check (keeps('app.x') <> a));",
        "create domain o as text default keeps('app.x');",
        "create policy p on plain using (keeps('app.x') = name);",
    ],
)
def test_a_name_is_found_wherever_it_is_kept(named: Named, script: str) -> None:
    assert named(_PLAIN + _KEEPS + script) == ["app.x"]


def test_a_relation_is_no_parameter_unless_it_is_set(named: Named) -> None:
    body = "begin perform nextval('public.numbers'), keeps('app.x'); end"
    sets = function("begin perform set_config('public.words', 'y', false); end", "g")
    assert named("create sequence numbers; create sequence words;" + function(body) + sets) == ["public.words", "app.x"]


def test_constants_of_what_calls_nothing_harmful_are_not_read(named: Named) -> None:
    assert named(_PLAIN + "create view v as select id, 'app.x' as word from plain where name <> 'b.c'") == []


def test_what_is_set_comes_first_where_there_are_too_many(named: Named) -> None:
    words = ", ".join(f"'aaa.a{number}'" for number in range(2 * MAX_FOUND))
    names = named(function(f"begin perform array[{words}]; end") + function("begin set zzz.z = 1; end", "g"))
    assert len(names) == MAX_FOUND
    assert "zzz.z" in names
