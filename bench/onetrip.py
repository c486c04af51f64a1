"""Onetrip under test: a pool node, an edge node and a configuration, started by the command as an operator would.

Only the command's contract is used (design, section 9): READY lines, options, the connection string that
`config create` prints. So the benchmarks go on working whatever becomes of the inside.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from bench.endpoint import Endpoint
from bench.origin import write_certificate
from bench.workspace import Place, UnavailableError, Workspace, answer_of, say, stop
from deploy.postgres import free_port

COMMAND: Final = (sys.executable, "-m", "deploy")
ROLES: Final = ("pool", "edge")
READY_TIMEOUT_S: Final = 30.0
# The most that a configuration may say.
MAX_AGE_S: Final = 3600


@attrs.frozen(kw_only=True)
class NodesOptions:
    """Where the nodes run and how the link between them is."""

    name: str
    origin: Endpoint
    """The origin as the pool node reaches it."""

    link_host: str = "127.0.0.1"
    link_tls: bool = True
    client_tls: bool = True
    """Whether the edge has a certificate; clients may still come without TLS."""

    connection_limit: int = 20
    connection_min: int = 0
    scram_iterations: int | None = None
    """What a connecting client has to derive its key with; None is the product's default."""

    link_through: Callable[[str], str] | None = None
    """What stands between the nodes: told where the pool node listens, it says where the edge node is to go."""

    pool_namespace: str | None = None
    edge_namespace: str | None = None
    caching: bool = False
    """Whether reads are answered at the edge, and then for as long as may be, so that age is not what is measured."""

    edges: int = 1


@attrs.frozen
class Nodes:
    """A running pool node with its edges, and the way in."""

    pool_pid: int
    edge_pid: int
    endpoint: Endpoint
    others: tuple[Endpoint, ...]
    """The ways in by the other edges."""

    status: Callable[[], dict[str, Any]]
    """What `onetrip status --json` prints now."""

    def secured(self) -> Endpoint:
        """The same way in, with TLS from the client to the edge."""
        return attrs.evolve(self.endpoint, sslmode="require")


@contextmanager
def open_nodes(workspace: Workspace, options: NodesOptions) -> Iterator[Nodes]:
    """Start a pool node and its edges, make a configuration, stop them at the end."""
    if not (Path(__file__).resolve().parent.parent / "deploy" / "__main__.py").exists():
        message = "the command (deploy/) is not built yet"
        raise UnavailableError(message)
    say(f"starting Onetrip ({options.name})")
    directory = workspace.directory(options.name)
    environment = {"XDG_STATE_HOME": str(directory)}
    pool_place = Place(namespace=options.pool_namespace, environment=environment)
    edge_place = Place(namespace=options.edge_namespace, environment=environment)
    ca, pool_link, edge_link = link_options(workspace, directory, options)
    admin = f"127.0.0.1:{free_port()}"
    pool_argv = [*COMMAND, "pool", "--listen", f"{options.link_host}:0", "--admin-listen", admin]
    pool_argv += ["--store", f"sqlite:///{directory}/store.db"]
    running: list[subprocess.Popen[str]] = []
    try:
        pool = _start(workspace, f"{options.name}-pool", [*pool_argv, *ca, *pool_link], pool_place, running)
        link = options.link_through(pool) if options.link_through is not None else pool
        edge_argv = [*COMMAND, "edge", "--listen", "127.0.0.1:0", "--pool", link]
        if options.client_tls:
            certificate, key = directory / "edge.crt", directory / "edge.key"
            write_certificate(certificate, key, owner=None)
            edge_argv += ["--tls-cert", str(certificate), "--tls-key", str(key)]
        edge_argv += [*ca, *edge_link]
        names = [f"{options.name}-edge", *(f"{options.name}-edge-{number + 1}" for number in range(1, options.edges))]
        edges = [_start(workspace, name, edge_argv, edge_place, running) for name in names]
        endpoint = _create(workspace, options, admin, edges[0], pool_place)
        others = tuple(attrs.evolve(endpoint, port=int(edge.rpartition(":")[2])) for edge in edges[1:])
        asking = [*COMMAND, "status", "--json", "--admin", f"http://{admin}"]

        def status() -> dict[str, Any]:
            answer: dict[str, Any] = json.loads(workspace.run(asking, pool_place))
            return answer

        yield Nodes(running[0].pid, running[1].pid, endpoint, others, status)
    finally:
        for process in reversed(running):
            stop(process)


def _start(
    workspace: Workspace, name: str, argv: list[str], place: Place, running: "list[subprocess.Popen[str]]"
) -> str:
    """Start a node; its HOST:PORT once it serves."""
    process = workspace.spawn(name, argv, place)
    running.append(process)
    word, _, address = answer_of(workspace, name, process, READY_TIMEOUT_S).partition(" ")
    if word != "READY":
        message = f"{name} said {word!r} instead of READY"
        raise UnavailableError(message)
    return address


def link_options(workspace: Workspace, directory: Path, options: NodesOptions) -> tuple[list[str], ...]:
    """What both nodes, the pool node and the edge node are told about the link's security."""
    if not options.link_tls:
        return ["--insecure"], [], []
    house = directory / "house"
    workspace.run([*COMMAND, "cert", "--dir", str(house), "--address", options.link_host])
    own = [["--link-cert", str(house / f"{role}.crt"), "--link-key", str(house / f"{role}.key")] for role in ROLES]
    return ["--link-ca", str(house / "ca.crt")], own[0], own[1]


def _create(workspace: Workspace, options: NodesOptions, admin: str, edge: str, place: Place) -> Endpoint:
    """Make the configuration; the way in is read off the connection string."""
    origin = options.origin
    url = (
        f"postgres://{origin.user}:{origin.password}@{origin.host}:{origin.port}/{origin.database}"
        f"?sslmode={origin.sslmode}"
    )
    argv = [*COMMAND, "config", "create", options.name, "--origin", "-", "--admin", f"http://{admin}"]
    argv += ["--edge", edge, "--origin-connection-limit", str(options.connection_limit)]
    argv += ["--caching", "--max-age", str(MAX_AGE_S)] if options.caching else ["--no-caching"]
    argv += ["--origin-connection-min", str(options.connection_min)]
    if options.scram_iterations is not None:
        argv += ["--scram-iterations", str(options.scram_iterations)]
    parts = urlsplit(workspace.run(argv, place, given=url + "\n").strip())
    if parts.hostname is None or parts.port is None or parts.username is None or parts.password is None:
        message = "config create printed no connection string"
        raise UnavailableError(message)
    return Endpoint(
        host=parts.hostname,
        port=parts.port,
        user=parts.username,
        password=parts.password,
        database=parts.path.lstrip("/"),
    )
