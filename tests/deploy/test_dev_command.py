"""Which ports and which token `onetrip dev` takes."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.complaint import CommandError, WrongUseError
from deploy.dev_command import admin_place, admin_token, edge_place, free_port, is_free, reservation
from deploy.dev_directory import DevDirectory
from regional.admin.token import find_token, make_token, token_path

HOST = "127.0.0.1"


@contextmanager
def taken() -> Iterator[int]:
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def directory(tmp_path: Path) -> DevDirectory:
    return DevDirectory(tmp_path, is_kept=True)


def test_a_taken_port_is_told_before_anything_is_started(directory: DevDirectory) -> None:
    with taken() as port:
        assert not is_free((HOST, port))
        with pytest.raises(CommandError, match="taken") as caught:
            edge_place((HOST, port), directory)
        assert caught.value.exit_code == 1


def test_a_free_port_is_kept_for_the_next_start(directory: DevDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    assert edge_place((HOST, 0), directory) == (HOST, 0)
    port = free_port(HOST)
    directory.keep("port", str(port))
    assert edge_place((HOST, 0), directory) == (HOST, port)
    with taken() as other:
        directory.keep("port", str(other))
        assert edge_place((HOST, 0), directory) == (HOST, 0)
    assert "another one now" in capsys.readouterr().err


def test_what_is_no_address_of_this_machine_is_not_free() -> None:
    assert not is_free(("192.0.2.1", 0))
    assert not is_free(("no-such-host.invalid", 1))


def test_two_houses_do_not_reach_for_one_admin_port() -> None:
    with admin_place(None) as first, admin_place(None) as second:
        assert first != second


def test_an_admin_port_that_was_asked_for_is_taken_or_an_error() -> None:
    with admin_place((HOST, 0)) as (host, port):
        assert (host, port != 0) == (HOST, True)
    with taken() as port, pytest.raises(CommandError), admin_place((HOST, port)):
        pass
    with pytest.raises(WrongUseError), admin_place(("0.0.0.0", 0)):
        pass


def test_a_reservation_ends_with_its_block() -> None:
    with reservation(1) as first, reservation(1) as second:
        assert (first, second) == (True, False)
    with reservation(1) as again:
        assert again


def test_the_token_is_found_while_the_house_stands_and_leaves_with_it() -> None:
    with admin_token((HOST, 7001)) as token:
        assert find_token(7001) == token
    assert find_token(7001) is None


def test_a_token_that_was_there_stays() -> None:
    there = make_token(7002)
    with admin_token((HOST, 7002)) as token:
        assert token == there
    assert find_token(7002) == there


def test_a_token_of_the_operator_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONETRIP_ADMIN_TOKEN", "mine")
    with admin_token((HOST, 7003)) as token:
        assert token == "mine"
    assert not token_path(7003).exists()


def test_no_place_for_a_token_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with admin_token((HOST, 7004)) as token:
        assert len(token) > 20
    assert "cannot" in capsys.readouterr().err
