"""What a pool node's status says about the query caches of its edges, as counts that can be taken apart by time.

Edges report what they have served every few seconds, so a count is read when it has come to rest. A node that has no
cache says nothing of it: then every count is 0, and so is the rate of hits.
"""

import time
from collections.abc import Callable
from typing import Any, Final

import attrs

# Longer than an edge takes to report.
REST_S: Final = 2.5
MAX_LOOKS: Final = 8


@attrs.frozen
class Served:
    """Counts since the edges began."""

    hits: int = 0
    misses: int = 0
    late_hits: int | None = None
    """Hits of an entry after the frame that invalidates it had arrived; None where no edge says."""

    @classmethod
    def of(cls, status: dict[str, Any]) -> "Served":
        """All caches of a status together."""
        caches = status.get("caches") or []
        late = [row["late_hits"] for row in [*caches, *(status.get("links") or [])] if "late_hits" in row]
        return cls(
            hits=sum(row.get("hits", 0) + row.get("stale", 0) for row in caches),
            misses=sum(row.get("misses", 0) for row in caches),
            late_hits=sum(late) if late else None,
        )

    def since(self, before: "Served") -> "Served":
        """What has come since an earlier reading."""
        late = None if self.late_hits is None else self.late_hits - (before.late_hits or 0)
        return Served(self.hits - before.hits, self.misses - before.misses, late)

    def rate(self, queries: int) -> float:
        """The part of so many queries that crossed nothing."""
        return min(1.0, self.hits / queries) if queries else 0.0


def settled(status: Callable[[], dict[str, Any]]) -> Served:
    """The counts when they have come to rest."""
    first = status()
    seen = Served.of(first)
    if not first.get("caches"):
        return seen
    for _ in range(MAX_LOOKS):
        time.sleep(REST_S)
        before, seen = seen, Served.of(status())
        if seen == before:
            break
    return seen
