"""What an edge is told at its start."""

import attrs
import pytest

from edge.options import EdgeOptions


def test_the_defaults_are_those_of_the_design() -> None:
    options = EdgeOptions(pools=(("127.0.0.1", 6434),))
    assert options.listen == ("127.0.0.1", 6432)
    assert (options.wait_timeout_s, options.handshake_timeout_s, options.drain_timeout_s) == (15.0, 15.0, 30.0)
    assert options.cache_bytes == 256 * 1024 * 1024
    assert (options.tls_cert_file, options.tls_key_file, options.advertise, options.link_tls) == (None,) * 4


def test_they_cannot_be_changed_while_the_node_runs() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        EdgeOptions(pools=()).wait_timeout_s = 1.0  # type: ignore[misc]
