"""Verifiers and keys: RFC 7677's numbers, PostgreSQL's verdict, and nothing secret in a repr."""

import datetime
import hashlib
from typing import Final

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from protos.pg.scram import (
    Challenge,
    KeyCache,
    ScramVerifier,
    certificate_hash,
    decoded,
    derive_keys,
    encoded,
    make_verifier,
    mock_verifier,
    verifies,
)
from tests.support.cluster import Origin

SALT: Final = decoded(b"W22ZaJ0SNY7soEsUEjb6gQ==") or b""
# RFC 7677, 3: user "user", password "pencil", 4,096 iterations.
RFC_VERIFIER: Final = (
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)


def key_pair_of(kind: str) -> ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())


def certificate(kind: str, algorithm: hashes.SHA256 | hashes.SHA384 | hashes.SHA3_256 | None) -> bytes:
    key = key_pair_of(kind)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(start).not_valid_after(start + datetime.timedelta(days=1))
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)


def test_the_verifier_of_rfc_7677() -> None:
    verifier = make_verifier("pencil", 4096, SALT)
    assert verifier.format() == RFC_VERIFIER
    assert ScramVerifier.parse(RFC_VERIFIER) == verifier


@given(st.integers(1, 2**31 - 1), st.binary(min_size=1, max_size=40), st.binary(min_size=64, max_size=64))
def test_a_verifier_survives_being_written(iterations: int, salt: bytes, keys: bytes) -> None:
    verifier = ScramVerifier(iterations, salt, keys[:32], keys[32:])
    assert ScramVerifier.parse(verifier.format()) == verifier


@pytest.mark.parametrize(
    "text",
    [
        "",
        "md5a3556571e93b0d20722ba62be61e8c2d",
        RFC_VERIFIER[:-1],
        RFC_VERIFIER.replace("4096", "0"),
        RFC_VERIFIER.replace("4096", "-1"),
        RFC_VERIFIER.replace("W22Z", "W2Z"),
        RFC_VERIFIER.replace("WG5d", ""),
        RFC_VERIFIER + "\n",
        RFC_VERIFIER.replace("WG5d", "\udc80G5d"),
    ],
)
def test_another_text_is_no_verifier_and_is_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not a SCRAM-SHA-256 verifier$") as caught:
        ScramVerifier.parse(text)
    assert caught.value.__cause__ is None


@given(st.text(max_size=120))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(ValueError):
        ScramVerifier.parse("SCRAM-SHA-256$" + text)


def test_a_password_in_clear_is_checked() -> None:
    verifier = make_verifier("I\u00adX", 1, SALT)
    assert verifies("I\u00adX", verifier)
    assert verifies(b"IX", verifier)
    assert not verifies("ix", verifier)
    assert not verifies(b"", verifier)


def test_nothing_secret_is_in_a_repr() -> None:
    verifier = make_verifier("pencil", 4096, SALT)
    keys = derive_keys("pencil", Challenge(SALT, 4096))
    assert repr(verifier) == "ScramVerifier(iterations=4096)"
    assert repr(keys) == "ScramKeys()"


def test_a_user_who_does_not_exist_looks_like_one_who_does() -> None:
    mock = mock_verifier(b"secret", "nobody")
    assert mock == mock_verifier(b"secret", "nobody")
    assert mock.salt != mock_verifier(b"secret", "somebody").salt
    assert mock.salt != mock_verifier(b"other", "nobody").salt
    assert len(mock.salt) == len(SALT)
    assert ScramVerifier.parse(mock.format()) == mock
    assert mock_verifier(b"secret", "\udc80", 7).iterations == 7


def test_keys_are_derived_once() -> None:
    cache = KeyCache(max_entries=2)
    challenge = Challenge(SALT, 10)
    assert cache.find("pencil", challenge) is None
    keys = cache.derive("pencil", challenge)
    assert keys == derive_keys("pencil", challenge)
    assert cache.derive("pencil", challenge) is keys
    assert cache.derive(b"pencil", challenge) is keys
    assert cache.derive("pencil", Challenge(SALT, 11)) != keys
    assert cache.derive("Pencil", challenge) != keys


def test_the_cache_forgets_what_was_not_used_longest() -> None:
    cache = KeyCache(max_entries=2)
    first, second, third = (Challenge(bytes([number]), 1) for number in range(3))
    kept = cache.derive("pencil", first)
    cache.derive("pencil", second)
    assert cache.find("pencil", first) is kept
    cache.derive("pencil", third)
    assert cache.find("pencil", first) is kept
    assert cache.find("pencil", second) is None
    assert cache.size == 2


def test_the_hash_of_a_certificate_follows_its_signature() -> None:
    assert certificate_hash(der := certificate("ec", hashes.SHA256())) == hashlib.sha256(der).digest()
    assert certificate_hash(der := certificate("ec", hashes.SHA384())) == hashlib.sha384(der).digest()
    assert certificate_hash(der := certificate("ec", hashes.SHA3_256())) == hashlib.sha3_256(der).digest()


def test_a_certificate_without_a_hash_algorithm_has_no_binding() -> None:
    assert certificate_hash(certificate("ed25519", None)) is None


@given(st.binary(max_size=60))
def test_what_is_no_certificate_has_no_binding(garbage: bytes) -> None:
    assert certificate_hash(garbage) is None


@given(st.binary(max_size=60))
def test_base64_is_strict(data: bytes) -> None:
    assert decoded(encoded(data)) == data
    assert decoded(encoded(data) + b"\n") is None


@pytest.mark.postgres
def test_postgresql_makes_verifiers_that_we_accept(origin: Origin) -> None:
    with origin.connect() as connection:
        row = connection.execute("select rolpassword from pg_authid where rolname = 'by_scram'").fetchone()
    assert row is not None
    verifier = ScramVerifier.parse(row[0])
    assert verifies(origin.password, verifier)
    assert not verifies(origin.password + " ", verifier)


@pytest.mark.postgres
@pytest.mark.parametrize("password", ["pencil", "I\u00adX", "\u2168", "\u00e9\x07", "\u0627\u0031", "a\u200bb\u00a0"])
def test_postgresql_lets_in_whom_our_verifiers_let_in(origin: Origin, password: str) -> None:
    verifier = make_verifier(password, 4096, SALT)
    role = psycopg.sql.SQL("create role ours login password {}").format(psycopg.sql.Literal(verifier.format()))
    with origin.connect() as connection:
        connection.execute(role)
        try:
            psycopg.connect(
                host=origin.host, port=origin.port, dbname=origin.database, user="ours", password=password
            ).close()
        finally:
            connection.execute("drop role ours")
