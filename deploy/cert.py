"""`onetrip cert`: a CA and the certificates of nodes, as files.

Theory of operation: the directory is the memory. The first call makes its CA, every later one signs with that CA, so a
node that is added next year fits the house. Files appear whole, 0600, and an existing one is never replaced unless
`--force` says so; the CA is not replaced even then, since every node of the house would have to be made anew.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from deploy.complaint import CommandError, WrongUseError
from deploy.private_files import write_private
from deploy.settings import config_option, setting

if TYPE_CHECKING:
    from deploy.certificates import Pair

CA: Final = "ca"
# Apple and browsers refuse server certificates of more than 825 days; two years are easy to remember.
DEFAULT_DAYS: Final = 730
LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1")

HELP: Final = """Make a CA and certificates for nodes.

A link between an edge node and a pool node is TLS in which each end shows a certificate of the house's own CA, and the
other end checks that CA and the role in it: edge or pool. The first call makes the CA in the directory; later ones sign
with it. Keep ca.key off the nodes: a node needs ca.crt and its own two files.

An edge checks that the name in its --pool HOST:PORT is among the --name and --address of the pool node's certificate.

\b
Examples:
  # everything for one machine: ca, pool and edge for localhost
  onetrip cert
  # a pool node beside the database, then an edge far away
  onetrip cert --dir house --role pool --name pool.example.net --address 10.1.0.5
  onetrip cert --dir house --role edge --name edge-syd.example.net
  # a second pool node, as house/pool-2.crt and house/pool-2.key
  onetrip cert --dir house --role pool --node pool-2 --name pool-2.example.net
"""


@click.command(help=HELP, short_help="Make a CA and certificates for nodes.")
@setting("--dir", default=".", show_default=True, metavar="DIR", help="Where the files go, and where the CA is kept.")
@setting(
    "--role", multiple=True, type=click.Choice(["edge", "pool"]), help="Role of the node; repeatable. [default: both]"
)
@setting("--name", multiple=True, metavar="HOST", help="A host name of the node; repeatable. [default: localhost]")
@setting("--address", multiple=True, metavar="IP", help="An IP address of the node; repeatable. [default: loopback]")
@setting("--node", metavar="NAME", help="Name in the certificate and of its files. [default: the role]")
@setting(
    "--days", type=click.IntRange(1, 36500), default=DEFAULT_DAYS, show_default=True, help="How long a node's is valid."
)
@setting("--force", is_flag=True, help="Replace a node's files that are there; never the CA.")
@config_option()
def cert(  # noqa: PLR0913 - a command's options are its parameters
    *,
    dir: str,  # noqa: A002 - the option's name
    role: tuple[str, ...],
    name: tuple[str, ...],
    address: tuple[str, ...],
    node: str | None,
    days: int,
    force: bool,
) -> None:
    roles = role or ("pool", "edge")
    if node is not None and len(roles) > 1:
        raise WrongUseError("--node names one node", "give one --role with it")
    if node is not None and (not node.replace("-", "").replace("_", "").replace(".", "").isalnum() or node == CA):
        raise WrongUseError(f"--node {node!r} cannot be the name of a file", "use letters, digits, '-', '_' and '.'")
    hosts = (*name, *address) or LOCAL_HOSTS
    directory = Path(dir)
    stems = [node or each for each in roles]
    if not force:
        _refuse_existing(directory, stems)
    nodes = dict(zip(stems, roles, strict=True))
    made = _make(directory, nodes, hosts, days)
    click.echo("\n".join([*made, "", _how_to_use(directory, nodes)]))


def _refuse_existing(directory: Path, stems: list[str]) -> None:
    for stem in stems:
        for file in (directory / f"{stem}.crt", directory / f"{stem}.key"):
            if file.exists():
                raise CommandError(f"{file} is there already", "give --force to replace it, or --node for another name")


def _make(directory: Path, nodes: dict[str, str], hosts: tuple[str, ...], days: int) -> list[str]:
    """Write the files; says what was made."""
    from deploy import certificates

    try:
        for host in hosts:
            certificates.general_name(host)
    except ValueError as error:
        raise WrongUseError(str(error), "give host names as --name and addresses as --address") from None
    lines: list[str] = []
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        ca = _ca(directory, lines)
        for stem, role in nodes.items():
            pair = certificates.make_node(ca, "edge" if role == "edge" else "pool", stem, hosts, days=days)
            _write(directory, stem, pair)
            left = certificates.days_left(pair.certificate)
            lines.append(_made(directory, stem, f"role {role}, for {', '.join(hosts)}, {left:.0f} days"))
    except OSError as error:
        raise CommandError(f"cannot use {directory}: {error.strerror}", "give another --dir") from error
    except (ValueError, TypeError):
        cure = "put the right files back, or give an empty --dir for a new CA"
        raise CommandError(f"{CA}.crt and {CA}.key in {directory} are not a CA of this command", cure) from None
    return lines


def _ca(directory: Path, lines: list[str]) -> "Pair":
    """The CA of the directory, made if there is none."""
    from deploy import certificates

    cert_file, key_file = directory / f"{CA}.crt", directory / f"{CA}.key"
    if not cert_file.exists() and not key_file.exists():
        pair = certificates.make_ca(f"Onetrip CA {directory.resolve().name}")
        _write(directory, CA, pair)
        lines.append(_made(directory, CA, f"the CA, {certificates.days_left(pair.certificate):.0f} days"))
        return pair
    for file in (cert_file, key_file):
        if not file.exists():
            raise CommandError(f"{file} is missing", "put it back, or give an empty --dir for a new CA")
    pair = certificates.Pair(cert_file.read_bytes(), key_file.read_bytes())
    if certificates.days_left(pair.certificate) <= 0:
        raise CommandError(f"the CA {cert_file} has expired", "make a new house in an empty --dir")
    return pair


def _write(directory: Path, stem: str, pair: "Pair") -> None:
    # The key first: a certificate whose key is missing would look whole.
    write_private(directory / f"{stem}.key", pair.key)
    write_private(directory / f"{stem}.crt", pair.certificate)


def _made(directory: Path, stem: str, what: str) -> str:
    return f"made {directory / stem}.crt and .key: {what}"


def _how_to_use(directory: Path, nodes: dict[str, str]) -> str:
    """The command lines that take the new files."""
    lines = ["Copy to each node ca.crt and its own two files (not ca.key), and start it with:"]
    for stem, role in nodes.items():
        options = "--listen HOST:PORT" if role == "pool" else "--pool HOST:PORT"
        ca, cert_file, key_file = directory / f"{CA}.crt", directory / f"{stem}.crt", directory / f"{stem}.key"
        lines.append(f"  onetrip {role} {options} --link-ca {ca} --link-cert {cert_file} --link-key {key_file}")
    return "\n".join(lines)
