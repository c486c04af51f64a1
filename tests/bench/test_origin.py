"""Certificates and programs of the origin; that it runs is shown in test_pgbouncer.py."""

import os
from pathlib import Path

import pytest
from cryptography import x509

from bench.origin import find_program, write_certificate
from bench.workspace import UnavailableError


def test_a_certificate_is_for_loopback_and_its_key_is_private(tmp_path: Path) -> None:
    certificate_file, key_file = tmp_path / "server.crt", tmp_path / "server.key"
    write_certificate(certificate_file, key_file, owner=None)
    certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert key_file.stat().st_mode & 0o077 == 0


def test_postgresql_is_found_and_a_missing_program_is_named() -> None:
    assert os.access(find_program("postgres"), os.X_OK)
    with pytest.raises(UnavailableError, match="a-program"):
        find_program("a-program-that-nobody-has")
