"""Make the certificates of a house: a CA, a certificate for each node with its role, a self-signed one for a server.

Theory of operation: a link is trusted when both ends hold a certificate of one CA and each is in the role that the
other expects (rules 29). The role is a URI among the certificate's names, `onetrip:role:edge` or `onetrip:role:pool`,
which the peer checks; and by its extended key usage an edge's certificate is good for a TLS client only and a pool
node's for a TLS server only, so that a stolen edge cannot pose as a pool node even to a peer that forgot to check.
ECDSA on P-256 with SHA-256: quick to make and to verify, known to every TLS library, and channel binding is defined.
"""

import datetime
import ipaddress
from collections.abc import Sequence
from typing import Final, Literal

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Role = Literal["edge", "pool"]

ROLE_URI: Final = "onetrip:role:"
CA_DAYS: Final = 3650
# Clocks of machines differ; a certificate is valid a little before it was made.
_BACKDATED: Final = datetime.timedelta(hours=1)
_USAGE: Final = {"edge": ExtendedKeyUsageOID.CLIENT_AUTH, "pool": ExtendedKeyUsageOID.SERVER_AUTH}


@attrs.frozen
class Pair:
    """A certificate and its private key, as PEM."""

    certificate: bytes
    key: bytes = attrs.field(repr=False)


def make_ca(name: str, *, days: int = CA_DAYS) -> Pair:
    """A CA that signs the nodes of one house and nothing below them."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(name, days)
        .issuer_name(_common_name(name))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def make_node(ca: Pair, role: Role, name: str, hosts: Sequence[str], *, days: int) -> Pair:
    """A certificate for one node: what it is called, where it is reached, and its role. Never outlives its CA."""
    authority = x509.load_pem_x509_certificate(ca.certificate)
    authority_key = serialization.load_pem_private_key(ca.key, None)
    if not isinstance(authority_key, ec.EllipticCurvePrivateKey):
        raise TypeError("the CA's key is not an ECDSA key")
    key = ec.generate_private_key(ec.SECP256R1())
    names = [*(general_name(host) for host in hosts), x509.UniformResourceIdentifier(ROLE_URI + role)]
    builder = (
        _builder(name, days, until=authority.not_valid_after_utc)
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([_USAGE[role]]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    )
    return _pair(builder.sign(authority_key, hashes.SHA256()), key)


def make_self_signed(name: str, hosts: Sequence[str], *, days: int) -> Pair:
    """A certificate that a server shows and that is its own CA file."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(name, days)
        .issuer_name(_common_name(name))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName([general_name(host) for host in hosts]), critical=False)
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def general_name(host: str) -> x509.GeneralName:
    """A host as a certificate names it; ValueError when it can be neither an address nor a name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    labels = host.removeprefix("*.").split(".")
    if len(host) > 253 or not all(_is_label(label) for label in labels):
        raise ValueError(f"{host!r} is neither an IP address nor a host name")
    return x509.DNSName(host)


def days_left(certificate: bytes) -> float:
    """How long a PEM certificate is still valid."""
    until = x509.load_pem_x509_certificate(certificate).not_valid_after_utc
    return (until - _now()) / datetime.timedelta(days=1)


def _is_label(label: str) -> bool:
    letters = label.replace("-", "").replace("_", "")
    return 0 < len(label) <= 63 and letters.isascii() and letters.isalnum()


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _common_name(name: str) -> x509.Name:
    # X.520 bounds a common name at 64 characters; hosts are checked by the alternative names anyway.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _builder(name: str, days: int, until: datetime.datetime | None = None) -> x509.CertificateBuilder:
    now = _now()
    end = now + datetime.timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(_common_name(name))
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(end if until is None else min(end, until))
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    encoding, no_encryption = serialization.Encoding.PEM, serialization.NoEncryption()
    return Pair(
        certificate.public_bytes(encoding),
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, no_encryption),
    )
