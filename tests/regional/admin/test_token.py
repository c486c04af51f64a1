"""The token is made once, private, and found by the port alone."""

import stat
from pathlib import Path

import pytest

from regional.admin.token import find_token, is_token, make_token, token_path
from regional.state import StateError


def test_the_token_is_made_once_and_found(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    assert find_token(6433, environ) is None
    token = make_token(6433, environ)
    assert len(token) >= 43
    assert make_token(6433, environ) == find_token(6433, environ) == token
    assert make_token(6434, environ) != token
    path = token_path(6433, environ)
    assert path == tmp_path / "onetrip" / "admin-6433.token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_token_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    make_token(1, environ)
    token_path(1, environ).chmod(0o644)
    with pytest.raises(StateError, match="can be read by others"):
        make_token(1, environ)


@pytest.mark.parametrize("given", [b"", b"secret ", b"secre", b"\xff", b"Secret"])
def test_only_the_token_is_the_token(given: bytes) -> None:
    assert is_token(b"secret", "secret")
    assert not is_token(given, "secret")
