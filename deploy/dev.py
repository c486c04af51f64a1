"""`onetrip dev`: PostgreSQL, a pool node and an edge node on this machine, as one thing.

Theory of operation: each is a process of its own, started through a tether, so that none outlives this one. Inner ports
are free ones, so several houses stand side by side. PostgreSQL is made while the pool node starts; the edge starts when
the pool node's port is known; then the configuration `demo` is made or, in a directory that was used before, pointed to
the new port of the same database. READY is printed when a query has come back through the edge.
"""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import attrs
import click
import trio

from deploy.addresses import Address, format_address, reachable_host
from deploy.admin_client import TOKEN_VARIABLE, AdminClient
from deploy.certificates import Role
from deploy.children import Command, node_arguments
from deploy.complaint import CommandError, redacted
from deploy.config_fields import read_origin
from deploy.demo import DATABASE, configure, create_database, query
from deploy.dev_directory import LINK_HOST, PORT, DevDirectory
from deploy.postgres import Cluster, open_cluster
from deploy.supervisor import Child, Supervisor, wait_for
from edge.options import DEFAULT_CACHE_BYTES
from protos.link.tls import LinkTls

START_TIMEOUT_S: Final = 60.0
# The edge links, then gets the configuration: a moment each, unless the machine is very busy.
QUERY_TIMEOUT_S: Final = 30.0
POSTGRES_END_S: Final = 10.0
_POLL_S: Final = 0.02


@attrs.frozen(kw_only=True)
class DevOptions:
    """What the command was asked for."""

    listen: Address
    admin_listen: Address
    token: str = attrs.field(repr=False)
    #: As the admin API takes it; None makes a PostgreSQL.
    origin: Mapping[str, Any] | None = attrs.field(repr=False)
    drain_timeout_s: float
    #: The edge's.
    cache_bytes: int = DEFAULT_CACHE_BYTES


def run(options: DevOptions, directory: DevDirectory) -> int:
    """Run the house until it is asked to end; the exit status."""
    supervisor = trio.run(_live, options, directory)
    if supervisor.failure is not None:
        raise supervisor.failure
    return 0


async def _live(options: DevOptions, directory: DevDirectory) -> Supervisor:
    watched = {signal.SIGINT, signal.SIGTERM}
    # A closed terminal ends the house, unless nohup wants otherwise.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        watched.add(signal.SIGHUP)
    with trio.open_signal_receiver(*watched) as signals:
        async with trio.open_nursery() as nursery:
            supervisor = Supervisor(nursery)
            nursery.start_soon(supervisor.obey, signals)
            try:
                with supervisor.living:
                    await _serve(supervisor, options, directory)
            except CommandError as error:
                supervisor.fail(error)
            finally:
                with trio.CancelScope(shield=True):  # bounded: each child has its deadline
                    await supervisor.end()
                nursery.cancel_scope.cancel()
    return supervisor


async def _serve(supervisor: Supervisor, options: DevOptions, directory: DevDirectory) -> None:
    """Bring the house up, say READY, and stay until `living` is cancelled."""
    nodes = _Nodes(supervisor, options, directory.link_files())
    pool = nodes.start_pool(directory.store_url)
    origin = options.origin or await _start_postgres(supervisor, directory)
    with _deadline("the start of the pool node"):
        pool_address = await supervisor.until_ready(pool)
    edge = nodes.start_edge(pool_address)
    host, port = options.admin_listen
    client = AdminClient(host=host, port=port, token=options.token)
    demo = await trio.to_thread.run_sync(configure, client, directory, origin, abandon_on_cancel=True)
    with _deadline("the start of the edge node"):
        edge_port = int((await supervisor.until_ready(edge)).rpartition(":")[2])
    directory.keep(PORT, str(edge_port))
    string = demo.at((reachable_host(options.listen[0]), edge_port))
    await _until_answered(string)
    _tell(f"admin endpoint at {client.url}, files in {directory.path}")
    try:
        click.echo(f"READY {string}")
    except OSError as error:
        raise CommandError(f"cannot write to stdout: {error.strerror}", "somebody must read the READY line") from error
    await trio.sleep_forever()


@attrs.frozen
class _Nodes:
    """Starts the two nodes of the house."""

    supervisor: Supervisor
    options: DevOptions
    link: Mapping[Role, LinkTls]

    def start_pool(self, store_url: str) -> Child:
        admin = format_address(self.options.admin_listen)
        return self._start("pool", "--listen", f"{LINK_HOST}:0", "--store", store_url, "--admin-listen", admin)

    def start_edge(self, pool_address: str) -> Child:
        listen, cache = format_address(self.options.listen), str(self.options.cache_bytes)
        return self._start("edge", "--listen", listen, "--pool", pool_address, "--cache-size", cache)

    def _start(self, role: Role, *arguments: str) -> Child:
        drain_s = self.options.drain_timeout_s
        files = self.link[role]
        link = ["--link-ca", files.ca_file, "--link-cert", files.cert_file, "--link-key", files.key_file]
        # Variables are for the command that was called, not for what it starts.
        env = {name: value for name, value in os.environ.items() if not name.startswith("ONETRIP_")}
        env[TOKEN_VARIABLE] = self.options.token
        line = node_arguments(role, *arguments, *link, "--drain-timeout", f"{drain_s:g}")
        return self.supervisor.start_node(f"{role} node", Command(arguments=line, env=env), end_s=drain_s)


async def _start_postgres(supervisor: Supervisor, directory: DevDirectory) -> dict[str, Any]:
    """A running PostgreSQL of the directory, as the admin API takes an origin. Cancellation: safe."""
    cluster = open_cluster(directory.postgres, directory.secret("postgres-password"), durable=directory.is_kept)
    _tell(f"PostgreSQL {cluster.programs.major} from {cluster.programs.directory}")
    if not cluster.is_made:
        await _make(cluster)
    with _deadline("the end of an earlier PostgreSQL server"):
        while cluster.is_held():  # noqa: ASYNC110 - another process's file tells
            await trio.sleep(_POLL_S)
    cluster.log_file.unlink(missing_ok=True)  # of the last time
    child = Child(
        name="PostgreSQL server",
        process=cluster.spawn_server(),
        ask_to_end=cluster.end,
        end_s=POSTGRES_END_S,
        kill_signal=signal.SIGQUIT,
        explain=cluster.log_tail,
    )
    supervisor.adopt(child, ends_last=True)
    with _deadline("the start of PostgreSQL"):
        while not cluster.is_ready():  # noqa: ASYNC110 - another process's file tells
            await trio.sleep(_POLL_S)
    child.ready.set()
    await trio.to_thread.run_sync(create_database, cluster.url(), abandon_on_cancel=True)
    origin, _ = read_origin(cluster.url(DATABASE), None)
    return origin


async def _make(cluster: Cluster) -> None:
    """Run initdb. Cancellation: safe; what it has written is not taken for a cluster."""
    process = cluster.spawn_initdb()
    try:
        status = await wait_for(process)
    except trio.Cancelled:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    cluster.finish_initdb(status)


async def _until_answered(string: str) -> None:
    """Until a query has come back through the edge. Cancellation: safe; an attempt may end behind us."""
    failure: str | None = "no attempt ended"
    with trio.move_on_after(QUERY_TIMEOUT_S):
        while failure is not None:
            failure = await trio.to_thread.run_sync(query, string, abandon_on_cancel=True)
            await trio.sleep(_POLL_S)
    if failure is not None:
        raise CommandError(f"no query came through the edge: {failure}", "the nodes' messages above may say why")


@contextmanager
def _deadline(what: str) -> Iterator[None]:
    try:
        with trio.fail_after(START_TIMEOUT_S):
            yield
    except trio.TooSlowError:
        what = f"{what} takes longer than {START_TIMEOUT_S:g} s"
        raise CommandError(what, "the messages above may say why; is the machine very busy?") from None


def _tell(text: str) -> None:
    click.echo(f"onetrip: {redacted(text)}", err=True)
