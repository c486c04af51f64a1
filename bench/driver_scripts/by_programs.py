"""psql (libpq's own program) and pgbench in its three modes: each script is a file that the program runs.

The marks are shell commands in that file, which write and read where we do. The checks are statements that divide by
zero when a value is wrong, so the program stops with an error; they stand behind the counted steps.
"""

import os
import secrets
import subprocess
import tempfile
from collections.abc import Sequence
from typing import Final

from psycopg.conninfo import conninfo_to_dict

from bench.driver_scripts.plain import PLAIN_SCRIPTS
from bench.driver_scripts.stage import AGAIN, BATCH, BATCH_ROWS, COLD, ONE, TABLE, TEN, TRANSACTION, mark

TIMEOUT_S: Final = 60.0
MAX_VALUE: Final = 1 << 30
MODES: Final = {"pgbench-simple": "simple", "pgbench-extended": "extended", "pgbench-prepared": "prepared"}
PROGRAMS: Final = ("psql", *MODES)
# By the words of libpq's connection string.
VARIABLES: Final = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
}
PAUSE: Final = "read -r answer || true"


class ProgramError(Exception):
    """A program's own complaint."""


def play_program(name: str, url: str, script: str) -> None:
    """Play one script; ProgramError with what the program says if it fails."""
    lines = _psql(script) if name == "psql" else _pgbench(script, name)
    if script == AGAIN:
        _run(name, url, [line for line in lines if PAUSE not in line])
    mark(script, "begin")
    _run(name, url, lines)


def _run(name: str, url: str, lines: Sequence[str]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write("\n".join([*lines, ""]))
        file.flush()
        done = subprocess.run(
            [*_command(name), "-f", file.name],
            env=os.environ | {VARIABLES[word]: str(value) for word, value in conninfo_to_dict(url).items()},
            stderr=subprocess.PIPE,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    if done.returncode:
        raise ProgramError(" ".join(done.stderr.split()))


def _command(name: str) -> list[str]:
    if name == "psql":
        return ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1"]
    return ["pgbench", "-n", "-t", "1", "-M", MODES[name]]


def _step(shell: str, script: str, step: str) -> str:
    return f"\\{shell} printf '{script} {step}\\n'; {PAUSE}"


def _psql(script: str) -> list[str]:
    read = f"select word as got from {TABLE} where id = :n \\gset"
    write = f"update {TABLE} set seen = :value where id = "
    body, check = {
        COLD: ([read], f":'got' = 'word {ONE}'"),
        AGAIN: ([read], f":'got' = 'word {ONE}'"),
        TRANSACTION: (["begin;", read, f"{write} :n;", "commit;"], f":'got' = 'word {ONE}' and {_seen([ONE])}"),
        TEN: ([read] * 10, f":'got' = 'word {ONE}'"),
        BATCH: ([" \\; ".join(f"{write} {row}" for row in BATCH_ROWS) + ";"], _seen(BATCH_ROWS)),
    }[script]
    steps = [_step("!", script, step) for step in ("connected", "done", "released")]
    # Its output goes nowhere; what the shell commands write is not its output.
    head = ["\\o /dev/null", f"\\set n {ONE}", f"\\set value {secrets.randbelow(MAX_VALUE)}"]
    return [*head, steps[0], *body, *steps[1:], f"select 1 / ({check})::int;"]


def _pgbench(script: str, name: str) -> list[str]:
    read = f"select id as got from {TABLE} where id = :n \\gset"
    write = f"update {TABLE} set seen = :value where id = "
    right = f":got::int = {ONE}"
    updates = [f"{write} {row};" for row in BATCH_ROWS]
    if MODES[name] != "simple":
        updates = ["\\startpipeline", *updates, "\\endpipeline"]
    body, check = {
        COLD: ([read], right),
        AGAIN: ([read], right),
        TRANSACTION: (["begin;", read, f"{write} :n;", "commit;"], f"{right} and {_seen([ONE])}"),
        TEN: ([read] * 10, right),
        BATCH: (updates, _seen(BATCH_ROWS)),
    }[script]
    steps = [_step("shell", script, step) for step in ("connected", "done", "released")]
    head = [f"\\set n {ONE}", f"\\set value {secrets.randbelow(MAX_VALUE)}"]
    return [*head, steps[0], *body, *steps[1:], f"select 1 / ({check})::int;"]


def _seen(rows: Sequence[int]) -> str:
    return f"(select min(seen) = :value from {TABLE} where id between {rows[0]} and {rows[-1]})"


def scripts_of(name: str) -> Sequence[str]:
    """The scripts that mean something to a program."""
    return [script for script in PLAIN_SCRIPTS if (name, script) != ("pgbench-simple", BATCH)]
