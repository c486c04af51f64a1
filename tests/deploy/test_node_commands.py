"""From options to what a node is told."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest

from deploy.command import run
from edge.options import EdgeOptions
from protos.link.tls import LinkTls
from regional.options import PoolOptions

LINK = ("--link-ca", "ca", "--link-cert", "cert", "--link-key", "key")
FILES = ("ca", "cert", "key", "tc", "tk", "c", "k")


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that the options name, in the current directory."""
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        (tmp_path / name).write_text("")


@attrs.define
class Node:
    """Stands where a node's module is, and ends at once."""

    told: list[Any] = attrs.field(factory=list)
    status: int = 0

    def run(self, options: object) -> int:
        self.told.append(options)
        return self.status


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    fake = Node()
    for name in ("edge.node", "regional.node"):
        module = ModuleType(name)
        module.__dict__["run"] = fake.run
        monkeypatch.setitem(sys.modules, name, module)
    return fake


def test_an_edge_needs_little(node: Node) -> None:
    assert run(["edge", "--pool", "pool:6434", *LINK]) == 0
    assert node.told == [EdgeOptions(pools=(("pool", 6434),), link_tls=LinkTls("ca", "cert", "key"))]


def test_an_edge_is_told_everything(node: Node) -> None:
    options = ("--listen", "0.0.0.0:0", "--pool", "a:1", "--pool", "b:2", "--tls-cert", "tc", "--tls-key", "tk")
    more = (
        "--advertise",
        "edge.example.net:6432",
        "--drain-timeout",
        "5",
        "--wait-timeout",
        "1",
        "--log-json",
        "--cache-size",
        "1MiB",
    )
    assert run(["edge", *options, *more, "--handshake-timeout", "2", "--insecure"]) == 0
    assert node.told == [
        EdgeOptions(
            pools=(("a", 1), ("b", 2)),
            listen=("0.0.0.0", 0),
            tls_cert_file="tc",
            tls_key_file="tk",
            advertise="edge.example.net:6432",
            drain_timeout_s=5,
            wait_timeout_s=1,
            handshake_timeout_s=2,
            cache_bytes=1 << 20,
            log_json=True,
        )
    ]


def test_a_pool_node_is_told_everything(node: Node, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("token\n")
    options = ("--listen", "[::]:6434", "--admin-listen", "0.0.0.0:7", "--admin-tls-cert", "c", "--admin-tls-key", "k")
    more = ("--store", "sqlite:///x", "--store-key-file", "f", "--allow-plain-origin", "--drain-timeout", "0.5")
    assert run(["pool", *options, *more, "--token-file", str(tmp_path / "token"), *LINK]) == 0
    assert node.told == [
        PoolOptions(
            listen=("::", 6434),
            admin_listen=("0.0.0.0", 7),
            admin_tls_cert_file="c",
            admin_tls_key_file="k",
            admin_token="token",
            store="sqlite:///x",
            store_key_file="f",
            link_tls=LinkTls("ca", "cert", "key"),
            allow_plain_origin=True,
            drain_timeout_s=0.5,
        )
    ]


def test_variables_and_the_file_tell_it_as_well(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "onetrip.toml"
    file.write_text('[edge]\npool = ["a:1", "b:2"]\ninsecure = true\ndrain-timeout = 3\n')
    assert run(["edge", "--config", str(file)]) == 0
    monkeypatch.setenv("ONETRIP_EDGE_POOL", "c:3,d:4")
    assert run(["--config", str(file), "edge"]) == 0
    assert [told.pools for told in node.told] == [(("a", 1), ("b", 2)), (("c", 3), ("d", 4))]
    assert {told.drain_timeout_s for told in node.told} == {3.0}


@pytest.mark.parametrize("value", ['"64KiB"', "65536"])
def test_the_size_of_the_cache_is_a_text_or_a_number(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    file = tmp_path / "onetrip.toml"
    file.write_text(f"[edge]\npool = ['a:1']\ninsecure = true\ncache-size = {value}\n")
    assert run(["edge", "--config", str(file)]) == 0
    monkeypatch.setenv("ONETRIP_EDGE_CACHE_SIZE", "0")
    assert run(["edge", "--config", str(file)]) == 0
    assert [told.cache_bytes for told in node.told] == [1 << 16, 0]


@pytest.mark.parametrize("value", ["12XB", "", "-1", "2000GiB", "much"])
def test_what_is_no_size_is_wrong_use(node: Node, capsys: pytest.CaptureFixture[str], value: str) -> None:
    assert run(["edge", "--pool", "h:1", "--insecure", "--cache-size", value]) == 2
    captured = capsys.readouterr().err
    assert captured.startswith("onetrip: invalid value for '--cache-size': ")
    assert captured.count("\n") == 1
    assert node.told == []


def test_an_insecure_link_is_loud(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["edge", "--pool", "127.0.0.1:1", "--insecure"]) == 0
    assert "neither encrypted nor authenticated" in capsys.readouterr().err
    assert run(["edge", "--pool", "elsewhere:1", "--insecure"]) == 0
    captured = capsys.readouterr()
    assert "elsewhere:1 is not this machine" in captured.err
    assert captured.out == ""
    assert run(["edge", "--pool", "elsewhere:1", *LINK]) == 0
    assert capsys.readouterr().err == ""


def test_the_nodes_status_is_ours(node: Node) -> None:
    node.status = 1
    assert run(["pool", "--listen", "127.0.0.1:0", "--insecure"]) == 1


@pytest.mark.parametrize("name", ["ca", "cert", "key", "tc", "tk"])
def test_a_file_that_is_missing_is_told_before_anything_starts(
    node: Node, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    Path(name).unlink()
    assert run(["edge", "--pool", "h:1", *LINK, "--tls-cert", "tc", "--tls-key", "tk"]) == 1
    assert capsys.readouterr().err.startswith(f"onetrip: cannot read {name}: No such file")
    assert node.told == []
