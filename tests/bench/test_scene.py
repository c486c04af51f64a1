"""Who stands where on the long link."""

import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import cast

from bench.longlink import ORIGIN_ADDRESS, LinkShape, LongLink
from bench.origin import Origin
from bench.scene import Scene, link_text
from bench.workspace import Workspace


def make_scene(path: Path) -> Scene:
    workspace = Workspace(path / "onetrip-bench-x", ExitStack())
    link = LongLink(workspace, LinkShape(), cast("subprocess.Popen[str]", None))
    link.measured = {"round_trip_ms": 80.0, "bandwidth_mbit_s": 97.0, "forwarder_cpu_share_at_bulk": 0.25}
    link.congestion, link.priority = "cubic", "ordinary"
    return Scene(workspace, link, Origin(path, 5432, "hidden", 1))


def test_what_is_beside_the_database_is_reached_over_the_link_with_tls(tmp_path: Path) -> None:
    beside, at_edge = make_scene(tmp_path).bouncer_options()
    assert (beside.namespace, beside.listen, beside.client_tls) == ("onetrip-bench-x-origin", ORIGIN_ADDRESS, True)
    assert (beside.server.host, beside.server.sslmode) == ("127.0.0.1", "disable")
    assert (at_edge.namespace, at_edge.listen, at_edge.client_tls) == ("onetrip-bench-x-edge", "127.0.0.1", False)
    assert (at_edge.server.host, at_edge.server.sslmode) == (ORIGIN_ADDRESS, "require")


def test_onetrip_has_tls_on_the_link(tmp_path: Path) -> None:
    options = make_scene(tmp_path).nodes_options()
    assert options.link_tls
    assert options.link_host == ORIGIN_ADDRESS
    assert (options.pool_namespace, options.edge_namespace) == ("onetrip-bench-x-origin", "onetrip-bench-x-edge")


def test_the_link_is_told_as_measured(tmp_path: Path) -> None:
    shown = link_text(make_scene(tmp_path).link)
    for word in ("80.0 ms round trip", "97 Mbit/s", "FIFO of 976 KiB", "MTU 1500", "cubic", "25% of a core"):
        assert word in shown
