"""The scene of every benchmark over a long link: the link, the origin at its far end, and who may stand where.

What stands beside the database runs in the origin's namespace and is reached by its address on the link; what stands at
the edge, and the measuring client, run in the edge's namespace.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs

from bench.longlink import EDGE_ADDRESS, ORIGIN_ADDRESS, LinkShape, LongLink, open_link
from bench.onetrip import NodesOptions
from bench.origin import MAX_CONNECTIONS, Origin, open_origin
from bench.pgbouncer import BouncerOptions
from bench.workspace import Place, UnavailableError, Workspace, answer_of, open_workspace, stop


@attrs.frozen
class Scene:
    """The link with the origin at its far end."""

    workspace: Workspace
    link: LongLink
    origin: Origin

    @contextmanager
    def client(self, module: str = "bench.client") -> "Iterator[subprocess.Popen[str]]":
        """A measuring client in the edge's namespace."""
        argv = [sys.executable, "-m", module]
        process = self.workspace.spawn("client", argv, Place(namespace=self.link.edge_namespace))
        try:
            yield process
        finally:
            stop(process)

    def request(
        self, client: "subprocess.Popen[str]", request: Mapping[str, str | int], timeout_s: float = 60.0
    ) -> dict[str, Any]:
        """One request to a measuring client and its answer."""
        return ask(self.workspace, client, request, timeout_s)

    def bouncer_options(self) -> tuple[BouncerOptions, BouncerOptions]:
        """PgBouncer beside the database, and at the edge straight to the database."""
        beside = BouncerOptions(
            name="beside",
            listen=ORIGIN_ADDRESS,
            server=self.origin.endpoint("127.0.0.1", sslmode="disable"),
            client_tls=True,
            namespace=self.link.origin_namespace,
        )
        at_edge = BouncerOptions(
            name="at-edge",
            listen="127.0.0.1",
            server=self.origin.endpoint(ORIGIN_ADDRESS, sslmode="require"),
            namespace=self.link.edge_namespace,
        )
        return beside, at_edge

    def nodes_options(self, name: str = "wan") -> NodesOptions:
        """Onetrip over this link, with TLS on it."""
        return NodesOptions(
            name=name,
            origin=self.origin.endpoint("127.0.0.1", sslmode="disable"),
            link_host=ORIGIN_ADDRESS,
            pool_namespace=self.link.origin_namespace,
            edge_namespace=self.link.edge_namespace,
        )


def ask(
    workspace: Workspace, client: "subprocess.Popen[str]", request: Mapping[str, object], timeout_s: float = 60.0
) -> dict[str, Any]:
    """One request to a measuring client and its answer, wherever it is."""
    assert client.stdin is not None
    client.stdin.write(json.dumps(request) + "\n")
    client.stdin.flush()
    answer: dict[str, Any] = json.loads(answer_of(workspace, "client", client, timeout_s))
    if "refused" in answer:
        raise UnavailableError(answer["refused"])
    return answer


@contextmanager
def open_scene(shape: LinkShape, scale: int, *, max_connections: int = MAX_CONNECTIONS) -> Iterator[Scene]:
    """Lay the link and start the origin at its far end."""
    with open_workspace() as workspace, open_link(workspace, shape) as link:
        hosts = ["127.0.0.1", ORIGIN_ADDRESS]
        with open_origin(
            workspace, hosts=hosts, namespace=link.origin_namespace, scale=scale, max_connections=max_connections
        ) as origin:
            yield Scene(workspace, link, origin)


def transport_of(scene: Scene) -> str:
    """The TLS that libpq and the origin agree on."""
    with scene.client() as client:
        endpoint = scene.origin.endpoint(ORIGIN_ADDRESS, sslmode="require")
        answer = scene.request(client, {"tls": endpoint.conninfo()})
    return str(answer["tls"])


def link_text(link: LongLink) -> str:
    """The link as it was measured."""
    figures, shape = link.measured, link.shape
    return (
        f"link        {figures['round_trip_ms']:.1f} ms round trip (UDP, median; asked for {shape.round_trip_ms:g}), "
        f"{figures['bandwidth_mbit_s']:.0f} Mbit/s goodput of one TCP flow (asked for {shape.bandwidth_mbit_s:g}), "
        f"FIFO of {shape.depth_bytes // 1024} KiB, MTU {shape.mtu}, TCP {link.congestion}\n"
        f"forwarder   {figures['forwarder_cpu_share_at_bulk']:.0%} of a core during that flow, "
        f"scheduled {link.priority}, namespaces {EDGE_ADDRESS} and {ORIGIN_ADDRESS}"
    )
