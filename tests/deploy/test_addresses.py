"""HOST:PORT as people write it."""

import click
import pytest

from deploy.addresses import (
    ListenAddress,
    NamedAddress,
    PeerAddress,
    format_address,
    is_loopback,
    parse_address,
    reachable_host,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:6432", ("127.0.0.1", 6432)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:6432", ("::1", 6432)),
        ("pool-1.example.net:65535", ("pool-1.example.net", 65535)),
        (":6432", ("0.0.0.0", 6432)),
        ("*:6432", ("0.0.0.0", 6432)),
        (" edge:1 ", ("edge", 1)),
    ],
)
def test_what_people_write_is_read(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "6432", "host", "host:", "host:-1", "host:65536", "host:x", "::1:6432", "[x]:1", "a/b:1", "u@h:1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_address(text)


@pytest.mark.parametrize("text", ["127.0.0.1:6432", "[::1]:1", "host:0"])
def test_writing_is_the_inverse_of_reading(text: str) -> None:
    assert format_address(parse_address(text)) == text


def test_a_peer_is_one_place() -> None:
    assert PeerAddress().convert("pool:6434", None, None) == ("pool", 6434)
    for text in ("pool:0", "0.0.0.0:6434", "[::]:6434", ":6434"):
        with pytest.raises(click.BadParameter):
            PeerAddress().convert(text, None, None)


def test_a_connection_string_names_no_wildcard() -> None:
    assert NamedAddress().convert("0.0.0.0:6432", None, None) == ("127.0.0.1", 6432)
    assert NamedAddress().convert("[::]:6432", None, None) == ("127.0.0.1", 6432)
    assert NamedAddress().convert("edge.example.net:6432", None, None) == ("edge.example.net", 6432)
    with pytest.raises(click.BadParameter):
        NamedAddress().convert("edge:0", None, None)


def test_a_default_that_is_a_pair_already_is_kept() -> None:
    assert ListenAddress().convert(("::", 5), None, None) == ("::", 5)


def test_loopback_is_known_by_name_and_address() -> None:
    assert all(is_loopback(host) for host in ("localhost", "127.0.0.1", "127.8.8.8", "::1"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "example.net"))


def test_a_wildcard_is_reached_by_loopback() -> None:
    assert [reachable_host(host) for host in ("0.0.0.0", "::", "edge")] == ["127.0.0.1", "127.0.0.1", "edge"]
