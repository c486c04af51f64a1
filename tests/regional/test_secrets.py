"""A sealed secret opens under its own key and with its own context, and otherwise says clearly why not."""

import base64
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regional.configuration import OriginSecret
from regional.secrets import (
    KEY_VARIABLE,
    SecretBox,
    StoreKeyError,
    TamperedError,
    WrongKeyError,
    generate_password,
    generate_user,
    given_key,
    kept_key,
    parse_key,
)

KEY = bytes(range(32))
SECRET = OriginSecret("hunter2", "a client key")


@given(password=st.text(), client_key=st.none() | st.text(), context=st.binary())
def test_what_was_sealed_opens(password: str, client_key: str | None, context: bytes) -> None:
    box = SecretBox(KEY)
    secret = OriginSecret(password, client_key)
    assert box.open(box.seal(secret, context), context) == secret


def test_a_seal_shows_nothing_and_is_never_the_same() -> None:
    box = SecretBox(KEY)
    first, second = box.seal(SECRET, b""), box.seal(SECRET, b"")
    assert first != second
    assert b"hunter2" not in first


def test_another_key_is_told_from_a_changed_row() -> None:
    sealed = SecretBox(KEY).seal(SECRET, b"context")
    with pytest.raises(WrongKeyError, match="--store-key-file"):
        SecretBox(bytes(32)).open(sealed, b"context")
    with pytest.raises(TamperedError):
        SecretBox(KEY).open(sealed, b"another context")


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7), cut=st.integers(0, 10_000))
def test_no_changed_or_shortened_seal_opens(place: int, bit: int, cut: int) -> None:
    box = SecretBox(KEY)
    sealed = bytearray(box.seal(SECRET, b"context"))
    shortened = bytes(sealed[: cut % len(sealed)])
    sealed[place % len(sealed)] ^= 1 << bit
    for wrong in (bytes(sealed), shortened):
        with pytest.raises((TamperedError, WrongKeyError)) as caught:
            box.open(wrong, b"context")
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [base64.b64encode(KEY).decode(), base64.urlsafe_b64encode(KEY).decode().rstrip("="), KEY.hex(), f"\n{KEY.hex()} "],
)
def test_a_key_may_be_base64_or_hexadecimal(text: str) -> None:
    assert parse_key(text, "here") == KEY


@pytest.mark.parametrize("text", ["", "short", "x" * 64, "=" * 44, base64.b64encode(KEY[:31]).decode(), "ä" * 44])
def test_a_malformed_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(StoreKeyError, match=r"^here does not hold a key of 32 bytes .*openssl rand") as caught:
        parse_key(text, "here")
    assert not text or text not in str(caught.value)


def test_a_key_comes_from_its_file_before_the_variable(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(KEY.hex())
    environ = {KEY_VARIABLE: bytes(32).hex()}
    assert given_key(str(path), environ) == KEY
    assert given_key(None, environ) == bytes(32)
    assert given_key(None, {}) is None
    with pytest.raises(StoreKeyError, match="cannot read the store's key file"):
        given_key(str(tmp_path / "none"), {})


def test_a_key_of_our_own_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "onetrip.db.key"
    with pytest.raises(StoreKeyError, match="is gone; restore it"):
        kept_key(path, may_make=False)
    key = kept_key(path, may_make=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert kept_key(path, may_make=False) == kept_key(path, may_make=True) == key


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(StoreKeyError):
        SecretBox(b"short")


def test_generated_names_and_passwords_fit_into_a_connection_string() -> None:
    for _ in range(500):
        assert re.fullmatch(r"ot_[a-z0-9]{12}", generate_user())
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{31}", generate_password())
