"""The certificate that an edge shows its clients."""

import ssl
from os import PathLike
from typing import Final

from protos.pg.scram import certificate_hash

_END: Final = "-----END CERTIFICATE-----"


def load_certificate(
    cert_file: PathLike[str] | str, key_file: PathLike[str] | str
) -> tuple[ssl.SSLContext, bytes | None]:
    """A context for the server's side, and what SCRAM binds a login to (tls-server-end-point).

    Raises OSError or ValueError (ssl.SSLError among them) where the files are no such thing.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert_file, key_file)
    context.set_alpn_protocols(["postgresql"])
    # A driver's TLS session is as long as its connection; tickets would cost each of them bytes and work.
    context.num_tickets = 0
    with open(cert_file, encoding="ascii", errors="replace") as file:  # remarks may stand before it
        pem = file.read()
    first = pem[pem.index("-----BEGIN CERTIFICATE-----") : pem.index(_END) + len(_END)]
    return context, certificate_hash(ssl.PEM_cert_to_DER_cert(first))
