"""Snapshots: what an origin says to somebody who knows the last one."""

from collections.abc import Iterator

import pytest

from regional.cache.reach import Reach
from regional.cache.reach_query import REACH_SNAPSHOT
from regional.catalog import Catalog
from regional.catalog_query import CATALOG_SNAPSHOT
from regional.snapshot import answer_of, snapshot_query, unless_known
from tests.regional.cache.conftest import run
from tests.regional.conftest import Connection
from tests.support.cluster import Origin

QUERY = snapshot_query(
    "WITH thing(name, is_lasting) AS (SELECT * FROM things)",
    "SELECT 'a' AS kind, '' AS schema, name, 0::oid, 0, 0 FROM thing",
    lasting="name NOT LIKE 'temporary%'",
)


@pytest.fixture
def connection(origin: Origin) -> Iterator[Connection]:
    with origin.connect() as connection:
        connection.execute("create temporary table things (name text, is_lasting boolean)")
        yield connection


def ask(connection: Connection, digest: str = "") -> tuple[str, list[bytes | None]]:
    digest, rows = answer_of(run(connection, unless_known(QUERY, digest).decode()))
    return digest, [row[2] for row in rows]


def test_rows_come_unless_they_are_known(connection: Connection) -> None:
    connection.execute("insert into things values ('one'), ('two')")
    digest, names = ask(connection)
    assert sorted(names, key=str) == [b"one", b"two"]
    assert ask(connection, digest) == (digest, [])
    connection.execute("update things set name = 'three' where name = 'two'")
    other, names = ask(connection, digest)
    assert other != digest
    assert sorted(names, key=str) == [b"one", b"three"]
    connection.execute("delete from things where name = 'three'; insert into things values ('two'), ('temporary 1')")
    assert ask(connection, digest) == (digest, []), "in any order, without what does not last"
    assert len(ask(connection)[1]) == 3


def test_two_of_a_kind_are_more_than_one(connection: Connection) -> None:
    connection.execute("insert into things values ('one')")
    digest, _ = ask(connection)
    connection.execute("insert into things values ('one')")
    assert ask(connection, digest)[0] != digest


@pytest.mark.parametrize("digest", ["", "1'; drop table things; --", "1 2'"])
def test_what_is_no_digest_is_not_known(digest: str) -> None:
    assert unless_known(QUERY, digest) == QUERY.encode()


def test_an_answer_without_a_digest_is_none() -> None:
    with pytest.raises(ValueError, match="without a digest"):
        answer_of([[b"nonsense"]])
    with pytest.raises(ValueError, match="without a digest"):
        answer_of([])


def test_both_catalogues_stay_the_same(origin: Origin) -> None:
    with origin.connect() as connection:
        for query in (REACH_SNAPSHOT, CATALOG_SNAPSHOT):
            digest, rows = answer_of(run(connection, query))
            assert len(rows) > 1000
            (Reach if query is REACH_SNAPSHOT else Catalog).from_rows(rows)
            assert answer_of(run(connection, unless_known(query, digest).decode())) == (digest, [])
