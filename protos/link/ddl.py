"""Which DDL one node knows of: of each configuration and pool node, the last that this pool node has seen.

It is news once. What was heard of RECENT_S ago or more concerns nobody any more: no pool node uses a catalogue that is
so old, so those that were not told of it have noticed by themselves.
"""

from collections.abc import Iterator
from typing import Final

from protos.link.link_pb2 import Ddl

RECENT_S: Final = 65.0
MAX_KNOWN: Final = 20_000


class KnownDdl:
    """Of one node."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[int, float]] = {}  # with when it was heard of, the latest last

    def take(self, ddl: Ddl, now: float) -> list[str]:
        """Somebody has said so; the configurations for which it is news."""
        last = self._last
        news = [name for name in ddl.configurations if self.number(name, ddl.node) < ddl.number]
        for name in news:
            last.pop((name, ddl.node), None)
            last[name, ddl.node] = ddl.number, now
        while len(last) > MAX_KNOWN:
            del last[next(iter(last))]
        return news

    def number(self, configuration: str, node: str) -> int:
        """Of the last that this pool node has seen; 0 if none is known."""
        return self._last.get((configuration, node), (0, 0.0))[0]

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

    def knows(self, ddl: Ddl) -> bool:
        return all(self.number(name, ddl.node) >= ddl.number for name in ddl.configurations)
