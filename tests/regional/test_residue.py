"""What a residue asks for, and that a real server then holds nothing."""

import psycopg
import pytest
from psycopg import sql

from regional.residue import ASKS, Residue, reset_sql
from tests.regional.conftest import Traps, footprint


def test_nothing_needs_nothing() -> None:
    assert reset_sql(Residue.CLEAN) == b""
    assert not Residue.CLEAN.needs_reset
    assert not Residue.CATALOG.needs_reset
    assert reset_sql(Residue.CATALOG) == b""


def test_each_flag_answers_its_question() -> None:
    assert [residue for residue in Residue if residue.closes] == [Residue.CLOSES]
    assert [residue for residue in Residue if residue.statements_lost] == [Residue.STATEMENTS]
    assert [residue for residue in Residue if residue.resets_settings] == [Residue.SETTINGS]
    assert [residue for residue in Residue if residue.leaves_temporary] == [Residue.TEMPORARY]
    assert [residue for residue in Residue if residue.makes_catalog_stale] == [Residue.CATALOG]
    assert [residue for residue in Residue if residue.hides_ddl] == [Residue.HIDES]
    assert [residue for residue in Residue if residue.may_run_ddl] == [Residue.CATALOG, Residue.HIDES]
    assert [residue for residue in Residue if not residue.needs_reset] == [
        Residue.CATALOG,
        Residue.HIDES,
        *ASKS,
        Residue.RELEASES,
    ]
    assert [residue for residue in Residue if residue.asks] == list(ASKS)


def test_a_union_is_one_object_however_it_was_made() -> None:
    one = Residue.SETTINGS | Residue.LOCKS
    assert one is (Residue.LOCKS | Residue.SETTINGS)
    assert (Residue.CLEAN | Residue.CLEAN) is Residue.CLEAN


def test_only_what_is_needed_is_said() -> None:
    assert reset_sql(Residue.SEQUENCES) == b"DISCARD SEQUENCES"
    assert reset_sql(Residue.CHANNELS | Residue.STATEMENTS) == b"DEALLOCATE ALL;UNLISTEN *"
    assert b"DEALLOCATE" not in reset_sql(Residue.DISCARD)


_EVERYTHING = """
set my.leak = 'x';
set timezone = 'Asia/Tokyo';
set search_path = shadow;
set default_transaction_read_only = on;
set standard_conforming_strings = off;
set client_encoding = 'LATIN1';
set bytea_output = 'escape';
select pg_advisory_lock(1), pg_advisory_lock_shared(2);
listen channel;
create temporary table plain (id int);
create temporary sequence s;
select nextval('public.numbers');
prepare p as select 1;
declare c cursor with hold for select 1;
set role traps_role;
"""


@pytest.mark.postgres
def test_one_simple_query_takes_everything_away(traps: Traps) -> None:
    with traps.connect() as connection:
        before = footprint(connection)
        statements = _EVERYTHING.replace("set default_transaction_read_only = on;\n", "")
        for statement in statements.split(";\n")[:-1]:
            connection.execute(statement)
        connection.execute("set default_transaction_read_only = on")
        assert len(footprint(connection)) > len(before) + 10
        connection.execute(reset_sql(Residue.UNKNOWN))
        assert footprint(connection) == before


@pytest.mark.postgres
@pytest.mark.parametrize("residue", [Residue(value) for value in range(1, Residue.UNKNOWN + 1, 7)])
def test_any_reset_works_on_a_connection_that_has_nothing(traps: Traps, residue: Residue) -> None:
    with traps.connect() as connection:
        before = footprint(connection)
        connection.execute(reset_sql(residue) or b";")
        assert footprint(connection) == before


@pytest.mark.postgres
def test_a_role_given_at_login_comes_back(traps: Traps) -> None:
    origin = traps.origin
    with origin.connect(traps.name) as superuser:
        superuser.execute(sql.SQL("create role with_role login in role traps_role password {}").format(origin.password))
        superuser.execute("alter role with_role set role = traps_role")
        superuser.execute("set session authorization with_role")
        superuser.execute(reset_sql(Residue.DISCARD))
        assert superuser.execute("select current_user, session_user").fetchone() == ("postgres", "postgres")
    with psycopg.connect(
        host=origin.host,
        port=origin.port,
        user="with_role",
        password=origin.password,
        dbname=traps.name,
        autocommit=True,
    ) as connection:
        before = footprint(connection)
        assert before == ["user with_role as traps_role"]
        connection.execute("set role none")
        assert footprint(connection) != before
        connection.execute(reset_sql(Residue.SETTINGS))
        assert footprint(connection) == before
