"""TLS towards an origin: what each sslmode verifies, as libpq does it (rules 28).

| sslmode | the certificate's chain | the host's name |
| --- | --- | --- |
| require | verified if the configuration has an sslrootcert, else not | no |
| verify-ca | verified, against sslrootcert or the system's authorities | no |
| verify-full | verified, likewise | yes |

Reading the system's authorities takes 20 ms, in which a pool node would do nothing else. So connections that are opened
with the same settings share a context, for as long as CONTEXT_AGE_S: authorities that were renewed are read soon.
"""

import os
import ssl
import tempfile
from typing import Final

from regional.configuration import Origin

CONTEXT_AGE_S: Final = 60.0
# One with the system's authorities takes up to a megabyte.
MAX_CONTEXTS: Final = 64

_Ingredients = tuple[str, str | None, str | None, str | None]


class SharedContexts:
    """Contexts by what they are made of. The caller says what time (monotonic seconds) it is."""

    def __init__(self) -> None:
        self._made: dict[_Ingredients, tuple[float, ssl.SSLContext]] = {}  # the oldest first

    def get(self, origin: Origin, client_key: str | None, now: float) -> ssl.SSLContext:
        """The context for a connection. Raises ssl.SSLError as `tls_context` does."""
        key = (origin.sslmode, origin.sslrootcert, origin.sslcert, client_key)
        made = self._made.get(key)
        if made is not None and now - made[0] < CONTEXT_AGE_S:
            return made[1]
        context = tls_context(origin, client_key)
        fresh = {one: old for one, old in self._made.items() if one != key and now - old[0] < CONTEXT_AGE_S}
        while len(fresh) >= MAX_CONTEXTS:
            del fresh[next(iter(fresh))]
        self._made = {**fresh, key: (now, context)}
        return context


def tls_context(origin: Origin, client_key: str | None) -> ssl.SSLContext:
    """A new context. Raises ssl.SSLError where a certificate or key cannot be used."""
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
