"""psql, as a person at a terminal and as a script uses it."""

import os
import signal
import subprocess
from typing import Final

import pytest

from tests.support.activity import wait_until_active
from tests.support.cluster import Origin
from tests.support.target import Target

TIMEOUT_S: Final = 40.0
# \copy of this many rows is several hundred messages in each direction.
MANY: Final = 20_000


class Psql:
    """Runs psql against one target."""

    def __init__(self, origin: Origin, target: Target, **libpq: str) -> None:
        self.program = str(origin.bin_dir / "psql")
        words = target.libpq | libpq
        self.conninfo = " ".join(f"{name}='{_quoted(value)}'" for name, value in words.items())
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        self.environment = kept | {"PSQLRC": os.devnull, "PSQL_HISTORY": os.devnull, "LC_ALL": "C"}

    def command(self, *arguments: str) -> list[str]:
        return [self.program, "-X", "-At", "-v", "ON_ERROR_STOP=1", "-d", self.conninfo, *arguments]

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            check=False,
            capture_output=True,
            text=True,
            input=script,
            env=self.environment,
            timeout=TIMEOUT_S,
        )

    def rows(self, script: str, *arguments: str) -> list[str]:
        done = self.run(script, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


@pytest.fixture
def psql(origin: Origin, target: Target) -> Psql:
    return Psql(origin, target)


def test_a_script_of_queries_prints_their_rows(psql: Psql) -> None:
    assert psql.rows("select 1; select 'two' as word, null as nothing;\nselect generate_series(1, 3);") == [
        "1", "two|", "1", "2", "3",
    ]  # fmt: skip


def test_several_statements_in_one_message_are_one_transaction(psql: Psql, table: str) -> None:
    failed = psql.run("", "-c", f"insert into {table} values (1, 'a'); select 1/0")
    assert failed.returncode == 1
    assert "division by zero" in failed.stderr
    assert psql.rows(f"select count(*) from {table}") == ["0"]


def test_a_single_transaction_is_kept_or_undone_as_a_whole(psql: Psql, table: str) -> None:
    psql.rows(f"insert into {table} values (1, 'a');\ninsert into {table} values (2, 'b');", "-1")
    undone = psql.run(f"insert into {table} values (3, 'c');\ninsert into {table} values (1, 'twice');", "-1")
    assert undone.returncode == 3
    assert f'duplicate key value violates unique constraint "{table}_pkey"' in undone.stderr
    assert psql.rows(f"select * from {table} order by id") == ["1|a", "2|b"]


def test_variables_prepare_and_describe_work(psql: Psql, table: str) -> None:
    script = f"""
        begin;
        prepare put(int, text) as insert into {table} values ($1, $2);
        execute put(7, :'word');
        deallocate put;
        commit;
        select id, word from {table};
        \\d {table}
    """
    rows = psql.rows(script, "-v", "word=it's")
    assert "7|it's" in rows
    assert "id|integer||not null|" in rows


def test_copy_goes_in_and_comes_out(psql: Psql, table: str) -> None:
    lines = "".join(f"{number}\tword {number}\n" for number in range(MANY))
    done = psql.run(f"\\copy {table} from pstdin\n{lines}\\.\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"COPY {MANY}"
    assert psql.run(f"\\copy (select * from {table} order by id) to pstdout").stdout == lines


def test_a_copy_that_fails_leaves_the_session_usable(psql: Psql, table: str) -> None:
    script = f"\\copy {table} from pstdin\n1\tgood\nx\tbad\n\\.\nselect 'still here';"
    done = psql.run(script, "-v", "ON_ERROR_STOP=0")
    assert "invalid input syntax for type integer" in done.stderr
    assert done.stdout.splitlines() == ["still here"]


def test_a_large_result_arrives_whole(psql: Psql) -> None:
    rows = psql.rows("select n, repeat('x', 500) from generate_series(1, 20000) as n;")
    assert len(rows) == 20_000
    assert rows[-1] == "20000|" + "x" * 500


def test_fetch_count_reads_through_a_cursor(psql: Psql) -> None:
    assert len(psql.rows("\\set FETCH_COUNT 100\nselect * from generate_series(1, 1050);")) == 1050


def test_a_notice_reaches_the_client(psql: Psql) -> None:
    done = psql.run("do $$ begin raise notice 'look here'; end $$;")
    assert "NOTICE:  look here" in done.stderr


def test_interrupting_a_query_cancels_it(psql: Psql, origin: Origin) -> None:
    command = psql.command("-c", "select 'to be cancelled', pg_sleep(30)")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=psql.environment) as process:
        wait_until_active(origin, "to be cancelled")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1
    assert "canceling statement due to user request" in errors


def test_tls_with_channel_binding(origin: Origin, secure_target: Target) -> None:
    psql = Psql(origin, secure_target, channel_binding="require")
    assert psql.rows("select 'bound'") == ["bound"]
    assert "TLSv1.3" in "".join(psql.rows("\\conninfo"))


def test_a_wrong_password_is_refused(origin: Origin, target: Target) -> None:
    done = Psql(origin, target.but(password="wrong")).run("select 1")
    assert done.returncode == 2
    assert f'password authentication failed for user "{target.user}"' in done.stderr


def test_an_unknown_database_is_refused_by_name(origin: Origin, target: Target) -> None:
    done = Psql(origin, target.but(database="not_there")).run("select 1")
    assert done.returncode == 2
    assert "not_there" in done.stderr
    assert "does not exist" in done.stderr
