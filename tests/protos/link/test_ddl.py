"""Which DDL is known: it is news once, concerns those who were not told for a while, and is bounded."""

import pytest

from protos.link import ddl as module
from protos.link.ddl import RECENT_S, KnownDdl
from protos.link.link_pb2 import Ddl


def seen(number: int, *names: str, node: str = "a") -> Ddl:
    return Ddl(configurations=names, node=node, number=number)


def test_it_is_news_once_for_each_configuration() -> None:
    known = KnownDdl()
    assert known.take(seen(1, "app"), 0.0) == ["app"]
    assert known.take(seen(1, "app", "other"), 0.0) == ["other"]
    assert known.take(seen(1, "app", node="b"), 0.0) == ["app"], "another pool node counts for itself"
    assert known.take(seen(3, "app"), 0.0) == ["app"]
    assert known.take(seen(2, "app"), 0.0) == [], "what is older is in it"
    assert [known.last("app", node)[0] for node in "abc"] == [3, 1, 0]
    assert set(known.nodes("app")) == {"a", "b"}


def test_what_is_old_concerns_nobody_but_is_no_news() -> None:
    known = KnownDdl()
    known.take(seen(1, "app"), 0.0)
    known.take(seen(2, "other"), 10.0)
    assert set(known.recent(RECENT_S - 1)) == {("app", "a", 1), ("other", "a", 2)}
    assert set(known.recent(RECENT_S)) == {("other", "a", 2)}
    assert not known.take(seen(1, "app"), RECENT_S)
    assert set(known.recent(RECENT_S)) == {("other", "a", 2)}, "nor is it told again"


def test_it_is_told_as_it_was_heard() -> None:
    known = KnownDdl()
    known.take(seen(1, "app", "other"), 0.0)
    known.take(seen(2, "other", "third", node="b"), 0.0)
    fresh = KnownDdl()
    for one in known.told(1.0):
        fresh.take(one, 1.0)
    assert set(fresh.recent(1.0)) == set(known.recent(1.0))
    assert len(known.told(1.0)) == 2


def test_what_is_known_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KNOWN", 3)
    known = KnownDdl()
    for number in range(1, 6):
        known.take(seen(number, f"app{number}"), 0.0)
    assert {name for name, _, _ in known.recent(0.0)} == {"app3", "app4", "app5"}
    assert [list(known.nodes(f"app{number}")) for number in (2, 3)] == [[], ["a"]]
