"""Between our nodes it is TLS 1.3 (rules 18). grpcio has no setting for a minimum, so each end is asked."""

import asyncio
import socket
import ssl
import threading
from pathlib import Path

import grpc
from grpc import aio

from deploy.certificates import Pair, make_ca, make_node
from protos.link.tls import LinkTls
from regional.node import _credentials
from regional.options import PoolOptions

HOST = "127.0.0.1"


def _files(directory: Path, authority: Pair, node: Pair) -> LinkTls:
    paths = [directory / name for name in ("ca.crt", "node.crt", "node.key")]
    for path, content in zip(paths, (authority.certificate, node.certificate, node.key), strict=True):
        path.write_bytes(content)
    return LinkTls(*map(str, paths))


def _version_of(port: int, tls: LinkTls) -> str | None:
    context = ssl.create_default_context(cafile=tls.ca_file)
    context.load_cert_chain(tls.cert_file, tls.key_file)
    context.set_alpn_protocols(["h2"])
    sock = socket.create_connection((HOST, port), timeout=10)
    with context.wrap_socket(sock, server_hostname=HOST) as secured:
        return secured.version()


def test_a_pool_node_speaks_tls_1_3_to_an_edge(tmp_path: Path) -> None:
    authority = make_ca("house")
    (tmp_path / "pool").mkdir()
    (tmp_path / "edge").mkdir()
    pool = _files(tmp_path / "pool", authority, make_node(authority, "pool", "pool-1", [HOST], days=2))
    edge = _files(tmp_path / "edge", authority, make_node(authority, "edge", "edge-1", [HOST], days=2))

    async def ask() -> str | None:
        server = aio.server()
        port = server.add_secure_port(f"{HOST}:0", _credentials(PoolOptions(listen=(HOST, 0), link_tls=pool)))
        await server.start()
        try:
            return await asyncio.to_thread(_version_of, port, edge)
        finally:
            await server.stop(None)

    assert asyncio.run(ask()) == "TLSv1.3"


def test_an_edge_speaks_tls_1_3_to_a_pool_node(tmp_path: Path) -> None:
    authority = make_ca("house")
    pool = _files(tmp_path, authority, make_node(authority, "pool", "pool-1", [HOST], days=2))
    edge = make_node(authority, "edge", "edge-1", [HOST], days=2)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pool.cert_file, pool.key_file)
    context.set_alpn_protocols(["h2"])
    versions: list[str | None] = []

    def serve(listener: socket.socket) -> None:
        sock, _ = listener.accept()
        sock.settimeout(10)
        with context.wrap_socket(sock, server_side=True) as secured:
            versions.append(secured.version())

    async def dial(port: int) -> None:
        credentials = grpc.ssl_channel_credentials(authority.certificate, edge.key, edge.certificate)
        async with aio.secure_channel(f"{HOST}:{port}", credentials) as channel:
            channel.get_state(try_to_connect=True)
            while not versions:  # noqa: ASYNC110 - the server is a thread, which knows no asyncio event
                await asyncio.sleep(0.01)

    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        asyncio.run(asyncio.wait_for(dial(listener.getsockname()[1]), 10))
        thread.join(10)
    assert versions == ["TLSv1.3"]
