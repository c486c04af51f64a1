"""A pool node as a process: what it prints, how it starts, what signals do."""

import signal
import socket
import ssl
import urllib.request
from pathlib import Path

import pytest

from regional.node import _mock_secret
from tests.support.certificates import self_signed
from tests.support.onetrip import Workplace
from tests.support.process import Process, free_port
from tests.support.target import port_of


def start(place: Workplace, *options: str, admin: int | None = None) -> Process:
    port = free_port() if admin is None else admin
    place_of_admin = ("--admin-listen", f"127.0.0.1:{port}")
    return place.start("pool", "--listen", "127.0.0.1:0", "--insecure", *place_of_admin, *options)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_ready_serves_and_ends_when_it_is_told_to(place: Workplace, number: signal.Signals) -> None:
    admin = free_port()
    node = start(place, admin=admin)
    ready = node.ready()
    with socket.create_connection(("127.0.0.1", port_of(ready))):
        pass
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=10) as answer:
        assert answer.status == 200
    node.popen.send_signal(number)
    assert node.wait() == 0
    assert node.stdout == f"READY {ready}\n"


def test_a_port_that_is_taken_is_an_error_with_a_cure(place: Workplace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for options in (
            ("--listen", f"127.0.0.1:{port}", "--admin-listen", f"127.0.0.1:{free_port()}"),
            ("--listen", "127.0.0.1:0", "--admin-listen", f"127.0.0.1:{port}"),
        ):
            done = place.run("pool", "--insecure", *options)
            assert done.returncode == 1
            assert done.stdout == ""
            assert str(port) in done.stderr
            assert "Traceback" not in done.stderr


def test_a_hangup_reloads_the_admin_certificate(place: Workplace, tmp_path: Path) -> None:
    pair = self_signed(tmp_path, "admin")
    admin = free_port()
    files = ("--admin-tls-cert", str(pair.cert_file), "--admin-tls-key", str(pair.key_file))
    node = start(place, *files, admin=admin)
    node.ready()

    def shown() -> str:
        return ssl.get_server_certificate(("127.0.0.1", admin), timeout=10)

    before = shown()
    renewed = self_signed(tmp_path, "admin")
    node.popen.send_signal(signal.SIGHUP)
    for _ in range(200):
        if shown() != before:
            break
    assert shown().split() == renewed.cert_file.read_text().split()
    pair.cert_file.write_text("no certificate")
    node.popen.send_signal(signal.SIGHUP)
    assert shown().split() != before.split()
    assert node.stop() == 0
    assert "the old ones stay in use" in node.log


def test_users_that_do_not_exist_look_the_same_after_a_restart_and_differ_between_nodes() -> None:
    assert _mock_secret("one") == _mock_secret("one")
    assert _mock_secret("one") != _mock_secret("two")
    assert b"one" not in _mock_secret("one")
