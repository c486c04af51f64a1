"""A self-signed certificate for this machine, as files: a server's own, and the CA file of its clients."""

from pathlib import Path

import attrs

from deploy.certificates import make_self_signed
from deploy.private_files import write_private

# A run does not outlast it.
DAYS = 2


@attrs.frozen
class Certificate:
    """Two PEM files."""

    cert_file: Path
    key_file: Path


def self_signed(directory: Path, name: str) -> Certificate:
    """Make NAME.crt and NAME.key for localhost."""
    pair = make_self_signed("localhost", ["localhost", "127.0.0.1", "::1"], days=DAYS)
    files = Certificate(directory / f"{name}.crt", directory / f"{name}.key")
    files.cert_file.write_bytes(pair.certificate)
    write_private(files.key_file, pair.key)
    return files
