"""TLS towards an origin: what each sslmode verifies, as libpq does it (rules 28).

| sslmode | the certificate's chain | the host's name |
| --- | --- | --- |
| require | verified if the configuration has an sslrootcert, else not | no |
| verify-ca | verified, against sslrootcert or the system's authorities | no |
| verify-full | verified, likewise | yes |
"""

import os
import ssl
import tempfile

from regional.configuration import Origin


def tls_context(origin: Origin, client_key: str | None) -> ssl.SSLContext:
    """The context for one connection. Raises ssl.SSLError where a certificate or key cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = origin.sslmode == "verify-full"
    verifies = origin.sslmode in ("verify-ca", "verify-full") or origin.sslrootcert is not None
    context.verify_mode = ssl.CERT_REQUIRED if verifies else ssl.CERT_NONE
    if origin.sslrootcert is not None:
        context.load_verify_locations(cadata=origin.sslrootcert)
    elif verifies:
        context.load_default_certs()
    if origin.sslcert is not None and client_key is not None:
        _load_client_certificate(context, origin.sslcert, client_key)
    return context


def _load_client_certificate(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """The ssl module takes files only, so the key is in one (0600) for a moment."""
    descriptor, path = tempfile.mkstemp(prefix="onetrip-")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key + "\n" + certificate)
        context.load_cert_chain(path)
    finally:
        os.unlink(path)
