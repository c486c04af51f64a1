"""An edge whose pool node is played by the test."""

from collections.abc import Iterator

import pytest

from tests.support.stage import Stage, staged


@pytest.fixture
def stage() -> Iterator[Stage]:
    """An edge with one pool node, which is not linked yet."""
    with staged() as stage:
        yield stage
