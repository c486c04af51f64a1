"""What is outstanding of DDL is kept, by pool node, and nothing that is settled."""

from typing import Final

import pytest

from edge.cache.lag import Lag
from edge.directory import Directory
from edge.uplink import Uplink
from protos.link.ddl import RECENT_S
from protos.link.link_pb2 import Ddl, Frame, Hello, Welcome, Withdraw
from protos.link.version import PROTOCOL_VERSION
from tests.support.stage import configuration

MANY: Final = [f"app{number}" for number in range(1000)]


def seen(number: int, *names: str, node: str = "a") -> Ddl:
    return Ddl(configurations=names, node=node, number=number)


class Pools:
    """Two links, and what is outstanding of them."""

    def __init__(self, *names: str) -> None:
        self.first, self.second = self.both = [Uplink(("pool", port), Hello(), Directory(), None) for port in (1, 2)]
        self.lag = Lag(self.both)
        for uplink in self.both:
            self.link(uplink, *names)

    def link(self, uplink: Uplink, *names: str) -> None:
        uplink.on_serves = lambda name: self.lag.serves(uplink, name)
        uplink.take(Frame(welcome=Welcome(version=PROTOCOL_VERSION, configurations=len(names), node=uplink.name)))
        for name in names:
            uplink.take(Frame(configuration=configuration(name)))

    def behind(self, names: list[str], now: float = 0.0) -> list[str]:
        return [name for name in names if self.lag.is_behind(name, now)]


@pytest.fixture
def pools() -> Pools:
    return Pools("app", "other")


def test_it_is_outstanding_until_the_other_one_knows(pools: Pools) -> None:
    assert pools.lag.said(pools.first, seen(2, "app"), 0.0) == (["app"], [pools.second])
    assert pools.behind(["app", "other"]) == ["app"]
    assert pools.lag.to_tell(pools.second, 0.0) == [seen(2, "app")]
    assert not pools.lag.to_tell(pools.first, 0.0)
    assert pools.lag.said(pools.second, seen(1, "app"), 0.0) == (["app"], [])
    assert pools.behind(["app"]), "it knows an earlier one"
    assert pools.lag.said(pools.second, seen(2, "app"), 0.0) == (["app"], [])
    assert not pools.behind(["app"])
    assert pools.lag.said(pools.second, seen(2, "app"), 0.0) == ([], []), "it is no news"


def test_what_is_settled_is_not_kept() -> None:
    """Else it would be gone through at each pong, for a minute after a migration of many databases."""
    pools = Pools(*MANY)
    pools.lag.said(pools.first, seen(1, *MANY), 0.0)
    assert len(pools.lag._outstanding[pools.second]) == len(MANY)
    pools.lag.said(pools.second, seen(1, *MANY[1:]), 0.0)
    assert pools.lag._outstanding == {pools.first: {}, pools.second: {"app0": {"a": (1, 0.0)}}}
    assert pools.behind(MANY) == ["app0"]
    assert not pools.behind(MANY, RECENT_S)
    assert not pools.lag.to_tell(pools.second, RECENT_S)
    assert not pools.lag._outstanding[pools.second]


@pytest.mark.parametrize("is_lost", [True, False])
def test_who_serves_a_configuration_later_has_to_hear_of_it(pools: Pools, *, is_lost: bool) -> None:
    pools.lag.said(pools.first, seen(1, "app"), 0.0)
    pools.lag.said(pools.second, seen(1, "app"), 0.0)
    pools.lag.said(pools.first, seen(1, "other", node="b"), 0.0)
    if is_lost:
        pools.second.lost()
        assert not pools.behind(["app", "other"]), "who is gone is waited for elsewhere"
        pools.link(pools.second, "app")
        assert pools.behind(["app", "other"], 1.0) == ["app"]
        assert pools.lag.to_tell(pools.second, 1.0) == [seen(1, "app")]
    else:
        pools.second.take(Frame(withdraw=Withdraw(name="other")))
        assert not pools.behind(["app", "other"])
        pools.second.take(Frame(configuration=configuration("other")))
        assert pools.behind(["app", "other"]) == ["other"]


def test_who_does_not_serve_it_need_not_hear_of_it() -> None:
    pools = Pools("app")
    assert pools.lag.said(pools.first, seen(1, "third"), 0.0) == (["third"], [])
    assert not pools.behind(["third"])
