"""`onetrip cert`."""

from pathlib import Path

import pytest

from deploy.command import run


@pytest.fixture
def house(tmp_path: Path) -> Path:
    return tmp_path / "house"


def cert(house: Path, *arguments: str) -> int:
    return run(["cert", "--dir", str(house), *arguments])


def names(house: Path) -> set[str]:
    return {path.name for path in house.iterdir()}


def test_the_first_call_makes_all_for_one_machine(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cert(house) == 0
    assert names(house) == {"ca.crt", "ca.key", "pool.crt", "pool.key", "edge.crt", "edge.key"}
    assert {path.stat().st_mode & 0o777 for path in house.iterdir()} == {0o600}
    assert "onetrip edge --pool HOST:PORT --link-ca" in capsys.readouterr().out


def test_a_later_node_is_signed_by_the_same_ca(house: Path) -> None:
    assert cert(house) == 0
    before = (house / "ca.crt").read_bytes()
    assert cert(house, "--role", "pool", "--node", "pool-2", "--name", "db.example.net", "--address", "10.0.0.1") == 0
    assert (house / "ca.crt").read_bytes() == before
    assert {"pool-2.crt", "pool-2.key"} <= names(house)


def test_nothing_is_overwritten_unless_forced(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cert(house) == 0
    before = {path: path.read_bytes() for path in house.iterdir()}
    capsys.readouterr()
    assert cert(house) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert {path: path.read_bytes() for path in house.iterdir()} == before
    assert cert(house, "--force") == 0
    changed = {path.name for path in house.iterdir() if path.read_bytes() != before[path]}
    assert changed == {"pool.crt", "pool.key", "edge.crt", "edge.key"}


def test_half_a_ca_is_an_error(house: Path) -> None:
    assert cert(house) == 0
    (house / "ca.key").unlink()
    assert cert(house, "--force") == 1


def test_a_file_that_is_no_ca_is_an_error(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    house.mkdir()
    (house / "ca.crt").write_text("nonsense")
    (house / "ca.key").write_text("nonsense")
    assert cert(house) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--name", "not a host"),
        ("--node", "one"),
        ("--role", "pool", "--node", "../escape"),
        ("--role", "pool", "--node", "ca"),
        ("--days", "0"),
    ],
)
def test_what_makes_no_sense_is_wrong_use(house: Path, arguments: tuple[str, ...]) -> None:
    assert cert(house, *arguments) == 2
    assert not house.exists()
