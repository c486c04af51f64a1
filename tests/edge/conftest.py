"""An edge whose pool node is played by the test."""

from collections.abc import Iterator

import pytest

from tests.support.cached import Cached, cached
from tests.support.stage import Driver, Stage, staged


@pytest.fixture
def stage() -> Iterator[Stage]:
    """An edge with one pool node, which is not linked yet."""
    with staged() as stage:
        yield stage


@pytest.fixture
def cache() -> Iterator[Cached]:
    """An edge that caches; its pool node is linked."""
    with cached() as made:
        yield made


@pytest.fixture
def driver(cache: Cached) -> Driver:
    return cache.stage.connect()
