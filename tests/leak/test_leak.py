"""No session ever sees another's state or rows: a small run of the leak test, in all three kinds of `session_state`.

`python -m bench leak` plays the full size.
"""

from collections.abc import Iterator

import pytest

from tests.leak.runner import Plan, play
from tests.leak.stage import Stage, open_stage

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """Nodes and a PostgreSQL of this module's own."""
    with open_stage() as running:
        yield running


@pytest.mark.parametrize("seed", [1, 2])
def test_no_session_sees_another(stage: Stage, seed: int) -> None:
    report = play(stage, Plan(sessions=24, actions=450, seed=seed))
    assert not report.violations, "\n".join(report.violations[:5])
    assert report.actions >= 450
    assert report.outcomes["killed"]
    assert report.outcomes["refused"]
    assert report.outcomes["probes"]
