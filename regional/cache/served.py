"""What has come of the queries of all edges, summed by configuration.

Theory of operation: an edge says every few seconds what it has counted since it began, of each configuration where
that has changed. What it says beyond its last word is added to the sums, so nothing is counted twice, whatever links
come and go, and the sums never fall. A counter that is lower than before has begun again, and counts from nothing. What
an edge keeps is no counter: it is the edge's latest word, and goes with its link. Edges of which nothing was heard for
long are forgotten, the longest silent first.

Reasons for which an answer is not kept are summed by class, the part in front of a colon: the rest may name anything.
"""

from typing import Final

import attrs

from protos.link.link_pb2 import Statuses
from regional.control import CacheStatus

COUNTERS: Final = ("hits", "stale", "misses", "disabled", "transaction", "bypassed", "late_hits")
# An edge process that ends is another one when it comes back, so only those of the last while can speak again.
MAX_EDGES: Final = 1000
# The pool node's own words are about twenty; what a newer or older edge says besides goes under one name.
MAX_CLASSES: Final = 64
MAX_CLASS_CHARACTERS: Final = 64
OTHER: Final = "other"


@attrs.define
class _Sums:
    """One configuration's counters."""

    counters: dict[str, int] = attrs.field(factory=lambda: dict.fromkeys(COUNTERS, 0))
    reasons: dict[str, int] = attrs.field(factory=dict)


class Served:
    """The sums of one pool node."""

    def __init__(self) -> None:
        # What each edge has said last, by configuration; whose word is the oldest comes first.
        self._edges: dict[str, dict[str, Statuses]] = {}
        self._sums: dict[str, _Sums] = {}
        self._classes: set[str] = set()

    def take(self, edge_node: str, statuses: Statuses) -> None:
        """An edge has said what it has counted so far of a configuration."""
        said = self._edges.pop(edge_node, {})
        name = statuses.configuration
        self._add(self._sums.setdefault(name, _Sums()), said.get(name, Statuses()), statuses)
        said[name] = statuses
        self._edges[edge_node] = said
        while len(self._edges) > MAX_EDGES:
            del self._edges[next(iter(self._edges))]

    def gone(self, edge_node: str) -> None:
        """The edge is not linked any more, so what it keeps is not served."""
        said = self._edges.get(edge_node, {})
        for name in said:
            said[name] = _keeping_nothing(said[name])

    def totals(self) -> tuple[CacheStatus, ...]:
        """All configurations of which an edge has spoken, by name."""
        return tuple(self._status(name, self._sums[name]) for name in sorted(self._sums))

    def _add(self, sums: _Sums, before: Statuses, now: Statuses) -> None:
        for name in COUNTERS:
            sums.counters[name] += _grown(getattr(before, name), getattr(now, name))
        for reason, count in now.uncacheable.items():
            more = _grown(before.uncacheable.get(reason, 0), count)
            name = self._class_of(reason)
            sums.reasons[name] = sums.reasons.get(name, 0) + more

    def _class_of(self, reason: str) -> str:
        name = reason.partition(":")[0].strip()[:MAX_CLASS_CHARACTERS] or OTHER
        if name not in self._classes:
            if len(self._classes) >= MAX_CLASSES:
                return OTHER
            self._classes.add(name)
        return name

    def _status(self, name: str, sums: _Sums) -> CacheStatus:
        kept = [said[name] for said in self._edges.values() if name in said]
        answered = sums.counters["hits"] + sums.counters["stale"]
        asked = answered + sums.counters["misses"]
        return CacheStatus(
            configuration=name,
            entries=sum(statuses.entries for statuses in kept),
            bytes=sum(statuses.bytes for statuses in kept),
            hit_rate=answered / asked if asked else None,
            uncacheable=sum(sums.reasons.values()),
            reasons=dict(sorted(sums.reasons.items(), key=lambda item: (-item[1], item[0]))),
            **sums.counters,
        )


def _grown(before: int, now: int) -> int:
    return now - before if now >= before else now


def _keeping_nothing(statuses: Statuses) -> Statuses:
    """The same counters, with nothing kept."""
    ended = Statuses()
    ended.CopyFrom(statuses)
    ended.ClearField("entries")
    ended.ClearField("bytes")
    return ended
