"""Certificates are judged when they are given, and never quoted."""

import datetime

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from regional.configuration import OriginSecret
from regional.origin_certificates import problems_of_certificates
from tests.regional.samples import ORIGIN


def make_pair(encryption: KeySerializationEncryption | None = None) -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "app")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode(), text.decode()


CERTIFICATE, KEY = make_pair()
OTHER_CERTIFICATE, OTHER_KEY = make_pair()
ENCRYPTED = make_pair(BestAvailableEncryption(b"x"))


@pytest.mark.parametrize(
    ("certificate", "key", "field", "what"),
    [
        (CERTIFICATE, None, "origin.sslkey", "is missing"),
        (None, KEY, "origin.sslcert", "is missing"),
        ("nonsense", KEY, "origin.sslcert", "PEM text of a certificate"),
        (CERTIFICATE, "nonsense", "origin.sslkey", "PEM text of a private key"),
        (CERTIFICATE, OTHER_KEY, "origin.sslkey", "is not the key of"),
        (ENCRYPTED[0], ENCRYPTED[1], "origin.sslkey", "must not be encrypted"),
    ],
)
def test_a_pair_that_does_not_work_is_refused(certificate: str | None, key: str | None, field: str, what: str) -> None:
    origin = msgspec.structs.replace(ORIGIN, sslcert=certificate)
    (problem,) = problems_of_certificates(origin, OriginSecret("", key))
    assert problem.field == field
    assert what in problem.what


def test_good_certificates_pass() -> None:
    origin = msgspec.structs.replace(ORIGIN, sslrootcert=CERTIFICATE + OTHER_CERTIFICATE, sslcert=CERTIFICATE)
    assert problems_of_certificates(origin, OriginSecret("", KEY)) == []
    assert problems_of_certificates(ORIGIN, OriginSecret("x")) == []


def test_authorities_must_be_certificates() -> None:
    (problem,) = problems_of_certificates(msgspec.structs.replace(ORIGIN, sslrootcert="nonsense"), OriginSecret())
    assert problem.field == "origin.sslrootcert"
