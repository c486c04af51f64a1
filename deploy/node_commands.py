"""`onetrip pool` and `onetrip edge`: from options to a running node.

The node itself prints its READY line, drains on SIGTERM and SIGINT, and reloads its certificates on SIGHUP; here it is
only told what to be. A link is either TLS with all three files or, explicitly, `--insecure`: leaving out a file must
not be a way to lose encryption.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import click

from deploy.addresses import Address, ListenAddress, NamedAddress, PeerAddress, format_address, is_loopback
from deploy.admin_client import given_token
from deploy.complaint import CommandError, WrongUseError
from deploy.early_end import ends_at_once
from deploy.settings import config_option, setting
from deploy.sizes import Size, format_size
from edge.options import (
    DEFAULT_CACHE_BYTES,
    DEFAULT_DRAIN_TIMEOUT_S,
    DEFAULT_HANDSHAKE_TIMEOUT_S,
    DEFAULT_LISTEN,
    DEFAULT_WAIT_TIMEOUT_S,
    EdgeOptions,
)
from protos.link.tls import LinkTls
from regional.options import DEFAULT_ADMIN_LISTEN, DEFAULT_STORE, PoolOptions

_Function = TypeVar("_Function", bound=Callable[..., object])

POOL_HELP: Final = """Run a pool node, beside the database.

It owns the connections to the origins and lends them to the edges that link to it. Configurations are kept in its
store, the origins' passwords sealed with a key that is made on the first start, beside the store and never in it, or
given as --store-key-file or ONETRIP_POOL_STORE_KEY. Prints `READY HOST:PORT` when it serves links.

SIGTERM or SIGINT drains: transactions get --drain-timeout to finish. A second signal ends at once. SIGHUP reloads
certificates.

\b
Examples:
  onetrip pool --listen 0.0.0.0:6434 --link-ca ca.crt --link-cert pool.crt --link-key pool.key
  # several pool nodes with one store
  ONETRIP_POOL_STORE=postgresql://... onetrip pool --listen 0.0.0.0:6434 --config pool.toml
  # on one machine, for a try
  onetrip pool --listen 127.0.0.1:0 --insecure
"""

EDGE_HELP: Final = """Run an edge node, near the applications.

It ends the drivers' connections and speaks for them over one link to a pool node. It starts without one too, and
answers 57P03 after the wait limit until there is a link. Prints `READY HOST:PORT` when it listens.

With --tls-cert and --tls-key drivers may use TLS (sslmode=require and up, and direct TLS). --advertise is what
connection strings name, where that is not the address it listens on.

SIGTERM or SIGINT drains: transactions get --drain-timeout to finish. A second signal ends at once. SIGHUP reloads
certificates.

\b
Examples:
  onetrip edge --listen 0.0.0.0:6432 --pool pool.example.net:6434 --advertise edge.example.net:6432 \\
      --tls-cert edge-server.crt --tls-key edge-server.key \\
      --link-ca ca.crt --link-cert edge.crt --link-key edge.key
  # two pool nodes, the first is preferred
  ONETRIP_EDGE_POOL=pool-1.example.net:6434,pool-2.example.net:6434 onetrip edge --config edge.toml
  # on one machine, for a try
  onetrip edge --pool 127.0.0.1:6434 --insecure
"""


def _link_options(function: _Function) -> _Function:
    """How the link is protected, as every node takes it."""
    for option in (
        setting(
            "--insecure", is_flag=True, help="Plain link, for loopback and tests: no encryption, no authentication."
        ),
        setting("--link-key", metavar="FILE", help="This node's key for the link."),
        setting("--link-cert", metavar="FILE", help="This node's certificate for the link, with its role."),
        setting("--link-ca", metavar="FILE", help="The CA that signed the nodes' certificates."),
    ):
        function = option(function)
    return function


def cache_option(function: _Function) -> _Function:
    """How much an edge may keep; `onetrip dev` has one, too."""
    declare = setting(
        "--cache-size",
        "cache_bytes",
        type=Size(),
        default=format_size(DEFAULT_CACHE_BYTES),
        show_default=True,
        metavar="SIZE",
        help="Memory for kept answers, in bytes or with KiB, MiB, GiB; 0 keeps none.",
    )
    return declare(function)


def _node_options(function: _Function) -> _Function:
    """What every node takes besides."""
    for option in (
        config_option(),
        setting("--log-json", is_flag=True, help="Log JSON lines rather than text."),
        setting(
            "--drain-timeout",
            type=click.FloatRange(min=0),
            default=DEFAULT_DRAIN_TIMEOUT_S,
            show_default=True,
            metavar="SECONDS",
            help="How long transactions may go on after the first signal.",
        ),
    ):
        function = option(function)
    return function


@click.command(help=POOL_HELP, short_help="Run a pool node, beside the database.")
@setting("--listen", type=ListenAddress(), required=True, help="Where edges link to; port 0 takes a free one.")
@setting(
    "--admin-listen",
    type=ListenAddress(),
    default=format_address(DEFAULT_ADMIN_LISTEN),
    show_default=True,
    help="Where `onetrip config` and `status` ask; without TLS on loopback only.",
)
@setting("--admin-tls-cert", metavar="FILE", help="Certificate of the admin endpoint.")
@setting("--admin-tls-key", metavar="FILE", help="Key of the admin endpoint.")
@setting("--token-file", metavar="FILE", help="The admin endpoint's token. [default: made on the first start]")
@setting("--store", default=DEFAULT_STORE, show_default=True, metavar="URL", help="sqlite:///PATH or postgresql://...")
@setting("--store-key-file", metavar="FILE", help="The key that seals passwords in the store.")
@_link_options
@setting("--allow-plain-origin", is_flag=True, help="Admit sslmode=disable for origins on other machines.")
@_node_options
def pool(  # noqa: PLR0913 - a command's options are its parameters
    *,
    listen: Address,
    admin_listen: Address,
    admin_tls_cert: str | None,
    admin_tls_key: str | None,
    token_file: str | None,
    store: str,
    store_key_file: str | None,
    link_ca: str | None,
    link_cert: str | None,
    link_key: str | None,
    insecure: bool,
    allow_plain_origin: bool,
    drain_timeout: float,
    log_json: bool,
) -> int:
    _both("--admin-tls-cert", admin_tls_cert, "--admin-tls-key", admin_tls_key)
    if admin_tls_cert is None and not is_loopback(admin_listen[0]):
        what = f"--admin-listen {format_address(admin_listen)} would be open to others without TLS"
        raise WrongUseError(what, "listen on 127.0.0.1, or give --admin-tls-cert and --admin-tls-key")
    options = PoolOptions(
        listen=listen,
        admin_listen=admin_listen,
        admin_tls_cert_file=admin_tls_cert,
        admin_tls_key_file=admin_tls_key,
        admin_token=given_token(token_file),
        store=store,
        store_key_file=store_key_file,
        link_tls=link_tls(link_ca, link_cert, link_key, insecure=insecure),
        allow_plain_origin=allow_plain_origin,
        drain_timeout_s=drain_timeout,
        log_json=log_json,
    )
    if insecure:
        _warn_insecure(listen)
    with ends_at_once():
        from regional.node import run

        return run(options)


@click.command(help=EDGE_HELP, short_help="Run an edge node, near the applications.")
@setting(
    "--listen",
    type=ListenAddress(),
    default=format_address(DEFAULT_LISTEN),
    show_default=True,
    help="Where drivers connect; port 0 takes a free one.",
)
@setting(
    "--pool",
    "pools",
    type=PeerAddress(),
    multiple=True,
    required=True,
    help="A pool node; repeatable, preferred first.",
)
@setting("--tls-cert", metavar="FILE", help="Certificate (chain) that drivers see.")
@setting("--tls-key", metavar="FILE", help="Its key.")
@setting("--advertise", type=NamedAddress(), help="What connection strings name. [default: the listening address]")
@_link_options
@setting(
    "--wait-timeout",
    type=click.FloatRange(min=0),
    default=DEFAULT_WAIT_TIMEOUT_S,
    show_default=True,
    metavar="SECONDS",
    help="How long a client waits for a pool node before 57P03.",
)
@setting(
    "--handshake-timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=DEFAULT_HANDSHAKE_TIMEOUT_S,
    show_default=True,
    metavar="SECONDS",
    help="How long a client may take to log in.",
)
@cache_option
@_node_options
def edge(  # noqa: PLR0913 - a command's options are its parameters
    *,
    listen: Address,
    pools: tuple[Address, ...],
    tls_cert: str | None,
    tls_key: str | None,
    advertise: Address | None,
    link_ca: str | None,
    link_cert: str | None,
    link_key: str | None,
    insecure: bool,
    wait_timeout: float,
    handshake_timeout: float,
    cache_bytes: int,
    drain_timeout: float,
    log_json: bool,
) -> int:
    _both("--tls-cert", tls_cert, "--tls-key", tls_key)
    options = EdgeOptions(
        pools=pools,
        listen=listen,
        tls_cert_file=tls_cert,
        tls_key_file=tls_key,
        advertise=None if advertise is None else format_address(advertise),
        link_tls=link_tls(link_ca, link_cert, link_key, insecure=insecure),
        drain_timeout_s=drain_timeout,
        wait_timeout_s=wait_timeout,
        handshake_timeout_s=handshake_timeout,
        cache_bytes=cache_bytes,
        log_json=log_json,
    )
    if insecure:
        _warn_insecure(*pools)
    with ends_at_once():
        from edge.node import run

        return run(options)


def link_tls(ca: str | None, cert: str | None, key: str | None, *, insecure: bool) -> LinkTls | None:
    """The link's protection; None is a plain link, which must have been asked for."""
    if insecure:
        if ca or cert or key:
            raise WrongUseError("--insecure contradicts the --link-... files", "give one or the other")
        return None
    if ca and cert and key:
        _readable(("--link-ca", ca), ("--link-cert", cert), ("--link-key", key))
        return LinkTls(ca_file=ca, cert_file=cert, key_file=key)
    what = "the link needs --link-ca, --link-cert and --link-key"
    raise WrongUseError(what, "make them with `onetrip cert`, or give --insecure on loopback")


def _both(first: str, first_value: str | None, second: str, second_value: str | None) -> None:
    """Two files that are of use together only."""
    if (first_value is None) != (second_value is None):
        raise WrongUseError(f"{first} and {second} go together", "give both")
    if first_value is not None and second_value is not None:
        _readable((first, first_value), (second, second_value))


def _readable(*files: tuple[str, str]) -> None:
    """A file that is missing is told here, by the name of its option; what is in it is for the node to judge."""
    for option, path in files:
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise CommandError(f"cannot read {path}: {error.strerror}", f"name a PEM file as {option}") from None


def _warn_insecure(*places: Address) -> None:
    elsewhere = [format_address(place) for place in places if not is_loopback(place[0])]
    where = f" And {', '.join(elsewhere)} is not this machine!" if elsewhere else ""
    bar = "!" * 78
    what = "! --insecure: the link is neither encrypted nor authenticated."
    means = "! Whoever reaches it reads queries and rows, and can use the database."
    click.echo("\n".join([bar, what, means, f"! For loopback and tests only.{where}", bar]), err=True)
