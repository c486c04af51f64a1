"""What each sslmode verifies; the key of a client certificate is never left in a file."""

import ssl
import tempfile
from pathlib import Path

import msgspec
import pytest

from regional.configuration import Origin, SslMode
from regional.origin_tls import CONTEXT_AGE_S, MAX_CONTEXTS, SharedContexts, tls_context
from tests.support.certificates import self_signed

WHERE = Origin(host="db.internal", database="app", user="app")


def origin(sslmode: SslMode, **changes: str) -> Origin:
    return msgspec.structs.replace(WHERE, sslmode=sslmode, **changes)


@pytest.mark.parametrize(
    ("sslmode", "has_ca", "verifies", "checks_name"),
    [
        ("require", False, False, False),
        ("require", True, True, False),
        ("verify-ca", True, True, False),
        ("verify-full", True, True, True),
        ("verify-full", False, True, True),
    ],
)
def test_the_table(tmp_path: Path, sslmode: SslMode, *, has_ca: bool, verifies: bool, checks_name: bool) -> None:
    authority = self_signed(tmp_path, "ca").cert_file.read_text()
    context = tls_context(origin(sslmode, sslrootcert=authority) if has_ca else origin(sslmode), None)
    assert context.verify_mode == (ssl.CERT_REQUIRED if verifies else ssl.CERT_NONE)
    assert context.check_hostname is checks_name
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    if has_ca:
        assert len(context.get_ca_certs()) == 1, "no other authority is trusted"


def test_a_client_certificate_is_used_and_its_key_left_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    pair = self_signed(tmp_path, "client")
    with_certificate = origin("require", sslcert=pair.cert_file.read_text())
    tls_context(with_certificate, pair.key_file.read_text())
    assert list(place.iterdir()) == []
    with pytest.raises(ssl.SSLError):
        tls_context(with_certificate, "no key")
    assert list(place.iterdir()) == []


def test_an_authority_that_is_none_is_an_error_of_tls() -> None:
    with pytest.raises((ssl.SSLError, ValueError)):
        tls_context(origin("verify-full", sslrootcert="no certificate"), None)


def test_connections_with_the_same_settings_share_a_context_for_a_while() -> None:
    contexts = SharedContexts()
    verified, plain = origin("verify-full"), origin("require")
    first = contexts.get(verified, None, 0.0)
    assert contexts.get(origin("verify-full"), None, CONTEXT_AGE_S - 1) is first
    assert contexts.get(plain, None, 0.0) is not first
    assert contexts.get(verified, None, CONTEXT_AGE_S) is not first, "renewed authorities are read"


def test_a_client_certificate_has_a_context_of_its_own(tmp_path: Path) -> None:
    contexts = SharedContexts()
    pair, other = self_signed(tmp_path, "client"), self_signed(tmp_path, "other")
    with_certificate = origin("require", sslcert=pair.cert_file.read_text())
    mine = contexts.get(with_certificate, pair.key_file.read_text(), 0.0)
    assert contexts.get(with_certificate, pair.key_file.read_text(), 0.0) is mine
    with pytest.raises(ssl.SSLError):
        contexts.get(with_certificate, other.key_file.read_text(), 0.0)


def test_the_number_of_contexts_is_bounded() -> None:
    contexts = SharedContexts()
    for number in range(MAX_CONTEXTS + 5):
        contexts.get(origin("require"), f"key {number}", 0.0)
    assert len(contexts._made) == MAX_CONTEXTS
    contexts.get(origin("require"), "later", CONTEXT_AGE_S)
    assert len(contexts._made) == 1, "what is too old makes room first"
