"""HOST:PORT as people write it: names, IPv4, [IPv6], and wildcards for what listens.

An address is a (host, port) pair with the host unbracketed, as the nodes' options take it.
"""

import ipaddress
from typing import Final

import click

Address = tuple[str, int]

WILDCARDS: Final = frozenset({"0.0.0.0", "::", "*", ""})
MAX_PORT: Final = 65535


def parse_address(text: str) -> Address:
    """Read HOST:PORT or [IPV6]:PORT; ValueError says what is wrong with it."""
    host, colon, port_text = text.strip().rpartition(":")
    if not colon:
        raise ValueError("must be HOST:PORT")
    if not (port_text.isascii() and port_text.isdigit()) or int(port_text) > MAX_PORT:
        raise ValueError(f"the port must be a number from 0 to {MAX_PORT}")
    if host.startswith("[") and host.endswith("]"):
        return _ipv6(host[1:-1]), int(port_text)
    if ":" in host:
        raise ValueError("an IPv6 address goes into brackets, as in [::1]:6432")
    if host in {"", "*"}:
        return "0.0.0.0", int(port_text)
    if not all(character.isalnum() or character in "-._" for character in host):
        raise ValueError("the host must be a name or an IP address")
    return host, int(port_text)


def _ipv6(host: str) -> str:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        raise ValueError("what is in brackets must be an IPv6 address") from None
    return host


def format_address(address: Address) -> str:
    """HOST:PORT, an IPv6 host in brackets."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether what is sent to this host stays on this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def reachable_host(host: str) -> str:
    """The host by which a client on this machine reaches what listens on it."""
    return "127.0.0.1" if host in WILDCARDS else host


class ListenAddress(click.ParamType[Address]):
    """An address to listen on: port 0 takes a free one."""

    name = "host:port"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        if isinstance(value, tuple):
            host, port = value
            return str(host), int(port)
        try:
            return parse_address(str(value))
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


class NamedAddress(ListenAddress):
    """An address for connection strings; where everything is listened on, a client on this machine uses loopback."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        host, port = super().convert(value, param, ctx)
        if port == 0:
            self.fail(f"{value!r}: must name a port", param, ctx)
        return reachable_host(host), port


class PeerAddress(ListenAddress):
    """An address to dial: a place, so neither port 0 nor a wildcard."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        host, port = super().convert(value, param, ctx)
        if port == 0 or host in WILDCARDS:
            self.fail(f"{value!r}: must name one host and its port", param, ctx)
        return host, port
