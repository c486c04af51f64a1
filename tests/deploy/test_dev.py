"""`onetrip dev`, whole and for real."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.support.onetrip import Workplace
from tests.support.process import Process

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(120)]

LISTEN = ("--listen", "127.0.0.1:0")


def processes_with(word: str) -> list[str]:
    """The command lines of all processes that name this word."""
    listing = subprocess.run(["ps", "-eww", "-o", "pid=,args="], check=True, capture_output=True, text=True).stdout
    return [line for line in listing.splitlines() if word in line and " dev " not in line]


def until(happened: Callable[[], bool], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def child(process: Process, word: str) -> int:
    """The process id of one child of a house."""
    listing = subprocess.run(
        ["ps", "-eww", "-o", "pid=,ppid=,args="], check=True, capture_output=True, text=True
    ).stdout
    rows = [line.split(None, 2) for line in listing.splitlines()]
    return next(int(pid) for pid, parent, args in rows if parent == str(process.popen.pid) and word in args)


def test_it_is_the_same_house_every_time_and_keeps_its_secrets(place: Workplace) -> None:
    data = place.directory / "data"
    first = place.start("dev", *LISTEN, "--data", str(data), "--cache-size", "1MiB")
    string = first.ready()
    password = string.split(":")[2].split("@")[0]
    with psycopg.connect(string) as connection:
        connection.execute("create table kept as select 42 as answer")
    arguments = "\n".join(processes_with(str(data)))
    assert "--cache-size 1048576" in arguments
    for secret in (password, (data / "postgres-password").read_text().strip()):
        assert secret not in arguments
        assert secret not in first.log
    assert first.stop() == 0
    assert first.stdout == f"READY {string}\n"

    second = place.start("dev", *LISTEN, "--data", str(data))
    assert second.ready() == string
    with psycopg.connect(string) as connection:
        assert connection.execute("select answer from kept").fetchone() == (42,)
    second.popen.kill()
    until(lambda: not processes_with(str(data)))

    third = place.start("dev", *LISTEN, "--data", str(data))
    assert third.ready() == string
    refused = place.run("dev", *LISTEN, "--data", str(data))
    assert refused.returncode == 1
    assert "another `onetrip dev`" in refused.stderr
    assert third.stop() == 0


def test_houses_stand_side_by_side_and_a_client_finds_each(place: Workplace) -> None:
    houses = [place.start("dev", *LISTEN) for _ in range(2)]
    strings = [house.ready() for house in houses]
    assert len(set(strings)) == 2
    for house, string in zip(houses, strings, strict=True):
        admin = house.log.partition("admin endpoint at ")[2].partition(",")[0]
        assert place.run("status", "--admin", admin, "--json").returncode == 0
        rotated = place.run("config", "rotate", "demo", "--admin", admin)
        assert rotated.returncode == 0, rotated.stderr
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(string)
        with psycopg.connect(rotated.stdout.strip()) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
    assert [house.stop() for house in houses] == [0, 0]
    assert not list((place.directory / "state" / "onetrip").glob("*.token"))


@pytest.mark.parametrize("who", [" edge ", " pool ", "cluster_name=onetrip"])
def test_a_childs_death_ends_the_rest(place: Workplace, who: str) -> None:
    data = place.directory / "data"
    house = place.start("dev", *LISTEN, "--data", str(data))
    house.ready()
    os.kill(child(house, who), signal.SIGKILL)
    assert house.wait(30) == 1
    assert house.log.splitlines()[-1].startswith("onetrip: the ")
    assert not processes_with(str(data))


def test_sigint_works_where_a_shell_has_it_ignored_and_a_second_signal_ends_at_once(place: Workplace) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a child inherits that
    try:
        house = place.start("dev", *LISTEN)
    finally:
        signal.signal(signal.SIGINT, before)
    with psycopg.connect(house.ready()) as connection:
        connection.execute("select 1")  # in a transaction, for which the drain waits
        house.popen.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert house.popen.poll() is None
        began = time.monotonic()
        house.popen.send_signal(signal.SIGINT)
        assert house.wait() == 0
        assert time.monotonic() - began < 4
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
        connection.close()


def test_a_transaction_gets_its_time_and_then_57p01(place: Workplace) -> None:
    house = place.start("dev", *LISTEN, "--drain-timeout", "1")
    string = house.ready()
    with psycopg.connect(string) as finishing, psycopg.connect(string) as staying:
        finishing.execute("create table done (x int)")
        staying.execute("select 1")
        house.popen.terminate()
        time.sleep(0.3)
        finishing.commit()
        select.select([staying.fileno()], [], [], 10)
        with pytest.raises(psycopg.errors.AdminShutdown):
            staying.execute("select 1")
        staying.close()
        finishing.close()
    assert house.wait() == 0


def test_a_database_of_the_operator_is_used(place: Workplace, tmp_path: Path) -> None:
    owner = place.start("dev", *LISTEN, "--data", str(tmp_path / "data"))
    owner.ready()
    password = (tmp_path / "data" / "postgres-password").read_text().strip()
    port = (tmp_path / "data" / "postgres" / "postmaster.pid").read_text().split()[3]
    (tmp_path / "password").write_text(password)
    origin = ("--origin", f"postgres://postgres@127.0.0.1:{port}/postgres")
    guest = place.start("dev", *LISTEN, *origin, "--origin-password-file", str(tmp_path / "password"))
    with psycopg.connect(guest.ready()) as connection:
        assert connection.execute("select current_database()").fetchone() == ("postgres",)
    assert guest.stop() == 0
    wrong = place.run("dev", *LISTEN, *origin)
    assert wrong.returncode == 1
    assert wrong.stdout == ""
    assert owner.stop() == 0
