"""A PostgreSQL of our own, wherever its directory lies and whoever we are."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from deploy.complaint import CommandError
from deploy.postgres import Cluster, open_cluster

pytestmark = pytest.mark.postgres

# Odd on purpose: what quotes it wrongly fails.
PASSWORD = "pass word%/:@'\\x"
TIMEOUT_S = 30


@contextmanager
def running(cluster: Cluster) -> Iterator[Cluster]:
    if not cluster.is_made:
        cluster.finish_initdb(cluster.spawn_initdb().wait(TIMEOUT_S))
    server = cluster.spawn_server()
    try:
        wait_until_ready(cluster)
        yield cluster
    finally:
        cluster.end()
        server.wait(TIMEOUT_S)


def wait_until_ready(cluster: Cluster) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not cluster.is_ready():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    # pytest's directories are private, so as root this is also the case of a directory that the server cannot reach.
    return open_cluster(tmp_path / "postgres", PASSWORD, durable=False)


def test_it_lets_in_with_the_password_over_tls_and_keeps_what_it_was_told(cluster: Cluster) -> None:
    with running(cluster), psycopg.connect(cluster.url()) as connection:
        assert connection.execute("show wal_level").fetchone() == ("logical",)
        assert connection.execute("show password_encryption").fetchone() == ("scram-sha-256",)
        tls = connection.execute("select ssl from pg_stat_ssl where pid = pg_backend_pid()").fetchone()
        assert tls == (cluster.programs.has_tls,)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(cluster.url(), password="wrong")


def test_data_outlive_the_server_and_the_program(cluster: Cluster) -> None:
    with running(cluster), psycopg.connect(cluster.url()) as connection:
        connection.execute("create table kept as select 42 as answer")
    again = open_cluster(cluster.directory, PASSWORD)
    assert again.is_made
    with running(again), psycopg.connect(again.url()) as connection:
        assert connection.execute("select answer from kept").fetchone() == (42,)


def test_its_writes_can_be_followed_also_where_its_own_file_says_otherwise(cluster: Cluster) -> None:
    cluster.finish_initdb(cluster.spawn_initdb().wait(TIMEOUT_S))
    with (cluster.directory / "postgresql.conf").open("a") as file:
        file.write("wal_level = minimal\nmax_wal_senders = 0\nmax_replication_slots = 0\n")
    with running(cluster), psycopg.connect(cluster.url(), autocommit=True) as connection:
        slots = [(f"slot_{number}",) for number in range(15)]
        for slot in slots:
            connection.execute("select pg_create_logical_replication_slot(%s, 'pgoutput', true)", slot)
        assert connection.execute("select slot_name from pg_replication_slots").fetchall() == slots
        assert connection.execute("show max_wal_senders").fetchone() == ("20",)


def test_an_interrupted_beginning_is_begun_anew(cluster: Cluster) -> None:
    process = cluster.spawn_initdb()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(TIMEOUT_S)
    assert not cluster.is_made
    with running(cluster), psycopg.connect(cluster.url()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_nothing_secret_is_among_the_arguments(cluster: Cluster) -> None:
    with running(cluster):
        listing = subprocess.run(["ps", "-eww", "-o", "args"], check=True, capture_output=True, text=True).stdout
    assert "pass word" not in listing
    assert str(cluster.port) in listing


def test_a_failure_says_why(cluster: Cluster) -> None:
    cluster.finish_initdb(cluster.spawn_initdb().wait(TIMEOUT_S))
    (cluster.directory / "postgresql.conf").write_text("no_such_setting = 1\n")
    process = cluster.spawn_server()
    process.wait(TIMEOUT_S)
    with pytest.raises(CommandError, match="did not start: configuration file"):
        cluster.is_ready()


def test_a_lock_of_a_process_that_is_gone_does_not_hold(cluster: Cluster) -> None:
    with running(cluster):
        assert cluster.is_held()
    lock = cluster.directory / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n")  # alive, and no PostgreSQL
    assert not cluster.is_held()
    assert not lock.exists()


KILLED = """
import os, sys
from pathlib import Path
from tests.deploy.test_postgres import running
from deploy.postgres import open_cluster
with running(open_cluster(Path(sys.argv[1]), "x", durable=False)) as cluster:
    print(cluster._server.pid, flush=True)
    os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells a child of its parent's death")
def test_it_ends_in_order_when_we_are_killed(cluster: Cluster) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(cluster.directory)],
        cwd=Path(__file__).parents[2],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    process = Path(f"/proc/{done.stdout.strip()}")
    deadline = time.monotonic() + TIMEOUT_S
    while process.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert "database system is shut down" in cluster.log_file.read_text()
