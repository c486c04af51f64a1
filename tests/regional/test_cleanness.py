"""Verdicts on labelled statements, held against what a real server then holds; and that they are quick."""

import time
from typing import Final

import psycopg
import pytest

from regional.catalog import Catalog
from regional.cleanness import CLEAN, DISCARD, MAX_JUDGED_BYTES, UNKNOWN, Judge, Residue, judge, reset_sql
from regional.residue import ASKS
from tests.regional.conftest import Connection, Traps, footprint
from tests.regional.statements import CASES, HIDES, Case

pytestmark = pytest.mark.postgres

CLEAN_CASES: Final = [case for case in CASES if case.verdict is CLEAN]
LEAKING_CASES: Final = [case for case in CASES if case.leaks]
# Three microseconds are the aim. The bound leaves room for a machine that does other things too, and still tells a
# memo from a parse.
MAX_HIT_S: Final = 8e-6


def _name(case: Case) -> str:
    return case.sql[:60] + " - " + case.why


def _run(connection: Connection, sql: str) -> None:
    """Run it as one simple query; whether it works or fails is its own affair."""
    try:
        if "copy" in sql and "std" in sql:
            with connection.cursor().copy(sql.encode()) as copy:
                if "stdin" in sql:
                    copy.write(b"7\n")
                else:
                    list(copy)
        else:
            connection.execute(sql.encode())
    except psycopg.Error:
        pass
    for (name,) in connection.execute("select gid from pg_prepared_xacts").fetchall() if "two" in sql else ():
        connection.execute(f"rollback prepared '{name}'")  # whoever makes a replication slot would wait for it
    connection.rollback()


def test_there_are_enough_labels() -> None:
    assert len(CASES) >= 120
    assert len({case.sql for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_the_verdict_is_as_labelled(traps: Traps, case: Case) -> None:
    assert judge(case.sql.encode(), traps.catalog) & ~(ASKS | Residue.RELEASES) == case.verdict


@pytest.mark.parametrize("case", CLEAN_CASES, ids=_name)
def test_what_is_called_clean_leaves_nothing(traps: Traps, case: Case) -> None:
    randoms: list[object] = []
    for _ in range(2):
        with traps.connect() as connection:
            before = footprint(connection)
            _run(connection, case.sql)
            assert footprint(connection) == before
            randoms += connection.execute("select random()").fetchone() or ()
    assert randoms[0] != randoms[1], "a seeded generator repeats itself"


@pytest.mark.parametrize("case", LEAKING_CASES, ids=_name)
def test_the_trap_bites_and_the_reset_cleans(traps: Traps, case: Case) -> None:
    with traps.connect() as connection:
        before = footprint(connection)
        # A parameter that has ever been set exists from then on, without a value; that is no leak of this statement's.
        connection.execute("set my.leak = ''")
        connection.execute("reset my.leak")
        _run(connection, case.sql)
        assert footprint(connection) != before
        connection.execute(reset_sql(judge(case.sql.encode(), traps.catalog)))
        assert footprint(connection) == before


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_without_a_catalogue_nothing_more_is_clean(case: Case) -> None:
    if judge(case.sql.encode(), None) is CLEAN:
        assert case.verdict is CLEAN


def test_without_a_catalogue_only_what_names_nothing_is_clean() -> None:
    for sql in (b"select 1", b"begin", b"commit", b"set local a.b = 1", b"show all", b""):
        assert judge(sql, None) is CLEAN
    for sql in (b"select now()", b"select 1 + 1", b"select '1'::int", b"select * from plain", b"delete from plain"):
        assert judge(sql, None) == HIDES
    assert judge(b"select nextval('a')", None) == Residue.SEQUENCES


def test_a_memo_gives_the_verdict_of_the_judge(traps: Traps) -> None:
    judge_with_memo = Judge(traps.catalog)
    for _ in range(3):
        for case in CASES:
            assert judge_with_memo.verdict(case.sql.encode()) & ~(ASKS | Residue.RELEASES) == case.verdict


def test_a_memo_tells_apart_what_folds_alike(traps: Traps) -> None:
    verdict = Judge(traps.catalog).verdict
    assert verdict(b'insert into "odd name 1" values (1)') is CLEAN
    assert verdict(b'insert into "odd name 2" values (1)') == DISCARD
    assert verdict(b"select set_config('my.leak', '0.5', true)") is CLEAN
    assert verdict(b"select set_config('seed', '0.5', true)").closes
    assert verdict(b"select U&'!0061' UESCAPE '!', set_config(U&'!0061' UESCAPE '!', '', true)") is CLEAN
    assert verdict(b"select U&'!0073' UESCAPE '!', set_config(U&'!0073eed' UESCAPE '!', '', true)").closes
    assert verdict(b"do 'begin end'") == HIDES
    assert verdict(b"do 'begin perform setseed(1); end'").closes
    assert verdict(b"select 1 /* ' */, 'x' from plain -- '") is CLEAN
    assert verdict(b"select 1 /* ' */, leak() from plain -- '") == DISCARD
    assert verdict(b"select U&\"!0069d\" UESCAPE '!' from plain") is CLEAN


def test_a_new_catalogue_forgets_the_verdicts(traps: Traps) -> None:
    judge_with_memo = Judge()
    generation = judge_with_memo.generation
    assert judge_with_memo.verdict(b"select * from plain") == HIDES
    judge_with_memo.catalog = traps.catalog
    assert judge_with_memo.generation > generation
    assert judge_with_memo.verdict(b"select * from plain") is CLEAN
    judge_with_memo.catalog = None
    assert judge_with_memo.verdict(b"select * from plain") == HIDES


def test_a_memo_is_bounded(traps: Traps) -> None:
    judge_with_memo = Judge(traps.catalog, max_memo_bytes=20_000)
    kept = b"select 1 as kept"
    for number in range(2000):
        judge_with_memo.verdict(b"select 1 as name%d" % number)
        assert judge_with_memo.verdict(kept) is CLEAN
        assert judge_with_memo.memo_bytes <= 20_000


def test_parameter_types_count(traps: Traps) -> None:
    verdict = Judge(traps.catalog).verdict

    def types(*oids: int) -> bytes:
        return len(oids).to_bytes(2, "big") + b"".join(oid.to_bytes(4, "big") for oid in oids)

    with traps.connect() as connection:
        rows = connection.execute("select typname, oid::int from pg_type where oid >= 16384").fetchall()
    found: dict[str, int] = dict(rows)
    assert verdict(b"select $1", types()) is CLEAN
    assert verdict(b"select $1", types(0, 23, 25)) is CLEAN
    assert verdict(b"select $1", types(23, found["color"], found["_color"])) is CLEAN
    assert verdict(b"select $1", types(23, found["leak_domain"])) == DISCARD
    assert verdict(b"select $1", types(found["_leak_domain"])) == DISCARD
    assert verdict(b"select $1", types(4_000_000_000)) == DISCARD


def test_a_text_in_another_encoding_is_not_read(traps: Traps) -> None:
    verdict = Judge(traps.catalog).verdict
    assert verdict("select 'é'".encode(), is_utf8=True) is CLEAN
    assert verdict("select 'é'".encode(), is_utf8=False) == UNKNOWN
    assert verdict(b"select 'e'", is_utf8=False) is CLEAN
    assert verdict(b"select '\x95\x5c' || leak() || ''") == HIDES


def test_a_catalogue_of_another_encoding_reads_ascii_only(traps: Traps) -> None:
    with traps.connect() as connection:
        connection.execute("select 1")
    catalog = Catalog.from_rows([[b"v", b"", b"LATIN1", b"0", b"0", b"0"]])
    assert judge("select 'é'".encode(), catalog) == DISCARD  # nothing there may run DDL unseen
    assert judge(b"select 'e'", catalog) is CLEAN


@pytest.mark.parametrize(
    "sql",
    [
        b"SELECT abalance FROM pgbench_accounts WHERE aid = %d;",
        b"UPDATE pgbench_accounts SET abalance = abalance + -%d WHERE aid = 55;",
        b"SELECT abalance FROM pgbench_accounts WHERE aid = $1",
    ],
)
def test_a_known_statement_is_judged_in_microseconds(traps: Traps, sql: bytes) -> None:
    verdict = Judge(traps.catalog).verdict
    texts = [sql % number if b"%" in sql else sql for number in range(100_000, 102_000)]
    verdict(texts[0])
    best = min(_seconds_of(verdict, texts) for _ in range(5))
    assert best / len(texts) < MAX_HIT_S


def _seconds_of(verdict: object, texts: list[bytes]) -> float:
    assert callable(verdict)
    begin = time.process_time()
    for text in texts:
        verdict(text)
    return time.process_time() - begin


def test_a_long_text_costs_little(traps: Traps) -> None:
    text = b"insert into plain (id) values " + b",".join(b"(1)" for _ in range(1 << 18))
    assert len(text) > MAX_JUDGED_BYTES
    begin = time.process_time()
    assert Judge(traps.catalog).verdict(text) == HIDES
    assert time.process_time() - begin < 1.0
