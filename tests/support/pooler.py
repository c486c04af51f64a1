"""PgBouncer in front of the tests' PostgreSQL: an origin that is itself a pooler."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from bench.pgbouncer import is_listening
from deploy.children import unprivileged_account
from deploy.private_files import write_private
from tests.support.cluster import Origin
from tests.support.process import free_port

PROGRAM: Final = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
START_TIMEOUT_S: Final = 10.0
SETTINGS: Final = """
[databases]
{database} = host={host} port={port} dbname={database} user=by_scram password='{password}'
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
server_round_robin = {round_robin:d}
ignore_startup_parameters = extra_float_digits
"""


@contextmanager
def open_pooler(origin: Origin, directory: Path, *, mode: str = "session", round_robin: bool = False) -> Iterator[int]:
    """Its port; every login is let in, and is `by_scram` at the origin."""
    if not Path(PROGRAM).exists():
        pytest.skip("PgBouncer is not installed")
    account, port = unprivileged_account(), free_port()
    text = SETTINGS.format(
        database=origin.database, host=origin.host, port=origin.port, own_port=port, mode=mode,
        round_robin=round_robin,
        password=origin.password.replace("'", "''"),
    )  # fmt: skip
    path = directory / "pgbouncer.ini"
    write_private(path, text.encode(), account)
    words = {}
    if account is not None:  # PgBouncer refuses root
        os.chown(directory, account.uid, account.gid)
        words = {"user": account.uid, "group": account.gid, "extra_groups": []}
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen([PROGRAM, str(path)], stderr=log, stdout=log, cwd=directory, **words)  # type: ignore[call-overload]
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not is_listening(process.pid, port):
            is_late = process.poll() is not None or time.monotonic() > deadline
            assert not is_late, (directory / "log").read_text()
            time.sleep(0.01)
        yield port
    finally:
        process.kill()
        process.wait()
