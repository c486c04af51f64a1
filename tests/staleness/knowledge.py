"""What is known to be committed, and since when; and whether an answer may be as old as it is.

A version is *known* from the moment on when the client of its writer had its acknowledgement, or when any client had
read it, whichever was first. An answer breaks the bound if it is of an older version and was asked for later than the
bound after that moment. The bound at the writer's own edge is nothing, and elsewhere one crossing; while links and
nodes fail it is the lease.
"""

import bisect
from collections import defaultdict
from typing import Final

import attrs

LEASE_S: Final = 3.0
# For processes that share two cores with five others: an invalidation that has arrived waits for its reader's turn.
SLACK_S: Final = 0.25
# What a fault has broken takes a moment to be noticed and made good.
RECOVERY_S: Final = 2.0


@attrs.define
class History:
    """The versions of one subject, each newer than those before, and since when they are known."""

    versions: list[int] = attrs.field(factory=list)
    since: list[float] = attrs.field(factory=list)

    def add(self, version: int, now: float) -> bool:
        """Whether it is news."""
        is_newer = not self.versions or version > self.versions[-1]
        if is_newer:
            self.versions.append(version)
            self.since.append(now)
        return is_newer

    def newer_since(self, version: int) -> float | None:
        """Since when something newer is known."""
        place = bisect.bisect_right(self.versions, version)
        return self.since[place] if place < len(self.since) else None


@attrs.frozen(kw_only=True)
class Answer:
    """What a client at an edge has read."""

    edge: int
    subject: int
    versions: set[int]
    begun: float
    now: float
    what: str


@attrs.define
class Knowledge:
    """All subjects."""

    crossings_s: list[float]
    """By edge."""
    slack_s: float = SLACK_S
    known: dict[int, History] = attrs.field(factory=lambda: defaultdict(History))
    written_at: dict[tuple[int, int], History] = attrs.field(factory=lambda: defaultdict(History))
    """By edge and subject: what was acknowledged there."""
    last_write: float = 0.0
    """When the last version became known."""
    faults: list[list[float]] = attrs.field(factory=list)
    """Begin and end of each; the end of what still lasts is infinite."""
    violations: list[str] = attrs.field(factory=list)
    oldest_s: dict[str, float] = attrs.field(factory=lambda: {"own edge": 0.0, "other edge": 0.0, "under faults": 0.0})
    """How old the oldest answer was."""

    def begin_fault(self, now: float) -> list[float]:
        fault = [now, float("inf")]
        self.faults.append(fault)
        return fault

    def wrote(self, edge: int, subject: int, version: int, now: float) -> None:
        """A client at an edge has the acknowledgement."""
        self.learnt(subject, version, now)
        self.written_at[edge, subject].add(version, now)

    def read(self, answer: Answer) -> None:
        """A client at an edge has an answer."""
        edge, subject, begun, what = answer.edge, answer.subject, answer.begun, answer.what
        if len(answer.versions) > 1:
            self.violations.append(f"mixed: {what} at edge {edge}: versions {sorted(answer.versions)}")
        version = min(answer.versions)
        self._judge_own(answer, version)
        since = self.known[subject].newer_since(version)
        if since is not None and since < begun:
            age = begun - since
            in_faults = self._had_faults(since, begun)
            kind = "under faults" if in_faults else "other edge"
            self.oldest_s[kind] = max(self.oldest_s[kind], age)
            bound = self.crossings_s[edge] + self.slack_s + (LEASE_S if in_faults else 0.0)
            if age > bound:
                text = f"stale by {age:.3f} s (bound {bound:.3f}, {kind}): {what} at edge {edge}: {version}"
                self.violations.append(text)
        self.learnt(subject, max(answer.versions), answer.now)

    def learnt(self, subject: int, version: int, now: float) -> None:
        """Somebody has seen it."""
        if self.known[subject].add(version, now):
            self.last_write = now

    def _judge_own(self, answer: Answer, version: int) -> None:
        since = self.written_at[answer.edge, answer.subject].newer_since(version)
        if since is not None and since < answer.begun:
            age = answer.begun - since
            self.oldest_s["own edge"] = max(self.oldest_s["own edge"], age)
            text = f"stale by {age:.3f} s at the writer's own edge {answer.edge}: {answer.what}: {version}"
            self.violations.append(text)

    def _had_faults(self, since: float, until: float) -> bool:
        return any(begin < until and since < end + RECOVERY_S for begin, end in self.faults)
