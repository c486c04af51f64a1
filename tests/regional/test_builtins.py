"""The reviewed lists: what they must not hold, and that both readers of the word patterns agree."""

import re

import pytest

from regional.builtins import (
    CLOSING,
    CLOSING_WORDS,
    DDL_WORDS,
    DENIED,
    EFFECTS,
    REVIEWED_EXTENSIONS,
    REVIEWED_VOLATILE,
    STATEMENT_WORDS,
    TEMPORARY_WORDS,
    TRUSTED_EXTENSIONS,
)
from tests.regional.conftest import Traps


def test_no_name_is_on_both_sides() -> None:
    assert set(REVIEWED_VOLATILE).isdisjoint({*DENIED, *CLOSING, *EFFECTS})
    assert set(REVIEWED_EXTENSIONS).isdisjoint(TRUSTED_EXTENSIONS)
    for names in (CLOSING, DENIED, REVIEWED_VOLATILE, REVIEWED_EXTENSIONS):
        assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "name", ["set_config", "nextval", "lo_open", "pg_advisory_lock", "pg_export_snapshot", "dblink"]
)
def test_the_notorious_are_not_reviewed(name: str) -> None:
    assert name not in REVIEWED_VOLATILE


# Texts, and which of the patterns find something: closing, statement, DDL, temporary.
TEXTS = {
    "perform setseed(0.5)": (True, False, False, False),
    "SET LOCAL Seed = 1": (True, False, False, False),
    "perform set_config('seed', '0', true)": (True, False, False, False),
    "execute 'LOAD ''x'''": (True, False, False, False),
    "load 'x'": (True, False, False, False),
    "-- load all rows of load_table": (False, False, False, False),
    "perform dblink_connect('x')": (True, False, False, False),
    "DEALLOCATE all": (False, True, False, False),
    "prepared := 1": (False, False, False, False),
    "discard temp": (False, True, False, True),
    "create table x ()": (False, False, True, False),
    "CREATE TEMP TABLE x ()": (False, False, False, True),
    "create local temporary table x ()": (False, False, False, True),
    "new.created_at := now()": (False, False, False, False),
    "execute 'alter' || ' table x'": (False, False, True, False),
    "select 1 into Temporary_ from attempt": (False, False, False, False),
    "create view PG_TEMP_3.v as select 1": (False, False, True, True),
    "execute 'create temporary' || ' table x'": (False, False, False, True),
    "select 1": (False, False, False, False),
}


@pytest.mark.parametrize(("text", "found"), TEXTS.items())
def test_words_are_found(text: str, found: tuple[bool, bool, bool, bool]) -> None:
    patterns = CLOSING_WORDS, STATEMENT_WORDS, DDL_WORDS, TEMPORARY_WORDS
    assert tuple(re.search(words, text, re.IGNORECASE) is not None for words in patterns) == found


@pytest.mark.postgres
@pytest.mark.parametrize(("text", "found"), TEXTS.items())
def test_postgresql_finds_the_same_words(traps: Traps, text: str, found: tuple[bool, bool, bool, bool]) -> None:
    with traps.connect() as connection:
        row = connection.execute(
            "select %(text)s ~* %(closing)s, %(text)s ~* %(statement)s, %(text)s ~* %(ddl)s, %(text)s ~* %(temporary)s",
            {
                "text": text,
                "closing": CLOSING_WORDS,
                "statement": STATEMENT_WORDS,
                "ddl": DDL_WORDS,
                "temporary": TEMPORARY_WORDS,
            },
        ).fetchone()
    assert row == found
