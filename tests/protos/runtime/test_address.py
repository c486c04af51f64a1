"""How addresses are written."""

from protos.runtime.address import authority


def test_an_ipv6_host_is_in_brackets_and_others_are_not() -> None:
    assert authority("127.0.0.1", 6432) == "127.0.0.1:6432"
    assert authority("db.example", 5432) == "db.example:5432"
    assert authority("::1", 6432) == "[::1]:6432"
