"""psycopg 3: libpq under a driver that uses the extended protocol for parameters."""

import datetime
import decimal
import os
import socket
import threading
from collections.abc import Iterator
from typing import Final, LiteralString

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.pq import ExecStatus as Status
from psycopg.pq import PGconn
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from tests.support.activity import wait_until_active
from tests.support.cluster import Origin
from tests.support.target import Connection, Target, connect

MANY: Final = 50_000
# Half a mebibyte: several chunks of whatever size the link cuts, yet read whole.
LARGE_BYTES: Final = 1 << 19


@pytest.fixture
def connection(target: Target) -> Iterator[Connection]:
    with connect(target) as opened:
        yield opened


def into(table: str, text: LiteralString) -> sql.Composed:
    """TEXT with the table's name in place of {}."""
    return sql.SQL(text).format(sql.Identifier(table))


def count(connection: Connection, table: str) -> int:
    row = connection.execute(into(table, "select count(*) from {}")).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(
    "value",
    [
        1,
        2**40,
        -1.5,
        "grüße, 'quoted' \\ and more",
        b"\x00\xff\\",
        True,
        None,
        [1, 2, None],
        datetime.date(2026, 11, 22),
        datetime.datetime(2026, 11, 22, 3, 4, 5, 678, tzinfo=datetime.UTC),
        decimal.Decimal("12345678901234567890.123456789"),
    ],
    ids=repr,
)
def test_a_parameter_comes_back_as_it_went(connection: Connection, value: object) -> None:
    for binary in (False, True):
        with connection.cursor(binary=binary) as cursor:
            text: LiteralString = "select %s" if binary else "select %t"
            if isinstance(value, str) or value is None:
                text += "::text"
            assert cursor.execute(text, (value,)).fetchone() == (value,)


def test_json_and_rows_by_name(connection: Connection) -> None:
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute("select %s::jsonb as document, 2 as number", (Jsonb({"a": [1, {"b": None}]}),))
        assert cursor.fetchone() == {"document": {"a": [1, {"b": None}]}, "number": 2}


def test_what_the_server_says_of_itself_is_known_at_connect(connection: Connection) -> None:
    assert connection.info.server_version >= 120000
    assert connection.info.parameter_status("server_encoding") == "UTF8"
    assert connection.info.parameter_status("integer_datetimes") == "on"
    assert connection.info.backend_pid != 0
    assert connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE


def test_commit_keeps_and_rollback_undoes(connection: Connection, table: str) -> None:
    connection.execute(into(table, "insert into {} values (%s, %s)"), (1, "kept"))
    connection.commit()
    connection.execute(into(table, "insert into {} values (%s, %s)"), (2, "undone"))
    assert count(connection, table) == 2
    connection.rollback()
    assert count(connection, table) == 1


def test_nested_transactions_are_savepoints(connection: Connection, table: str) -> None:
    with connection.transaction():
        connection.execute(into(table, "insert into {} values (1, 'outer')"))
        with pytest.raises(errors.UniqueViolation), connection.transaction():
            connection.execute(into(table, "insert into {} values (1, 'inner')"))
        connection.execute(into(table, "insert into {} values (2, 'outer')"))
    assert count(connection, table) == 2


def test_an_error_names_itself_and_fails_the_transaction(connection: Connection, table: str) -> None:
    with pytest.raises(errors.UndefinedColumn) as caught:
        connection.execute(into(table, "select wrong from {}"))
    assert caught.value.diag.message_primary == 'column "wrong" does not exist'
    assert caught.value.diag.statement_position == "8"
    assert connection.info.transaction_status is psycopg.pq.TransactionStatus.INERROR
    with pytest.raises(errors.InFailedSqlTransaction):
        connection.execute("select 1")
    connection.rollback()
    assert connection.execute("select 1").fetchone() == (1,)


def test_a_statement_prepared_once_serves_many_times(connection: Connection, table: str) -> None:
    for number in range(20):
        connection.execute(into(table, "insert into {} values (%s, %s)"), (number, str(number)), prepare=True)
        if number % 5 == 4:
            connection.commit()  # the next one may run on another origin connection
    connection.commit()
    assert count(connection, table) == 20


def test_statements_of_two_sessions_with_one_name_never_mix(target: Target) -> None:
    with connect(target, autocommit=True) as first, connect(target, autocommit=True) as second:
        for number in range(10):
            assert first.execute("select %s::int + 1", (number,), prepare=True).fetchone() == (number + 1,)
            assert second.execute("select %s::int * 2", (number,), prepare=True).fetchone() == (number * 2,)


def test_a_pipeline_keeps_its_order(connection: Connection, table: str) -> None:
    with connection.pipeline(), connection.cursor() as cursor:
        cursor.executemany(into(table, "insert into {} values (%s, %s)"), [(n, str(n)) for n in range(200)])
        answers = [connection.execute("select %s::int", (number,)) for number in range(50)]
        assert [answer.fetchone() for answer in answers] == [(number,) for number in range(50)]
    connection.commit()
    assert count(connection, table) == 200


def test_an_error_in_a_pipeline_aborts_only_up_to_its_sync(target: Target) -> None:
    # Straight on libpq: psycopg decides by the clock which of its calls raises.
    pgconn = PGconn.connect(target.conninfo.encode())
    pgconn.enter_pipeline_mode()
    for part in ((b"select 1",), (b"select 1/0", b"select 2"), (b"select 3",)):
        for statement in part:
            pgconn.send_query_params(statement, [])
        pgconn.pipeline_sync()
    results = [pgconn.get_result() for _ in range(11)]
    pgconn.finish()
    fine, failed, skipped, sync = Status.TUPLES_OK, Status.FATAL_ERROR, Status.PIPELINE_ABORTED, Status.PIPELINE_SYNC
    assert [result and result.status for result in results] == [
        *(fine, None, sync), *(failed, None, skipped, None, sync), *(fine, None, sync),
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["text", "binary"])
def test_copy_goes_in_and_comes_out(connection: Connection, table: str, form: str) -> None:
    with connection.cursor() as cursor:
        with cursor.copy(into(table, f"copy {{}} from stdin (format {form})")) as incoming:
            incoming.set_types(("int4", "text"))
            for number in range(5_000):
                incoming.write_row((number, f"word {number}"))
        connection.commit()
        with cursor.copy(into(table, f"copy (select * from {{}} order by id) to stdout (format {form})")) as outgoing:
            outgoing.set_types(("int4", "text"))
            rows = list(outgoing.rows())
    assert rows == [(number, f"word {number}") for number in range(5_000)]


def test_a_copy_given_up_by_the_client_changes_nothing(connection: Connection, table: str) -> None:
    def give_up() -> None:
        with connection.cursor() as cursor, cursor.copy(into(table, "copy {} from stdin")) as incoming:
            incoming.write_row((1, "a"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        give_up()
    connection.rollback()
    assert count(connection, table) == 0


def test_many_rows_and_large_values_arrive_whole(connection: Connection) -> None:
    rows = connection.execute("select n, md5(n::text) from generate_series(1, %s) as n", (MANY,)).fetchall()
    assert len(rows) == MANY
    assert rows[-1][0] == MANY
    large = "ü" * (LARGE_BYTES // 2)
    assert connection.execute("select %s::text, %s::text", (large, large)).fetchone() == (large, large)


def test_a_server_cursor_reads_piece_by_piece(connection: Connection) -> None:
    with connection.cursor("piecewise") as cursor:
        cursor.execute("select * from generate_series(1, 1000)")
        assert [row[0] for row in cursor.fetchmany(3)] == [1, 2, 3]
        assert len(cursor.fetchall()) == 997


def test_rows_one_at_a_time_may_be_left_unread(connection: Connection) -> None:
    with connection.cursor() as cursor:
        for row in cursor.stream("select * from generate_series(1, 100000)"):
            if row[0] == 10:
                break
    connection.rollback()
    assert connection.execute("select 1").fetchone() == (1,)


def test_a_notice_reaches_the_client(connection: Connection) -> None:
    notices: list[str | None] = []
    connection.add_notice_handler(lambda diagnostic: notices.append(diagnostic.message_primary))
    connection.execute("do $$ begin raise notice 'look %', 'here'; end $$")
    assert notices == ["look here"]


def test_cancel_ends_the_statement_and_not_the_session(target: Target, origin: Origin) -> None:
    text = f"cancel {target.port}"
    with connect(target, autocommit=True) as connection:

        def cancel() -> None:
            wait_until_active(origin, text)
            connection.cancel_safe()

        helper = threading.Thread(target=cancel)
        helper.start()
        with pytest.raises(errors.QueryCanceled) as caught:
            connection.execute(sql.SQL("select {}, pg_sleep(30)").format(sql.Literal(text)))
        helper.join()
        assert caught.value.diag.message_primary == "canceling statement due to user request"
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_client_that_vanishes_in_a_transaction_leaves_nothing(target: Target, origin: Origin, table: str) -> None:
    lost = connect(target)
    lost.execute(into(table, "insert into {} values (1, 'lost')"))
    with socket.socket(fileno=os.dup(lost.fileno())) as transport:
        transport.shutdown(socket.SHUT_RDWR)  # no Terminate, no rollback
    with origin.connect() as connection, connection.transaction():
        connection.execute("set local lock_timeout = '20s'")
        connection.execute(into(table, "lock table {} in access exclusive mode"))
    with pytest.raises(psycopg.OperationalError):
        lost.execute("select 1")
    lost.close()
    with connect(target) as again:
        assert count(again, table) == 0
