"""Which DDL one node knows of: of each configuration and pool node, the last that this pool node has seen.

It is news once. What was heard of RECENT_S ago or more concerns nobody any more: no pool node uses a catalogue that is
so old, so those that were not told of it have noticed by themselves.
"""

from collections.abc import Collection, Iterator
from typing import Final

from protos.link.link_pb2 import Ddl

RECENT_S: Final = 65.0
MAX_KNOWN: Final = 20_000


class KnownDdl:
    """Of one node."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[int, float]] = {}  # with when it was heard of, the latest last
        self._nodes: dict[str, set[str]] = {}  # that have seen some, by configuration

    def take(self, ddl: Ddl, now: float) -> list[str]:
        """Somebody has said so; the configurations for which it is news."""
        last = self._last
        news = [name for name in ddl.configurations if self.last(name, ddl.node)[0] < ddl.number]
        for name in news:
            last.pop((name, ddl.node), None)
            last[name, ddl.node] = ddl.number, now
            self._nodes.setdefault(name, set()).add(ddl.node)
        while len(last) > MAX_KNOWN:
            self._forget(*next(iter(last)))
        return news

    def _forget(self, configuration: str, node: str) -> None:
        del self._last[configuration, node]
        nodes = self._nodes[configuration]
        nodes.discard(node)
        if not nodes:
            del self._nodes[configuration]

    def last(self, configuration: str, node: str) -> tuple[int, float]:
        """The number of the last that this pool node has seen, and when it was heard of; 0 if none is known."""
        return self._last.get((configuration, node), (0, 0.0))

    def nodes(self, configuration: str) -> Collection[str]:
        """The pool nodes that have seen some of this configuration."""
        return self._nodes.get(configuration, ())

    def recent(self, now: float) -> Iterator[tuple[str, str, int]]:
        """What may concern somebody yet: configuration, pool node, number."""
        for (name, node), (number, heard_at) in reversed(self._last.items()):
            if heard_at <= now - RECENT_S:
                return
            yield name, node, number

    def told(self, now: float) -> list[Ddl]:
        """The same, for somebody who knows nothing."""
        found: dict[tuple[str, int], list[str]] = {}
        for name, node, number in self.recent(now):
            found.setdefault((node, number), []).append(name)
        return [Ddl(configurations=names, node=node, number=number) for (node, number), names in found.items()]
