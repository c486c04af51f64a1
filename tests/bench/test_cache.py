"""All of `bench cache` that needs no long link, in small: every way that is installed here answers."""

import pytest

from bench import cachehit, cacheload, hitrate
from bench.cache import CacheOptions, measure_here


@pytest.mark.postgres
@pytest.mark.timeout(120)
def test_every_way_is_loaded_and_two_edges_are_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hitrate, "MAX_LOOKS", 0)  # how many are hits is not what this is about
    load = cacheload.Plan(keys=100, clients=(2,), protocols=("prepared",), seconds=0.5, rounds=1, connections=5)
    hit = cachehit.Plan(rounds=1, queries=50, keys=100)
    figures = measure_here(CacheOptions(load=load, hit=hit, writes=100, pairs=4, scale=1), fresh=True)
    assert {row["way"] for row in figures["load"]} | figures["not_available"].keys() == set(cacheload.WAYS)
    assert {cacheload.HIT, cacheload.MISS} <= {row["way"] for row in figures["load"]}
    assert all(row["median"] > 0 and 0 <= row["hit_rate"] <= 1 for row in figures["load"])
    assert {(row["what"], row["protocol"]) for row in figures["echo"]} == {
        (what, protocol) for what in (cachehit.ECHO, cachehit.HIT) for protocol in ("simple", "prepared")
    }
    fresh = figures["freshness"]
    assert fresh["writes"] == len(fresh["lags_ms"]) == 100
    assert not fresh["stale_ms"]["near"]
    assert fresh["served"]["late_hits"] in {None, 0}
    assert "acknowledged writes at edge A" in capsys.readouterr().out
