"""Nodes come and go: an edge alone, a pool node that dies and returns, draining, a taken port, the link with TLS."""

import base64
import hashlib
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg
import pytest
from psycopg import errors

from protos.pg.scram import Challenge, ScramVerifier, derive_keys
from tests.support.activity import wait_until_active
from tests.support.cluster import Origin
from tests.support.onetrip import House, Workplace, open_house
from tests.support.process import free_port
from tests.support.target import connect, port_of, sqlstate_of_end, target_of

WAIT_S: Final = 1


@pytest.fixture
def own_house(tmp_path: Path) -> Iterator[House]:
    """Nodes that this test may disturb."""
    with open_house(tmp_path) as running:
        yield running


def test_an_edge_without_a_pool_node_serves_and_says_so(place: Workplace) -> None:
    edge = place.start(
        *("edge", "--listen", "127.0.0.1:0", "--pool", f"127.0.0.1:{free_port()}", "--insecure"),
        *("--wait-timeout", str(WAIT_S)),
    )
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(f"postgres://user:password@127.0.0.1:{port_of(edge.ready())}/app?sslmode=disable")
    assert "FATAL" in str(caught.value)
    assert "pool node" in str(caught.value)
    assert edge.stop() == 0


def test_the_keys_of_an_origins_password_are_kept_in_memory_only(own_house: House, origin: Origin) -> None:
    target = target_of(own_house.create("app", origin.url()))
    with connect(target, autocommit=True) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    with origin.connect("postgres") as connection:
        row = connection.execute("select rolpassword from pg_authid where rolname = 'by_scram'").fetchone()
    assert row is not None
    verifier = ScramVerifier.parse(row[0])
    keys = derive_keys(origin.password, Challenge(verifier.salt, verifier.iterations))
    salted = hashlib.pbkdf2_hmac("sha256", origin.password.encode(), verifier.salt, verifier.iterations)
    needles = [form for key in (salted, keys.client_key) for form in (key, key.hex().encode(), base64.b64encode(key))]
    written = [path for path in own_house.place.directory.rglob("*") if path.is_file()]
    assert any(path.name == "store.db" for path in written)
    assert [path for path in written if any(needle in path.read_bytes() for needle in needles)] == []


def test_a_taken_port_is_an_error_that_says_so(place: Workplace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for arguments in (
            ("edge", "--listen", address, "--pool", "127.0.0.1:1", "--insecure"),
            ("pool", "--listen", address, "--admin-listen", f"127.0.0.1:{free_port()}", "--insecure"),
        ):
            node = place.start(*arguments)
            assert node.wait() == 1
            assert node.stdout == ""
            assert address in node.log.splitlines()[-1]


def test_an_idle_session_outlives_its_pool_node_and_a_transaction_does_not(own_house: House, origin: Origin) -> None:
    target = target_of(own_house.create("app", origin.url()))
    with connect(target, autocommit=True) as idle, connect(target) as busy:
        assert idle.execute("select 1").fetchone() == (1,)
        busy.execute("create temp table lost (n int)")
        own_house.restart_pool()
        with pytest.raises(psycopg.OperationalError) as caught:
            busy.execute("select 1")
        assert caught.value.sqlstate == "08006"
        assert idle.execute("select 2").fetchone() == (2,)


def test_a_draining_edge_lets_transactions_finish(own_house: House, origin: Origin, table: str) -> None:
    target = target_of(own_house.create("app", origin.url()))
    with connect(target, autocommit=True) as idle, connect(target) as busy:
        idle.execute("select 1")
        busy.execute(f"insert into {table} values (1, 'kept')".encode())
        assert sqlstate_of_end(idle, own_house.edge.popen.terminate) == "57P01"
        busy.commit()
        assert own_house.edge.wait() == 0
    with origin.connect() as connection:
        assert connection.execute(f"select word from {table}".encode()).fetchone() == ("kept",)
    with pytest.raises(psycopg.OperationalError):
        connect(target)


def test_a_second_signal_ends_a_node_at_once(own_house: House, origin: Origin) -> None:
    target = target_of(own_house.create("app", origin.url()))
    with connect(target) as busy:
        busy.execute("select 1")
        own_house.edge.popen.send_signal(signal.SIGTERM)
        own_house.edge.popen.send_signal(signal.SIGINT)  # two of one kind might be delivered as one
        own_house.edge.wait(timeout_s=4)  # less than the drain may take
        with pytest.raises(psycopg.OperationalError):
            busy.execute("select 1")


def test_the_link_works_with_certificates_and_refuses_the_wrong_role(place: Workplace, origin: Origin) -> None:
    for role in ("pool", "edge"):
        made = place.run("cert", "--dir", "house", "--role", role, "--name", "127.0.0.1", "--name", "localhost")
        assert made.returncode == 0, made.stderr
    files = {path.name: str(path) for path in (place.directory / "house").iterdir()}
    assert sorted(files) == ["ca.crt", "ca.key", "edge.crt", "edge.key", "pool.crt", "pool.key"]

    def link(role: str) -> tuple[str, ...]:
        return "--link-ca", files["ca.crt"], "--link-cert", files[f"{role}.crt"], "--link-key", files[f"{role}.key"]

    admin = f"127.0.0.1:{free_port()}"
    pool = place.start("pool", "--listen", "127.0.0.1:0", "--admin-listen", admin, *link("pool"))
    address = f"127.0.0.1:{port_of(pool.ready())}"
    right = place.start("edge", "--listen", "127.0.0.1:0", "--pool", address, *link("edge"))
    wrong = place.start(
        *("edge", "--listen", "127.0.0.1:0", "--pool", address, "--wait-timeout", str(WAIT_S)), *link("pool")
    )
    where = ("--admin", f"http://{admin}", "--edge", right.ready())
    made = place.run("config", "create", "app", "--origin", "-", *where, stdin=origin.url())
    assert made.returncode == 0, made.stderr
    with connect(target_of(made.stdout.strip())) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="FATAL"):
        connect(target_of(made.stdout.strip(), port=port_of(wrong.ready())))


def test_a_statement_whose_backend_is_ended_fails_as_postgresql_says(house: House, origin: Origin) -> None:
    target = target_of(house.create("ended", origin.url()))

    def end_it() -> None:
        wait_until_active(origin, "to be ended")
        with origin.connect() as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where query like '%to be ended%'"
                " and pid <> pg_backend_pid()"
            )

    helper = threading.Thread(target=end_it)
    with connect(target, autocommit=True) as connection:
        helper.start()
        with pytest.raises(errors.AdminShutdown):
            connection.execute("select 'to be ended', pg_sleep(30)")
    helper.join()
    with connect(target, autocommit=True) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
