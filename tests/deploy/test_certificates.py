"""Certificates of a house: whom they let in, and in which role."""

import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from deploy.certificates import Pair, Role, days_left, general_name, make_ca, make_node, make_self_signed
from deploy.private_files import write_private


@pytest.fixture(scope="module")
def ca() -> Pair:
    return make_ca("test")


def node(ca: Pair, role: Role, *hosts: str, days: int = 10) -> Pair:
    return make_node(ca, role, f"{role} node", hosts or ("localhost",), days=days)


def context(directory: Path, ca: Pair, pair: Pair, purpose: ssl.Purpose) -> ssl.SSLContext:
    write_private(directory / "ca", ca.certificate)
    write_private(directory / "cert", pair.certificate)
    write_private(directory / "key", pair.key)
    made = ssl.create_default_context(purpose, cafile=str(directory / "ca"))
    made.load_cert_chain(directory / "cert", directory / "key")
    made.verify_mode = ssl.CERT_REQUIRED
    return made


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> None:
    """A TLS handshake in memory; ssl.SSLError when either end refuses the other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(6):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    for end in ends:
        end.do_handshake()


def met(directory: Path, ca: Pair, client: Pair, server: Pair, name: str = "localhost") -> None:
    one = context(directory, ca, client, ssl.Purpose.SERVER_AUTH)
    other = context(directory, ca, server, ssl.Purpose.CLIENT_AUTH)
    shake_hands(one, other, name)


def test_an_edge_reaches_a_pool_node(ca: Pair, tmp_path: Path) -> None:
    met(tmp_path, ca, node(ca, "edge"), node(ca, "pool", "localhost", "10.0.0.1"))
    met(tmp_path, ca, node(ca, "edge"), node(ca, "pool", "localhost", "10.0.0.1"), "10.0.0.1")


def test_an_edge_cannot_pose_as_a_pool_node(ca: Pair, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLError):
        met(tmp_path, ca, node(ca, "edge"), node(ca, "edge"))


def test_a_pool_node_cannot_pose_as_an_edge(ca: Pair, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLError):
        met(tmp_path, ca, node(ca, "pool"), node(ca, "pool"))


def test_another_name_or_another_house_is_refused(ca: Pair, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLError):
        met(tmp_path, ca, node(ca, "edge"), node(ca, "pool"), "elsewhere")
    stranger = make_ca("test")
    with pytest.raises(ssl.SSLError):
        met(tmp_path, ca, node(stranger, "edge"), node(ca, "pool"))


def test_the_role_is_among_the_names(ca: Pair) -> None:
    for role in ("edge", "pool"):
        certificate = x509.load_pem_x509_certificate(node(ca, role).certificate)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.UniformResourceIdentifier) == [f"onetrip:role:{role}"]


def test_a_node_does_not_outlive_its_ca() -> None:
    ca = make_ca("short", days=3)
    assert days_left(node(ca, "pool", days=300).certificate) <= 3


def test_a_certificate_is_valid_on_a_clock_that_is_behind(ca: Pair) -> None:
    certificate = x509.load_pem_x509_certificate(ca.certificate)
    assert certificate.not_valid_before_utc < datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=30)


def test_a_self_signed_certificate_is_its_own_ca(tmp_path: Path) -> None:
    server = make_self_signed("localhost", ["localhost"], days=3)
    write_private(tmp_path / "cert", server.certificate)
    write_private(tmp_path / "key", server.key)
    other = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    other.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    shake_hands(ssl.create_default_context(cafile=str(tmp_path / "cert")), other, "localhost")


@pytest.mark.parametrize("host", ["", "a b", "a..b", "-", "é.example", "a/b", "x" * 64, "1.2.3.4/8"])
def test_what_can_be_no_host_is_refused(host: str) -> None:
    with pytest.raises(ValueError):
        general_name(host)


def test_a_key_is_not_shown(ca: Pair) -> None:
    assert "PRIVATE" not in repr(ca)
