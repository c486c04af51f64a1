"""How Onetrip is started: the link's options, and what happens when a node does not come up."""

import sys
from pathlib import Path

import pytest

from bench import onetrip
from bench.endpoint import Endpoint
from bench.onetrip import NodesOptions, link_options, open_nodes
from bench.workspace import UnavailableError, open_workspace

ORIGIN = Endpoint(host="127.0.0.1", port=5432, user="u", password="p", database="d")


def test_a_plain_link_is_asked_for_in_so_many_words(tmp_path: Path) -> None:
    with open_workspace() as workspace:
        options = NodesOptions(name="plain", origin=ORIGIN, link_tls=False)
        assert link_options(workspace, tmp_path, options) == (["--insecure"], [], [])


def test_a_secured_link_has_a_certificate_for_each_role(tmp_path: Path) -> None:
    with open_workspace() as workspace:
        both, pool, edge = link_options(workspace, tmp_path, NodesOptions(name="secured", origin=ORIGIN))
    assert all(Path(path).exists() for path in (both[1], pool[1], pool[3], edge[1], edge[3]))
    assert (both[0], pool[0], pool[2]) == ("--link-ca", "--link-cert", "--link-key")
    assert pool[1] != edge[1]


@pytest.mark.parametrize(("program", "complaint"), [("raise SystemExit('no luck')", "no luck"), ("print('HI')", "HI")])
def test_a_node_that_does_not_come_up_is_unavailable(
    program: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onetrip, "COMMAND", (sys.executable, "-c", program))
    options = NodesOptions(name="failing", origin=ORIGIN, link_tls=False)
    with open_workspace() as workspace, pytest.raises(UnavailableError, match=complaint):  # noqa: SIM117
        with open_nodes(workspace, options):
            pytest.fail("it did")
