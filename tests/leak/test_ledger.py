"""A ledger keeps its total while clients are killed and the origin is restarted."""

import pytest

from tests.leak.ledger import LedgerPlan, move
from tests.leak.stage import open_stage

pytestmark = pytest.mark.postgres


def test_a_ledger_keeps_its_total() -> None:
    with open_stage(("track",)) as stage:
        report = move(stage, LedgerPlan(transfers=200, clients=12, restarts=1))
    assert not report.violations
    assert report.acknowledged + report.found == 200
    assert report.restarts == 1
    assert report.outcomes["killed"]
