"""What an edge node is told at its start: one frozen value, made by the command, read by the node.

Addresses are (host, port) pairs; port 0 takes a free one. Files are PEM. Durations are seconds.
"""

from typing import Final

import attrs

from protos.link.tls import LinkTls

# The design's defaults (§8, §9); named here because the command shows them in its help.
DEFAULT_LISTEN: Final = ("127.0.0.1", 6432)
DEFAULT_DRAIN_TIMEOUT_S: Final = 30.0
DEFAULT_WAIT_TIMEOUT_S: Final = 15.0
DEFAULT_HANDSHAKE_TIMEOUT_S: Final = 15.0
DEFAULT_CACHE_BYTES: Final = 256 << 20


@attrs.frozen(kw_only=True)
class EdgeOptions:
    """Everything that one edge process needs to know."""

    pools: tuple[tuple[str, int], ...]
    """Pool nodes, in order of preference."""

    listen: tuple[str, int] = DEFAULT_LISTEN
    tls_cert_file: str | None = None
    tls_key_file: str | None = None
    advertise: str | None = None
    """HOST:PORT that connection strings should name; None lets the pool node use the listening address."""

    link_tls: LinkTls | None = None
    """None is `--insecure`: the link is plain, which is for loopback and tests."""

    drain_timeout_s: float = DEFAULT_DRAIN_TIMEOUT_S
    wait_timeout_s: float = DEFAULT_WAIT_TIMEOUT_S
    handshake_timeout_s: float = DEFAULT_HANDSHAKE_TIMEOUT_S
    cache_bytes: int = DEFAULT_CACHE_BYTES
    """What kept answers may take, with all that belongs to them; 0 keeps none."""

    log_json: bool = False
