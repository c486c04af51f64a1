"""What a pool node is told at its start: one frozen value, made by the command, read by the node.

Addresses are (host, port) pairs; port 0 takes a free one. Files are PEM. Durations are seconds.
"""

from typing import Final

import attrs

from protos.link.tls import LinkTls

DEFAULT_ADMIN_LISTEN: Final = ("127.0.0.1", 6433)
DEFAULT_STORE: Final = "sqlite:///"
DEFAULT_DRAIN_TIMEOUT_S: Final = 30.0


@attrs.frozen(kw_only=True)
class PoolOptions:
    """Everything that one pool process needs to know."""

    listen: tuple[str, int]
    admin_listen: tuple[str, int] = DEFAULT_ADMIN_LISTEN
    admin_tls_cert_file: str | None = None
    admin_tls_key_file: str | None = None
    admin_token: str | None = None
    """None: the token file that this node makes on its first start."""

    store: str = DEFAULT_STORE
    store_key_file: str | None = None
    link_tls: LinkTls | None = None
    """None is `--insecure`: the link is plain, which is for loopback and tests."""

    allow_plain_origin: bool = False
    drain_timeout_s: float = DEFAULT_DRAIN_TIMEOUT_S
    log_json: bool = False
