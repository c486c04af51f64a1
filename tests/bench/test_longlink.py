"""A long link is laid, is as long as it says, and goes without a trace; or it says what it lacks."""

from pathlib import Path

import pytest

from bench.longlink import LinkShape, open_link
from bench.workspace import UnavailableError, open_workspace


def test_the_queue_is_one_round_trip_deep_unless_asked() -> None:
    assert LinkShape(round_trip_ms=80, bandwidth_mbit_s=100).depth_bytes == 1_000_000
    assert LinkShape(round_trip_ms=80, bandwidth_mbit_s=100, queue_round_trips=0.5).depth_bytes == 500_000


def test_a_short_link_still_holds_some_packets() -> None:
    assert LinkShape(round_trip_ms=0.1, bandwidth_mbit_s=1).depth_bytes == 6000


def test_a_link_is_laid_and_leaves_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """Where it cannot be laid (no root, no TUN), the reason is told instead."""
    names: list[str] = []
    try:
        _lay(names)
    except UnavailableError as error:
        reason = str(error)
        assert reason
    assert not any(Path("/run/netns", name).exists() for name in names)
    assert names == [] or "laying a link of 20 ms" in capfd.readouterr().err


def _lay(names: list[str]) -> None:
    shape = LinkShape(round_trip_ms=20, bandwidth_mbit_s=50)
    with open_workspace() as workspace, open_link(workspace, shape, bulk_s=0.5) as link:
        names += [link.edge_namespace, link.origin_namespace]
        assert all(Path("/run/netns", name).exists() for name in names)
        assert link.round_trip_ms >= 20
        assert link.counters()["packets"] > 0
