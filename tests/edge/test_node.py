"""The node itself: whom it admits and turns away, its certificates, its drain, and its life as a process."""

import asyncio
import socket
import ssl
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from edge.listener import RESERVED_DESCRIPTORS, open_listeners
from edge.node import REFUSING_ROOM, Edge
from edge.options import EdgeOptions
from protos.pg.messages import error_fields, query
from protos.pg.scram import certificate_hash, make_verifier
from protos.pg.startup import ssl_request, startup_message
from tests.support.certificates import self_signed
from tests.support.onetrip import Workplace
from tests.support.process import Process
from tests.support.stage import IN_TRANSACTION, HandPump, Stage, configuration, done, staged
from tests.support.target import port_of

POOLS = (("127.0.0.1", 1),)


# --- whom it admits ---


def test_process_ids_are_positive_and_unique_while_they_are_used(stage: Stage) -> None:
    numbers = {stage.edge.cancelling.new_key(4)[0] for _ in range(1000)}
    assert len(numbers) == 1000
    assert all(0 < number < 1 << 31 for number in numbers)


def test_statements_go_to_the_first_pool_node_that_has_the_configuration() -> None:
    with staged(pools=(("pool-1", 1), ("pool-2", 2))) as stage:
        first, second = stage.pools
        assert stage.edge.route("app") is None
        second.link()
        second.welcome(configuration(), configuration("other", user="ot_other"))
        stage.settle()
        assert stage.edge.route("app") is second.uplink
        stage.up()
        assert stage.edge.route("app") is first.uplink
        assert stage.edge.route("other") is second.uplink
        assert stage.edge.route("nowhere") is None
        stage.down()
        assert stage.edge.route("app") is second.uplink


def test_what_one_pool_node_has_forgotten_another_may_have() -> None:
    with staged(pools=(("pool-1", 1), ("pool-2", 2))) as stage:
        first, second = stage.pools
        second.link()
        second.welcome(configuration("other", user="ot_other"))
        stage.up()
        assert stage.edge.directory.names() == {"app", "other"}
        first.cut()
        first.link()
        first.welcome()
        stage.settle()
        assert stage.edge.directory.names() == {"other"}


def test_more_connections_than_it_can_even_refuse_are_turned_away_unasked() -> None:
    with staged(max_clients=2) as stage:
        stage.up()
        drivers = [stage.dial() for _ in range(2 + REFUSING_ROOM)]
        with capture_logs() as logs:
            refused = [stage.dial() for _ in range(5)]
            for driver in refused:
                assert driver.fields()["C"] == "53300"
                driver.read()
                assert driver.is_closed
        assert len(logs) == 1, "a storm is one line"
        drivers[0].hang_up()
        assert stage.dial().read() == b""
        assert len(stage.edge.newcomers) == 2 + REFUSING_ROOM


def test_a_clear_text_password_is_checked_off_the_loop() -> None:
    verifier = make_verifier("pencil", 2, b"salt")

    async def main() -> list[bool]:
        pump = HandPump()
        edge = Edge(EdgeOptions(pools=POOLS), pump, "127.0.0.1:6432", 10)
        verdicts = list[bool]()
        for password in (b"pencil", b"pen"):
            checked = asyncio.Event()

            def done(ok: bool, checked: asyncio.Event = checked) -> None:  # noqa: FBT001 - as it is called
                verdicts.append(ok)
                checked.set()

            edge.check_password(password, verifier, done)
            assert not checked.is_set()
            await checked.wait()
        pump.close()
        return verdicts

    assert asyncio.run(main()) == [True, False]


# --- certificates ---


def test_renewed_certificates_are_used_from_the_next_client_on(tmp_path: Path) -> None:
    old, new = self_signed(tmp_path, "old"), self_signed(tmp_path, "new")
    cert_file, key_file = tmp_path / "edge.crt", tmp_path / "edge.key"

    def place(cert: bytes, key: bytes) -> None:
        cert_file.write_bytes(b"a remark in \xc3\xa9\n" + cert)
        key_file.write_bytes(key)

    place(old.cert_file.read_bytes(), old.key_file.read_bytes())
    with staged(tls_cert_file=str(cert_file), tls_key_file=str(key_file)) as stage:
        assert stage.edge.certificate_hash == hash_of(old.cert_file)
        place(new.cert_file.read_bytes(), old.key_file.read_bytes())
        with capture_logs() as logs:
            stage.edge.reload()
        assert [one["log_level"] for one in logs] == ["warning"]
        assert stage.edge.certificate_hash == hash_of(old.cert_file)
        cert_file.unlink()
        stage.edge.reload()
        assert stage.edge.certificate_hash == hash_of(old.cert_file)
        place(new.cert_file.read_bytes(), new.key_file.read_bytes())
        stage.edge.reload()
        assert stage.edge.certificate_hash == hash_of(new.cert_file)


def hash_of(cert_file: Path) -> bytes | None:
    return certificate_hash(ssl.PEM_cert_to_DER_cert(cert_file.read_text()))


# --- the drain ---


async def test_a_drain_lets_transactions_finish_and_nobody_else_in(stage: Stage, autojump_clock: MockClock) -> None:
    pool = stage.up()
    quiet, busy, newcomer = stage.connect(), stage.connect(), stage.begin()[0]
    newcomer.read()
    busy.send(query(b"begin"))
    pool.answer(done("BEGIN", IN_TRANSACTION), status=IN_TRANSACTION)
    assert busy.tags() == "CZ"
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stage.edge.drain, 30.0)
        await trio.sleep(1)
        for driver in (quiet, newcomer):
            assert driver.fields()["C"] == "57P01"
        assert stage.dial().fields()["C"] == "57P01"
        assert busy.read() == b""
        busy.send(query(b"commit"))
        pool.answer(done("COMMIT"))
        assert busy.tags() == "CZE"
    assert trio.current_time() - began < 2
    assert not stage.edge.clients


async def test_a_drain_ends_what_is_left_after_its_time(stage: Stage, autojump_clock: MockClock) -> None:
    pool = stage.up()
    driver = stage.connect()
    driver.send(query(b"select pg_sleep(100)"))
    began = trio.current_time()
    await stage.edge.drain(30.0)
    assert 30 <= trio.current_time() - began < 31
    fields = driver.fields()
    assert (fields["S"], fields["C"]) == ("FATAL", "57P01")
    assert pool.channel.reason == 2  # lost: what it was running is cancelled


async def test_a_drain_survives_whoever_is_in_the_middle_of_tls(tmp_path: Path, autojump_clock: MockClock) -> None:
    made = self_signed(tmp_path, "edge")
    with staged(tls_cert_file=str(made.cert_file), tls_key_file=str(made.key_file)) as stage:
        driver = stage.dial()
        driver.send(ssl_request())
        assert driver.read() == b"S"
        await stage.edge.drain(30.0)
        assert driver.read() == b""
        assert driver.is_closed


# --- as a process ---


RUN: Final = """
import sys
from edge.node import run
from edge.options import EdgeOptions
files = sys.argv[2:] or [None, None]
options = EdgeOptions(
    pools=(("127.0.0.1", 1),), listen=("127.0.0.1", int(sys.argv[1])), tls_cert_file=files[0], tls_key_file=files[1]
)
sys.exit(run(options))
"""


def complaint(*arguments: object) -> str:
    """What a node that cannot start says, which is one line on stderr."""
    command = [sys.executable, "-c", RUN, *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    return line


def test_a_taken_port_is_status_1_and_one_line() -> None:
    (taken,) = open_listeners(("127.0.0.1", 0))
    with taken:
        port = taken.getsockname()[1]
        assert complaint(port).startswith(f"onetrip: cannot listen on 127.0.0.1:{port}: Address already in use; ")


def test_certificates_that_cannot_be_used_are_status_1_and_one_line(tmp_path: Path) -> None:
    made = self_signed(tmp_path, "edge")
    no_file = tmp_path / "none.crt"
    assert complaint(0, no_file, made.key_file).startswith("onetrip: cannot use the TLS files: ")
    assert complaint(0, made.key_file, made.key_file).startswith("onetrip: cannot use the TLS files: ")


@pytest.fixture
def unlinked(place: Workplace) -> Process:
    """An edge whose pool node is not there."""
    return place.start(
        "edge", "--listen", "127.0.0.1:0", "--pool", "127.0.0.1:1", "--insecure", "--wait-timeout", "0.2",
        "--handshake-timeout", "0.5",
    )  # fmt: skip


def said(port: int, data: bytes) -> bytes:
    """What the edge says to this before it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        sock.sendall(data)
        answer = b""
        while received := sock.recv(10_000):
            answer += received
    return answer


def test_an_edge_without_a_pool_node_serves_57p03_and_stops_when_told(unlinked: Process) -> None:
    port = port_of(unlinked.ready())
    answer = said(port, startup_message({"user": "ot_me", "database": "app"}))
    fields = error_fields(answer)
    assert (fields["S"], fields["C"]) == ("FATAL", "57P03")
    assert said(port, startup_message({"user": "ot_me"})[:9]) == b"", "it stalls, and is closed"
    assert unlinked.stop() == 0
    assert len(unlinked.stdout.splitlines()) == 1
    for event in ("client refused", "handshake timed out", "link down"):
        assert unlinked.log.count(event) == 1, unlinked.log


def test_an_edge_refuses_clients_before_it_runs_out_of_descriptors(place: Workplace) -> None:
    hard = RESERVED_DESCRIPTORS + 40
    shell = f"ulimit -Sn 64; ulimit -Hn {hard}; exec {sys.executable} -m deploy edge --listen 127.0.0.1:0 --insecure"
    log = place.directory / "edge.log"
    process = Process(["sh", "-c", f"{shell} --pool 127.0.0.1:1"], log=log, env=place.environment)
    place.processes.callback(process.kill)
    port = port_of(process.ready())
    with ExitStack() as stack:
        room = 40 + REFUSING_ROOM
        sockets = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(room + 30)]
        for sock in sockets[room:]:
            sock.settimeout(20)
            assert error_fields(sock.recv(10_000))["C"] == "53300"
        for sock in sockets[:room]:
            sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                sock.recv(1)
    assert "cannot accept" not in process.log
    assert process.stop() == 0
