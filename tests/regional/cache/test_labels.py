"""The labels themselves, held against PostgreSQL: one that it contradicts would teach the classifier a mistake."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import pytest

from tests.regional.cache.conftest import Labels, RefusedError, Rows, run
from tests.regional.cache.labelled import VALUES, Read, Value, Write
from tests.regional.cache.labelled_later import READS, WRITES
from tests.regional.conftest import Connection

pytestmark = pytest.mark.postgres

RUNNING_READS: Final = [case for case in READS if case.runs]
KEPT: Final = [case for case in RUNNING_READS if "" in case.whys]
BITING_READS: Final = [case for case in READS if case.moves]
RUNNING_WRITES: Final = [case for case in WRITES if case.runs]
BITING_WRITES: Final = [case for case in WRITES if case.bites]

# The clock for text that is read: in UTC the day may be the same, twelve hours to either side it never is.
_ZONES: Final = ("Pacific/Kiritimati", "Etc/GMT+12")

_COUNT_LOG: Final = "select count(*) from log"
# It goes on counting over the transactions of about a second, those rolled back too.
_TOUCHED: Final = """
select schemaname || '.' || relname, n_tup_ins + n_tup_upd + n_tup_del from pg_stat_xact_user_tables
"""
# One row a table: what it holds, whatever the order. Foreign tables hold nothing here, partitioned ones neither.
_CONTENTS: Final = """
select n.nspname || '.' || c.relname,
  query_to_xml(
    format('select md5(string_agg(t::text, '','' order by t::text)) from only %I.%I t', n.nspname, c.relname),
    true, false, '')::text
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm') and n.nspname in ('public', 'shadow')
"""


def _name(case: Read | Write) -> str:
    return case.sql[:60] + " - " + case.reason


def _skip_without(case: Read | Write, labels: Labels) -> None:
    if case.needs and case.needs not in labels.extensions:
        pytest.skip(f"without {case.needs}")


def _refused_before_its_time(case: Read | Write, labels: Labels, connection: Connection) -> bool:
    """Whether the server is older than a statement: then it does not run it."""
    if labels.has(case):
        return False
    with pytest.raises(RefusedError), connection.transaction(force_rollback=True):
        run(connection, case.sql)
    return True


def _in_transaction(connection: Connection, case: Read) -> tuple[Rows, Rows]:
    """Its answer, and how long the log is then."""
    connection.execute("begin")
    try:
        return run(connection, case.sql, case.values), run(connection, _COUNT_LOG)
    finally:
        connection.execute("rollback")
        connection.execute("deallocate all")


@pytest.fixture(scope="module")
def reader(labels: Labels) -> Iterator[Connection]:
    with labels.connect() as connection:
        yield connection


@pytest.fixture(scope="module")
def writer(labels: Labels) -> Iterator[Connection]:
    with labels.connect(user=labels.origin.superuser) as connection:
        yield connection


@pytest.fixture(scope="module")
def earlier(reader: Connection) -> dict[str, tuple[Rows, Rows]]:
    """What the statements that may be kept have answered a while ago, those that run."""
    answers = {}
    for case in KEPT:
        with suppress(RefusedError):
            answers[case.sql] = _in_transaction(reader, case)
    return answers


@pytest.fixture(scope="module")
def untouched(writer: Connection) -> dict[str, Any]:
    return _by_table(writer, _CONTENTS)


def test_there_are_as_many_as_asked_for_and_none_stands_twice() -> None:
    assert len({case.sql for case in READS}) == len(READS) >= 220
    assert len({case.sql for case in WRITES}) == len(WRITES) >= 80
    assert len([case for case in READS if not case.why]) >= 100


def test_the_tables_that_are_named_exist(labels: Labels) -> None:
    known = {name for name, _ in labels.names.values()}
    cases: list[Read | Write] = [*READS, *WRITES]
    cases = [case for case in cases if labels.has(case)]
    assert [case.sql for case in cases if case.tables - known] == []


@pytest.mark.parametrize("case", RUNNING_READS, ids=_name)
def test_a_read_runs(case: Read, labels: Labels, reader: Connection) -> None:
    _skip_without(case, labels)
    if not _refused_before_its_time(case, labels, reader):
        _in_transaction(reader, case)


@pytest.mark.parametrize("case", KEPT, ids=_name)
def test_an_answer_that_may_be_kept_stays_the_same(
    case: Read, labels: Labels, earlier: dict[str, tuple[Rows, Rows]], reader: Connection
) -> None:
    if not labels.has(case):
        return
    answer, log = _in_transaction(reader, case)
    assert (answer, log) == earlier[case.sql]
    assert log == run(reader, _COUNT_LOG), "it writes"


@pytest.mark.parametrize("case", BITING_READS, ids=_name)
def test_a_trap_changes_its_answer_or_writes(case: Read, labels: Labels, reader: Connection) -> None:
    if not labels.has(case):
        return
    before = run(reader, _COUNT_LOG)
    first, log = _in_transaction(reader, case)
    assert first != _in_transaction(reader, case)[0] or log != before


def _relations(plan: Any) -> set[str]:
    """Each table that a plan in JSON reads."""
    if isinstance(plan, list):
        return set().union(*map(_relations, plan))
    if not isinstance(plan, dict):
        return set()
    found = set().union(*map(_relations, plan.values()))
    return found | {f"{plan['Schema']}.{plan['Relation Name']}"} if "Relation Name" in plan else found


@pytest.mark.parametrize("case", KEPT, ids=_name)
def test_the_plan_reads_no_other_table(case: Read, labels: Labels, reader: Connection) -> None:
    if not labels.has(case):
        return
    ((plan,),) = run(reader, "explain (verbose, format json) " + case.sql.rstrip("; "), case.values)
    assert plan is not None
    assert _relations(json.loads(plan)) <= case.tables


def _by_table(connection: Connection, query: str) -> dict[str, Any]:
    return {str(name): value for name, value in connection.execute(query)}


def _changed(connection: Connection, case: Write, untouched: dict[str, Any]) -> set[str]:
    """The tables that have other rows now, and those of which rows were written. It is undone."""
    connection.execute("begin")
    try:
        before = _by_table(connection, _TOUCHED)
        run(connection, case.sql)
        after, contents = _by_table(connection, _TOUCHED), _by_table(connection, _CONTENTS)
        touched = {name for name, count in after.items() if count != before.get(name, 0)}
        return touched | {name for name, rows in untouched.items() if contents.get(name) != rows}
    finally:
        connection.execute("rollback")
        connection.execute("deallocate all")


@pytest.mark.parametrize("case", RUNNING_WRITES, ids=_name)
def test_a_write_changes_no_other_table(
    case: Write, labels: Labels, writer: Connection, untouched: dict[str, Any]
) -> None:
    _skip_without(case, labels)
    if _refused_before_its_time(case, labels, writer):
        return
    changed = _changed(writer, case, untouched)
    assert case.everything or changed <= case.tables


@pytest.mark.parametrize("case", BITING_WRITES, ids=_name)
def test_a_trap_changes_a_table_that_its_text_does_not_name(
    case: Write, writer: Connection, untouched: dict[str, Any]
) -> None:
    changed = _changed(writer, case, untouched)
    assert any(not re.search(rf"\b{name.partition('.')[2]}\b", case.sql) for name in changed)


@pytest.mark.parametrize(
    "value", [value for value in VALUES if value.type_name not in {"", "json"}], ids=lambda value: value.reason
)
def test_a_value_with_a_date_word_in_it_is_read_off_the_clock(value: Value, reader: Connection) -> None:
    answers = []
    for zone in _ZONES:
        run(reader, f"set timezone = '{zone}'")
        answers.append(run(reader, f"select '{value.text}'::{value.type_name}::text"))
    run(reader, "reset timezone")
    assert answers[0] != answers[1]
