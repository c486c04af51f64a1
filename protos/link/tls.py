"""The files of the link's mutual TLS, named once for both ends."""

import attrs


@attrs.frozen
class LinkTls:
    """PEM files: the CA that signed both ends, and this node's own certificate and key."""

    ca_file: str
    cert_file: str
    key_file: str
