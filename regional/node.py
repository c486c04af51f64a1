"""A pool node: link server, tenants and admin endpoint in one process, from its start to its drain.

gRPC runs on the host loop, everything with a lifecycle is a trio task. On SIGTERM the node tells its edges to go away,
lets transactions finish for the drain timeout, ends what is left with FATAL 57P01, and closes.
"""

import hashlib
import os
import signal
import socket
import ssl
import sys
import time
from functools import partial
from typing import Final

import attrs
import grpc
import structlog
import trio
from grpc import aio

from protos.errors import DrainingError
from protos.runtime.address import authority
from protos.runtime.guest import call_host, signals_to
from protos.runtime.guest import run as run_guest
from protos.runtime.link_stream import CHANNEL_OPTIONS
from protos.runtime.logs import configure_logs
from protos.runtime.pump import Pump
from regional.admin.server import AdminAddressError, bind, make_ssl_context, serve
from regional.admin.token import make_token
from regional.control_here import ControlHere
from regional.dial import Dialer
from regional.membership import Membership
from regional.options import PoolOptions
from regional.secrets import SecretError
from regional.server import LinkServer
from regional.state import StateError
from regional.store import StoreError
from regional.tenant import TICK_S
from regional.tenants import Tenants
from regional.vault import Vault, open_vault
from regional.watch import follow, load

FLUSH_S: Final = 2.0

log = structlog.get_logger(__name__)


def run(options: PoolOptions) -> int:
    """Run a pool node until it is told to stop; its exit status."""
    configure_logs(as_json=options.log_json)
    try:
        vault = open_vault(options.store, options.store_key_file)
        context = None
        if options.admin_tls_cert_file is not None and options.admin_tls_key_file is not None:
            context = make_ssl_context(options.admin_tls_cert_file, options.admin_tls_key_file)
        bound = bind(options.admin_listen, secured=context is not None)
        token = options.admin_token or make_token(bound.getsockname()[1])
        admin = Admin(bound, token, context)
    except (StoreError, SecretError, StateError, AdminAddressError) as error:
        print(f"onetrip: {error}", file=sys.stderr)
        return 1
    try:
        return run_guest(partial(_main, options, vault, admin))
    finally:
        vault.close()


@attrs.frozen
class Admin:
    """Where the admin endpoint is, and what opens it."""

    bound: socket.socket
    token: str = attrs.field(repr=False)
    context: ssl.SSLContext | None


async def _main(options: PoolOptions, vault: Vault, admin: Admin) -> int:
    stop = trio.Event()

    def on_signal(number: signal.Signals) -> None:
        if number == signal.SIGHUP:
            _reload(options, admin)
        elif stop.is_set():
            os._exit(0)  # asked twice: at once, whatever is open
        else:
            stop.set()

    pump = Pump()
    with signals_to(on_signal, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        async with trio.open_nursery() as nursery:
            tenants = Tenants(Dialer(pump), nursery, _mock_secret(admin.token))
            links = LinkServer(tenants, checks_role=options.link_tls is not None)
            tenants.push = links.push
            links.is_open = False
            membership = Membership(vault, links.node, links.group_changed, tenants.others_missed)
            try:
                server, port = await call_host(_listen(options, links))
            except OSError as error:
                print(f"onetrip: {error}", file=sys.stderr)
                return 1
            await nursery.start(partial(_serve, options, vault, admin, tenants, links))
            await nursery.start(membership.run)
            links.is_open = True
            print(f"READY {authority(options.listen[0], port)}", flush=True)
            await stop.wait()
            await _drain(options, tenants, links)
            await call_host(server.stop(FLUSH_S))
            await membership.leave()
            tenants.close()
            with trio.move_on_after(FLUSH_S):
                while len(pump):  # noqa: ASYNC110 - the pump's callbacks know no trio event
                    await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
    pump.close()
    return 0


async def _serve(  # noqa: PLR0913 - what the node is made of
    options: PoolOptions,
    vault: Vault,
    admin: Admin,
    tenants: Tenants,
    links: LinkServer,
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    """Serve what the store holds: the janitor, the follower of the store, the admin endpoint."""
    from regional.admin.app import make_app  # starlette costs start-up time

    await load(tenants, vault)
    async with trio.open_nursery() as nursery:
        control = ControlHere(tenants, links, vault, nursery)
        tenants.on_learnt = control.learnt
        nursery.start_soon(_janitor, tenants)
        nursery.start_soon(follow, tenants, vault)
        app = make_app(vault, control, admin.token, allow_plain_origin=options.allow_plain_origin)
        await nursery.start(partial(serve, app, admin.bound, ssl_context=admin.context))
        task_status.started()


def _reload(options: PoolOptions, admin: Admin) -> None:
    """SIGHUP. The link's files are read anew for each connection anyway."""
    if admin.context is None:
        return
    try:
        admin.context.load_cert_chain(str(options.admin_tls_cert_file), options.admin_tls_key_file)
    except (OSError, ssl.SSLError) as error:
        log.warning("certificates not reloaded; the old ones stay in use", why=str(error))
    else:
        log.info("certificates reloaded")


async def _janitor(tenants: Tenants) -> None:
    while True:
        await trio.sleep(TICK_S)
        tenants.tick(time.monotonic())


async def _drain(options: PoolOptions, tenants: Tenants, links: LinkServer) -> None:
    log.info("draining", links=len(links.links))
    links.go_away("the pool node is shutting down")
    with trio.move_on_after(options.drain_timeout_s):
        while tenants.is_busy:  # noqa: ASYNC110 - likewise
            await trio.sleep(0.02)
    tenants.end_all(DrainingError())
    for link in list(links.links):
        await call_host(link.stream.flush(FLUSH_S))


async def _listen(options: PoolOptions, links: LinkServer) -> tuple[aio.Server, int]:
    """Start the link server; runs on the host. Raises OSError if the port is taken or a file cannot be read."""
    server = aio.server(options=CHANNEL_OPTIONS)
    server.add_generic_rpc_handlers((links.handler(),))
    address = authority(*options.listen)
    try:
        if options.link_tls is None:
            bound_port = server.add_insecure_port(address)
        else:
            bound_port = server.add_secure_port(address, _credentials(options))
    except RuntimeError:
        bound_port = 0
    if not bound_port:
        raise OSError(
            f"cannot listen on {address}: it is taken, or not an address of this machine; choose another --listen"
        )
    await server.start()
    return server, bound_port


def _credentials(options: PoolOptions) -> grpc.ServerCredentials:
    """Mutual TLS; the files are read anew for each connection, so renewed certificates are used without a restart."""
    tls = options.link_tls
    assert tls is not None

    def read() -> grpc.ServerCertificateConfiguration:
        contents = []
        for path in (tls.key_file, tls.cert_file, tls.ca_file):
            with open(path, "rb") as file:
                contents.append(file.read())
        key, certificate, authority = contents
        return grpc.ssl_server_certificate_configuration([(key, certificate)], authority)

    current = read()

    def fetch() -> grpc.ServerCertificateConfiguration:
        nonlocal current
        try:
            current = read()
        except OSError as error:
            log.warning("link certificate not read anew; the old one stays in use", why=str(error))
        return current

    return grpc.dynamic_ssl_server_credentials(current, fetch, require_client_authentication=True)


def _mock_secret(token: str) -> bytes:
    """What users that do not exist are made of: the same at every start of this node, known to nobody else."""
    return hashlib.sha256(b"onetrip mock users\0" + token.encode()).digest()
