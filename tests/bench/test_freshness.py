"""What counts as stale; and writers and readers at one PostgreSQL, where nothing is."""

import asyncio
import time

import pytest

from bench.freshness import FAR, NEAR, SCHEMA, Ledger, Plan, play, statements
from tests.bench.test_asker import conninfo_of
from tests.support.cluster import Origin


def test_a_read_is_stale_by_the_oldest_write_that_it_should_have_seen() -> None:
    ledger, now = Ledger(), time.monotonic()
    ledger.wrote(7, 2, now - 3.0)
    ledger.wrote(7, 3, now - 1.0)
    ledger.saw(FAR, 7, 1, now)
    ledger.saw(FAR, 7, 2, now)
    report = ledger.report()
    assert [round(ms) for ms in report["stale_ms"][FAR]] == [3000, 1000]
    assert [round(ms) for ms in report["lags_ms"]] == [3000, 1000]
    assert report["stale_ms"][NEAR] == []


def test_a_read_that_began_before_the_acknowledgement_is_not_stale() -> None:
    ledger, now = Ledger(), time.monotonic()
    ledger.wrote(7, 2, now)
    for edge in (NEAR, FAR):
        ledger.saw(edge, 7, 1, now - 0.1)
        ledger.saw(edge, 8, 1, now + 0.1)
        ledger.saw(edge, 7, 2, now + 0.1)
    report = ledger.report()
    assert report["stale_ms"] == {NEAR: [], FAR: []}
    assert report["lags_ms"] == [0.0]
    assert report["reads"] == {NEAR: 3, FAR: 3}


def test_a_stale_read_at_the_near_edge_is_no_lag_of_the_far_one() -> None:
    ledger, now = Ledger(), time.monotonic()
    ledger.wrote(7, 2, now - 1.0)
    ledger.saw(NEAR, 7, 1, now)
    assert ledger.report()["lags_ms"] == [0.0]
    assert len(ledger.stale[NEAR]) == 1


@pytest.mark.postgres
def test_straight_at_postgresql_every_write_is_made_and_nothing_is_stale(origin: Origin) -> None:
    with origin.connect() as connection:
        for statement in statements(5):
            connection.execute(statement.encode())
        try:
            way = conninfo_of(origin)
            report = asyncio.run(play(Plan(near=way, far=way, writes=60, keys=5, pairs=3, readers=1)))
            union = " UNION ALL ".join(f"SELECT version FROM {SCHEMA}.row_{key}" for key in range(1, 6))
            ((written,),) = connection.execute(f"SELECT sum(version) FROM ({union}) AS u".encode()).fetchall()
        finally:
            connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE".encode())
    assert report["writes"] == 60
    assert written == 65
    assert report["stale_ms"] == {NEAR: [], FAR: []}
    assert report["reads"][FAR] >= 120
