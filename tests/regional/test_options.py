"""The defaults of a pool node are those of the design (§9)."""

from regional.options import PoolOptions


def test_the_defaults() -> None:
    options = PoolOptions(listen=("127.0.0.1", 7000))
    assert options.admin_listen == ("127.0.0.1", 6433)
    assert options.store == "sqlite:///"
    assert options.drain_timeout_s == 30.0
    assert not options.allow_plain_origin
    assert options.link_tls is None
