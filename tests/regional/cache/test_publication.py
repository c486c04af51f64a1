"""The SQL of following: names that need quoting, and what is said of an origin that lacks something."""

from typing import Final

import pytest

from regional.cache import publication
from regional.cache.publication import Row, digest_of, holding_of, publication_name, why_not, why_refused
from tests.regional.cache.followed import Database

GOOD: Final = {"wal_level": b"logical", "standby": b"f", "create": b"t", "there": b"f", "slots": b"t", "senders": b"t"}


def situation(**changes: bytes) -> Row:
    return [*(GOOD | changes).values(), b"server"]


def test_nothing_is_wrong_with_an_origin_that_has_all() -> None:
    assert why_not(situation(), "app") == ""
    assert why_not(situation(create=b"f", there=b"t"), "app") == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"standby": b"t"}, "standby"),
        ({"wal_level": b"replica"}, "wal_level is replica; set wal_level = logical"),
        ({"slots": b"f"}, "max_replication_slots"),
        ({"senders": b"f"}, "max_wal_senders"),
        ({"create": b"f"}, "app may not make a publication; GRANT CREATE"),
    ],
)
def test_what_is_wrong_is_said_with_the_cure(changes: dict[str, bytes], said: str) -> None:
    assert said in why_not(situation(**changes), "app")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("53300: number of requested standby connections exceeds max_wal_senders", "raise max_wal_senders"),
        ("53400: all replication slots are in use", "raise max_replication_slots"),
        ("42501: must be superuser or replication role to start walsender", 'ALTER ROLE "a""b" REPLICATION'),
        ("42501: permission denied to start WAL sender", "rds_replication"),
        ("55P03: canceling statement due to lock timeout", "has not ended yet"),
        ("42501: must be owner of table x", "must be owner of table x"),
        ("57P01: terminating connection", "57P01: terminating connection"),
    ],
)
def test_refusals_come_with_the_cure_where_one_is_known(message: str, said: str) -> None:
    assert said in why_refused(message, 'a"b')


def test_a_name_fits_and_says_whose_it_is() -> None:
    assert publication_name("app") == "onetrip_cache_app"
    long = publication_name("ü" * 60)
    assert len(long.encode()) == 62
    assert long.startswith("onetrip_cache_ü")


def test_names_of_any_kind_are_quoted(database: Database) -> None:
    name = "odd'\"\\ näme"
    with database.connect() as connection:
        connection.execute(publication.create_statement(name))
        connection.execute('create schema "S ""x"; create table "S ""x"."T\'" (id int primary key)')
        rows = connection.execute(b"set search_path = pg_catalog;" + publication.TABLES_QUERY.encode())
        while rows.nextset():
            pass
        names = [str(row[3]) for row in rows if row[2] and not row[1]]
        assert len(names) == 6
        connection.execute(publication.add_statement(name, names))
        found = connection.execute("set search_path = pg_catalog;" + publication.holding_query(name).decode())
        found.nextset()
        holding = holding_of([[str(value).encode() for value in row] for row in found])
        assert sorted(entry.name for entry in holding.values()) == sorted(names)
        look = connection.execute(publication.look_query(name, ["a", "b"]))
        assert (look.fetchone() or ("",))[0] == (digest_of(holding) or b"").decode()
        connection.execute(publication.remove_statement(name, names[:2]))
        look = connection.execute(publication.look_query(name, []))
        assert (look.fetchone() or ("",))[0] != (digest_of(holding) or b"").decode()
        connection.execute(publication.drop_statement(name))


def test_an_empty_publication_has_no_digest() -> None:
    assert digest_of({}) is None
