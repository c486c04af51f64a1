"""`onetrip status`."""

import json

import msgspec
import pytest

from deploy.command import run
from deploy.status import describe
from regional.control import CacheStatus, LinkStatus, PoolStatus, Status
from tests.deploy.fake_admin import FakeAdmin

LINK = LinkStatus(edge="edge-1", address="10.0.0.2:6432", up_s=93784, round_trip_s=0.0803, received_bytes=5 << 20)
POOL = PoolStatus(
    configuration="demo", cl_active=3, cl_waiting=1, sv_active=3, sv_idle=0, sv_login=1, maxwait=0.25, size=4, limit=20,
    bound=4, bound_by="full",
)  # fmt: skip
CACHE = CacheStatus(
    configuration="demo", entries=7, bytes=3 << 20, hits=9990, stale=5, misses=5, hit_rate=0.9995, uncacheable=4,
    disabled=1, transaction=2, bypassed=3, renewals=6, reasons={"volatile function": 3, "locks rows": 1},
)  # fmt: skip


def shown(status: Status) -> str:
    return describe(msgspec.to_builtins(status))


def test_a_person_reads_tables() -> None:
    text = shown(Status(node="pool-1", up_s=59, links=(LINK,), pools=(POOL,)))
    lines = text.splitlines()
    assert lines[0] == "pool node pool-1: ready, up 59s"
    row = next(line.split() for line in lines if line.startswith("edge-1"))
    assert row[:6] == ["edge-1", "10.0.0.2:6432", "-", "1d02h", "80.3", "ms"]
    assert "5.0 MiB" in text
    assert next(line.split() for line in lines if line.startswith("demo"))[:11] == [
        "demo", "3", "1", "0.25", "3", "0", "1", "4", "20", "4", "full"
    ]  # fmt: skip


def test_the_cache_is_one_line_a_configuration_and_one_a_reason() -> None:
    quiet = CacheStatus(configuration="quiet")
    text = shown(Status(node="pool-1", caches=(CACHE, quiet)))
    cache, _, reasons = text.partition("CACHE\n")[2].partition("\n\nNOT CACHED\n")
    assert [line.split() for line in cache.splitlines()] == [
        ["configuration", "entries", "bytes", "hits", "stale", "misses", "hit_rate", "uncacheable", "disabled",
         "transaction", "bypassed", "renewals", "late_hits"],
        ["demo", "7", "3.0", "MiB", "9990", "5", "5", "99.95", "%", "4", "1", "2", "3", "6", "0"],
        ["quiet", "0", "0", "B", "0", "0", "0", "-", "0", "0", "0", "0", "0", "0"],
    ]  # fmt: skip
    assert [line.split("  ")[0] for line in reasons.splitlines()] == ["configuration", "demo", "demo"]
    assert reasons.splitlines()[1].split() == ["demo", "volatile", "function", "3"]
    assert "NOT CACHED" not in shown(Status(node="pool-1", caches=(quiet,)))


def test_why_writes_are_not_followed_is_said() -> None:
    text = shown(Status(node="pool-1", not_followed={"demo": "wal_level is replica; set wal_level = logical"}))
    _, _, rows = text.partition("\n\nWRITES NOT FOLLOWED\n")
    assert rows.splitlines()[1].split(maxsplit=1) == ["demo", "wal_level is replica; set wal_level = logical"]
    assert "NOT FOLLOWED" not in shown(Status(node="pool-1"))


def test_nothing_there_is_said() -> None:
    text = shown(Status(node="pool-1", ready=False))
    assert "not ready" in text
    assert "LINKS\nnone" in text
    assert "POOLS\nnone" in text
    assert "CACHE\nnone" in text


def test_what_a_newer_node_tells_is_shown_too() -> None:
    status = msgspec.to_builtins(Status(node="n", pools=(POOL,)))
    status["pools"][0]["new_column"] = 7
    status["caches"] = [{"configuration": "demo", "hits": 5, "bytes": 2048}]
    text = describe(status)
    assert "new_column" in text
    assert "2.0 KiB" in text


def test_json_is_what_the_endpoint_says(admin: FakeAdmin, capsys: pytest.CaptureFixture[str]) -> None:
    status = msgspec.to_builtins(Status(node="n", links=(LINK,)))
    admin.answer("GET", "/v1/status", status)
    assert run(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(status))
    assert run(["status"]) == 0
    assert "LINKS" in capsys.readouterr().out
