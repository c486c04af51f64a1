"""Looking names up in a snapshot: the worst of a name counts, and what is not known is no proof."""

import pytest

from regional.catalog import Catalog, Relation
from regional.cleanness import CLEAN, DISCARD, Residue


def _row(kind: str, name: str, read: int = 0, write: int = 0, *, schema: str = "", oid: int = 0) -> list[bytes | None]:
    return [text.encode() for text in (kind, schema, name, str(oid), str(read), str(write))]


VERSION = _row("v", "UTF8")


def _catalog(*rows: list[bytes | None]) -> Catalog:
    return Catalog.from_rows([*rows, VERSION])


def test_a_relation_is_as_harmful_as_the_worst_of_its_name() -> None:
    catalog = _catalog(_row("r", "t", schema="a"), _row("r", "t", 0, 1, schema="b"), _row("r", "u", schema="a"))
    assert catalog.relation(None, "t") == Relation(CLEAN, DISCARD)
    assert catalog.relation("a", "t") == Relation(CLEAN, CLEAN)
    assert catalog.relation("b", "t") == Relation(CLEAN, DISCARD)
    assert catalog.relation(None, "u") == Relation(CLEAN, CLEAN)


def test_what_is_not_known_is_not_clean() -> None:
    catalog = _catalog(_row("r", "t", schema="a"))
    assert catalog.relation("pg_temp", "t") == Relation(DISCARD, DISCARD)
    assert catalog.relation(None, "u") == Relation(DISCARD, DISCARD)
    assert catalog.function("f") == DISCARD | Residue.HIDES
    assert catalog.type("x") == DISCARD


def test_bits_become_flags() -> None:
    catalog = _catalog(_row("r", "t", 3, 16, schema="a"), _row("f", "f", 0, 1 | 2 | 4 | 8 | 32))
    assert catalog.relation("a", "t") == Relation(DISCARD | Residue.CLOSES, Residue.SEQUENCES)
    assert catalog.function("f") == DISCARD | Residue.CLOSES | Residue.STATEMENTS | Residue.CATALOG | Residue.HIDES


def test_functions_have_their_known_effects() -> None:
    catalog = _catalog(_row("f", "nextval", 1), _row("f", "setseed", 3), _row("f", "pg_advisory_lock", 1, 1))
    assert catalog.function("nextval") == Residue.SEQUENCES
    assert catalog.function("setseed").closes
    assert catalog.function("pg_advisory_lock") == DISCARD | Residue.TAKES_LOCK
    assert catalog.shadowed == {"pg_advisory_lock"}
    assert catalog.function("dblink_connect").closes


def test_a_function_called_like_a_harmful_type_may_be_a_cast() -> None:
    catalog = _catalog(_row("f", "d"), _row("t", "d", 1, oid=20000), _row("f", "v"), _row("r", "v", 1, 1, schema="a"))
    assert catalog.function("d") == DISCARD
    assert catalog.function("v") == DISCARD
    assert set(catalog.attributes) == {"d", "v"}


def test_types_count_by_name_and_by_number() -> None:
    rows = _row("t", "d", oid=20000), _row("t", "d", 1, oid=20001), _row("t", "e", oid=20002)
    catalog = _catalog(*rows, _row("r", "t", schema="a"), _row("r", "e", 1, 1, schema="a"))
    assert catalog.type("d") == DISCARD
    assert catalog.type("t") is CLEAN
    assert catalog.type("e") == DISCARD
    assert catalog.type_oids == {20000: CLEAN, 20001: DISCARD, 20002: CLEAN}


def test_what_replaces_the_built_in_counts_for_everything() -> None:
    assert _catalog(_row("x", "", 1), _row("x", "", 3)).every == DISCARD | Residue.CLOSES
    assert _catalog().every is CLEAN


def test_functions_that_speak_of_temporary_objects_are_counted() -> None:
    assert not _catalog().makes_temporary
    assert Catalog.from_rows([_row("v", "UTF8", 2)]).makes_temporary


def test_only_a_server_that_speaks_utf_8_is_read_beyond_ascii() -> None:
    assert _catalog().is_utf8
    assert not Catalog.from_rows([_row("v", "LATIN1")]).is_utf8


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [_row("r", "t", schema="a")],
        [_row("z", "t"), VERSION],
        [[b"f", b"", b"x"]],
        [[b"f", b"", b"x", b"0", b"", b"0"]],
    ],
)
def test_other_rows_are_refused(rows: list[list[bytes | None]]) -> None:
    with pytest.raises(ValueError):
        Catalog.from_rows(rows)


def test_names_that_are_no_utf_8_are_only_unknown() -> None:
    row = _row("r", "t", schema="a")
    row[2] = b"\xff"
    assert _catalog(row).relation(None, "t") == Relation(DISCARD, DISCARD)
