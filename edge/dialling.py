"""How an edge reaches a pool node: the gRPC channel of a link, and why there is none."""

from pathlib import Path

import grpc
from grpc import aio

from protos.link.tls import LinkTls
from protos.runtime.link_stream import CHANNEL_OPTIONS


def channel_to(name: str, tls: LinkTls | None) -> aio.Channel:
    """A channel to HOST:PORT. Raises OSError where a file of tls cannot be read."""
    if tls is None:
        return aio.insecure_channel(name, options=CHANNEL_OPTIONS)
    # Read anew for each link, so a renewed certificate is used from the next one on.
    credentials = grpc.ssl_channel_credentials(
        *(Path(file).read_bytes() for file in (tls.ca_file, tls.key_file, tls.cert_file))
    )
    return aio.secure_channel(name, credentials, options=CHANNEL_OPTIONS)


def reason_of(error: Exception) -> str:
    """Why a link has ended, for the log."""
    if isinstance(error, aio.AioRpcError):
        return f"{error.code().name.lower()}: {error.details()}"
    return str(error) or type(error).__name__
