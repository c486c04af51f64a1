"""An admin endpoint for the client commands, and an environment that holds nothing of the person who runs the tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.fake_admin import TOKEN, FakeAdmin, open_fake_admin


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("ONETRIP_", "PG")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAdmin]:
    """A fake endpoint at which every client command asks, with the right token."""
    with open_fake_admin() as fake:
        monkeypatch.setenv("ONETRIP_ADMIN_TOKEN", TOKEN)
        monkeypatch.setenv("ONETRIP_CONFIG_ADMIN", fake.url)
        monkeypatch.setenv("ONETRIP_STATUS_ADMIN", fake.url)
        yield fake
